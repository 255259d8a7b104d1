//! Names of the keys. The checkpoint's own key and that of a worker are known to other programs.

use actors::domain::fingerprint::Fingerprint;
use actors::domain::job::JobId;

/// Last reports that wait for delivery: a hash from job to report.
pub(super) const OUTBOX: &str = "transcode:outbox";
/// The jobs of the outbox in the order of their ends: a sorted set.
pub(super) const OUTBOX_ORDER: &str = "transcode:outbox:order";
/// The workers that announced themselves, by the time (ms) at which they are forgotten: a sorted set.
pub(super) const WORKERS: &str = "transcode:workers";
/// What stands before the name of a worker.
pub(super) const WORKER: &str = "transcode:worker:";

/// The checkpoint: a hash. Further keys of the job begin with it.
pub(super) fn checkpoint(job_id: &JobId) -> String {
    format!("transcode:checkpoint:{}", job_id.as_str())
}

/// The parts of a plan: a hash from unit to record.
pub(super) fn parts(job_id: &JobId, fingerprint: &Fingerprint) -> String {
    format!("{}:parts:{fingerprint}", checkpoint(job_id))
}

/// The lease of a task: its owner.
pub(super) fn lease(task: &str) -> String {
    format!("transcode:lease:{task}")
}

/// What a worker says of itself.
pub(super) fn worker(worker: &str) -> String {
    format!("{WORKER}{worker}")
}
