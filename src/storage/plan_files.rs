//! The files of one plan in the work storage: sources, plan, parts, records.
//! Must never trust a name that came from outside: a fingerprint or a file name that leads elsewhere is refused.

use std::path::{Path, PathBuf};

use actors::domain::checkpoint::{OutputReport, PartRecord};
use actors::domain::failure::Failure;
use actors::domain::fingerprint::Fingerprint;
use actors::domain::job::JobId;
use actors::domain::part::Part;
use actors::domain::plan::PinnedPlan;
use actors::domain::unit::UnitId;

use super::durable::{create_dirs, sync_dir, sync_file};
use super::faults::{self, Attempt, failure};
use super::output::tag;
use super::pending::Pending;
use super::root::Storage;
use super::scratch::Scratch;

/// Where the files of one plan are: `{job_id}/{fingerprint}/`.
#[derive(Clone, Debug)]
pub struct PlanFiles {
    storage: Storage,
    fingerprint: Fingerprint,
    /// `{job_id}/{fingerprint}`.
    prefix: String,
}

impl Storage {
    /// The files of a plan, whether there are any or not.
    ///
    /// # Errors
    /// `permanent` where the fingerprint is none.
    pub fn plan_files(&self, job_id: &JobId, fingerprint: &Fingerprint) -> Result<PlanFiles, Failure> {
        if fingerprint.0.is_empty() || !fingerprint.0.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Err(Failure::permanent(format!("`{fingerprint}` is not the fingerprint of a plan")));
        }
        let prefix = format!("{job_id}/{fingerprint}");
        Ok(PlanFiles { storage: self.clone(), fingerprint: fingerprint.clone(), prefix })
    }
}

impl PlanFiles {
    /// Publishes the chunk and audio sources that a split wrote to `scratch`.
    ///
    /// # Errors
    /// `retryable` where one is missing or the work storage fails.
    pub async fn publish_sources(&self, scratch: &Scratch, names: Vec<String>) -> Result<(), Failure> {
        let from = scratch.path().to_owned();
        let to = self.directory("source");
        names.iter().try_for_each(|name| check_name(name))?;
        faults::bulk(move || {
            create_dirs(&to).map_err(|error| failure(Attempt::Work, &to, &error))?;
            for name in names {
                let (from, to) = (from.join(&name), to.join(&name));
                sync_file(&from)
                    .and_then(|()| std::fs::rename(&from, &to))
                    .map_err(|error| failure(Attempt::Work, &from, &error))?;
            }
            sync_dir(&to).map_err(|error| failure(Attempt::Work, &to, &error))
        })
        .await
    }

    /// Stores the plan if none is there, and returns the one in force: the first.
    ///
    /// # Errors
    /// `retryable` where the work storage fails.
    pub async fn store_plan(&self, plan: PinnedPlan) -> Result<PinnedPlan, Failure> {
        let name = self.document("plan.json");
        if self.storage.documents().put_first_bytes(&name, plan.stored()).await? {
            return Ok(plan);
        }
        if let Some(first) = self.plan().await? {
            return Ok(first);
        }
        // What is there is damaged.
        self.storage.documents().put_bytes(&name, plan.stored()).await?;
        Ok(plan)
    }

    /// The plan, if it is there and is the one that its fingerprint names.
    ///
    /// # Errors
    /// `retryable` where the work storage fails.
    pub async fn plan(&self) -> Result<Option<PinnedPlan>, Failure> {
        let plan = self.storage.documents().get_with(&self.document("plan.json"), PinnedPlan::read).await?;
        Ok(plan.filter(|plan| *plan.fingerprint() == self.fingerprint))
    }

    /// Where a chunk or audio source is, if it is there and has something in it.
    ///
    /// # Errors
    /// `retryable` where the work storage fails, `permanent` where the name is none.
    pub async fn source(&self, name: &str) -> Result<Option<PathBuf>, Failure> {
        check_name(name)?;
        let path = self.directory("source").join(name);
        let size = file_size(path.clone()).await?;
        Ok(size.filter(|bytes| *bytes > 0).map(|_| path))
    }

    /// An empty file for a part whose final name is not known yet.
    ///
    /// # Errors
    /// `retryable` where the work storage fails.
    pub async fn pending_part(&self, unit: UnitId) -> Result<Pending, Failure> {
        let target = self.directory("parts").join(unit.to_string());
        let tag = tag(&self.fingerprint).to_owned();
        faults::small(move || Pending::create(target, &tag, Attempt::Work)).await
    }

    /// Where the file of a part is, if it is there with its size.
    ///
    /// # Errors
    /// `retryable` where the work storage fails, `permanent` where the name is none.
    pub async fn part(&self, name: &str, bytes: u64) -> Result<Option<PathBuf>, Failure> {
        check_name(name)?;
        let path = self.directory("parts").join(name);
        let size = file_size(path.clone()).await?;
        Ok((size == Some(bytes)).then_some(path))
    }

    /// Remembers a part whose files are durable, for the case that the checkpoint store is emptied.
    /// The last one stays: all parts of a unit are as good.
    ///
    /// # Errors
    /// `retryable` where the work storage fails.
    pub async fn put_record(&self, record: &PartRecord) -> Result<(), Failure> {
        self.storage.documents().put(&self.record_name(record.unit), record).await
    }

    /// Forgets a part whose file is missing or damaged.
    ///
    /// # Errors
    /// `retryable` where the work storage fails.
    pub async fn remove_record(&self, unit: UnitId) -> Result<(), Failure> {
        self.storage.documents().remove(&self.record_name(unit)).await
    }

    /// The records of all parts whose files are there.
    ///
    /// # Errors
    /// `retryable` where the work storage fails.
    pub async fn records(&self) -> Result<Vec<PartRecord>, Failure> {
        let mut found = Vec::new();
        for name in self.storage.documents().list(&self.document("records")).await? {
            let Some(record) = self.storage.documents().get::<PartRecord>(&name).await? else { continue };
            if self.has_files(&record).await? {
                found.push(record);
            }
        }
        Ok(found)
    }

    /// Remembers an output just before it gets its final name, so that a later worker knows it for ours.
    ///
    /// # Errors
    /// `retryable` where the work storage fails.
    pub async fn put_output(&self, index: usize, report: &OutputReport) -> Result<(), Failure> {
        self.storage.documents().put(&self.output_name(index), report).await
    }

    /// What was remembered of an output; it may still lack its final name.
    ///
    /// # Errors
    /// `retryable` where the work storage fails.
    pub async fn output(&self, index: usize) -> Result<Option<OutputReport>, Failure> {
        self.storage.documents().get(&self.output_name(index)).await
    }

    /// Removes what killed workers left beside the outputs of the plan.
    pub(super) async fn remove_stale_outputs(&self) -> Result<(), Failure> {
        let Some(plan) = self.plan().await? else { return Ok(()) };
        for output in &plan.job.outputs {
            self.storage.remove_stale_outputs(&output.uri, &self.fingerprint).await?;
        }
        Ok(())
    }

    async fn has_files(&self, record: &PartRecord) -> Result<bool, Failure> {
        for Part { file, .. } in &record.parts {
            if self.part(&file.name, file.bytes).await?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn directory(&self, name: &str) -> PathBuf {
        self.storage.work_path(&self.prefix).join(name)
    }

    fn document(&self, name: &str) -> String {
        format!("{}/{name}", self.prefix)
    }

    fn record_name(&self, unit: UnitId) -> String {
        self.document(&format!("records/{unit}.json"))
    }

    fn output_name(&self, index: usize) -> String {
        self.document(&format!("outputs/{index}.json"))
    }
}

fn check_name(name: &str) -> Result<(), Failure> {
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) || name.len() > 255 {
        return Err(Failure::permanent(format!("`{}` is not the name of a work file", name.escape_debug())));
    }
    Ok(())
}

async fn file_size(path: PathBuf) -> Result<Option<u64>, Failure> {
    faults::small(move || match std::fs::metadata(Path::new(&path)) {
        Ok(metadata) => Ok(metadata.is_file().then_some(metadata.len())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failure(Attempt::Work, &path, &error)),
    })
    .await
}
