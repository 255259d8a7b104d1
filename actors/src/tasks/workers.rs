//! The workers that there are: what this one has, and what the others have announced.

use std::sync::Arc;

use crate::domain::failure::Failure;
use crate::domain::plan::EncoderVersions;
use crate::ports::{LeaseStore, WorkerInfo};
use crate::versions::OwnVersions;

/// The workers.
#[derive(Clone)]
pub(super) struct Workers {
    store: Arc<dyn LeaseStore>,
    own_name: String,
    own_versions: OwnVersions,
}

impl Workers {
    pub fn new(store: Arc<dyn LeaseStore>, own_name: String, own_versions: OwnVersions) -> Self {
        Self { store, own_name, own_versions }
    }

    /// The versions of this worker.
    pub fn own(&self) -> EncoderVersions {
        self.own_versions.get()
    }

    /// The living workers but this one.
    pub async fn others(&self) -> Result<Vec<WorkerInfo>, Failure> {
        let mut workers = self.store.workers().await?;
        workers.retain(|other| other.worker != self.own_name);
        Ok(workers)
    }
}
