//! What a test can make go wrong in the fake store.

use std::collections::HashMap;
use std::time::Duration;

use crate::domain::failure::Failure;

/// The calls of a store, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // Each is the method of the same name.
pub enum Operation {
    Open,
    Read,
    Advance,
    Finish,
    Reopen,
    Record,
    Part,
    Parts,
    Forget,
    CountAttempt,
    ReturnAttempt,
    Hold,
    Release,
    Announce,
    Workers,
    Pending,
    Delivered,
}

/// Faults that are still to come, and the calls so far.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub fail_any: usize,
    pub fail: HashMap<Operation, usize>,
    pub lose_answers: usize,
    pub delay: Duration,
    pub away: bool,
    pub calls: HashMap<Operation, usize>,
}

/// What becomes of one call.
pub(super) struct Verdict {
    /// Time that passes before anything happens.
    pub delay: Duration,
    /// Nothing is done.
    pub failure: Option<Failure>,
    /// It is done, but the caller does not learn of it.
    pub answer_lost: bool,
}

impl Faults {
    /// Counts a call and says what becomes of it.
    pub fn judge(&mut self, operation: Operation) -> Verdict {
        *self.calls.entry(operation).or_default() += 1;
        let of_operation = self.fail.entry(operation).or_default();
        let failed = self.away || take(of_operation) || take(&mut self.fail_any);
        Verdict {
            delay: self.delay,
            failure: failed.then(|| Failure::retryable(format!("the fake store was told to fail {operation:?}"))),
            answer_lost: !failed && take(&mut self.lose_answers),
        }
    }
}

/// Uses up one of `left`, if there is one.
fn take(left: &mut usize) -> bool {
    let any = *left > 0;
    *left = left.saturating_sub(1);
    any
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;
    use crate::domain::checkpoint::Timestamp;
    use crate::ports::{JobStore, PartStore};
    use crate::testing::store::FakeStore;

    async fn attempt(store: &FakeStore) -> Result<u32, Failure> {
        store.count_attempt("j".parse().expect("an id"), "t".into()).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_fault_hits_the_calls_it_was_asked_for_and_no_others() {
        let store = FakeStore::new();
        store.fail_next(2);
        assert!(attempt(&store).await.is_err() && attempt(&store).await.is_err());
        assert_eq!(attempt(&store).await, Ok(1), "failed calls did nothing");
        store.fail_next_of(Operation::Read, 1);
        assert_eq!(attempt(&store).await, Ok(2));
        assert!(store.read("j".parse().expect("an id")).await.is_err());
        store.lose_next_answers(1);
        assert!(attempt(&store).await.is_err());
        assert_eq!(attempt(&store).await, Ok(4), "the call whose answer was lost did its work");
        store.set_away(true);
        assert!(attempt(&store).await.is_err());
        store.set_away(false);
        store.empty();
        assert_eq!(attempt(&store).await, Ok(1));
        assert_eq!((store.calls(Operation::CountAttempt), store.calls(Operation::Read)), (8, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_delayed_call_does_nothing_before_its_time() {
        let store = FakeStore::new();
        store.delay(Duration::from_secs(5));
        let begun = Instant::now();
        let open = store.open("j".parse().expect("an id"), "c".into(), Timestamp::default());
        assert!(tokio::time::timeout(Duration::from_secs(4), open).await.is_err());
        store.delay(Duration::ZERO);
        assert_eq!(store.read("j".parse().expect("an id")).await, Ok(None), "a call that was given up did nothing");
        assert_eq!(begun.elapsed(), Duration::from_secs(4));
    }
}
