//! Small JSON documents in the work storage: written whole and durably, or not at all.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;

use actors::domain::failure::Failure;
use futures_util::TryStreamExt as _;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::faults;

/// Documents by their names from the root of the work storage, such as `job/fingerprint/plan.json`.
#[derive(Clone, Debug)]
pub(super) struct Documents {
    store: Arc<dyn ObjectStore>,
}

impl Documents {
    pub(super) fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self { store }
    }

    /// Writes a document; one of that name is replaced.
    pub(super) async fn put(&self, name: &str, document: &impl Serialize) -> Result<(), Failure> {
        self.put_bytes(name, &json_of(name, document)?).await
    }

    /// The same of one that is JSON already.
    pub(super) async fn put_bytes(&self, name: &str, json: &[u8]) -> Result<(), Failure> {
        self.write(name, json, PutMode::Overwrite).await.map(|_| ())
    }

    /// Writes a document unless there is one of that name; the answer is whether it was written.
    pub(super) async fn put_first(&self, name: &str, document: &impl Serialize) -> Result<bool, Failure> {
        self.put_first_bytes(name, &json_of(name, document)?).await
    }

    /// The same of one that is JSON already.
    pub(super) async fn put_first_bytes(&self, name: &str, json: &[u8]) -> Result<bool, Failure> {
        self.write(name, json, PutMode::Create).await
    }

    async fn write(&self, name: &str, json: &[u8], mode: PutMode) -> Result<bool, Failure> {
        let path = path(name)?;
        let payload = json.to_vec().into();
        match faults::documents(self.store.put_opts(&path, payload, PutOptions::from(mode))).await? {
            Ok(_) => Ok(true),
            Err(Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(failure("write", name, &error)),
        }
    }

    /// Reads a document. One that is damaged counts as missing: whoever needs it makes it again.
    pub(super) async fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Failure> {
        self.get_with(name, |json| serde_json::from_slice(&json)).await
    }

    /// The same with a reader of its own.
    pub(super) async fn get_with<T>(
        &self,
        name: &str,
        read: impl FnOnce(Vec<u8>) -> serde_json::Result<T>,
    ) -> Result<Option<T>, Failure> {
        let path = path(name)?;
        let found = faults::documents(async { self.store.get(&path).await?.bytes().await }).await?;
        let json = match found {
            Ok(json) => json,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(failure("read", name, &error)),
        };
        match read(json.into()) {
            Ok(document) => Ok(Some(document)),
            Err(error) => {
                tracing::warn!(name, %error, "a document in the work storage is damaged and counts as missing");
                Ok(None)
            }
        }
    }

    /// The names of all documents below `prefix`, in order.
    pub(super) async fn list(&self, prefix: &str) -> Result<Vec<String>, Failure> {
        let path = path(prefix)?;
        let listed = self.store.list(Some(&path)).map_ok(|object| object.location.to_string());
        let mut names: Vec<String> =
            faults::documents(listed.try_collect()).await?.map_err(|error| failure("list", prefix, &error))?;
        names.sort();
        Ok(names)
    }

    /// Removes a document that may be there.
    pub(super) async fn remove(&self, name: &str) -> Result<(), Failure> {
        let path = path(name)?;
        match faults::documents(self.store.delete(&path)).await? {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failure("remove", name, &error)),
        }
    }
}

fn json_of(name: &str, document: &impl Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(document)
        .map_err(|error| Failure::permanent(format!("the document {name} cannot be written as JSON: {error}")))
}

fn path(name: &str) -> Result<Path, Failure> {
    Path::parse(name).map_err(|error| Failure::permanent(format!("{name} is no name in the work storage: {error}")))
}

fn failure(what: &str, name: &str, error: &Error) -> Failure {
    // The error of the file system lies somewhere behind that of the store.
    let mut causes = std::iter::successors(Some(error as &(dyn StdError + 'static)), |error| (*error).source());
    let cause = causes.find_map(|cause| cause.downcast_ref::<io::Error>());
    cause
        .and_then(|cause| Failure::of_full_storage(std::path::Path::new(name), cause))
        .unwrap_or_else(|| Failure::retryable(format!("cannot {what} {name} in the work storage: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actors::domain::failure::FailureClass;
    use object_store::memory::InMemory;

    fn documents() -> Documents {
        Documents::new(Arc::new(InMemory::new()))
    }

    #[tokio::test]
    async fn the_first_document_wins_where_that_is_asked_for() {
        let documents = documents();
        assert!(documents.put_first("job/plan.json", &1).await.expect("an answer"));
        assert!(!documents.put_first("job/plan.json", &2).await.expect("an answer"));
        assert_eq!(documents.get::<u32>("job/plan.json").await, Ok(Some(1)));
        documents.put("job/plan.json", &3).await.expect("written");
        assert_eq!(documents.get::<u32>("job/plan.json").await, Ok(Some(3)));
    }

    #[tokio::test]
    async fn a_missing_or_damaged_document_is_none() {
        let documents = documents();
        assert_eq!(documents.get::<u32>("job/plan.json").await, Ok(None));
        documents.put("job/plan.json", &"no number").await.expect("written");
        assert_eq!(documents.get::<u32>("job/plan.json").await, Ok(None));
    }

    #[tokio::test]
    async fn names_are_listed_in_order_and_removed_once_or_twice() {
        let documents = documents();
        for name in ["job/records/v00002.json", "job/records/v00001.json", "job/plan.json"] {
            documents.put(name, &0).await.expect("written");
        }
        let listed = documents.list("job/records").await.expect("a list");
        assert_eq!(listed, ["job/records/v00001.json", "job/records/v00002.json"]);
        documents.remove(&listed[0]).await.expect("removed");
        documents.remove(&listed[0]).await.expect("removed again");
        assert_eq!(documents.list("job/records").await.expect("a list"), listed[1..]);
        assert_eq!(documents.list("other").await.expect("a list"), Vec::<String>::new());
    }

    #[test]
    fn a_store_without_space_is_waited_for() {
        let error = |kind: io::ErrorKind| Error::Generic { store: "local", source: Box::new(io::Error::from(kind)) };
        let class = |kind| failure("write", "job/plan.json", &error(kind)).class;
        assert_eq!(class(io::ErrorKind::StorageFull), FailureClass::Interrupted);
        assert_eq!(class(io::ErrorKind::TimedOut), FailureClass::Retryable);
    }

    #[tokio::test]
    async fn a_name_that_leads_out_of_the_work_storage_is_refused() {
        assert!(documents().put("job/../../etc/passwd", &0).await.is_err());
    }
}
