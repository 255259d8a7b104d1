//! Kafka: jobs and tasks in, offsets and tasks out, and the embedded broker.
//!
//! ```text
//!  receiver ──grant, finished, leave──► source ──inbox──► poll thread ──► intake, commits      (member of the group)
//!     ▲                                                     │  ▲
//!     └── deliveries, rebalances, lag, cancels ◄────────────┘  └── observer thread        (control topic, lag, starts)
//!  publisher ──► producer of librdkafka ──► delivery report ──► answer
//! ```
//!
//! * `settings`: clusters, names of topics, properties of clients
//! * `source`, `poll`, `context`, `observer`, `shared`, `inbox`: the consumer and its threads
//! * `intake`, `commits`: what is delivered, paused and committed, without Kafka
//! * `publisher`: the producer
//! * `topics`: makes topics that are missing
//! * `embedded`: a broker in this process
//!
//! No call to the cluster may run on an actor's thread: the source and the publisher never block their caller.

mod commits;
mod context;
mod embedded;
mod inbox;
mod intake;
mod log;
mod observer;
mod poll;
mod publisher;
mod settings;
mod shared;
mod source;
mod topics;

pub use embedded::{EMBEDDED_PARTITIONS, EmbeddedBroker};
pub use publisher::KafkaPublisher;
pub use settings::{DEFAULT_PARTITIONS, DEFAULT_WINDOW, KafkaSettings, MAX_RECORD_BYTES, Topics};
pub use source::{KafkaSource, PollClock, connector};
pub use topics::ensure_topics;
