//! The attempt of a task that runs.

use std::sync::Arc;

use crate::domain::plan::PinnedPlan;
use crate::domain::unit::UnitId;

/// The attempt that runs.
#[derive(Clone, Debug, Default)]
pub(super) struct Attempt {
    /// Attempts with this one, once it was counted.
    pub counted: Option<u32>,
    /// The key of its task.
    pub task: String,
    /// Media of a chunk that it had encoded when it ended without a part.
    pub media: Option<(Arc<PinnedPlan>, UnitId, u64)>,
}

impl Attempt {
    /// Whether one before it was begun and has not ended well: what that one did is done again.
    pub fn is_again(&self) -> bool {
        self.counted.is_some_and(|counted| counted > 1)
    }

    /// It ended without a part after so much media.
    pub fn ended_after(&mut self, plan: &Arc<PinnedPlan>, unit: UnitId, media_ns: u64) {
        self.media = Some((plan.clone(), unit, media_ns));
    }
}
