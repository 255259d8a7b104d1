//! What one machine knows of its jobs: who gets the store of one, what moves in and out of it, and when it goes.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use actors::domain::checkpoint::{Advance, Checkpoint, JobStatus, Outcome, PartRecord};
use actors::domain::failure::{Failure, FailureClass};
use actors::domain::fingerprint::Fingerprint;
use actors::domain::job::JobId;
use actors::domain::progress::Report;
use actors::domain::unit::UnitId;
use actors::ports::{JobStore, PartStore};
use chrono::Utc;
use gstreamer_worker::store::{EmbeddedStore, JobStores};
use tempfile::{TempDir, tempdir};

const TTL: Duration = Duration::from_secs(3600);

/// The stores in a directory of their own.
struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        Self(tempdir().expect("a directory"))
    }

    fn directory(&self) -> &Path {
        self.0.path()
    }

    /// Where the store of a job is.
    fn place(&self, name: &str) -> PathBuf {
        self.directory().join("jobs").join(name)
    }

    fn look(&self, ttl: Duration) -> JobStores {
        JobStores::open(self.directory(), ttl).unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// The store of a job, as the process opens it that does the job.
    fn hold(&self, name: &str) -> EmbeddedStore {
        self.look(TTL).hold(&job(name)).unwrap_or_else(|failure| panic!("{failure}"))
    }

    fn read(&self, name: &str) -> Option<Checkpoint> {
        self.look(TTL).read(&job(name)).unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// The store for all jobs, as earlier versions open it.
    fn shared(&self) -> EmbeddedStore {
        EmbeddedStore::open(self.directory(), TTL).expect("the store for all jobs")
    }

    /// Lets the store of a job look as if nobody had written to it for two minutes.
    fn grow_old(&self, name: &str) {
        let file = File::options().write(true).open(self.place(name).join("checkpoints.redb")).expect("its file");
        file.set_modified(SystemTime::now() - Duration::from_secs(120)).expect("a time");
    }
}

fn job(name: &str) -> JobId {
    name.parse().expect("a job id")
}

fn plan() -> Fingerprint {
    Fingerprint("ab12".into())
}

/// Begins a job and records parts of it.
async fn begin(store: &EmbeddedStore, name: &str, parts: u32) -> Checkpoint {
    store.open(job(name), "c".into(), Utc::now()).await.expect("a checkpoint");
    let step = Advance { status: Some(JobStatus::Encoding), plan: Some((plan(), 9)), ..Advance::default() };
    store.advance(job(name), step, Utc::now()).await.expect("a step");
    for chunk in 0..parts {
        let part =
            PartRecord { unit: UnitId::Chunk(chunk), worker: "w".into(), encode_seconds: 1.5, parts: Vec::new() };
        store.record(job(name), plan(), part, Utc::now()).await.expect("a part");
    }
    read(store, name).await.expect("a checkpoint")
}

async fn read(store: &EmbeddedStore, name: &str) -> Option<Checkpoint> {
    store.read(job(name)).await.expect("an answer")
}

async fn cancel(store: &EmbeddedStore, name: &str) {
    let checkpoint = begin(store, name, 1).await;
    let report = Report::of(&checkpoint, 0, None, "w", Utc::now()).ended(&Outcome::Cancelled);
    assert_eq!(store.finish(job(name), Outcome::Cancelled, report, Utc::now()).await, Ok(true));
}

#[test]
fn each_job_has_a_store_and_that_of_a_job_that_is_done_is_refused() {
    let machine = Machine::new();
    let one = machine.hold("one");
    let _two = machine.hold("two");
    let stores = machine.look(TTL);
    for refusal in [stores.hold(&job("one")).err(), stores.read(&job("one")).err()] {
        let Failure { class, message, .. } = refusal.expect("refused");
        assert_eq!(class, FailureClass::Retryable, "{message}");
        assert!(message.starts_with("job one is being done by another process: wait for its end, or"), "{message}");
    }
    drop(one);
    assert_eq!(stores.read(&job("one")), Ok(None));
    stores.hold(&job("one")).expect("its store");
}

#[test]
fn those_who_look_at_the_same_time_wait_for_each_other() {
    let machine = Machine::new();
    let start = std::sync::Barrier::new(8);
    std::thread::scope(|scope| {
        for index in 0..8 {
            let (machine, start) = (&machine, &start);
            scope.spawn(move || {
                start.wait();
                machine.hold(&format!("job-{index}"))
            });
        }
    });
}

#[test]
fn the_names_of_the_stores_own_files_are_good_ids_too() {
    let machine = Machine::new();
    let _stores = ["checkpoints.redb", "jobs", "lock"].map(|name| machine.hold(name));
    machine.hold("other");
}

#[tokio::test]
async fn a_job_that_ended_is_kept_with_the_others_and_its_store_goes() {
    let machine = Machine::new();
    let own = machine.hold("one");
    cancel(&own, "one").await;
    let ended = read(&own, "one").await.expect("a checkpoint");
    machine.look(TTL).end(ended.clone()).expect("kept");
    assert!(!machine.place("one").exists(), "its store stays");
    assert_eq!(machine.read("one"), Some(ended.clone()), "while its process still has it open");
    drop(own);
    assert_eq!(machine.read("one"), Some(ended.clone()));
    assert_eq!(read(&machine.shared(), "one").await, Some(ended), "an earlier version knows it too");
}

#[tokio::test]
async fn a_job_whose_process_was_killed_at_its_end_is_kept_with_the_others_when_it_is_asked_for() {
    let machine = Machine::new();
    let own = machine.hold("one");
    cancel(&own, "one").await;
    let ended = read(&own, "one").await;
    drop(own);
    assert!(ended.is_some() && machine.place("one").exists());
    for _ in 0..2 {
        assert_eq!(machine.read("one"), ended);
        assert!(!machine.place("one").exists(), "its store stays");
    }
}

#[tokio::test]
async fn a_job_that_was_begun_in_the_store_for_all_jobs_moves_to_one_of_its_own() {
    let machine = Machine::new();
    let shared = machine.shared();
    let begun = begin(&shared, "one", 3).await;
    begin(&shared, "one-2", 1).await;
    assert_eq!(shared.count_attempt(job("one"), "t".into()).await, Ok(1));
    drop(shared);
    assert_eq!(machine.read("one"), Some(begun.clone()));
    let own = machine.hold("one");
    assert_eq!(read(&own, "one").await, Some(begun));
    assert_eq!(own.parts(job("one"), plan()).await.expect("parts").len(), 3);
    assert_eq!(own.count_attempt(job("one"), "t".into()).await, Ok(2));
    assert_eq!(read(&own, "one-2").await, None, "another job");
    let shared = machine.shared();
    assert_eq!(read(&shared, "one").await, None);
    assert!(shared.parts(job("one"), plan()).await.expect("parts").is_empty());
    assert!(read(&shared, "one-2").await.is_some(), "another job");
}

#[tokio::test]
async fn what_the_own_store_knows_is_not_replaced_by_what_was_left_in_the_one_for_all_jobs() {
    let machine = Machine::new();
    begin(&machine.hold("one"), "one", 2).await;
    // Left by a process that was killed before it was gone there.
    begin(&machine.shared(), "one", 1).await;
    assert_eq!(read(&machine.hold("one"), "one").await.expect("a checkpoint").chunks_done, 2);
    assert_eq!(read(&machine.shared(), "one").await, None);
}

#[test]
fn while_another_process_works_in_the_store_for_all_jobs_no_job_is_begun() {
    let machine = Machine::new();
    let shared = machine.shared();
    let refusal = JobStores::open(machine.directory(), TTL).err().expect("refused");
    assert!(refusal.message.contains("in use by another process"), "{refusal}");
    drop(shared);
    machine.hold("one");
}

#[tokio::test]
async fn only_stores_that_expired_and_that_nobody_has_open_are_removed() {
    const SHORT: Duration = Duration::from_millis(1);
    let machine = Machine::new();
    let stores = machine.look(SHORT);
    let held = ["expired", "written-to", "open"].map(|name| (name, stores.hold(&job(name)).expect("its store")));
    drop(stores);
    for (name, store) in &held {
        cancel(store, name).await;
    }
    let [expired, written_to, _open] = held;
    drop((expired, written_to));
    cancel(&machine.hold("kept-longer"), "kept-longer").await;
    begin(&machine.hold("unfinished"), "unfinished", 1).await;
    drop(machine.hold("empty"));
    std::fs::create_dir(machine.place("never-made")).expect("a directory");
    for name in ["expired", "open", "kept-longer", "unfinished", "empty"] {
        machine.grow_old(name);
    }

    machine.look(Duration::from_secs(60));
    let is_there = |name: &&str| machine.place(name).exists();
    let kept: Vec<_> = ["expired", "empty", "never-made"].into_iter().filter(is_there).collect();
    assert_eq!(kept, [""; 0]);
    let kept = ["written-to", "open", "kept-longer", "unfinished"];
    assert_eq!(kept.into_iter().filter(is_there).collect::<Vec<_>>(), kept);
    assert_eq!(machine.read("unfinished").expect("a checkpoint").chunks_done, 1);
}
