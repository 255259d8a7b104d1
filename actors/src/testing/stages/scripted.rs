//! What each stage of the fake does.

use std::sync::Arc;

use super::storage::Storage;
use super::{State, output_of, part_of, parts_of};
use crate::domain::failure::Failure;
use crate::domain::plan::testing::facts_of;
use crate::domain::plan::{PinnedPlan, Plan};
use crate::domain::task::Stage;
use crate::domain::unit::UnitId;
use crate::ports::{AssembleOutcome, AssembleRequest, SplitRequest, StageRequest, UnitOutcome, UnitRequest};

/// A request that the fake carries out.
pub(super) trait Scripted: StageRequest + Sync {
    /// The stage, the key of the run, and its media time in nanoseconds.
    fn describe(&self) -> (Stage, String, u64);

    /// What it gives in the end.
    fn produce(self, state: &mut State, worker: &str) -> Result<Self::Output, Failure>;

    /// Whether a device does it.
    fn uses_device(&self) -> bool {
        false
    }

    /// What comes of it where its source is gone, or is to be `now`.
    fn lose_source(&self, _: &Storage, _how: String, _now: bool) -> Option<Self::Output> {
        None
    }

    /// What comes of it where its outputs are not what the input shows.
    fn differ(&self) -> Option<Self::Output> {
        None
    }

    /// The files of these parts vanish under it.
    fn lose_parts(&self, _: &mut Storage, _: &[UnitId]) {}

    /// Reads an output back; what comes of it where it is not good.
    fn verify(&self, _: &mut Storage) -> Option<Self::Output> {
        None
    }
}

impl Scripted for SplitRequest {
    fn describe(&self) -> (Stage, String, u64) {
        (Stage::Split, format!("{}/split", self.job.job_id), 0)
    }

    fn produce(self, state: &mut State, _: &str) -> Result<Arc<PinnedPlan>, Failure> {
        let film = state.films.get(&self.job.job_id).copied().unwrap_or_default();
        let facts = facts_of(if self.from_start { film.chunks.min(4) } else { film.chunks }, film.audio);
        let plan = Plan::build((*self.job).clone(), self.source, facts, film.parallelism, &self.families)?;
        let plan = plan.decoded_from_start(self.from_start);
        let plan = PinnedPlan::new(plan).map_err(|error| Failure::permanent(error.to_string()))?;
        let plan = Arc::new(plan);
        state.storage.keep_plan(&plan);
        Ok(plan)
    }
}

impl Scripted for UnitRequest {
    fn describe(&self) -> (Stage, String, u64) {
        let key = format!("{}/{}", self.plan.job.job_id, self.unit);
        match self.unit {
            UnitId::Chunk(_) => (Stage::Encode, key, 10_000_000_000),
            UnitId::Audio(_) => (Stage::Audio, key, self.plan.duration_ns()),
        }
    }

    fn produce(self, state: &mut State, worker: &str) -> Result<UnitOutcome, Failure> {
        let part = if self.unit.is_chunk() {
            let renditions = self.plan.video_renditions().iter();
            parts_of(self.unit, worker, renditions.map(|rendition| Some(rendition.made_by(self.on_cpu))))
        } else {
            part_of(self.unit, worker)
        };
        state.storage.keep_part(&self.plan, part.clone());
        Ok(UnitOutcome::Made(part))
    }

    fn uses_device(&self) -> bool {
        self.unit.is_chunk() && !self.on_cpu && self.plan.uses_device()
    }

    fn lose_source(&self, storage: &Storage, how: String, now: bool) -> Option<UnitOutcome> {
        // The sources went with the work of the job.
        (now || !storage.has_plan(&self.plan)).then_some(UnitOutcome::SourceLost(how))
    }
}

impl Scripted for AssembleRequest {
    fn describe(&self) -> (Stage, String, u64) {
        (Stage::Assemble, format!("{}/assemble", self.plan.job.job_id), self.plan.duration_ns())
    }

    fn produce(self, state: &mut State, _: &str) -> Result<AssembleOutcome, Failure> {
        state.storage.publish(&self.plan);
        Ok(AssembleOutcome::Published(vec![output_of(&self.plan)]))
    }

    fn differ(&self) -> Option<AssembleOutcome> {
        Some(AssembleOutcome::Differs("the output is not what the input shows".into()))
    }

    fn lose_parts(&self, storage: &mut Storage, units: &[UnitId]) {
        storage.lose(&self.plan, units);
    }

    fn verify(&self, storage: &mut Storage) -> Option<AssembleOutcome> {
        storage.verify(&self.plan, &self.parts).map(AssembleOutcome::PartsLost)
    }
}
