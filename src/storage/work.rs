//! The port [`WorkStorage`] on [`Storage`].

use std::sync::Arc;

use actors::domain::checkpoint::PartRecord;
use actors::domain::failure::Failure;
use actors::domain::fingerprint::Fingerprint;
use actors::domain::job::{JobId, MediaUri};
use actors::domain::plan::{Families, PinnedPlan, SourceIdentity};
use actors::domain::unit::UnitId;
use actors::ports::{Answer, WorkStorage};

use super::root::Storage;
use super::scratch::Scratch;

impl WorkStorage for Storage {
    fn identify(&self, uri: MediaUri) -> Answer<SourceIdentity> {
        let storage = self.clone();
        Box::pin(async move { Storage::identify(&storage, &uri).await })
    }

    fn pin(&self, job_id: JobId, families: Families) -> Answer<Families> {
        let storage = self.clone();
        Box::pin(async move {
            let name = format!("{job_id}/families.json");
            if storage.documents().put_first(&name, &families).await? {
                return Ok(families);
            }
            if let Some(first) = storage.documents().get(&name).await? {
                return Ok(first);
            }
            // What is there is damaged.
            storage.documents().put(&name, &families).await?;
            Ok(families)
        })
    }

    fn plan(&self, job_id: JobId, fingerprint: Fingerprint) -> Answer<Option<Arc<PinnedPlan>>> {
        let files = self.plan_files(&job_id, &fingerprint);
        Box::pin(async move { Ok(files?.plan().await?.map(Arc::new)) })
    }

    fn recorded_parts(&self, job_id: JobId, fingerprint: Fingerprint) -> Answer<Vec<PartRecord>> {
        let files = self.plan_files(&job_id, &fingerprint);
        Box::pin(async move { files?.records().await })
    }

    fn discard(&self, job_id: JobId, fingerprint: Fingerprint, unit: UnitId) -> Answer<()> {
        let files = self.plan_files(&job_id, &fingerprint);
        Box::pin(async move { files?.remove_record(unit).await })
    }

    fn remove(&self, job_id: JobId) -> Answer<()> {
        let storage = self.clone();
        Box::pin(async move {
            for fingerprint in storage.fingerprints(&job_id).await? {
                storage.plan_files(&job_id, &fingerprint)?.remove_stale_outputs().await?;
            }
            storage.work().remove_all(job_id.as_str()).await
        })
    }
}

impl Storage {
    /// The plans that a job has files of: more than one where its input changed on the way.
    ///
    /// # Errors
    /// `retryable` where the work storage fails.
    pub async fn fingerprints(&self, job_id: &JobId) -> Result<Vec<Fingerprint>, Failure> {
        let names = self.work().children(job_id.as_str()).await?.into_iter();
        Ok(names.filter(|name| name.chars().all(|c| c.is_ascii_alphanumeric())).map(Fingerprint).collect())
    }

    /// Makes a scratch directory for a split of `job_id`.
    ///
    /// # Errors
    /// `retryable` where the work storage cannot be written.
    pub async fn scratch(&self, job_id: &JobId) -> Result<Scratch, Failure> {
        self.work().scratch(job_id.as_str()).await
    }
}
