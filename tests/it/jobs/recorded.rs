//! Jobs that an earlier version left behind, as `tests/recorded/record` recorded them: this version finishes them with the
//! bytes that the earlier one gave.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use actors::domain::checkpoint::JobStatus;
use actors::domain::job::hex;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::support::fleet::Fleet;
use crate::support::worker::Worker;

/// URIs are part of a plan: where the film and its outputs lay.
const PLACE: &str = "/tmp/gstreamer-worker-recorded";
/// When the film was changed, in seconds since 1970: that is part of its identity.
const MODIFIED: u64 = 1_700_000_000;

/// The place of the film, for one test at a time.
struct Place {
    /// Unlocked when it is closed.
    _lock: fs::File,
}

impl Place {
    fn with(film: &Path) -> Self {
        let lock = fs::File::create(format!("{PLACE}.lock")).expect("a file for the lock");
        // SAFETY: a call without pointers; another test run on this machine may be here.
        assert_eq!(unsafe { libc::flock(lock.as_raw_fd(), libc::LOCK_EX) }, 0, "the lock");
        let _ = fs::remove_dir_all(PLACE);
        fs::create_dir(PLACE).expect("the place of the film");
        let path = Path::new(PLACE).join("in.mp4");
        fs::copy(film, &path).expect("the film");
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(MODIFIED);
        fs::File::options().write(true).open(path).expect("the film").set_modified(modified).expect("its time");
        Self { _lock: lock }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(PLACE);
    }
}

fn read<T: DeserializeOwned>(recorded: &Path, name: &str) -> T {
    let json = fs::read(recorded.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    serde_json::from_slice(&json).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory").map(|entry| entry.expect("an entry")) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a file");
        }
    }
}

/// Puts a recorded job where workers find it and returns its last status and the digests of its outputs.
async fn finished(recorded: &Path, with_store: bool) -> (JobStatus, BTreeMap<String, String>, String) {
    let _place = Place::with(&recorded.join("in.mp4"));
    // Settings that the plan must not take from this worker.
    let mut fleet =
        Fleet::start(0, &[("CHUNK_SECONDS", "7"), ("JOB_PARALLELISM", "3"), ("GPU_ENABLED", "false")]).await;
    copy(&recorded.join("work"), &fleet.bench.path("work"));
    if with_store {
        for words in read::<Vec<Vec<String>>>(recorded, "redis.json") {
            let _: i64 = fleet.redis(&words.iter().map(String::as_str).collect::<Vec<_>>()).await;
        }
    }
    fleet.add_worker();
    fleet.workers().iter().for_each(Worker::wait_ready);
    for (key, value) in read::<Vec<(String, String)>>(recorded, "tasks.json") {
        fleet.publish_task(&key, value.as_bytes());
    }
    let last = fleet.ends(&["recorded"]).await.remove(0);
    let digest = |name: &String| {
        let bytes = fs::read(Path::new(PLACE).join(name)).unwrap_or_default();
        (name.clone(), hex(&Sha256::digest(bytes)))
    };
    let outputs = read::<BTreeMap<String, String>>(recorded, "outputs.json").keys().map(digest).collect();
    if with_store {
        // The job comes once more: its offset was not committed.
        fleet.publish(&read::<Value>(recorded, "job.json"));
    }
    fleet.wait_for_no_lag();
    (last.status, outputs, fleet.log())
}

#[actix_rt::test]
async fn a_job_that_an_earlier_version_left_is_finished_with_the_same_bytes() {
    let all = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/recorded");
    let versions = fs::read_dir(all).expect("the recorded jobs").map(|entry| entry.expect("an entry").path());
    let mut versions: Vec<PathBuf> = versions.filter(|path| path.is_dir()).collect();
    versions.sort();
    assert!(!versions.is_empty(), "nothing is recorded");
    for recorded in versions {
        let right: BTreeMap<String, String> = read(&recorded, "outputs.json");
        for with_store in [true, false] {
            let (status, outputs, log) = finished(&recorded, with_store).await;
            let name = format!("{} with its store: {with_store}", recorded.display());
            assert_eq!((status, &outputs), (JobStatus::Completed, &right), "{name}");
            assert!(!log.contains("the job begins anew"), "{name}: its parts are not used");
        }
    }
}
