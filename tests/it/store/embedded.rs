//! The store in a file: its promises, and what a process that ends leaves to the next one.

mod killed;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actors::domain::checkpoint::{Advance, JobStatus, Outcome, PartRecord};
use actors::domain::failure::{Failure, FailureClass};
use actors::domain::fingerprint::Fingerprint;
use actors::domain::job::JobId;
use actors::domain::progress::Report;
use actors::domain::unit::UnitId;
use actors::ports::{JobStore, LeaseStore, Outbox, PartStore};
use actors::testing::store_conformance::conforms;
use chrono::Utc;
use gstreamer_worker::store::EmbeddedStore;
use redb::ReadableTable as _;
use tempfile::{TempDir, tempdir};

use super::steps::agrees_with_the_fake;

const LONG: Duration = Duration::from_secs(3600);
const FILE: &str = "checkpoints.redb";

fn directory() -> TempDir {
    tempdir().expect("a directory")
}

fn open(dir: &Path) -> EmbeddedStore {
    EmbeddedStore::open(dir, LONG).unwrap_or_else(|failure| panic!("{failure}"))
}

fn refusal(dir: &Path) -> Failure {
    let failure = EmbeddedStore::open(dir, LONG).err().expect("a store that cannot be opened");
    assert_eq!(failure.class, FailureClass::Retryable, "{failure}");
    assert!(failure.message.contains(&dir.display().to_string()), "{failure}");
    failure
}

fn movie() -> JobId {
    "movie-42".parse().expect("a job id")
}

fn plan() -> Fingerprint {
    Fingerprint("ab12".into())
}

fn part(chunk: u32) -> PartRecord {
    PartRecord { unit: UnitId::Chunk(chunk), worker: "w".into(), encode_seconds: 1.5, parts: Vec::new() }
}

#[tokio::test]
async fn the_embedded_store_conforms() {
    let dirs = Mutex::new(Vec::new());
    conforms(|checkpoint_ttl| {
        let dir = directory();
        let store = EmbeddedStore::open(dir.path(), checkpoint_ttl).expect("a new store");
        dirs.lock().expect("the directories").push(dir);
        Arc::new(store)
    })
    .await;
}

#[test]
fn the_embedded_store_takes_every_step_as_the_pure_rules_do() {
    let dir = directory();
    agrees_with_the_fake(Arc::new(open(dir.path())), 48);
}

#[tokio::test]
async fn a_store_that_is_opened_again_has_everything_but_the_leases() {
    let dir = directory();
    let store = open(&dir.path().join("made/on the way"));
    let dir = dir.path().join("made/on the way");
    store.open(movie(), "c".into(), Utc::now()).await.expect("a checkpoint");
    let step = Advance { status: Some(JobStatus::Encoding), plan: Some((plan(), 3)), ..Advance::default() };
    store.advance(movie(), step, Utc::now()).await.expect("a step");
    store.record(movie(), plan(), part(1), Utc::now()).await.expect("a part");
    for counted in [1, 2] {
        assert_eq!(store.count_attempt(movie(), "t".into()).await, Ok(counted));
    }
    store.return_attempt(movie(), "t".into()).await.expect("a return");
    assert_eq!(store.hold("t".into(), "owner-1".into(), LONG).await, Ok(true));
    let other: JobId = "other".parse().expect("a job id");
    let checkpoint = store.open(other.clone(), "c".into(), Utc::now()).await.expect("a checkpoint");
    let report = Report::of(&checkpoint, 0, None, "w", Utc::now()).ended(&Outcome::Cancelled);
    assert_eq!(store.finish(other, Outcome::Cancelled, report, Utc::now()).await, Ok(true));
    let kept = (store.read(movie()).await, store.parts(movie(), plan()).await, store.pending(10).await);
    drop(store);

    let store = open(&dir);
    assert_eq!((store.read(movie()).await, store.parts(movie(), plan()).await, store.pending(10).await), kept);
    assert_eq!(kept.2.expect("the outbox").len(), 1);
    assert_eq!(store.count_attempt(movie(), "t".into()).await, Ok(2));
    assert_eq!(store.hold("t".into(), "owner-2".into(), LONG).await, Ok(true), "a lease ends with its process");
}

/// The row of a job as an earlier version writes it: it knows no number of parts.
fn forget_counts(dir: &Path) {
    let jobs = redb::TableDefinition::<&str, &str>::new("jobs");
    let database = redb::Database::open(dir.join(FILE)).expect("the file");
    let transaction = database.begin_write().expect("a transaction");
    let mut table = transaction.open_table(jobs).expect("the jobs");
    let json = table.get(movie().as_str()).expect("the row").expect("a row").value().to_owned();
    let mut row: serde_json::Value = serde_json::from_str(&json).expect("json");
    assert!(row.as_object_mut().expect("a row").remove("counts").is_some(), "{json}");
    table.insert(movie().as_str(), row.to_string().as_str()).expect("written");
    drop(table);
    transaction.commit().expect("durable");
}

#[tokio::test]
async fn parts_are_counted_right_beside_an_earlier_version_that_counts_none() {
    let dir = directory();
    let store = open(dir.path());
    store.open(movie(), "c".into(), Utc::now()).await.expect("a checkpoint");
    for chunk in 0..3 {
        store.record(movie(), plan(), part(chunk), Utc::now()).await.expect("a part");
    }
    drop(store);
    forget_counts(dir.path());
    let store = open(dir.path());
    let recorded = store.record(movie(), plan(), part(3), Utc::now()).await.expect("a part");
    assert_eq!(recorded.units_done, 4);
    store.forget(movie(), plan(), UnitId::Chunk(0)).await.expect("forgotten");
    let recorded = store.record(movie(), plan(), part(3), Utc::now()).await.expect("the same part");
    assert_eq!((recorded.first, recorded.units_done), (true, 3));
}

#[tokio::test]
async fn jobs_that_expired_while_nothing_ran_are_forgotten_with_all_that_belongs_to_them() {
    let dir = directory();
    let store = EmbeddedStore::open(dir.path(), Duration::from_millis(1)).expect("a new store");
    for index in 0..20 {
        let job_id: JobId = format!("job-{index}").parse().expect("a job id");
        let checkpoint = store.open(job_id.clone(), "c".into(), Utc::now()).await.expect("a checkpoint");
        store.record(job_id.clone(), plan(), part(0), Utc::now()).await.expect("a part");
        let report = Report::of(&checkpoint, 0, None, "w", Utc::now()).ended(&Outcome::Cancelled);
        store.finish(job_id, Outcome::Cancelled, report, Utc::now()).await.expect("an end");
    }
    drop(store);
    let store = open(dir.path());
    for index in 0..20 {
        let job_id: JobId = format!("job-{index}").parse().expect("a job id");
        assert_eq!(store.read(job_id.clone()).await, Ok(None));
        assert!(store.parts(job_id, plan()).await.expect("parts").is_empty());
    }
    assert_eq!(store.pending(100).await.expect("the outbox").len(), 20);
}

#[test]
fn a_store_that_is_open_is_refused_to_the_next_one() {
    let dir = directory();
    let first = open(dir.path());
    assert!(refusal(dir.path()).message.contains("in use by another process"));
    let clone = first.clone();
    drop(first);
    assert!(refusal(dir.path()).message.contains("in use by another process"), "a clone still has it open");
    drop(clone);
    open(dir.path());
}

#[test]
fn a_file_that_was_never_finished_is_made_anew() {
    let dir = directory();
    for unfinished in [Vec::new(), vec![0; 5], vec![0; 100_000]] {
        std::fs::write(dir.path().join(FILE), unfinished).expect("a file");
        open(dir.path());
    }
}

#[test]
fn a_damaged_file_is_refused_and_left_alone() {
    let dir = directory();
    let path = dir.path().join(FILE);
    std::fs::write(&path, "a letter to the operator").expect("a file");
    assert!(refusal(dir.path()).message.contains("is damaged"));
    assert_eq!(std::fs::read(&path).expect("the file"), b"a letter to the operator");
    std::fs::remove_file(&path).expect("the file goes");
    drop(open(dir.path()));
    let whole = std::fs::read(&path).expect("a store");
    std::fs::write(&path, &whole[..whole.len() / 2]).expect("half a store");
    assert!(refusal(dir.path()).message.contains("is damaged"));
}

#[test]
fn a_directory_that_is_none_is_refused() {
    let dir = directory();
    let file = dir.path().join("a file");
    std::fs::write(&file, "").expect("a file");
    assert!(refusal(&file).message.contains("cannot be used"));
}
