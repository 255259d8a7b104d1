//! Checkpoints: opening, moving forward, reporting, ending.

use futures_util::future::join_all;
use tokio::time::Instant;

use super::{DEADLINE, POLL, Subject, at, checkpoint_of, done, end, eventually, job, last_report, part, plan};
use crate::domain::checkpoint::{Advance, Checkpoint, JobStatus, Outcome, REPORT_INTERVAL};
use crate::domain::failure::Failure;
use crate::domain::unit::UnitId;

fn to(status: JobStatus) -> Advance {
    Advance { status: Some(status), ..Advance::default() }
}

fn progress(progress: f64) -> Advance {
    Advance { progress: Some(progress), ..Advance::default() }
}

fn report() -> Advance {
    Advance { report: true, ..Advance::default() }
}

/// Takes a step that is checked against the pure function.
async fn step(store: &Subject, mut before: Checkpoint, step: Advance, second: i64) -> Checkpoint {
    let advanced = done(store.advance(before.job_id.clone(), step.clone(), at(second)).await).expect("a known job");
    before.advance(&step, at(second));
    assert_eq!(advanced.checkpoint, before, "after {step:?}");
    assert_eq!(checkpoint_of(store, &before.job_id).await, before, "read after {step:?}");
    advanced.checkpoint
}

pub(super) async fn a_job_that_nobody_opened_is_not_known(store: Subject) {
    assert_eq!(done(store.read(job("j")).await), None);
    assert_eq!(done(store.advance(job("j"), to(JobStatus::Encoding), at(1)).await), None);
    assert_eq!(done(store.read(job("j")).await), None, "a step must not create a job");
    assert!(done(store.parts(job("j"), plan("p")).await).is_empty());
}

pub(super) async fn a_job_opened_twice_keeps_its_first_content(store: Subject) {
    let first = done(store.open(job("j"), "one".into(), at(0)).await);
    assert_eq!(first, Checkpoint::queued(job("j"), "one".into(), at(0)));
    assert_eq!(done(store.open(job("j"), "two".into(), at(5)).await), first);
    assert_eq!(checkpoint_of(&store, &job("j")).await, first);
    assert_eq!(done(store.open(job("k"), "two".into(), at(5)).await).content, "two");
}

pub(super) async fn status_and_progress_never_go_back(store: Subject) {
    use JobStatus::{Assembling, Encoding, Queued, Splitting};
    let mut checkpoint = done(store.open(job("j"), "c".into(), at(0)).await);
    let steps = [Splitting, Encoding, Splitting, Queued, Encoding, Assembling, Encoding].map(to);
    let amounts = [0.1 + 0.2, 33.333333333333336, 12.0, -5.0, f64::NAN, 1e-9, 99.99, 250.0, f64::INFINITY, 50.0];
    for (second, next) in steps.into_iter().chain(amounts.map(progress)).enumerate() {
        checkpoint = step(&store, checkpoint, next, second as i64 + 1).await;
    }
    assert_eq!((checkpoint.status, checkpoint.progress), (Assembling, 100.0));
    assert_eq!(checkpoint.started_at, Some(at(1)), "begun with the first step out of the queue");
}

pub(super) async fn a_plan_is_put_in_force_with_its_chunks(store: Subject) {
    let with_plan = |name, chunks| Advance { plan: Some((plan(name), chunks)), ..to(JobStatus::Encoding) };
    let mut checkpoint = done(store.open(job("j"), "c".into(), at(0)).await);
    checkpoint = step(&store, checkpoint, with_plan("p", 7), 1).await;
    done(store.record(job("j"), plan("p"), part(UnitId::Chunk(0), "w"), at(2)).await);
    checkpoint.chunks_done = 1;
    checkpoint = step(&store, checkpoint, with_plan("p", 7), 3).await;
    assert_eq!(checkpoint.chunks_done, 1, "the same plan again changes nothing");
    checkpoint = step(&store, checkpoint, with_plan("q", 9), 4).await;
    assert_eq!((checkpoint.chunks_done, checkpoint.chunks_total), (0, 9));
}

pub(super) async fn a_job_waits_until_it_moves(store: Subject) {
    let wait = |what: &str| Advance { waiting_for: Some(what.into()), ..Advance::default() };
    let mut checkpoint = done(store.open(job("j"), "c".into(), at(0)).await);
    let encoding = Advance { plan: Some((plan("p"), 3)), progress: Some(5.0), ..to(JobStatus::Encoding) };
    for (second, moves) in [(10, to(JobStatus::Splitting)), (20, encoding), (30, progress(6.0))] {
        checkpoint = step(&store, checkpoint, wait("a GPU"), second).await;
        checkpoint = step(&store, checkpoint, wait("a worker with x264 164 r3095"), second + 1).await;
        checkpoint = step(&store, checkpoint, progress(0.0), second + 2).await;
        assert_eq!(checkpoint.waiting_for.as_deref(), Some("a worker with x264 164 r3095"), "a GPU came, that did not");
        checkpoint = step(&store, checkpoint, moves, second + 3).await;
        assert_eq!(checkpoint.waiting_for, None);
    }
    for (second, again) in [(40, false), (50, true)] {
        step(&store, checkpoint.clone(), wait("a GPU"), second).await;
        done(store.record(job("j"), plan("p"), part(UnitId::Chunk(0), "w"), at(second + 1)).await);
        checkpoint = checkpoint_of(&store, &job("j")).await;
        assert_eq!(checkpoint.waiting_for.is_some(), again, "a part that is there moves nothing");
    }
    done(store.finish(job("j"), Outcome::Cancelled, last_report(&checkpoint, &Outcome::Cancelled), at(60)).await);
    assert_eq!(checkpoint_of(&store, &job("j")).await.waiting_for, None);
}

pub(super) async fn a_request_to_cancel_stays(store: Subject) {
    let mut checkpoint = done(store.open(job("j"), "c".into(), at(0)).await);
    checkpoint = step(&store, checkpoint, Advance { cancel: true, ..Advance::default() }, 1).await;
    checkpoint = step(&store, checkpoint, to(JobStatus::Splitting), 2).await;
    assert!(checkpoint.cancel_requested);
}

pub(super) async fn sequence_numbers_grow_and_come_at_most_once_a_second(store: Subject) {
    done(store.open(job("j"), "c".into(), at(0)).await);
    let mut numbers = Vec::new();
    let mut calls = Vec::new();
    let begun = Instant::now();
    while numbers.len() < 3 {
        assert!(begun.elapsed() < DEADLINE, "three numbers take about two seconds");
        let asked_at = Instant::now();
        let advanced = done(store.advance(job("j"), report(), at(1)).await).expect("a known job");
        if let Some(number) = advanced.sequence {
            assert_eq!(advanced.checkpoint.sequence, number);
            numbers.push(number);
            calls.push((asked_at, Instant::now()));
        }
        tokio::time::sleep(POLL).await;
    }
    assert!(numbers[0] > 0 && numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    // Each number was taken between question and answer. A store may round its clock to milliseconds.
    assert!(calls[2].1 - calls[0].0 >= 2 * REPORT_INTERVAL - REPORT_INTERVAL / 100);
}

pub(super) async fn of_many_workers_that_report_at_once_one_gets_a_number(store: Subject) {
    done(store.open(job("j"), "c".into(), at(0)).await);
    // The clocks of the workers differ by hours: only the store's own clock counts.
    let begun = Instant::now();
    let answers = join_all((0..30).map(|worker| store.advance(job("j"), report(), at(worker * 3600)))).await;
    let numbers = answers.into_iter().filter_map(|answer| done(answer).expect("a known job").sequence).count();
    assert!((1..=1 + begun.elapsed().as_secs() as usize).contains(&numbers), "{numbers} numbers");
}

pub(super) async fn the_first_end_of_a_job_is_final(store: Subject) {
    done(store.open(job("j"), "c".into(), at(0)).await);
    done(store.advance(job("j"), to(JobStatus::Encoding), at(1)).await);
    let before = done(store.advance(job("j"), report(), at(2)).await).expect("a known job").checkpoint;
    let failure = Failure::permanent("no video track");
    let report_of = |outcome: &Outcome| last_report(&before, outcome);
    let failed = Outcome::Failed(failure.clone());
    assert!(done(store.finish(job("j"), failed.clone(), report_of(&failed), at(3)).await));
    let ended = checkpoint_of(&store, &job("j")).await;
    let mut expected = before.clone();
    expected.finish(&failed, at(3));
    expected.sequence = ended.sequence;
    assert_eq!(ended, expected);
    assert!(ended.sequence > before.sequence);

    let completed = Outcome::Completed(Vec::new());
    assert!(!done(store.finish(job("j"), completed.clone(), report_of(&completed), at(4)).await));
    let everything = Advance { cancel: true, plan: Some((plan("p"), 3)), report: true, ..to(JobStatus::Assembling) };
    let advanced = done(store.advance(job("j"), everything, at(5)).await).expect("a known job");
    assert_eq!((advanced.checkpoint, advanced.sequence), (ended.clone(), None));
    assert_eq!(done(store.open(job("j"), "other".into(), at(6)).await), ended);
    assert_eq!(done(store.pending(10).await).len(), 1);
}

pub(super) async fn of_many_ends_at_once_one_wins(store: Subject) {
    let checkpoint = done(store.open(job("j"), "c".into(), at(0)).await);
    let ends = (0..30).map(|index| {
        let outcome = if index % 2 == 0 { Outcome::Cancelled } else { Outcome::Completed(Vec::new()) };
        let report = last_report(&checkpoint, &outcome);
        store.finish(job("j"), outcome, report, at(1))
    });
    assert_eq!(join_all(ends).await.into_iter().filter(|won| *won == Ok(true)).count(), 1);
    let pending = done(store.pending(10).await);
    let ended = checkpoint_of(&store, &job("j")).await;
    assert_eq!(pending.len(), 1);
    assert_eq!((pending[0].status, pending[0].sequence), (ended.status, ended.sequence));
}

pub(super) async fn a_job_that_the_store_has_lost_can_still_end(store: Subject) {
    let elsewhere = Checkpoint { chunks_done: 3, chunks_total: 4, ..Checkpoint::queued(job("j"), "c".into(), at(0)) };
    let report = last_report(&elsewhere, &Outcome::Cancelled);
    assert!(done(store.finish(job("j"), Outcome::Cancelled, report, at(5)).await));
    let ended = checkpoint_of(&store, &job("j")).await;
    assert_eq!((ended.status, ended.chunks_done, ended.chunks_total), (JobStatus::Cancelled, 3, 4));
    assert_eq!((ended.created_at, ended.completed_at), (at(5), Some(at(5))));
    assert_eq!(done(store.pending(10).await).len(), 1);
    let opened = done(store.open(job("j"), "c".into(), at(6)).await);
    assert_eq!((opened.content.as_str(), opened.status), ("c", JobStatus::Cancelled), "its content is learned again");
    assert_eq!(done(store.open(job("j"), "d".into(), at(6)).await).content, "c");
}

pub(super) async fn what_stands_in_a_failure_is_kept_to_the_letter(store: Subject) {
    let failure = Failure::device("\"q\" 'a' \\ \n\t\u{0} \u{1F3AC} ünï %s $1 {}");
    end(&store, &job("j"), Outcome::Failed(failure.clone())).await;
    assert_eq!(checkpoint_of(&store, &job("j")).await.error.as_ref(), Some(&failure));
    assert_eq!(done(store.pending(1).await)[0].error.as_ref(), Some(&failure));
}

pub(super) async fn an_ended_job_expires_with_all_that_belongs_to_it_but_its_report(store: Subject) {
    done(store.open(job("j"), "c".into(), at(0)).await);
    for name in ["p", "q"] {
        done(store.record(job("j"), plan(name), part(UnitId::Chunk(0), "w"), at(1)).await);
    }
    for counted in [1, 2] {
        assert_eq!(done(store.count_attempt(job("j"), "j/split".into()).await), counted);
    }
    end(&store, &job("j"), Outcome::Cancelled).await;
    // What comes in after the end expires with the rest.
    done(store.record(job("j"), plan("r"), part(UnitId::Chunk(0), "w"), at(1)).await);
    done(store.return_attempt(job("j"), "j/split".into()).await);
    let gone = || async { done(store.read(job("j")).await).is_none().then_some(()) };
    eventually("the checkpoint expires", gone).await;
    for name in ["p", "q", "r"] {
        assert!(done(store.parts(job("j"), plan(name)).await).is_empty(), "parts of {name}");
    }
    assert_eq!(done(store.count_attempt(job("j"), "j/split".into()).await), 1, "attempts are counted anew");
    assert_eq!(done(store.pending(10).await).len(), 1, "the last report waits for its delivery");
    assert_eq!(done(store.open(job("j"), "d".into(), at(9)).await).content, "d");
}

pub(super) async fn a_job_that_has_not_ended_does_not_expire(store: Subject) {
    done(store.record(job("j"), plan("p"), part(UnitId::Chunk(0), "w"), at(0)).await);
    done(store.open(job("j"), "c".into(), at(0)).await);
    done(store.count_attempt(job("j"), "j/split".into()).await);
    // A job that ends later has expired before: then the other had all the time to do so.
    end(&store, &job("ended"), Outcome::Cancelled).await;
    eventually("the ended job expires", || async { done(store.read(job("ended")).await).is_none().then_some(()) })
        .await;
    assert_eq!(checkpoint_of(&store, &job("j")).await.content, "c");
    assert_eq!(
        done(store.parts(job("j"), plan("p")).await).len(),
        1,
        "parts that were there before the job was opened"
    );
    assert_eq!(done(store.count_attempt(job("j"), "j/split".into()).await), 2);
}
