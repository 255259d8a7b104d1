//! The storage itself: where work files are.

use std::sync::Arc;

use actors::domain::failure::Failure;

use super::documents::Documents;
use super::location::locate;
use super::objects::WorkObjects;

/// The work storage, and access to inputs and outputs. Clones share it.
#[derive(Clone, Debug)]
pub struct Storage(Arc<dyn WorkObjects>);

impl Storage {
    /// Opens the work storage, and makes it where it is missing. Blocks; meant for the start of the program.
    ///
    /// # Errors
    /// `permanent` where `work_url` is no URI of a known scheme or no directory can be made there.
    pub fn open(work_url: &str) -> Result<Self, Failure> {
        let at = locate(work_url)?;
        let opened = at.objects.open_work(&at.name);
        opened.map(Self).map_err(|failure| failure.context(format!("the work storage {work_url} cannot be used")))
    }

    pub(super) fn work(&self) -> &dyn WorkObjects {
        &*self.0
    }

    pub(super) fn documents(&self) -> &Documents {
        self.0.documents()
    }
}
