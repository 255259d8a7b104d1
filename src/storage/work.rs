//! The port [`WorkStorage`] on [`Storage`].

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use actors::domain::checkpoint::PartRecord;
use actors::domain::failure::Failure;
use actors::domain::fingerprint::Fingerprint;
use actors::domain::job::{JobId, MediaUri};
use actors::domain::plan::{Families, PinnedPlan, SourceIdentity};
use actors::domain::unit::UnitId;
use actors::ports::{Answer, WorkStorage};

use super::faults::{self, Attempt, failure};
use super::root::Storage;

/// Tries to remove a directory into which a running task of the job still writes.
const REMOVE_TRIES: usize = 3;

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
            let directory = storage.job_directory(&job_id);
            faults::bulk(move || remove_directory(&directory)).await
        })
    }
}

impl Storage {
    /// The plans that a job has files of: more than one where its input changed on the way.
    pub async fn fingerprints(&self, job_id: &JobId) -> Result<Vec<Fingerprint>, Failure> {
        let directory = self.job_directory(job_id);
        faults::small(move || {
            let entries = match std::fs::read_dir(&directory) {
                Ok(entries) => entries,
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
                Err(error) => return Err(failure(Attempt::Work, &directory, &error)),
            };
            let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
            Ok(names.filter(|name| name.chars().all(|c| c.is_ascii_alphanumeric())).map(Fingerprint).collect())
        })
        .await
    }
}

fn remove_directory(directory: &Path) -> Result<(), Failure> {
    for _ in 1..REMOVE_TRIES {
        match std::fs::remove_dir_all(directory) {
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {}
            other => return removed(directory, other),
        }
    }
    removed(directory, std::fs::remove_dir_all(directory))
}

fn removed(directory: &Path, result: std::io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failure(Attempt::Work, directory, &error)),
        _ => Ok(()),
    }
}
