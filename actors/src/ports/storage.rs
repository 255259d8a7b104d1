//! The work storage.

use std::sync::Arc;

use super::answer::Answer;
use crate::domain::checkpoint::PartRecord;
use crate::domain::fingerprint::Fingerprint;
use crate::domain::job::{JobId, MediaUri};
use crate::domain::plan::{Families, PinnedPlan, SourceIdentity};
use crate::domain::unit::UnitId;

/// The work storage of jobs, and the identity of inputs.
pub trait WorkStorage: Send + Sync {
    /// What tells this input from another one of the same name. `permanent` where it cannot be read.
    fn identify(&self, uri: MediaUri) -> Answer<SourceIdentity>;
    /// Keeps the devices that the plans of a job may use, if none are kept, and returns those in force: the first. So
    /// its input gives the same plan however often it is cut, and whoever has a device then.
    fn pin(&self, job_id: JobId, families: Families) -> Answer<Families>;
    /// The plan of a job, if it is there.
    fn plan(&self, job_id: JobId, fingerprint: Fingerprint) -> Answer<Option<Arc<PinnedPlan>>>;
    /// The parts that lie in the work storage, by their records: what is needed where the store was emptied.
    fn recorded_parts(&self, job_id: JobId, fingerprint: Fingerprint) -> Answer<Vec<PartRecord>>;
    /// Forgets the part of a unit that is there and cannot be used: it is not among the [recorded
    /// ones](Self::recorded_parts) any more, until the unit is encoded again.
    fn discard(&self, job_id: JobId, fingerprint: Fingerprint, unit: UnitId) -> Answer<()>;
    /// Removes everything of a job from the work storage. Outputs stay.
    fn remove(&self, job_id: JobId) -> Answer<()>;
}
