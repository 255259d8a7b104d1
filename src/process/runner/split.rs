//! Split: cuts the input, publishes the sources, then the plan. The plan is there only when everything it names is.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use actors::domain::failure::Failure;
use actors::domain::job::JobSpec;
use actors::domain::plan::{PinnedPlan, Plan, SourceFacts, SourceIdentity};
use actors::ports::SplitRequest;
use tokio_util::sync::CancellationToken;

use super::Inner;
use crate::fault_injection;
use crate::process::gauge::Gauge;
use crate::protocol::SplitSpec;
use crate::storage::{Existing, Scratch, name_is_taken};

/// Makes a split read another film than the one of its job.
const READS: &str = "FAULT_SPLIT_READS";

impl Inner {
    pub(super) async fn split(
        &self,
        request: &SplitRequest,
        mut gauge: Gauge,
        stop: &CancellationToken,
    ) -> Result<Arc<PinnedPlan>, Failure> {
        let SplitRequest { job, source, from_start, .. } = request;
        // Said now and not after hours of encoding.
        self.check_outputs(job).await?;
        let input = self.storage.fetch(&job.input.uri).await?;
        self.check_unchanged(job, source).await?;
        let scratch = self.storage.scratch(&job.job_id).await?;
        let spec = SplitSpec {
            input: fault_injection::wanted(READS).map_or_else(|| input.path().into(), PathBuf::from),
            directory: scratch.path().into(),
            chunk_seconds: self.settings.chunk_seconds,
            from_start: *from_start,
            max_damage: job.input.max_damage().into(),
            audio: job.outputs.iter().any(|output| output.audio.is_some()),
        };
        let split = match self.process(&spec, &mut gauge, stop).await {
            Ok(facts) => self.store(request, facts, &scratch).await,
            Err(failure) => Err(failure),
        };
        scratch.remove().await;
        split.map(Arc::new)
    }

    async fn store(
        &self,
        request: &SplitRequest,
        facts: SourceFacts,
        scratch: &Scratch,
    ) -> Result<PinnedPlan, Failure> {
        let SplitRequest { job, source, families, from_start } = request;
        self.check_unchanged(job, source).await?;
        let names = source_names(&facts);
        let plan = Plan::build(JobSpec::clone(job), source.clone(), facts, self.settings.parallelism, families)?;
        let plan = PinnedPlan::new(plan.decoded_from_start(*from_start))
            .map_err(|error| Failure::permanent(format!("this release cannot store such a plan: {error}")))?;
        let files = self.storage.plan_files(&job.job_id, plan.fingerprint())?;
        files.publish_sources(scratch, names).await?;
        files.store_plan(plan).await
    }

    /// Proves that every output can be written. One that exists is in the way unless it may be replaced, or an earlier
    /// run of this job made it: the run was killed between the final name and the checkpoint.
    async fn check_outputs(&self, job: &JobSpec) -> Result<(), Failure> {
        for output in &job.outputs {
            let exists = self.storage.check_output(&output.uri).await?;
            if exists && !job.overwrite && !self.made_by_this_job(job, output.uri.as_str()).await? {
                return Err(name_is_taken(&output.uri));
            }
        }
        Ok(())
    }

    async fn made_by_this_job(&self, job: &JobSpec, uri: &str) -> Result<bool, Failure> {
        for fingerprint in self.storage.fingerprints(&job.job_id).await? {
            let files = self.storage.plan_files(&job.job_id, &fingerprint)?;
            for (index, output) in job.outputs.iter().enumerate().filter(|(_, output)| output.uri.as_str() == uri) {
                let Some(report) = files.output(index).await?.filter(|report| report.uri == uri) else { continue };
                let existing = self.storage.compare_output(&output.uri, report.bytes, &report.sha256).await?;
                if existing == Existing::Same {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    async fn check_unchanged(&self, job: &JobSpec, source: &SourceIdentity) -> Result<(), Failure> {
        if self.storage.identify(&job.input.uri).await? == *source {
            return Ok(());
        }
        Err(Failure::retryable(format!(
            "the input {} changed while it was read, wait until its upload is complete",
            job.input.uri
        )))
    }
}

/// Chunks that share one long GOP share its source.
fn source_names(facts: &SourceFacts) -> Vec<String> {
    let video = facts.video.chunks.iter().map(|chunk| chunk.source.clone());
    let names: BTreeSet<String> = video.chain(facts.audio.iter().map(|audio| audio.source.clone())).collect();
    names.into_iter().collect()
}
