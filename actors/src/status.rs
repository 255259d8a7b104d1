//! What the worker says of itself to `/healthz` and `/readyz`.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// The arbiter of the actors counts as stuck when it did not beat for this time: many times the interval of a beat.
pub const BEAT_TIMEOUT: Duration = Duration::from_secs(15);

/// The state of a worker.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// A probe found an encoder.
    pub capable: bool,
    /// Partitions that the worker has; `None` before the group gave it any.
    pub assigned: Option<usize>,
    /// The checkpoint store does not answer; work waits for it.
    pub store_away: bool,
    /// The broker does not answer; what runs goes on, nothing new comes.
    pub broker_away: bool,
    /// A device is lost that only a restart heals, and why. The worker encodes on the CPU meanwhile.
    pub device_lost: Option<String>,
    /// It takes no more work.
    pub draining: bool,
    /// It ended.
    pub ended: bool,
    /// Encoders that work.
    pub busy: usize,
    /// Encoders of the pool.
    pub slots: usize,
    /// When the arbiter of the actors last showed that it is not stuck.
    pub beat_at: Instant,
}

impl Status {
    /// Whether the worker may take work.
    pub fn ready(&self) -> bool {
        let away = self.store_away || self.broker_away || self.device_lost.is_some();
        self.capable && self.assigned.is_some() && !away && !self.draining && !self.ended
    }

    /// Whether the worker need not be restarted.
    pub fn live(&self) -> bool {
        !self.ended && self.beat_at.elapsed() < BEAT_TIMEOUT
    }
}

/// Where the actors write the status. Clones share it.
#[derive(Clone)]
pub struct StatusCell {
    status: Arc<watch::Sender<Status>>,
}

impl StatusCell {
    /// The status of a worker that was just started.
    pub fn new(slots: usize) -> Self {
        let beat_at = Instant::now();
        let status = Status {
            capable: false,
            assigned: None,
            store_away: false,
            broker_away: false,
            device_lost: None,
            draining: false,
            ended: false,
            busy: 0,
            slots,
            beat_at,
        };
        Self { status: Arc::new(watch::Sender::new(status)) }
    }

    /// Changes the status.
    pub fn change(&self, change: impl FnOnce(&mut Status)) {
        self.status.send_modify(change);
    }

    /// The status as it is now.
    pub fn now(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Follows the status.
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix::test]
    async fn a_worker_is_ready_when_it_can_encode_and_was_given_partitions_and_not_while_it_waits_or_drains() {
        let cell = StatusCell::new(2);
        assert!(!cell.now().ready());
        cell.change(|status| status.capable = true);
        cell.change(|status| status.assigned = Some(0));
        assert!(cell.now().ready() && cell.now().live());
        for (store_away, broker_away) in [(true, false), (true, true), (false, true), (false, false)] {
            cell.change(|status| (status.store_away, status.broker_away) = (store_away, broker_away));
            assert_eq!(cell.now().ready(), !store_away && !broker_away);
        }
        cell.change(|status| status.device_lost = Some("it fell off the bus".into()));
        assert!(!cell.now().ready() && cell.now().live());
        cell.change(|status| status.device_lost = None);
        cell.change(|status| status.draining = true);
        assert!(!cell.now().ready() && cell.now().live());
    }

    #[actix::test]
    async fn a_worker_that_does_not_beat_is_not_live() {
        tokio::time::pause();
        let cell = StatusCell::new(2);
        tokio::time::advance(BEAT_TIMEOUT).await;
        assert!(!cell.now().live());
        cell.change(|status| status.beat_at = Instant::now());
        assert!(cell.now().live());
    }
}
