//! What errors of a file system mean: whose fault each is, in one sentence. Must never decide on the text of an error.

use std::io::{Error, ErrorKind};
use std::path::Path;
use std::time::Duration;

use actors::domain::failure::Failure;

/// For what touches names and small documents. A network file system that hangs must not hang a task.
const SMALL_TIMEOUT: Duration = Duration::from_secs(60);
/// For what flushes or reads whole media files: 100 GB at 100 MB/s.
const BULK_TIMEOUT: Duration = Duration::from_secs(1_000);

/// What was tried when an error came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// Reading an input: what is not there is the job's fault.
    ReadInput,
    /// Writing an output: where it cannot be written is the job's fault.
    WriteOutput,
    /// Anything in the work storage: the surroundings are at fault, never the job.
    Work,
}

/// Classifies `error`, which came from trying `attempt` on `path`.
pub(super) fn failure(attempt: Attempt, path: &Path, error: &Error) -> Failure {
    if let Some(full) = Failure::of_full_storage(path, error) {
        return full;
    }
    let path = path.display();
    match (attempt, error.kind()) {
        (Attempt::ReadInput, ErrorKind::NotFound) => {
            Failure::permanent(format!("the input {path} does not exist, check its name"))
        }
        (Attempt::ReadInput, ErrorKind::NotADirectory) => {
            Failure::permanent(format!("the input {path} does not exist, a part of its name is a file, check its name"))
        }
        (Attempt::ReadInput, ErrorKind::PermissionDenied) => {
            Failure::permanent(format!("no permission to read the input {path}, let the worker's user read it"))
        }
        (Attempt::WriteOutput, ErrorKind::PermissionDenied) => {
            Failure::permanent(format!("no permission to write {path}, let the worker's user write there"))
        }
        (Attempt::WriteOutput, ErrorKind::ReadOnlyFilesystem) => {
            Failure::permanent(format!("{path} is on a file system that is read-only, choose another place"))
        }
        (Attempt::WriteOutput, ErrorKind::NotADirectory | ErrorKind::AlreadyExists) => Failure::permanent(format!(
            "the directory {path} cannot be made because a part of its name is a file, choose another place"
        )),
        (Attempt::WriteOutput, ErrorKind::InvalidFilename) => {
            Failure::permanent(format!("the name {path} is too long or not allowed here, choose another one"))
        }
        (Attempt::ReadInput | Attempt::WriteOutput, ErrorKind::InvalidInput) => {
            Failure::permanent(format!("the name {path} is not possible on this file system, choose another one"))
        }
        (Attempt::ReadInput, _) => Failure::retryable(format!("cannot read the input {path}: {error}")),
        (Attempt::WriteOutput, _) => Failure::retryable(format!("cannot write {path}: {error}")),
        (Attempt::Work, _) => Failure::retryable(format!("cannot use {path} in the work storage: {error}")),
    }
}

/// Runs short file work off the arbiter.
pub(super) async fn small<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    blocking(SMALL_TIMEOUT, work).await
}

/// Runs file work on whole media files off the arbiter.
pub(super) async fn bulk<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    blocking(BULK_TIMEOUT, work).await
}

async fn blocking<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let task = tokio::task::spawn_blocking(work);
    let ended = in_time(limit, task).await?;
    // A task that did not run belongs to a runtime that shuts down; one that panicked has said so in the log.
    ended.unwrap_or_else(|error| Err(Failure::retryable(format!("work on files was broken off: {error}"))))
}

/// Waits for a storage that may hang.
pub(super) async fn documents<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    in_time(SMALL_TIMEOUT, work).await
}

async fn in_time<T>(limit: Duration, work: impl Future<Output = T>) -> Result<T, Failure> {
    tokio::time::timeout(limit, work)
        .await
        .map_err(|_| Failure::retryable(format!("the storage did not answer in {} s", limit.as_secs())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actors::domain::failure::FailureClass::{Interrupted, Permanent, Retryable};

    #[test]
    fn what_the_job_names_wrongly_is_permanent_what_the_machine_lacks_is_not_and_a_full_one_is_waited_for() {
        let cases = [
            (Attempt::ReadInput, ErrorKind::NotFound, Permanent, "does not exist"),
            (Attempt::ReadInput, ErrorKind::PermissionDenied, Permanent, "no permission to read"),
            (Attempt::ReadInput, ErrorKind::NotADirectory, Permanent, "a part of its name is a file"),
            (Attempt::ReadInput, ErrorKind::TimedOut, Retryable, "cannot read"),
            (Attempt::WriteOutput, ErrorKind::PermissionDenied, Permanent, "no permission to write"),
            (Attempt::WriteOutput, ErrorKind::ReadOnlyFilesystem, Permanent, "read-only"),
            (Attempt::WriteOutput, ErrorKind::NotADirectory, Permanent, "a part of its name is a file"),
            (Attempt::WriteOutput, ErrorKind::InvalidFilename, Permanent, "too long"),
            (Attempt::WriteOutput, ErrorKind::StorageFull, Interrupted, "no space left"),
            (Attempt::WriteOutput, ErrorKind::QuotaExceeded, Interrupted, "no space left"),
            (Attempt::Work, ErrorKind::StorageFull, Interrupted, "no space left"),
            (Attempt::Work, ErrorKind::QuotaExceeded, Interrupted, "no space left"),
            (Attempt::Work, ErrorKind::PermissionDenied, Retryable, "work storage"),
            (Attempt::Work, ErrorKind::NotFound, Retryable, "work storage"),
        ];
        for (attempt, kind, class, text) in cases {
            let failure = failure(attempt, Path::new("/media/film.mp4"), &Error::from(kind));
            assert_eq!(failure.class, class, "{attempt:?} {kind:?}");
            assert!(failure.message.contains(text), "{}", failure.message);
            assert!(failure.message.contains("/media/film.mp4"), "{}", failure.message);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_storage_that_hangs_is_given_up() {
        let failure = documents(std::future::pending::<()>()).await.expect_err("no end");
        assert_eq!(failure.class, Retryable);
        assert!(failure.message.contains("60 s"), "{}", failure.message);
    }
}
