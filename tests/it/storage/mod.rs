//! Inputs, outputs and the work storage on a real file system.

use std::os::unix::net::UnixListener;
use std::path::Path;

use actors::domain::checkpoint::PartRecord;
use actors::domain::failure::{Failure, FailureClass};
use actors::domain::fingerprint::Fingerprint;
use actors::domain::job::{JobId, MediaUri};
use actors::domain::plan::testing::offer;
use actors::domain::plan::{EncoderFamily, Families};
use actors::domain::unit::UnitId;
use actors::ports::WorkStorage as _;
use actors::testing::stages::part_of;
use gstreamer_worker::storage::{Existing, Storage, file_uri};

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
    assert_eq!(storage.check_output(&uri(&path)).await, Ok(true));
    assert!(permanent(storage.check_output(&uri(directory)).await).contains("is a directory"));
    assert!(permanent(storage.check_output(&uri(&path.join("out.ts"))).await).contains("a part of its name is a file"));
    let long = dir.path().join("x".repeat(300)).join("out.ts");
    assert!(permanent(storage.check_output(&uri(&long)).await).contains("too long"));
    assert!(permanent(storage.check_output(&uri(Path::new("/dev/null"))).await).contains("no ordinary file"));
}

#[tokio::test]
async fn outputs_are_compared_by_content() {
    let dir = tempfile::tempdir().expect("a directory");
    let storage = open(dir.path());
    let path = dir.path().join("out.ts");
    let digest = "0123456789abcdef";
    assert_eq!(storage.compare_output(&uri(&path), 4, digest).await, Ok(Existing::Nothing));
    std::fs::write(&path, "film").expect("written");
    assert_eq!(storage.compare_output(&uri(&path), 4, digest).await, Ok(Existing::Other));
    let digest = actors::domain::job::hex(&<sha2::Sha256 as sha2::Digest>::digest("film"));
    assert_eq!(storage.compare_output(&uri(&path), 4, &digest).await, Ok(Existing::Same));
    assert_eq!(storage.compare_output(&uri(&path), 5, &digest).await, Ok(Existing::Other));
    assert_eq!(storage.compare_output(&uri(dir.path().join("work").as_path()), 4, &digest).await, Ok(Existing::Other));
}

#[tokio::test]
async fn the_first_choice_of_devices_stays_until_the_job_is_removed() {
    let directory = tempfile::tempdir().expect("a directory");
    let storage = open(directory.path());
    let job_id: JobId = "movie-42".parse().expect("an id");
    let device = Families::of_devices(vec![offer(EncoderFamily::Nvcodec)]);
    let pin = |families: &Families| storage.pin(job_id.clone(), families.clone());
    assert_eq!(pin(&device).await.expect("settled"), device);
    assert_eq!(pin(&Families::default()).await.expect("settled"), device);
    std::fs::write(directory.path().join("work/movie-42/families.json"), "half of a fi").expect("damaged");
    assert_eq!(pin(&Families::default()).await.expect("settled"), Families::default());
    storage.remove(job_id.clone()).await.expect("removed");
    assert_eq!(pin(&device).await.expect("settled"), device);
}

#[tokio::test]
async fn a_part_that_is_discarded_is_not_among_the_recorded_ones_until_it_is_made_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let storage = open(directory.path());
    let (job_id, fingerprint) = ("movie-42".parse::<JobId>().expect("an id"), Fingerprint("ab".into()));
    let files = storage.plan_files(&job_id, &fingerprint).expect("files");
    let part = PartRecord { parts: Vec::new(), ..part_of(UnitId::Chunk(3), "w") };
    let recorded = || storage.recorded_parts(job_id.clone(), fingerprint.clone());
    files.put_record(&part).await.expect("recorded");
    assert_eq!(recorded().await.expect("parts"), std::slice::from_ref(&part));
    for _ in 0..2 {
        storage.discard(job_id.clone(), fingerprint.clone(), part.unit).await.expect("discarded");
        assert!(recorded().await.expect("parts").is_empty());
    }
    files.put_record(&part).await.expect("recorded");
    assert_eq!(recorded().await.expect("parts").len(), 1);
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
