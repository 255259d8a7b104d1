//! The pipelines that run in child processes: for each a request and what can come of it, and nothing else. A new stage is
//! one pair of types and one bound of [`StageRunner`].

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::answer::Answer;
use crate::domain::checkpoint::{OutputReport, PartRecord};
use crate::domain::job::JobSpec;
use crate::domain::plan::{Families, PinnedPlan, SourceIdentity};
use crate::domain::unit::UnitId;

/// What a stage is asked.
pub trait StageRequest: Send + 'static {
    /// What comes of it, where it does not fail.
    type Output: Send + 'static;
}

/// Cut the input, write chunk sources and the plan. Gives the plan, durable in the work storage with all its sources.
#[derive(Clone, Debug)]
pub struct SplitRequest {
    /// The job.
    pub job: Arc<JobSpec>,
    /// The input as it was when the task began; a change in between fails as `retryable`.
    pub source: SourceIdentity,
    /// The devices that the plan may use.
    pub families: Families,
    /// Cut it so that each chunk is decoded from the beginning of the film.
    pub from_start: bool,
}

impl StageRequest for SplitRequest {
    type Output = Arc<PinnedPlan>;
}

/// Encode a unit into all its renditions.
#[derive(Clone, Debug)]
pub struct UnitRequest {
    /// The plan.
    pub plan: Arc<PinnedPlan>,
    /// The unit.
    pub unit: UnitId,
    /// Renditions that are planned for a device are made with the CPU's family of their codec.
    pub on_cpu: bool,
}

/// What came of a unit.
#[derive(Clone, Debug, PartialEq)]
pub enum UnitOutcome {
    /// The part, durable in the work storage with all its files.
    Made(PartRecord),
    /// Its source is damaged or missing, as this sentence says: the input has to be cut again.
    SourceLost(String),
}

impl StageRequest for UnitRequest {
    type Output = UnitOutcome;
}

/// Join the parts, verify and publish the outputs.
#[derive(Clone, Debug)]
pub struct AssembleRequest {
    /// The plan.
    pub plan: Arc<PinnedPlan>,
    /// A part for each unit of the plan.
    pub parts: BTreeMap<UnitId, PartRecord>,
}

/// What came of an assembly.
#[derive(Clone, Debug, PartialEq)]
pub enum AssembleOutcome {
    /// The outputs, verified and published.
    Published(Vec<OutputReport>),
    /// Files of these units are missing or damaged: they have to be encoded again.
    PartsLost(Vec<UnitId>),
    /// What was made is not what the input shows, or more of it is damaged than may be, as this sentence says. None is published.
    Differs(String),
}

impl StageRequest for AssembleRequest {
    type Output = AssembleOutcome;
}

/// Called with the media time that a running stage has done, in nanoseconds.
pub type OnProgress = Box<dyn Fn(u64) + Send>;

/// Runs the stage of a request in a child process.
pub trait RunStage<R: StageRequest>: Send + Sync {
    /// Runs one to its end. Cancelling `stop` ends the child and gives `interrupted`. A stage whose media time does not
    /// move is killed by the runner and classified. Dropping the future kills the child.
    fn run(&self, request: R, progress: OnProgress, stop: CancellationToken) -> Answer<R::Output>;
}

/// Runs all stages.
pub trait StageRunner: RunStage<SplitRequest> + RunStage<UnitRequest> + RunStage<AssembleRequest> {}
impl<T: RunStage<SplitRequest> + RunStage<UnitRequest> + RunStage<AssembleRequest>> StageRunner for T {}
