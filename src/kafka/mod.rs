//! Kafka: jobs and tasks in, offsets and tasks out, and the embedded broker.
//!
//! ```text
//!  receiver ──grant, finished, leave──► source ──inbox──► poll thread ──► intake, commits    (members of the group)
//!     ▲                                                     │  ▲
//!     └── deliveries, rebalances, lag, cancels ◄────────────┘  └── observer thread        (control topic, lag, starts)
//!  publisher ──► producer of librdkafka ──► delivery report ──► answer
//! ```
//!
//! * `settings`: clusters, names of topics, properties of clients
//! * `source`, `poll`, `member`, `context`, `observer`, `shared`, `inbox`: the consumer and its threads
//! * `intake`, `commits`: what is delivered, paused and committed, without Kafka
//! * `publisher`: the producer
//! * `letters`: reads the dead letters
//! * `topics`: makes topics that are missing
//! * `embedded`: a broker in this process
//!
//! A worker has one member of the group for each topic. The assignor levels only how many partitions a member has over
//! all its topics: with a single member, a second worker could be given every job and no task. The members share one
//! poll thread, one intake and the credits, so that no credit lies idle for a topic that has nothing, and topics take
//! turns. All members are in one group (on the embedded broker in one for each topic, see
//! [`KafkaSettings::group_for_each_topic`]).
//!
//! No call to the cluster may run on an actor's thread: the source and the publisher never block their caller.

mod clock;
mod commits;
mod context;
mod embedded;
mod inbox;
mod intake;
mod letters;
mod log;
mod member;
mod observer;
mod poll;
mod publisher;
mod reserved;
mod settings;
mod shared;
mod source;
mod topics;

pub use clock::PollClock;
pub use embedded::{EMBEDDED_PARTITIONS, EmbeddedBroker};
pub use letters::LetterBox;
pub use publisher::KafkaPublisher;
pub use reserved::reserved;
pub use settings::{DEFAULT_PARTITIONS, DEFAULT_WINDOW, KafkaSettings, MAX_RECORD_BYTES, Topics};
pub use source::{KafkaSource, connector};
pub use topics::ensure_topics;
