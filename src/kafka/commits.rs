//! When offsets are committed: one request at a time; at most once a second while work goes on, sooner when
//! nothing is being worked on, so that the lag of an idle worker is 0; again after a failure.

use std::time::{Duration, Instant};

use super::intake::Commit;

/// While work goes on.
const INTERVAL: Duration = Duration::from_secs(1);
/// When nothing is being worked on.
const IDLE_INTERVAL: Duration = Duration::from_millis(50);
/// After a failure; commits are refused while the group rebalances.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);
/// An answer that did not come by now is not waited for: librdkafka gives up earlier.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(90);

/// The commit under way, and how the last one went.
pub(super) struct Commits {
    in_flight: Option<Vec<Commit>>,
    last_at: Instant,
    failures: u32,
}

impl Commits {
    pub(super) fn new(now: Instant) -> Self {
        Self { in_flight: None, last_at: now, failures: 0 }
    }

    /// Whether it is time for a commit, if there is one to make.
    pub(super) fn is_due(&self, idle: bool, now: Instant) -> bool {
        let interval = match (&self.in_flight, self.failures, idle) {
            (Some(_), _, _) => ANSWER_TIMEOUT,
            (None, 0, true) => IDLE_INTERVAL,
            (None, 0, false) => INTERVAL,
            (None, _, _) => RETRY_INTERVAL,
        };
        now.duration_since(self.last_at) >= interval
    }

    pub(super) fn sent(&mut self, commits: Vec<Commit>, now: Instant) {
        self.in_flight = Some(commits);
        self.last_at = now;
    }

    /// The answer came: gives what is committed now. `accepted` says it for each.
    pub(super) fn answered(&mut self, accepted: impl Fn(&Commit) -> bool, now: Instant) -> Vec<Commit> {
        let Some(sent) = self.in_flight.take() else { return Vec::new() };
        let (done, refused): (Vec<_>, Vec<_>) = sent.into_iter().partition(accepted);
        self.failures = if refused.is_empty() { 0 } else { self.failures.saturating_add(1) };
        self.last_at = now;
        done
    }

    /// The request could not even be sent.
    pub(super) fn failed(&mut self, now: Instant) {
        self.in_flight = None;
        self.failures = self.failures.saturating_add(1);
        self.last_at = now;
    }

    /// Refusals in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actors::domain::record::Queue;

    const COMMIT: Commit = Commit { place: (Queue::Cpu, 3), epoch: 1, offset: 7 };

    #[test]
    fn an_idle_worker_commits_sooner_than_a_busy_one() {
        let now = Instant::now();
        let commits = Commits::new(now);
        assert!(commits.is_due(true, now + IDLE_INTERVAL));
        assert!(!commits.is_due(false, now + IDLE_INTERVAL));
        assert!(commits.is_due(false, now + INTERVAL));
    }

    #[test]
    fn nothing_is_sent_while_an_answer_is_awaited_but_not_for_ever() {
        let now = Instant::now();
        let mut commits = Commits::new(now);
        commits.sent(vec![COMMIT], now);
        assert!(!commits.is_due(true, now + INTERVAL));
        assert!(commits.is_due(true, now + ANSWER_TIMEOUT));
    }

    #[test]
    fn a_refused_commit_is_sent_again_and_not_taken_for_done() {
        let now = Instant::now();
        let mut commits = Commits::new(now);
        commits.sent(vec![COMMIT], now);
        assert!(commits.answered(|_| false, now).is_empty());
        assert_eq!(commits.failures(), 1);
        assert!(commits.is_due(false, now + RETRY_INTERVAL));
        commits.sent(vec![COMMIT], now);
        assert_eq!(commits.answered(|_| true, now), [COMMIT]);
        assert_eq!(commits.failures(), 0);
    }

    #[test]
    fn an_answer_that_nobody_waits_for_changes_nothing() {
        let now = Instant::now();
        assert!(Commits::new(now).answered(|_| true, now).is_empty());
    }
}
