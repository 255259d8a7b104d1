//! Time stamps.

use crate::domain::checkpoint::Timestamp;

/// The clock for time stamps that people and other programs see. (Delays use tokio's clock.)
pub trait Clock: Send + Sync {
    /// The current instant.
    fn now(&self) -> Timestamp;
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        chrono::Utc::now()
    }
}
