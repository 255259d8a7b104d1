//! Jobs that failed and are opened again.

use futures_util::future::join_all;

use super::{Subject, at, checkpoint_of, done, end, eventually, job, last_report, part, plan};
use crate::domain::checkpoint::{Advance, Checkpoint, JobStatus, Outcome};
use crate::domain::failure::Failure;
use crate::domain::unit::UnitId;
use crate::ports::Reopened;

const CONTENT: &str = "content";

fn failed() -> Outcome {
    Outcome::Failed(Failure::permanent("no video track"))
}

async fn reopen(store: &Subject, name: &str) -> Reopened {
    done(store.reopen(job(name), CONTENT.into(), at(200)).await)
}

/// A job with a plan, a part and attempts that has failed; its checkpoint.
async fn fail(store: &Subject, name: &str) -> Checkpoint {
    done(store.open(job(name), CONTENT.into(), at(0)).await);
    let step = Advance { plan: Some((plan("p"), 2)), status: Some(JobStatus::Encoding), ..Advance::default() };
    done(store.advance(job(name), step, at(1)).await);
    done(store.record(job(name), plan("p"), part(UnitId::Chunk(0), "w"), at(1)).await);
    done(store.count_attempt(job(name), "t".into()).await);
    assert!(end(store, &job(name), failed()).await);
    checkpoint_of(store, &job(name)).await
}

pub(super) async fn a_failed_job_that_is_opened_again_begins_anew(store: Subject) {
    let before = fail(&store, "j").await;
    assert_eq!(reopen(&store, "j").await, Reopened::Anew(Some(before.clone())));
    let anew = checkpoint_of(&store, &job("j")).await;
    assert!(anew.generation > before.sequence, "{anew:?} after {before:?}");
    let expected = Checkpoint {
        generation: anew.generation,
        sequence: anew.generation,
        ..Checkpoint::queued(job("j"), CONTENT.into(), at(200))
    };
    assert_eq!(anew, expected);
    assert!(done(store.parts(job("j"), plan("p")).await).is_empty());
    assert_eq!(done(store.count_attempt(job("j"), "t".into()).await), 1, "attempts are counted anew");
    assert_eq!(reopen(&store, "j").await, Reopened::Kept(anew.clone()), "a second time it waits already");
    assert_eq!(done(store.open(job("j"), CONTENT.into(), at(300)).await), anew);
    let report = Advance { report: true, generation: Some(anew.generation), ..Advance::default() };
    let advanced = done(store.advance(job("j"), report, at(301)).await).expect("a known job");
    assert!(advanced.sequence.is_some_and(|number| number > anew.generation), "{advanced:?}");
}

pub(super) async fn a_job_that_has_not_failed_is_not_opened_again(store: Subject) {
    done(store.open(job("queued"), CONTENT.into(), at(0)).await);
    done(store.open(job("runs"), CONTENT.into(), at(0)).await);
    let step = Advance { status: Some(JobStatus::Splitting), ..Advance::default() };
    done(store.advance(job("runs"), step, at(1)).await);
    end(&store, &job("completed"), Outcome::Completed(Vec::new())).await;
    end(&store, &job("cancelled"), Outcome::Cancelled).await;
    for name in ["queued", "runs", "completed", "cancelled"] {
        let before = checkpoint_of(&store, &job(name)).await;
        assert_eq!(reopen(&store, name).await, Reopened::Kept(before.clone()));
        assert_eq!(checkpoint_of(&store, &job(name)).await, before);
    }
    let other = fail(&store, "other").await;
    let answer = done(store.reopen(job("other"), "something else".into(), at(200)).await);
    assert_eq!(answer, Reopened::Kept(other), "another job of the same id is not touched");
    assert_eq!(done(store.parts(job("other"), plan("p")).await).len(), 1);
}

pub(super) async fn a_job_that_nobody_knows_begins_anew_with_what_it_left_forgotten(store: Subject) {
    done(store.count_attempt(job("j"), "t".into()).await);
    done(store.record(job("j"), plan("p"), part(UnitId::Chunk(0), "w"), at(1)).await);
    assert_eq!(reopen(&store, "j").await, Reopened::Anew(None));
    assert_eq!(done(store.count_attempt(job("j"), "t".into()).await), 1);
    assert!(done(store.parts(job("j"), plan("p")).await).is_empty());
    let anew = checkpoint_of(&store, &job("j")).await;
    assert!(anew.generation > 0 && anew.status == JobStatus::Queued, "{anew:?}");
    // One that the store had lost when it failed, so that its content is not known.
    let lost = Checkpoint::queued(job("lost"), CONTENT.into(), at(0));
    assert!(done(store.finish(job("lost"), failed(), last_report(&lost, &failed()), at(1)).await));
    assert!(matches!(reopen(&store, "lost").await, Reopened::Anew(Some(_))));
    assert_eq!(checkpoint_of(&store, &job("lost")).await.content, CONTENT);
}

pub(super) async fn of_many_that_open_a_job_again_one_does(store: Subject) {
    fail(&store, "j").await;
    let answers = join_all((0..20).map(|_| store.reopen(job("j"), CONTENT.into(), at(200)))).await;
    let anew = answers.into_iter().filter(|answer| matches!(answer, Ok(Reopened::Anew(Some(_))))).count();
    assert_eq!(anew, 1);
}

pub(super) async fn a_step_of_an_earlier_generation_changes_nothing(store: Subject) {
    fail(&store, "j").await;
    reopen(&store, "j").await;
    let anew = checkpoint_of(&store, &job("j")).await;
    let (status, progress) = (Some(JobStatus::Encoding), Some(50.0));
    let late = Advance { status, progress, report: true, generation: Some(0), ..Advance::default() };
    let advanced = done(store.advance(job("j"), late.clone(), at(300)).await).expect("a known job");
    assert_eq!((advanced.checkpoint, advanced.sequence), (anew.clone(), None));
    let step = Advance { generation: Some(anew.generation), report: false, ..late };
    let advanced = done(store.advance(job("j"), step, at(301)).await).expect("a known job");
    assert_eq!((advanced.checkpoint.status, advanced.checkpoint.progress), (JobStatus::Encoding, 50.0));
}

pub(super) async fn a_store_that_was_emptied_learns_the_generation_from_a_step(store: Subject) {
    done(store.open(job("j"), CONTENT.into(), at(0)).await);
    let early = Advance { generation: Some(77), ..Advance::default() };
    let advanced = done(store.advance(job("j"), early, at(0)).await).expect("a known job");
    assert_eq!(advanced.checkpoint.generation, 0, "without a plan it would look like one that was opened again");
    let with_plan = Advance { plan: Some((plan("p"), 2)), ..Advance::default() };
    done(store.advance(job("j"), with_plan, at(0)).await);
    let step = |generation| Advance { progress: Some(10.0), generation: Some(generation), ..Advance::default() };
    let advanced = done(store.advance(job("j"), step(77), at(1)).await).expect("a known job");
    assert_eq!((advanced.checkpoint.generation, advanced.checkpoint.progress), (77, 10.0));
    assert_eq!(checkpoint_of(&store, &job("j")).await.generation, 77);
    done(store.advance(job("j"), step(76), at(2)).await);
    assert_eq!(checkpoint_of(&store, &job("j")).await, advanced.checkpoint);
}

pub(super) async fn the_report_of_the_earlier_generation_waits_until_the_next_end(store: Subject) {
    let before = fail(&store, "j").await;
    reopen(&store, "j").await;
    let [waiting] = done(store.pending(10).await).try_into().expect("one report");
    assert_eq!((waiting.status, waiting.sequence), (JobStatus::Failed, before.sequence));
    assert!(end(&store, &job("j"), Outcome::Completed(Vec::new())).await);
    // The service confirms the old report only now.
    done(store.delivered(job("j"), waiting.sequence).await);
    let [last] = done(store.pending(10).await).try_into().expect("one report");
    assert_eq!(last.status, JobStatus::Completed);
    assert!(last.sequence > waiting.sequence);
    done(store.delivered(job("j"), last.sequence).await);
    assert!(done(store.pending(10).await).is_empty());
}

pub(super) async fn a_job_that_is_opened_again_expires_unless_somebody_takes_it_up(store: Subject) {
    for name in ["left", "taken"] {
        fail(&store, name).await;
        reopen(&store, name).await;
        done(store.count_attempt(job(name), "t".into()).await);
    }
    done(store.open(job("taken"), CONTENT.into(), at(300)).await);
    eventually("the job that is left expires", || async {
        done(store.read(job("left")).await).is_none().then_some(())
    })
    .await;
    assert!(checkpoint_of(&store, &job("taken")).await.generation > 0);
    assert_eq!(done(store.count_attempt(job("taken"), "t".into()).await), 2);
}
