//! The circuit breaker of the devices: closed, they are used; open, they are not; half-open, one trial decides. The
//! trial is a probe and no chunk of a job: with an open breaker no chunk is planned for a device, so that none would
//! ever come. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// Failures in a row after which it opens: one can be chance, and each costs a chunk that is encoded twice.
const MAX_FAILURES: u32 = 3;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Breaker {
    state: State,
    /// How often it opened since a chunk was encoded: the wait before a trial grows with it.
    opened: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant },
    HalfOpen,
}

impl Default for State {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

impl Breaker {
    /// Whether devices are used.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    /// How often it opened since a chunk was encoded.
    pub fn times_opened(&self) -> u32 {
        self.opened
    }

    /// For metrics: 0 closed, 1 half-open, 2 open.
    pub fn number(&self) -> f64 {
        match self.state {
            State::Closed { .. } => 0.0,
            State::HalfOpen => 1.0,
            State::Open { .. } => 2.0,
        }
    }

    /// A chunk failed; `at_once` opens it whatever was before. Open, it stays so for `delay`. Whether it opens now.
    pub fn failed(&mut self, at_once: bool, now: Instant, delay: Duration) -> bool {
        // Chunks that were begun before it opened say nothing new.
        let State::Closed { failures } = &mut self.state else { return false };
        *failures += 1;
        let opens = at_once || *failures >= MAX_FAILURES;
        if opens {
            self.open(now, delay);
        }
        opens
    }

    /// A chunk was encoded.
    pub fn worked(&mut self) {
        if self.is_closed() {
            *self = Self::default();
        }
    }

    /// Makes it half-open where its time has come: then a trial has to follow. Whether that is so.
    pub fn begin_trial(&mut self, now: Instant) -> bool {
        let due = matches!(self.state, State::Open { until } if until <= now);
        if due {
            self.state = State::HalfOpen;
        }
        due
    }

    /// The end of a trial. Where there was none to make, nothing changes.
    pub fn tried(&mut self, works: bool, now: Instant, delay: Duration) {
        match (self.state, works) {
            (State::HalfOpen, true) => self.state = State::default(),
            (State::HalfOpen, false) => self.open(now, delay),
            (State::Closed { .. } | State::Open { .. }, _) => {}
        }
    }

    fn open(&mut self, now: Instant, delay: Duration) {
        self.opened = self.opened.saturating_add(1);
        self.state = State::Open { until: now + delay };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_secs(10);

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_after_a_trial_that_works() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        assert!(!breaker.failed(false, now, DELAY) && !breaker.failed(false, now, DELAY));
        breaker.worked();
        assert!(!breaker.failed(false, now, DELAY) && !breaker.failed(false, now, DELAY));
        assert!(breaker.failed(false, now, DELAY), "the third in a row");
        assert!(!breaker.failed(false, now, DELAY), "it is open by now");
        assert!(!breaker.is_closed() && !breaker.begin_trial(now));
        breaker.tried(true, now, DELAY);
        assert!(!breaker.is_closed(), "a look in between is no trial");
        assert!(breaker.begin_trial(now + DELAY) && !breaker.begin_trial(now + DELAY), "one trial");
        assert_eq!(breaker.number(), 1.0);
        breaker.tried(false, now, DELAY);
        assert_eq!((breaker.number(), breaker.times_opened()), (2.0, 2));
        assert!(breaker.begin_trial(now + DELAY));
        breaker.tried(true, now, DELAY);
        assert!(breaker.is_closed());
        assert_eq!(breaker.times_opened(), 2, "the next wait is longer, until a chunk was encoded");
        breaker.worked();
        assert_eq!(breaker.times_opened(), 0);
    }

    #[test]
    fn a_lost_device_opens_it_at_once() {
        let mut breaker = Breaker::default();
        assert!(breaker.failed(true, Instant::now(), DELAY) && !breaker.is_closed());
    }
}
