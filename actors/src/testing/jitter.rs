//! The jitter of backoffs from a seed, so that a test can be run again as it was. It holds for the thread that asked for
//! it and no longer than that test: all others keep the jitter of the machine.

use std::cell::Cell;
use std::marker::PhantomData;

thread_local! {
    static STATE: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Numbers that follow from a seed, one after the other (splitmix: a counter in steps of the golden ratio, mixed).
pub(super) fn follow(state: u64) -> (u64, u64) {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (state, mixed ^ (mixed >> 31))
}

/// The next number of this thread; `None` where it has no seed.
pub(crate) fn next() -> Option<u64> {
    let (state, number) = follow(STATE.get()?);
    STATE.set(Some(state));
    Some(number)
}

/// While it lives, the jitter of this thread follows from its seed.
#[must_use]
pub struct Seeded {
    before: Option<u64>,
    /// It belongs to its thread.
    not_send: PhantomData<*const ()>,
}

impl Seeded {
    /// From now on the jitter of this thread follows from `seed`.
    pub fn new(seed: u64) -> Self {
        Self { before: STATE.replace(Some(seed)), not_send: PhantomData }
    }
}

impl Drop for Seeded {
    fn drop(&mut self) {
        STATE.set(self.before);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::backoff::Backoff;

    fn delays() -> Vec<Duration> {
        (1..20).map(|attempt| Backoff::NETWORK.jittered(attempt)).collect()
    }

    fn seeded(seed: u64) -> Vec<Duration> {
        let _seeded = Seeded::new(seed);
        delays()
    }

    #[test]
    fn one_seed_gives_one_jitter_and_another_seed_another() {
        assert_eq!(seeded(1), seeded(1));
        assert_ne!(seeded(1), seeded(2));
        assert!(seeded(3).into_iter().collect::<std::collections::BTreeSet<_>>().len() > 15, "it jitters");
    }

    #[test]
    fn a_seed_ends_with_its_test_and_does_not_reach_other_threads() {
        assert_ne!(delays(), delays(), "without a seed the machine's");
        let outer = Seeded::new(1);
        let elsewhere = std::thread::spawn(|| next().is_none()).join();
        assert!(elsewhere.is_ok_and(|unseeded| unseeded));
        let inner = seeded(7);
        assert_eq!((inner, delays()), (seeded(7), seeded(1)), "an inner seed leaves the outer one as it was");
        drop(outer);
        assert_ne!(delays(), delays());
    }
}
