//! A Redis that is away, frozen, restarted, emptied, closed to us, or shared with a program that writes our keys.

use std::time::Instant;

use actors::domain::failure::FailureClass;

use super::*;

/// Both timeouts of the defaults, and what a busy machine adds.
const BOUND: Duration = Duration::from_secs(4);

/// The failure of a call that has to fail soon, as `retryable`, with `words` in its message.
fn failure_of<T: std::fmt::Debug>(answer: Result<T, Failure>, words: &[&str]) -> Failure {
    let failure = answer.expect_err("a call that cannot work");
    assert_eq!(failure.class, FailureClass::Retryable, "{failure}");
    for word in words {
        assert!(failure.message.contains(word), "`{word}` is missing in: {failure}");
    }
    failure
}

#[tokio::test]
async fn a_redis_that_is_away_fails_soon_and_is_named() {
    let mut redis = Redis::start();
    let store = store(&redis.settings());
    store.ping().await.expect("a sign of life");
    redis.stop();
    let place = format!("127.0.0.1:{}", redis.port());
    let begun = Instant::now();
    failure_of(store.read(movie()).await, &[&place]);
    failure_of(store.ping().await, &[&place]);
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    redis.restart(false);
    store.ping().await.expect("it reconnects by itself");
}

#[tokio::test]
async fn a_frozen_redis_never_holds_a_call_up() {
    let redis = Redis::start();
    let store = store(&redis.settings());
    store.open(movie(), "c".into(), now()).await.expect("a checkpoint");
    redis.freeze();
    let begun = Instant::now();
    let calls = (0..20).map(|_| store.read(movie()));
    for answer in futures_util::future::join_all(calls).await {
        failure_of(answer, &[&format!("127.0.0.1:{}", redis.port())]);
    }
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    redis.thaw();
    assert!(store.read(movie()).await.expect("it answers again").is_some());
}

#[tokio::test]
async fn a_redis_that_was_killed_comes_back_with_all_that_was_answered() {
    let mut redis = Redis::start_durable();
    let store = store(&redis.settings());
    let opened = store.open(movie(), "c".into(), now()).await.expect("a checkpoint");
    store.record(movie(), plan(), part(UnitId::Chunk(3)), now()).await.expect("a part");
    redis.restart(false);
    assert_eq!(store.read(movie()).await, Ok(Some(opened)));
    assert_eq!(store.parts(movie(), plan()).await.expect("parts").len(), 1);
}

#[tokio::test]
async fn over_the_loss_of_all_data_the_sequence_numbers_go_on_growing() {
    let mut redis = Redis::start_durable();
    let store = store(&redis.settings());
    let report = Advance { report: true, ..Advance::default() };
    let checkpoint = store.open(movie(), "c".into(), now()).await.expect("a checkpoint");
    let before = store.advance(movie(), report.clone(), now()).await.expect("a step").expect("a job").sequence;
    redis.restart(true);
    assert_eq!(store.read(movie()).await, Ok(None), "it came back empty");
    assert_eq!(store.advance(movie(), report.clone(), now()).await, Ok(None));
    assert_eq!(store.open(movie(), "c".into(), checkpoint.created_at).await, Ok(checkpoint));
    let after = store.advance(movie(), report, now()).await.expect("a step").expect("a job").sequence;
    assert!(before.is_some() && after > before, "{before:?}, {after:?}");
}

#[tokio::test]
async fn a_wrong_password_is_said_without_being_told() {
    let redis = Redis::start_with(&["--requirepass", "right-secret"]);
    let with = |password: Option<&str>| RedisSettings { password: password.map(Into::into), ..redis.settings() };
    store(&with(Some("right-secret"))).ping().await.expect("the right password");
    let wrong = failure_of(store(&with(Some("wrong-secret"))).ping().await, &["REDIS_PASSWORD", "127.0.0.1"]);
    assert!(!wrong.message.contains("secret"), "{wrong}");
    failure_of(store(&with(None)).read(movie()).await, &["wants a password", "REDIS_PASSWORD"]);
    assert!(!format!("{:?}", with(Some("right-secret"))).contains("secret"));
}

#[tokio::test]
async fn a_database_that_is_not_there_and_a_host_without_an_address_are_said() {
    let settings = Redis::shared();
    failure_of(store(&RedisSettings { db: u16::MAX, ..settings.clone() }).ping().await, &["DB index is out of range"]);
    let nowhere = RedisSettings { host: "no-such-host.invalid".into(), ..settings };
    failure_of(store(&nowhere).ping().await, &["no-such-host.invalid"]);
}

#[tokio::test]
async fn a_key_of_another_program_is_named_and_left_alone() {
    let settings = Redis::shared();
    let store = store(&settings);
    let mut visitor = Visitor::of(&settings).await;
    visitor.ask::<String>(&["SET", KEY, "theirs"]).await;
    failure_of(store.read(movie()).await, &[KEY, "another program"]);
    failure_of(store.open(movie(), "c".into(), now()).await, &[KEY, "another program"]);
    failure_of(store.advance(movie(), Advance::default(), now()).await, &[KEY, "another program"]);
    assert_eq!(visitor.ask::<String>(&["GET", KEY]).await, "theirs");

    visitor.ask::<u64>(&["DEL", KEY]).await;
    visitor.ask::<u64>(&["HSET", KEY, "color", "blue"]).await;
    failure_of(store.read(movie()).await, &[KEY, "`content`", "another program"]);
    failure_of(store.advance(movie(), Advance::default(), now()).await, &[KEY, "another program"]);
    let report = last_report(&Checkpoint::queued(movie(), String::new(), now()), &Outcome::Cancelled);
    failure_of(store.finish(movie(), Outcome::Cancelled, report, now()).await, &[KEY, "another program"]);
    assert_eq!(visitor.ask::<u64>(&["HLEN", KEY]).await, 1);
}

#[tokio::test]
async fn a_part_that_makes_no_sense_is_named_and_can_be_forgotten() {
    let settings = Redis::shared();
    let store = store(&settings);
    let mut visitor = Visitor::of(&settings).await;
    let key = format!("{KEY}:parts:ab12");
    visitor.ask::<u64>(&["HSET", &key, "v00001", "{}"]).await;
    failure_of(store.parts(movie(), plan()).await, &[&key]);
    failure_of(store.record(movie(), plan(), part(UnitId::Chunk(1)), now()).await, &[&key]);
    store.forget(movie(), plan(), UnitId::Chunk(1)).await.expect("it is forgotten");
    assert!(store.record(movie(), plan(), part(UnitId::Chunk(1)), now()).await.expect("a part").first);
    visitor.ask::<u64>(&["HSET", &key, "x", "{}"]).await;
    failure_of(store.parts(movie(), plan()).await, &[&key, "`x`"]);
}

#[tokio::test]
async fn a_report_that_makes_no_sense_does_not_hold_back_the_others() {
    let settings = Redis::shared();
    let store = store(&settings);
    let mut visitor = Visitor::of(&settings).await;
    visitor.ask::<u64>(&["HSET", "transcode:outbox", "odd", "{}"]).await;
    visitor.ask::<u64>(&["ZADD", "transcode:outbox:order", "1", "odd", "2", "without a report"]).await;
    let checkpoint = store.open(movie(), "c".into(), now()).await.expect("a checkpoint");
    let report = last_report(&checkpoint, &Outcome::Cancelled);
    assert_eq!(store.finish(movie(), Outcome::Cancelled, report, now()).await, Ok(true));
    let pending = store.pending(10).await.expect("the outbox");
    assert_eq!(pending.into_iter().map(|report| report.job_id).collect::<Vec<_>>(), [movie()]);
}
