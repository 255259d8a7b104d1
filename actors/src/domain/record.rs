//! Records of the broker: the topics, what comes in and what goes out.

/// The topics, by what they hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Queue {
    /// Jobs (`KAFKA_TOPIC`).
    Jobs,
    /// Tasks for any worker.
    Cpu,
    /// Tasks for workers with a GPU.
    Gpu,
    /// What could not be done.
    DeadLetter,
    /// Cancellations, read by every worker.
    Control,
}

/// The names of the topics in the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicNames {
    /// Of [`Queue::Jobs`].
    pub jobs: String,
    /// Of [`Queue::Cpu`].
    pub cpu: String,
    /// Of [`Queue::Gpu`].
    pub gpu: String,
    /// Of [`Queue::DeadLetter`].
    pub dead_letter: String,
    /// Of [`Queue::Control`].
    pub control: String,
}

impl TopicNames {
    /// The names that follow from that of the topic of jobs (`KAFKA_TOPIC`).
    pub fn after(jobs: &str) -> Self {
        Self {
            jobs: jobs.into(),
            cpu: format!("{jobs}.tasks.cpu"),
            gpu: format!("{jobs}.tasks.gpu"),
            dead_letter: format!("{jobs}.dead-letter"),
            control: format!("{jobs}.control"),
        }
    }

    /// The name of a topic.
    pub fn of(&self, queue: Queue) -> &str {
        match queue {
            Queue::Jobs => &self.jobs,
            Queue::Cpu => &self.cpu,
            Queue::Gpu => &self.gpu,
            Queue::DeadLetter => &self.dead_letter,
            Queue::Control => &self.control,
        }
    }
}

/// Names one delivery of one record in one assignment of its partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryTag {
    /// The topic.
    pub queue: Queue,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// Grows with each assignment of the partition: an answer from an older one changes nothing.
    pub epoch: u64,
}

/// A record that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its name.
    pub tag: DeliveryTag,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value; `None` for a tombstone.
    pub value: Option<Vec<u8>>,
    /// Its headers.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// A record to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// The topic.
    pub queue: Queue,
    /// The key: decides the partition.
    pub key: Vec<u8>,
    /// The value; `None` only to pass on a tombstone.
    pub value: Option<Vec<u8>>,
    /// The headers.
    pub headers: Vec<(String, Vec<u8>)>,
}
