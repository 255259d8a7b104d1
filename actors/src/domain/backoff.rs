//! The one backoff of the project: exponential, capped, with full jitter on its upper half.

use std::time::Duration;

/// Delays between tries. Valid once it exists: `0 < first <= cap`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
}

impl Backoff {
    /// Delays from `first`, doubled for each try, up to `cap`.
    ///
    /// # Errors
    /// Where `first` is zero or above `cap`.
    pub fn new(first: Duration, cap: Duration) -> Result<Self, String> {
        if first.is_zero() || first > cap {
            return Err(format!(
                "a backoff from {first:?} to {cap:?} is not possible: the first delay must be above zero and at most the last"
            ));
        }
        Ok(Self { first, cap })
    }

    /// For a dependency on the network: 100 ms to 10 s.
    pub const NETWORK: Self = Self { first: Duration::from_millis(100), cap: Duration::from_secs(10) };
    /// For a task that failed: 500 ms to 30 s.
    pub const TASK: Self = Self { first: Duration::from_millis(500), cap: Duration::from_secs(30) };
    /// For work that waits for space in a storage, which somebody has to free: 1 s to 30 s.
    pub const SPACE: Self = Self { first: Duration::from_secs(1), cap: Duration::from_secs(30) };
    /// For a task that goes from worker to worker until it meets one that makes it: 1 s to 2 s.
    pub const PASS: Self = Self { first: Duration::from_secs(2), cap: Duration::from_secs(2) };
    /// For a device that failed too often: a driver that is updated is away for minutes. 10 s to 5 min.
    pub const DEVICE: Self = Self { first: Duration::from_secs(10), cap: Duration::from_secs(300) };
    /// For an actor that died: 200 ms to 5 s.
    pub const RESPAWN: Self = Self { first: Duration::from_millis(200), cap: Duration::from_secs(5) };

    /// The delay before try `attempt` + 1, where `attempt` counts the failures so far from 1.
    /// `jitter` in 0 to 1 picks a point in the upper half of the step, so that workers do not try in step.
    pub fn delay(&self, attempt: u32, jitter: f64) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        let step = self.first.saturating_mul(1u32 << doublings).min(self.cap);
        step.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0))
    }

    /// [`Self::delay`] with a jitter of its own.
    pub fn jittered(&self, attempt: u32) -> Duration {
        self.delay(attempt, jitter())
    }
}

/// A number in 0 to 1 that differs from call to call.
fn jitter() -> f64 {
    // A product is built without this line: only a test can say what chance is.
    #[cfg(any(test, feature = "testing"))]
    if let Some(seeded) = crate::testing::jitter::next() {
        return fraction(seeded);
    }
    fraction(machine())
}

/// The random keys of the standard library's hash maps.
fn machine() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

fn fraction(random: u64) -> f64 {
    (random >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_delay_is_never_zero_never_above_the_cap_and_never_shrinks(
            first_ms in 1u64..1000, extra_ms in 0u64..100_000, attempt in 1u32..100, jitter in 0.0f64..1.0,
        ) {
            let cap = Duration::from_millis(first_ms + extra_ms);
            let backoff = Backoff::new(Duration::from_millis(first_ms), cap).expect("valid");
            let delay = backoff.delay(attempt, jitter);
            prop_assert!(!delay.is_zero() && delay <= cap);
            prop_assert!(backoff.delay(attempt + 1, jitter) >= delay);
        }
    }

    #[test]
    fn a_backoff_that_makes_no_sense_is_refused() {
        assert!(Backoff::new(Duration::ZERO, Duration::from_secs(1)).is_err());
        assert!(Backoff::new(Duration::from_secs(2), Duration::from_secs(1)).is_err());
    }
}
