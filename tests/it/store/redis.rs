//! The store in Redis: what other programs see of it, and that it keeps its promises.

mod faults;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use actors::domain::checkpoint::{Advance, Checkpoint, JobStatus, Outcome, PartRecord};
use actors::domain::failure::Failure;
use actors::domain::fingerprint::Fingerprint;
use actors::domain::job::JobId;
use actors::domain::progress::Report;
use actors::domain::unit::UnitId;
use actors::ports::{Capabilities, JobStore, LeaseStore, Outbox, PartStore, WorkerInfo};
use actors::testing::store_conformance::conforms;
use chrono::{DateTime, Utc};
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{Client, Cmd, FromRedisValue};
use gstreamer_worker::store::{RedisSettings, RedisStore};

use super::steps::agrees_with_the_fake;
use crate::support::redis::Redis;

const LONG: Duration = Duration::from_secs(3600);
const KEY: &str = "transcode:checkpoint:movie-42";

fn store(settings: &RedisSettings) -> RedisStore {
    RedisStore::new(settings, LONG).expect("settings")
}

fn movie() -> JobId {
    "movie-42".parse().expect("a job id")
}

fn plan() -> Fingerprint {
    Fingerprint("ab12".into())
}

fn part(unit: UnitId) -> PartRecord {
    PartRecord { unit, worker: "w".into(), encode_seconds: 1.5, parts: Vec::new() }
}

fn now() -> DateTime<Utc> {
    Utc::now()
}

fn last_report(checkpoint: &Checkpoint, outcome: &Outcome) -> Report {
    Report::of(checkpoint, 0, None, "w", now()).ended(outcome)
}

/// Another program at the same database.
struct Visitor(MultiplexedConnection);

impl Visitor {
    async fn of(settings: &RedisSettings) -> Self {
        let url = format!("redis://{}:{}/{}", settings.host, settings.port, settings.db);
        let client = Client::open(url).expect("a client");
        Self(client.get_multiplexed_async_connection().await.expect("a connection"))
    }

    async fn ask<T: FromRedisValue>(&mut self, words: &[&str]) -> T {
        let mut command = Cmd::new();
        words.iter().for_each(|word| {
            command.arg(*word);
        });
        command.query_async(&mut self.0).await.unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }
}

#[tokio::test]
async fn the_store_in_redis_conforms() {
    conforms(|checkpoint_ttl| Arc::new(RedisStore::new(&Redis::shared(), checkpoint_ttl).expect("settings"))).await;
}

#[test]
fn the_scripts_take_every_step_as_the_pure_rules_do() {
    agrees_with_the_fake(Arc::new(store(&Redis::shared())), 256);
}

#[tokio::test]
async fn other_programs_find_the_documented_fields() {
    let settings = Redis::shared();
    let store = store(&settings);
    let mut visitor = Visitor::of(&settings).await;
    store.open(movie(), "c".into(), now()).await.expect("a checkpoint");
    let step = Advance {
        status: Some(JobStatus::Encoding),
        progress: Some(42.5),
        plan: Some((plan(), 7)),
        ..Advance::default()
    };
    store.advance(movie(), step, now()).await.expect("a step");
    store.record(movie(), plan(), part(UnitId::Chunk(0)), now()).await.expect("a part");
    for (field, value) in [
        ("status", "encoding"),
        ("stage", "encode"),
        ("progress", "42.5"),
        ("fingerprint", "ab12"),
        ("chunks_total", "7"),
        ("chunks_done", "1"),
    ] {
        assert_eq!(visitor.ask::<String>(&["HGET", KEY, field]).await, value, "{field}");
    }
    let outcome = Outcome::Failed(Failure::permanent("no video track"));
    let checkpoint = store.read(movie()).await.expect("an answer").expect("a checkpoint");
    store.finish(movie(), outcome.clone(), last_report(&checkpoint, &outcome), now()).await.expect("an end");
    for field in ["created_at", "updated_at", "started_at", "completed_at"] {
        let text: String = visitor.ask(&["HGET", KEY, field]).await;
        assert!(DateTime::parse_from_rfc3339(&text).is_ok() && text.ends_with('Z'), "{field}: {text}");
    }
    let error: String = visitor.ask(&["HGET", KEY, "error"]).await;
    assert_eq!(error, r#"{"class":"permanent","message":"no video track"}"#);
    assert_eq!(visitor.ask::<String>(&["HGET", KEY, "stage"]).await, "encode", "the stage in which it failed");
}

#[tokio::test]
async fn all_that_belongs_to_an_ended_job_expires_in_the_same_moment() {
    let settings = Redis::shared();
    let store = store(&settings);
    let mut visitor = Visitor::of(&settings).await;
    let checkpoint = store.open(movie(), "c".into(), now()).await.expect("a checkpoint");
    store.record(movie(), plan(), part(UnitId::Audio(0)), now()).await.expect("a part");
    store.count_attempt(movie(), "movie-42/split".into()).await.expect("a count");
    let keys: BTreeSet<String> = visitor.ask(&["KEYS", "*"]).await;
    let expected =
        [KEY.to_owned(), format!("{KEY}:attempts"), format!("{KEY}:fingerprints"), format!("{KEY}:parts:ab12")];
    assert_eq!(keys, expected.clone().into());
    for key in &expected {
        assert_eq!(visitor.ask::<i64>(&["PEXPIRETIME", key]).await, -1, "{key} has to stay while the job goes on");
    }
    let report = last_report(&checkpoint, &Outcome::Cancelled);
    assert_eq!(store.finish(movie(), Outcome::Cancelled, report, now()).await, Ok(true));
    let end: i64 = visitor.ask(&["PEXPIRETIME", KEY]).await;
    assert!((end - now().timestamp_millis() - LONG.as_millis() as i64).abs() < 60_000);
    for key in &expected {
        assert_eq!(visitor.ask::<i64>(&["PEXPIRETIME", key]).await, end, "{key}");
    }
    for key in ["transcode:outbox", "transcode:outbox:order"] {
        assert_eq!(visitor.ask::<i64>(&["PTTL", key]).await, -1, "{key}");
    }
    let sequence = store.pending(1).await.expect("the outbox")[0].sequence;
    store.delivered(movie(), sequence).await.expect("a delivery");
    assert_eq!(visitor.ask::<u64>(&["EXISTS", "transcode:outbox", "transcode:outbox:order"]).await, 0);
}

#[tokio::test]
async fn a_returned_attempt_makes_no_key_and_leaves_the_expiry_of_one_as_it_is() {
    let settings = Redis::shared();
    let store = store(&settings);
    let mut visitor = Visitor::of(&settings).await;
    let attempts = format!("{KEY}:attempts");
    store.return_attempt(movie(), "t".into()).await.expect("a return");
    assert!(visitor.ask::<BTreeSet<String>>(&["KEYS", "*"]).await.is_empty());
    assert_eq!(store.count_attempt(movie(), "t".into()).await, Ok(1));
    let end: i64 = visitor.ask(&["PEXPIRETIME", &attempts]).await;
    assert!(end > 0, "attempts of a job without a checkpoint expire");
    for _ in 0..2 {
        store.return_attempt(movie(), "t".into()).await.expect("a return");
        assert_eq!(visitor.ask::<i64>(&["HGET", &attempts, "t"]).await, 0);
        assert_eq!(visitor.ask::<i64>(&["PEXPIRETIME", &attempts]).await, end);
    }
    store.open(movie(), "c".into(), now()).await.expect("a checkpoint");
    assert_eq!(store.count_attempt(movie(), "t".into()).await, Ok(1));
    store.return_attempt(movie(), "t".into()).await.expect("a return");
    assert_eq!(visitor.ask::<i64>(&["PEXPIRETIME", &attempts]).await, -1, "while the job goes on they stay");
}

#[tokio::test]
async fn leases_and_workers_have_a_time_to_live() {
    let settings = Redis::shared();
    let store = store(&settings);
    let mut visitor = Visitor::of(&settings).await;
    store.hold("movie-42/v00001".into(), "w-1".into(), LONG).await.expect("a lease");
    assert_eq!(visitor.ask::<String>(&["GET", "transcode:lease:movie-42/v00001"]).await, "w-1");
    let info = WorkerInfo { worker: "w-1".into(), slots: 4, capabilities: Capabilities::default(), updated_at: now() };
    store.announce("w-1".into(), info.clone(), LONG).await.expect("an announcement");
    for key in ["transcode:lease:movie-42/v00001", "transcode:worker:w-1"] {
        let left: i64 = visitor.ask(&["PTTL", key]).await;
        assert!(left > 0 && left <= LONG.as_millis() as i64, "{key}: {left}");
    }
    let json: String = visitor.ask(&["GET", "transcode:worker:w-1"]).await;
    assert_eq!(serde_json::from_str::<WorkerInfo>(&json).expect("a worker"), info);
    visitor.ask::<u64>(&["DEL", "transcode:worker:w-1"]).await;
    assert_eq!(store.workers().await, Ok(vec![]), "a key that is gone is a worker that is gone");
}

#[tokio::test]
async fn two_hundred_calls_at_once_share_two_connections() {
    let store = store(&RedisSettings { pool_size: 2, ..Redis::shared() });
    let calls = (0..200).map(|_| store.count_attempt(movie(), "t".into()));
    let counts = futures_util::future::join_all(calls).await;
    assert_eq!(counts.into_iter().collect::<Result<BTreeSet<u32>, _>>(), Ok((1..=200).collect()));
}
