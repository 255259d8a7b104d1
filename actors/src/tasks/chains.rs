//! The start of the chains of a job, after its split and after a resplit that gave another plan.

use std::sync::Arc;

use super::jobs::Jobs;
use super::rebuild::rebuild;
use super::step::Step;
use crate::domain::failure::Failure;
use crate::domain::plan::PinnedPlan;

/// Puts a plan in force and publishes its first tasks. Those of which the parts are there pass the chains on.
pub(super) async fn start_chains(jobs: &Jobs, plan: &Arc<PinnedPlan>) -> Result<Step, Failure> {
    let job_id = &plan.job.job_id;
    jobs.plans.keep(plan);
    let units_done = jobs.parts.restore(plan).await?;
    match jobs.states.put_in_force(plan, units_done).await? {
        // The job ended while its input was cut.
        Some(checkpoint) if checkpoint.status.is_terminal() => {
            jobs.endings.clear(job_id).await;
            return Ok(Step::Nothing);
        }
        Some(_) => {}
        // The store was emptied while the input was cut.
        None => drop(rebuild(jobs, job_id, plan.fingerprint()).await?),
    }
    tracing::info!(%job_id, chunks = plan.num_chunks(), fingerprint = %plan.fingerprint(), "job was split");
    jobs.successors.units(plan, plan.after_split(), false).await?;
    Ok(Step::Done)
}
