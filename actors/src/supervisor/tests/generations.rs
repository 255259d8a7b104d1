//! Jobs that failed and are sent back.

use std::time::Duration;

use crate::domain::checkpoint::{JobStatus, Outcome};
use crate::domain::dead_letter::{DeadLetter, LetterId, LetterRecord};
use crate::domain::failure::Failure;
use crate::domain::job::{JobId, JobSpec};
use crate::domain::plan::testing::job;
use crate::domain::progress::Report;
use crate::domain::record::Queue;
use crate::domain::task::Stage;
use crate::ports::{Clock as _, JobStore as _, Outbox as _, Reopened};
use crate::testing::fleet::{Fleet, until};
use crate::testing::stages::Act;

fn broken() -> Act {
    Act::Fail(Failure::permanent("the input is broken"))
}

/// The jobs of the dead letters.
fn letters(fleet: &Fleet) -> Vec<JobSpec> {
    let read = |letter: crate::domain::record::Publication| {
        let id = LetterId { partition: 0, offset: 0 };
        let (key, value, headers) = (letter.key, letter.value, letter.headers);
        DeadLetter::read(&LetterRecord { id, at: None, key, value, headers }).job.expect("a job")
    };
    fleet.log.records(Queue::DeadLetter).into_iter().map(read).collect()
}

/// Does what `requeue` does.
async fn send_back(fleet: &Fleet, job: &JobSpec) -> Reopened {
    let answer = fleet.store.reopen(job.job_id.clone(), job.content_digest(), fleet.clock.now()).await;
    fleet.submit(job);
    answer.expect("the store answers")
}

async fn ends_as(fleet: &Fleet, job_id: &JobId, status: JobStatus) -> Report {
    let found = || fleet.service.taken_of(job_id).into_iter().find(|report| report.status == status);
    until(&format!("{job_id} to be {status:?}"), || found().is_some()).await;
    found().expect("just seen")
}

/// The reports of the generation that began after `number`, in the order of their numbers.
fn reports_after(fleet: &Fleet, job_id: &JobId, number: u64) -> Vec<Report> {
    let mut reports: Vec<_> =
        fleet.service.taken_of(job_id).into_iter().filter(|report| report.sequence > number).collect();
    reports.sort_by_key(|report| report.sequence);
    reports
}

fn assert_whole_generation(reports: &[Report]) {
    assert!(reports[0].progress < 5.0, "it begins anew: {:?}", reports[0]);
    for status in [JobStatus::Splitting, JobStatus::Encoding, JobStatus::Assembling, JobStatus::Completed] {
        assert!(reports.iter().any(|report| report.status == status), "no report while {status:?}: {reports:#?}");
    }
    for pair in reports.windows(2) {
        assert!(pair[0].progress <= pair[1].progress && pair[0].status.rank() <= pair[1].status.rank(), "{pair:#?}");
    }
}

#[actix::test]
async fn a_job_that_is_sent_back_completes_and_the_workers_that_saw_it_fail_report_its_progress() {
    for key in ["split", "v00003", "audio", "assemble"] {
        tokio::time::pause();
        let fleet = Fleet::default();
        fleet.stages.script(&format!("movie/{key}"), [broken()]);
        let _workers = [fleet.worker("a"), fleet.worker("b")];
        let job_id = fleet.submit(&job("movie"));
        let failed = ends_as(&fleet, &job_id, JobStatus::Failed).await;
        fleet.quiet().await;
        let [letter] = letters(&fleet).try_into().expect("one dead letter");
        assert_eq!(letter, job("movie"), "{key}");
        assert!(matches!(send_back(&fleet, &letter).await, Reopened::Anew(Some(_))));
        ends_as(&fleet, &job_id, JobStatus::Completed).await;
        fleet.quiet().await;
        assert_whole_generation(&reports_after(&fleet, &job_id, failed.sequence));
        assert!(fleet.stages.is_empty_of(&job_id));
        assert_eq!(fleet.log.records(Queue::DeadLetter).len(), 1, "{key}");
        tokio::time::resume();
    }
}

#[actix::test]
async fn a_job_that_is_sent_back_twice_does_its_work_once() {
    tokio::time::pause();
    let fleet = Fleet::default();
    fleet.stages.script("movie/v00000", [broken()]);
    let _worker = fleet.worker("a");
    let job_id = fleet.submit(&job("movie"));
    ends_as(&fleet, &job_id, JobStatus::Failed).await;
    fleet.quiet().await;
    assert!(matches!(send_back(&fleet, &job("movie")).await, Reopened::Anew(_)));
    assert!(matches!(send_back(&fleet, &job("movie")).await, Reopened::Kept(_)));
    ends_as(&fleet, &job_id, JobStatus::Completed).await;
    assert!(matches!(send_back(&fleet, &job("movie")).await, Reopened::Kept(_)));
    fleet.quiet().await;
    assert_eq!(fleet.stages.begun("movie/v00003"), 1);
    assert_eq!(fleet.stages.begun("movie/split"), 2, "once in each generation");
}

#[actix::test]
async fn a_report_of_the_failure_that_comes_late_is_older_than_everything_of_the_new_generation() {
    tokio::time::pause();
    let fleet = Fleet::default();
    fleet.stages.script("movie/v00000", [broken()]);
    let _worker = fleet.worker("a");
    let job_id = fleet.submit(&job("movie"));
    until("the chunks", || fleet.stages.begun("movie/v00000") == 1).await;
    fleet.service.set_away(true);
    until("the failure", || !fleet.log.records(Queue::DeadLetter).is_empty()).await;
    fleet.quiet().await;
    send_back(&fleet, &job("movie")).await;
    until("the chunks of the new generation", || fleet.stages.begun("movie/v00000") == 2).await;
    fleet.service.set_away(false);
    ends_as(&fleet, &job_id, JobStatus::Completed).await;
    let failed = ends_as(&fleet, &job_id, JobStatus::Failed).await;
    let generation = reports_after(&fleet, &job_id, failed.sequence);
    assert!(generation.iter().any(|report| report.status == JobStatus::Encoding), "{generation:#?}");
    assert_eq!(generation.last().map(|report| report.status), Some(JobStatus::Completed));
    fleet.quiet().await;
    // The confirmation of the last report follows its delivery.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(fleet.store.pending(9).await.expect("the store answers"), []);
}

#[actix::test]
async fn tasks_of_the_earlier_generation_do_not_bring_its_plan_back() {
    tokio::time::pause();
    let fleet = Fleet::default();
    fleet.stages.script("movie/v00001", [Act::Take(Duration::from_secs(60))]);
    let worker = fleet.worker("a");
    let job_id = fleet.submit(&job("movie"));
    until("the chunks", || fleet.stages.begun("movie/v00001") == 1).await;
    // The job fails elsewhere, and whoever ended it died before the work was removed; tasks of it still wait.
    fleet.crash("a", &worker);
    worker.ended().await;
    let checkpoint = fleet.store.read(job_id.clone()).await.expect("the store answers").expect("a checkpoint");
    let outcome = Outcome::Failed(Failure::permanent("the input is broken"));
    let report = Report::of(&checkpoint, 0, None, "b", fleet.clock.now()).ended(&outcome);
    assert_eq!(fleet.store.finish(job_id.clone(), outcome, report, fleet.clock.now()).await, Ok(true));
    let content = job("movie").content_digest();
    let answer = fleet.store.reopen(job_id.clone(), content, fleet.clock.now()).await.expect("the store answers");
    assert!(matches!(answer, Reopened::Anew(Some(_))));
    let _worker = fleet.worker("b");
    fleet.quiet().await;
    let checkpoint = fleet.store.read(job_id.clone()).await.expect("the store answers").expect("a checkpoint");
    assert!(checkpoint.awaits_split(), "{checkpoint:?}");
    fleet.submit(&job("movie"));
    ends_as(&fleet, &job_id, JobStatus::Completed).await;
    assert_eq!(fleet.stages.begun("movie/split"), 2);
}

#[actix::test]
async fn whoever_ended_a_job_does_not_remove_the_work_of_its_next_generation() {
    tokio::time::pause();
    let fleet = Fleet::default();
    fleet.stages.script("movie/v00000", [broken()]);
    let _worker = fleet.worker("a");
    let job_id = fleet.submit(&job("movie"));
    until("the chunk", || fleet.stages.begun("movie/v00000") == 1).await;
    // Between the end of the job and the removal of its work lies one call of the store.
    let call = Duration::from_secs(5);
    fleet.store.delay(call);
    until("the dead letter", || !fleet.log.records(Queue::DeadLetter).is_empty()).await;
    let reopen = || fleet.store.reopen(job_id.clone(), job("movie").content_digest(), fleet.clock.now());
    let before = loop {
        if let Ok(Reopened::Anew(before)) = reopen().await {
            break before.expect("a checkpoint");
        }
    };
    tokio::time::sleep(4 * call).await;
    let fingerprint = before.fingerprint.expect("a plan");
    let plan = fleet.adapters("a").work.plan(job_id.clone(), fingerprint).await.expect("the storage answers");
    assert!(plan.is_some(), "the work was removed");
    fleet.store.delay(Duration::ZERO);
    fleet.submit(&job("movie"));
    ends_as(&fleet, &job_id, JobStatus::Completed).await;
    fleet.quiet().await;
    assert!(fleet.stages.is_empty_of(&job_id));
}

#[actix::test]
async fn a_late_failure_of_the_earlier_generation_does_not_end_the_new_one() {
    tokio::time::pause();
    let fleet = Fleet::default();
    fleet.stages.pace(Stage::Audio, Duration::from_secs(8));
    fleet.stages.script("movie/v00000", [broken()]);
    fleet.stages.script("movie/audio", [broken()]);
    let _worker = fleet.worker("a");
    let job_id = fleet.submit(&job("movie"));
    ends_as(&fleet, &job_id, JobStatus::Failed).await;
    assert_eq!(fleet.log.records(Queue::DeadLetter).len(), 1, "the audio has not failed yet");
    let content = job("movie").content_digest();
    let answer = fleet.store.reopen(job_id.clone(), content, fleet.clock.now()).await.expect("the store answers");
    assert!(matches!(answer, Reopened::Anew(Some(_))));
    until("the failure of the audio", || fleet.log.records(Queue::DeadLetter).len() == 2).await;
    fleet.quiet().await;
    let checkpoint = fleet.store.read(job_id.clone()).await.expect("the store answers").expect("a checkpoint");
    assert_eq!((checkpoint.status, checkpoint.progress), (JobStatus::Queued, 0.0));
    fleet.submit(&job("movie"));
    ends_as(&fleet, &job_id, JobStatus::Completed).await;
}
