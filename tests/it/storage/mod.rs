//! Inputs, outputs and the work storage: what every storage promises, and what a real file system adds.

mod conformance;

use std::os::unix::net::UnixListener;
use std::path::Path;

use actors::domain::failure::{Failure, FailureClass};
use actors::domain::job::{JobId, MediaUri};
use actors::domain::plan::testing::{offer, plan_of};
use actors::domain::plan::{EncoderFamily, Families};
use actors::ports::WorkStorage as _;
use gstreamer_worker::storage::{Storage, file_uri};

use self::conformance::{Place, conforms};

fn open(directory: &Path) -> Storage {
    Storage::open(uri(&directory.join("work")).as_str()).expect("a work storage")
}

fn uri(path: &Path) -> MediaUri {
    file_uri(path).expect("a URI")
}

fn permanent<T: std::fmt::Debug>(result: Result<T, Failure>) -> String {
    let failure = result.expect_err("a failure");
    assert_eq!(failure.class, FailureClass::Permanent, "{failure}");
    failure.message
}

/// Pending files in a directory and below.
fn pending_files(directory: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(directory) else { return 0 };
    let count = |path: &Path| match path.is_dir() {
        true => pending_files(path),
        false => usize::from(path.extension().is_some_and(|extension| extension == "part")),
    };
    entries.map(|entry| count(&entry.expect("an entry").path())).sum()
}

#[tokio::test]
async fn local_files_conform() {
    let mut directories = Vec::new();
    conforms(|| {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().to_owned();
        directories.push(directory);
        Place { uri: uri(&path).to_string(), pending: Box::new(move || pending_files(&path)) }
    })
    .await;
}

#[tokio::test]
async fn an_input_is_known_by_its_size_and_its_last_change() {
    let dir = tempfile::tempdir().expect("a directory");
    let storage = open(dir.path());
    let path = dir.path().join("My Film #1 (50%).mp4");
    std::fs::write(&path, "film").expect("written");
    let first = storage.identify(&uri(&path)).await.expect("an identity");
    assert_eq!(first.bytes, 4);
    assert_eq!(storage.identify(&uri(&path)).await.expect("an identity"), first);
    let file = std::fs::File::options().write(true).open(&path).expect("a file");
    let modified = std::time::UNIX_EPOCH + std::time::Duration::from_nanos(1_700_000_000_123_456_789);
    file.set_modified(modified).expect("another time");
    let second = storage.identify(&uri(&path)).await.expect("an identity");
    assert_eq!((second.bytes, second.modified_unix_ns), (4, 1_700_000_000_123_456_789));
    assert_eq!(storage.fetch(&uri(&path)).await.expect("an input").path(), path);
}

#[tokio::test]
async fn what_cannot_be_read_is_said_in_a_sentence_that_names_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let storage = open(dir.path());
    std::fs::write(dir.path().join("empty.mp4"), "").expect("written");
    let _socket = UnixListener::bind(dir.path().join("socket")).expect("a socket");
    for (name, text) in [
        ("missing.mp4", "does not exist"),
        ("empty.mp4/in.mp4", "does not exist"),
        ("empty.mp4", "is empty"),
        ("work", "is a directory"),
        ("socket", "is a device or a pipe"),
    ] {
        let path = dir.path().join(name);
        let message = permanent(storage.identify(&uri(&path)).await);
        assert!(message.contains(text) && message.contains(path.to_str().expect("text")), "{message}");
        assert_eq!(permanent(storage.fetch(&uri(&path)).await), message);
    }
    let elsewhere = "s3://bucket/in.mp4".parse().expect("a URI");
    assert!(permanent(storage.identify(&elsewhere).await).contains("known: file"));
}

#[tokio::test]
async fn an_output_is_proven_writable_and_leaves_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let storage = open(dir.path());
    let path = dir.path().join("new/deep/out.ts");
    assert_eq!(storage.check_output(&uri(&path)).await, Ok(false));
    let directory = path.parent().expect("a directory");
    assert_eq!(std::fs::read_dir(directory).expect("a directory").count(), 0);
    std::fs::write(&path, "old").expect("written");
    assert!(permanent(storage.check_output(&uri(directory)).await).contains("is a directory"));
    assert!(permanent(storage.check_output(&uri(&path.join("out.ts"))).await).contains("a part of its name is a file"));
    let long = dir.path().join("x".repeat(300)).join("out.ts");
    assert!(permanent(storage.check_output(&uri(&long)).await).contains("too long"));
    assert!(permanent(storage.check_output(&uri(Path::new("/dev/null"))).await).contains("no ordinary file"));
}

#[tokio::test]
async fn a_damaged_choice_of_devices_is_made_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let storage = open(directory.path());
    let job_id: JobId = "movie-42".parse().expect("an id");
    let device = Families::of_devices(vec![offer(EncoderFamily::Nvcodec)]);
    assert_eq!(storage.pin(job_id.clone(), device.clone()).await.expect("settled"), device);
    std::fs::write(directory.path().join("work/movie-42/families.json"), "half of a fi").expect("damaged");
    assert_eq!(storage.pin(job_id, Families::default()).await.expect("settled"), Families::default());
}

#[tokio::test]
async fn a_plan_of_a_newer_worker_is_left_alone_and_stays_as_it_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let storage = open(directory.path());
    let plan = plan_of(2, 4, true);
    let (job_id, fingerprint) = (plan.job.job_id.clone(), plan.fingerprint().clone());
    let files = storage.plan_files(&job_id, &fingerprint).expect("files");
    files.store_plan(plan.clone()).await.expect("stored");
    let path = directory.path().join(format!("work/{job_id}/{fingerprint}/plan.json"));
    let newer = std::fs::read_to_string(&path).expect("a plan").replacen("\"format\":1", "\"format\":2", 1);
    std::fs::write(&path, &newer).expect("written");
    let left = storage.plan(job_id, fingerprint).await.expect_err("it is not for this release");
    assert!(left.class == FailureClass::Interrupted && left.message.contains("form 2"), "{left}");
    assert!(files.store_plan(plan).await.is_err(), "it would replace the plan of another worker");
    assert_eq!(std::fs::read_to_string(&path).expect("a plan"), newer);
}

#[test]
fn a_work_storage_that_cannot_be_used_is_said_at_the_start() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("file"), "").expect("written");
    assert!(permanent(Storage::open(uri(&dir.path().join("file")).as_str())).contains("cannot be used"));
    assert!(permanent(Storage::open("s3://bucket/work")).contains("known: file"));
    assert!(permanent(Storage::open("work")).contains("not a URI"));
    Storage::open(uri(&dir.path().join("new/work")).as_str()).expect("a work storage");
    assert!(dir.path().join("new/work").is_dir());
}
