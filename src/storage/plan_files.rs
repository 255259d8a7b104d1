//! The files of one plan in the work storage: sources, plan, parts, records.
//! Must never trust a name that came from outside: a fingerprint or a file name that leads elsewhere is refused.

use actors::domain::checkpoint::{OutputReport, PartRecord};
use actors::domain::failure::Failure;
use actors::domain::fingerprint::Fingerprint;
use actors::domain::job::JobId;
use actors::domain::part::Part;
use actors::domain::plan::{PinnedPlan, Unreadable};
use actors::domain::unit::UnitId;

use super::objects::LocalInput;
use super::pending::{Pending, tag};
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
        names.iter().try_for_each(|name| check_name(name))?;
        self.storage.work().publish_all(scratch.path(), names, &self.name("source")).await
    }

    /// Stores the plan if none is there, and returns the one in force: the first.
    ///
    /// # Errors
    /// `retryable` where the work storage fails.
    pub async fn store_plan(&self, plan: PinnedPlan) -> Result<PinnedPlan, Failure> {
        let name = self.name("plan.json");
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
    /// `retryable` where the work storage fails, `interrupted` where only a newer worker knows the form of the plan.
    pub async fn plan(&self) -> Result<Option<PinnedPlan>, Failure> {
        let read = |stored| match PinnedPlan::read(stored) {
            Ok(plan) => Ok(Ok(plan)),
            Err(Unreadable::Newer(format)) => Ok(Err(Unreadable::Newer(format))),
            Err(Unreadable::Damaged(error)) => Err(error),
        };
        match self.storage.documents().get_with(&self.name("plan.json"), read).await? {
            Some(Ok(plan)) => Ok(Some(plan).filter(|plan| *plan.fingerprint() == self.fingerprint)),
            // No attempt: it waits, until a worker that knows the form has it.
            Some(Err(newer)) => Err(Failure::interrupted(newer.to_string())),
            None => Ok(None),
        }
    }

    /// A chunk or audio source, if it is there and has something in it.
    ///
    /// # Errors
    /// `retryable` where the work storage fails, `permanent` where the name is none.
    pub async fn source(&self, name: &str) -> Result<Option<LocalInput>, Failure> {
        check_name(name)?;
        self.fetch_if(&self.name(&format!("source/{name}")), |bytes| bytes > 0).await
    }

    /// An empty file for a part whose final name is not known yet.
    ///
    /// # Errors
    /// `retryable` where the work storage fails.
    pub async fn pending_part(&self, unit: UnitId) -> Result<Pending, Failure> {
        self.storage.work().pending(&self.name(&format!("parts/{unit}")), tag(&self.fingerprint)).await
    }

    /// The file of a part, if it is there with its size.
    ///
    /// # Errors
    /// `retryable` where the work storage fails, `permanent` where the name is none.
    pub async fn part(&self, name: &str, bytes: u64) -> Result<Option<LocalInput>, Failure> {
        self.fetch_if(&self.part_name(name)?, |found| found == bytes).await
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
        for name in self.storage.documents().list(&self.name("records")).await? {
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
            if self.storage.work().size(&self.part_name(&file.name)?).await? != Some(file.bytes) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn fetch_if(&self, name: &str, is_good: impl Fn(u64) -> bool) -> Result<Option<LocalInput>, Failure> {
        let work = self.storage.work();
        match work.size(name).await?.filter(|bytes| is_good(*bytes)) {
            Some(_) => work.fetch(name).await.map(Some),
            None => Ok(None),
        }
    }

    fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.prefix)
    }

    fn part_name(&self, name: &str) -> Result<String, Failure> {
        check_name(name)?;
        Ok(self.name(&format!("parts/{name}")))
    }

    fn record_name(&self, unit: UnitId) -> String {
        self.name(&format!("records/{unit}.json"))
    }

    fn output_name(&self, index: usize) -> String {
        self.name(&format!("outputs/{index}.json"))
    }
}

fn check_name(name: &str) -> Result<(), Failure> {
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) || name.len() > 255 {
        return Err(Failure::permanent(format!("`{}` is not the name of a work file", name.escape_debug())));
    }
    Ok(())
}
