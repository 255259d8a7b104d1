//! What the worker needs of a storage: a storage is a file of its own that implements these two traits. [`Objects`] are
//! what jobs name by URIs, [`WorkObjects`] what workers keep for each other. A remote storage reads into temporary files
//! and publishes by an upload whose completion is conditional and last. Must never know a scheme, nor where something
//! lies: a name means something to its own storage alone.

use std::fmt::{self, Debug, Formatter};
use std::path::Path;
use std::sync::Arc;

use actors::domain::failure::Failure;
use actors::domain::plan::SourceIdentity;
use actors::ports::Answer;

use super::documents::Documents;
use super::pending::Pending;
use super::scratch::Scratch;

/// Where a URI points.
#[derive(Clone, Debug)]
pub(super) struct Location {
    /// The storage.
    pub(super) objects: Arc<dyn Objects>,
    /// The name in it; parts of a name are separated by `/`.
    pub(super) name: String,
}

/// Inputs and outputs in one storage.
pub(super) trait Objects: Debug + Send + Sync {
    /// What tells this object from another one of the same name. `permanent` where there is none that can be read, and
    /// where it is empty.
    fn identify(&self, name: &str) -> Answer<SourceIdentity>;
    /// The object as a file of this machine: itself or a copy. Fails as [`Self::identify`] does.
    fn fetch(&self, name: &str) -> Answer<LocalInput>;
    /// Proves that an object of this name can be written, and leaves nothing; whether there is one already.
    fn check_writable(&self, name: &str) -> Answer<bool>;
    /// An empty file to write, which becomes the object when it is published. `tag` says whose it is.
    fn pending(&self, name: &str, tag: &str) -> Answer<Pending>;
    /// Removes what killed workers left of pending objects of this name and tag. What cannot be removed only takes space.
    fn remove_stale(&self, name: &str, tag: &str) -> Answer<()>;
    /// Compares what lies under this name with what should be there, by size and SHA-256 (in hex).
    fn compare(&self, name: &str, bytes: u64, sha256: &str) -> Answer<Existing>;
    /// Opens a work storage below this name, and makes it where it is missing. Blocks.
    fn open_work(&self, name: &str) -> Result<Arc<dyn WorkObjects>, Failure>;
}

/// The work storage: names are relative to its root, and one that leads elsewhere is refused.
pub(super) trait WorkObjects: Debug + Send + Sync {
    /// The small documents in it.
    fn documents(&self) -> &Documents;
    /// The size of an object, if there is one.
    fn size(&self, name: &str) -> Answer<Option<u64>>;
    /// An object that is there, as a file of this machine: itself or a copy.
    fn fetch(&self, name: &str) -> Answer<LocalInput>;
    /// As [`Objects::pending`].
    fn pending(&self, name: &str, tag: &str) -> Answer<Pending>;
    /// An empty directory of this machine, from which [`Self::publish_all`] is cheap to names below `prefix`.
    fn scratch(&self, prefix: &str) -> Answer<Scratch>;
    /// Publishes the files `names` of a scratch directory below `prefix`, each whole; objects of these names are
    /// replaced. All are durable when it ends.
    fn publish_all(&self, scratch: &Path, names: Vec<String>, prefix: &str) -> Answer<()>;
    /// The names directly below `prefix` that have objects below them; others may be among them.
    fn children(&self, prefix: &str) -> Answer<Vec<String>>;
    /// Removes everything below `prefix`.
    fn remove_all(&self, prefix: &str) -> Answer<()>;
    /// How much may still be written; `None` where the storage does not end.
    fn free_bytes(&self) -> Answer<Option<u64>>;
}

/// What already lies under the final name of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// No object.
    Nothing,
    /// An object with the same content.
    Same,
    /// Another object.
    Other,
}

/// What a stage reads, as a file of this machine. A copy of a remote object is removed when this is dropped.
pub struct LocalInput(Box<dyn AsRef<Path> + Send + Sync>);

impl LocalInput {
    /// Holds `file` as long as it is read: a path, or a temporary file that removes itself.
    pub(super) fn new(file: impl AsRef<Path> + Send + Sync + 'static) -> Self {
        Self(Box::new(file))
    }

    /// Where to read.
    pub fn path(&self) -> &Path {
        self.0.as_ref().as_ref()
    }
}

impl Debug for LocalInput {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LocalInput").field(&self.path()).finish()
    }
}
