//! The commands for dead letters: `dead-letters`, `requeue`.

use actors::domain::checkpoint::JobStatus;
use actors::domain::dead_letter::{DeadLetter, LetterId, LetterRecord};
use actors::domain::job::JobSpec;
use actors::domain::record::Queue;
use gstreamer_worker::cli::{Exit, Trouble};
use serde_json::Value;

use super::fakes::{Fake, Ran, run};

const JOB: &str = r#"{"job_id": "movie-42", "input": {"uri": "file:///media/in.mp4"}, "outputs": [
    {"uri": "file:///media/out.ts", "container": "mpegts", "video": {"codec": "h264", "height": 720}}]}"#;
const TASK: &str = r#"{"task": "encode", "job_id": "movie-42", "fingerprint": "ab", "chunk": 3}"#;

const POD: &[(&str, &str)] = &[("KAFKA_BROKERS", "kafka:9092"), ("REDIS_HOST", "redis")];

fn job() -> JobSpec {
    JobSpec::parse(JOB.as_bytes()).expect("a job")
}

fn letter(offset: i64, value: Option<&str>, extra: &[(&str, &str)]) -> DeadLetter {
    let usual = [("class", "permanent"), ("reason", "no video track"), ("attempts", "1")];
    let headers = usual.iter().chain(extra);
    DeadLetter::read(&LetterRecord {
        id: LetterId { partition: 0, offset },
        at: chrono::DateTime::from_timestamp(1_700_000_000, 0),
        key: b"movie-42".to_vec(),
        value: value.map(|value| value.as_bytes().to_vec()),
        headers: headers.map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect(),
    })
}

/// A fleet with the letters of a job, of a task with its job, and of three records that are no work.
fn fake() -> Fake {
    let fake = Fake::that_completes();
    *fake.letters.lock().expect("no panic") = vec![
        letter(0, Some(JOB), &[]),
        letter(1, Some(TASK), &[("job", JOB)]),
        letter(2, Some("garbage"), &[]),
        letter(3, None, &[]),
        letter(4, Some(TASK), &[]),
    ];
    fake
}

async fn requeue(fake: &Fake, id: &str) -> Ran {
    run(&["requeue", id], POD, fake).await
}

async fn refused(fake: &Fake, id: &str) -> Trouble {
    let trouble = requeue(fake, id).await.outcome.expect_err("refused");
    assert!(fake.published.lock().expect("no panic").is_empty(), "{trouble}");
    trouble
}

fn num_published(fake: &Fake) -> usize {
    fake.published.lock().expect("no panic").len()
}

#[actix_rt::test]
async fn letters_are_listed_for_people_and_for_scripts() {
    let ran = run(&["dead-letters"], POD, &fake()).await;
    assert_eq!((ran.outcome.expect("listed"), ran.err.as_str()), (Exit::Done, ""));
    let lines: Vec<_> = ran.out.lines().collect();
    assert_eq!(lines.len(), 6, "{}", ran.out);
    assert_eq!(lines[1], "0-0  2023-11-14T22:13:20Z  movie-42  permanent  1         no video track");
    let ran = run(&["dead-letters", "--json"], POD, &fake()).await;
    let letters: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).expect("json")).collect();
    let can: Vec<_> = letters.iter().map(|letter| letter["requeueable"].as_bool()).collect();
    assert_eq!(can, [true, true, false, false, false].map(Some));
    assert_eq!(letters[1]["job_id"], "movie-42");
}

#[actix_rt::test]
async fn the_newest_are_shown_and_the_others_counted() {
    let ran = run(&["dead-letters", "--limit", "2"], POD, &fake()).await;
    assert!(ran.out.lines().nth(1).is_some_and(|line| line.starts_with("0-3  ")), "{}", ran.out);
    assert_eq!((ran.out.lines().count(), ran.err.as_str()), (3, "3 older ones are not shown, see --limit\n"));
    let ran = run(&["dead-letters", "--limit", "0", "--json"], POD, &fake()).await;
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", "5 older ones are not shown, see --limit\n"));
}

#[actix_rt::test]
async fn where_there_are_no_letters_that_is_said_and_nothing_is_printed() {
    let ran = run(&["dead-letters"], POD, &Fake::that_completes()).await;
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", "there are no dead letters\n"));
    assert_eq!(ran.outcome.expect("nothing to list"), Exit::Done);
}

#[actix_rt::test]
async fn the_job_of_a_letter_is_published_after_the_store_lets_it_begin_anew() {
    for id in ["0-0", "0-1"] {
        let fake = fake();
        fake.jobs.put(&job(), JobStatus::Failed);
        let ran = requeue(&fake, id).await;
        assert_eq!(ran.outcome.expect("sent back"), Exit::Done);
        assert!(ran.out.contains("movie-42") && ran.out.contains(id), "{}", ran.out);
        let records = fake.published.lock().expect("no panic").clone();
        assert_eq!((records.len(), records[0].queue, records[0].key.as_slice()), (1, Queue::Jobs, &b"movie-42"[..]));
        assert_eq!(JobSpec::parse(records[0].value.as_deref().expect("a value")).expect("a job"), job());
        assert_eq!(records[0].headers, [("requeued-from".to_owned(), id.as_bytes().to_vec())]);
        let checkpoint = fake.jobs.get(&job().job_id).expect("a checkpoint");
        assert!(checkpoint.generation > 0 && checkpoint.status == JobStatus::Queued, "{checkpoint:?}");
    }
}

#[actix_rt::test]
async fn a_job_that_is_sent_back_stays_in_its_trace() {
    let fake = fake();
    let trace = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    fake.letters.lock().expect("no panic").push(letter(6, Some(TASK), &[("job", JOB), trace]));
    assert_eq!(requeue(&fake, "0-6").await.outcome.expect("sent back"), Exit::Done);
    let headers = fake.published.lock().expect("no panic")[0].headers.clone();
    assert!(headers.contains(&(trace.0.to_owned(), trace.1.as_bytes().to_vec())), "{headers:?}");
}

#[actix_rt::test]
async fn a_job_whose_checkpoint_expired_is_sent_back_too() {
    let fake = fake();
    let ran = run(&["requeue", "0-1", "--json"], POD, &fake).await;
    let said: Value = serde_json::from_str(&ran.out).expect("json");
    assert_eq!(said, serde_json::json!({"id": "0-1", "job_id": "movie-42", "status": "requeued"}));
    assert_eq!(num_published(&fake), 1);
}

#[actix_rt::test]
async fn a_command_that_died_before_it_published_is_run_again() {
    let fake = fake();
    fake.jobs.put(&job(), JobStatus::Failed);
    fake.broker_away.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(refused(&fake, "0-0").await.status(), 1);
    fake.broker_away.store(false, std::sync::atomic::Ordering::Relaxed);
    for published in [1, 2] {
        assert_eq!(requeue(&fake, "0-0").await.outcome.expect("sent back"), Exit::Done);
        assert_eq!(num_published(&fake), published, "a job that waits may be published again");
    }
}

#[actix_rt::test]
async fn a_job_that_runs_or_ended_otherwise_is_refused() {
    for (status, words) in [
        (JobStatus::Splitting, "runs"),
        (JobStatus::Encoding, "runs"),
        (JobStatus::Assembling, "runs"),
        (JobStatus::Completed, "has completed"),
        (JobStatus::Cancelled, "was cancelled"),
    ] {
        let fake = fake();
        fake.jobs.put(&job(), status);
        let trouble = refused(&fake, "0-0").await;
        assert!(trouble.status() == 1 && trouble.to_string().contains(words), "{trouble}");
        assert_eq!(fake.jobs.get(&job().job_id).map(|known| known.status), Some(status));
    }
    let fake = fake();
    fake.jobs.put(&JobSpec { overwrite: true, ..job() }, JobStatus::Failed);
    let trouble = refused(&fake, "0-0").await;
    assert!(trouble.to_string().contains("another job has the id movie-42"), "{trouble}");
}

#[actix_rt::test]
async fn what_is_no_work_is_refused_with_what_to_do() {
    for (id, words) in [
        ("0-2", "correct it and submit it"),
        ("0-3", "submit what was meant"),
        ("0-4", "submit the job under another id"),
        ("0-5", "there is no dead letter 0-5"),
        ("1-0", "there is no dead letter 1-0"),
    ] {
        let trouble = refused(&fake(), id).await;
        assert!(trouble.status() == 1 && trouble.to_string().contains(words), "{trouble}");
    }
    let trouble = refused(&fake(), "seventeen").await;
    assert!(trouble.status() == 2 && trouble.to_string().contains("PARTITION-OFFSET"), "{trouble}");
}

#[actix_rt::test]
async fn an_embedded_broker_has_no_letters_that_could_be_read() {
    let env = [("KAFKA_BROKERS", "embedded")];
    for args in [&["dead-letters"][..], &["requeue", "0-0"]] {
        let trouble = run(args, &env, &fake()).await.outcome.expect_err("refused");
        assert_eq!(trouble.status(), 64, "{trouble}");
    }
}
