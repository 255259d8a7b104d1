//! What a test can make go wrong in the fake store.

use std::collections::HashMap;
use std::time::Duration;

use crate::failure::Failure;

/// The calls of a store, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // Each is the method of the same name.
pub enum Operation {
    Open,
    Read,
    Advance,
    Finish,
    Record,
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
