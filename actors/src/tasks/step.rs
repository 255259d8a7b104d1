//! How work on a task ends that does not fail.

use crate::work::Deferral;

/// The end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It did its work.
    Done,
    /// There was nothing to do: done before, stale, or the job has ended.
    Nothing,
    /// It could not begin or go on, and comes back.
    Deferred(Deferral),
    /// It is left to a worker that has the versions of its plan.
    Left,
}
