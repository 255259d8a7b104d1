//! Chunk sources that are lost while their job runs.

use std::time::Duration;

use crate::domain::checkpoint::JobStatus;
use crate::domain::plan::SourceIdentity;
use crate::domain::plan::testing::{identity, job};
use crate::domain::progress::Report;
use crate::domain::record::Queue;
use crate::domain::task::Stage;
use crate::testing::chronicle::Event;
use crate::testing::fleet::{Fleet, until};
use crate::testing::invariants::{check, check_chains};
use crate::testing::stages::{Act, Film};

async fn run_to_end(fleet: &Fleet) -> Report {
    let job_id = fleet.submit(&job("movie"));
    let last = fleet.last_report(&job_id).await;
    fleet.quiet().await;
    check(fleet);
    last
}

fn begun(fleet: &Fleet, key: &str) -> usize {
    fleet.stages.begun(&format!("movie/{key}"))
}

/// How often a plan was put in force.
fn plans(fleet: &Fleet) -> usize {
    fleet.chronicle.read(|events| events.iter().filter(|event| matches!(event, Event::InForce(..))).count())
}

/// No part of the default film was made twice.
fn assert_no_part_twice(fleet: &Fleet) {
    for key in ["v00000", "v00001", "v00002", "v00003", "audio", "assemble"] {
        assert_eq!(fleet.stages.done(&format!("movie/{key}")), 1, "{key}");
    }
}

#[actix::test]
async fn a_source_that_is_lost_is_cut_again_and_no_part_is_made_twice() {
    for key in ["v00000", "v00003", "audio"] {
        tokio::time::pause();
        let fleet = Fleet::default();
        fleet.stages.script(&format!("movie/{key}"), [Act::LoseSource]);
        let _worker = fleet.worker("a");
        let last = run_to_end(&fleet).await;
        assert_eq!((last.status, last.error), (JobStatus::Completed, None), "{key}");
        assert_eq!((begun(&fleet, "split"), begun(&fleet, key)), (2, 2), "{key}");
        assert_no_part_twice(&fleet);
        assert!(fleet.log.records(Queue::DeadLetter).is_empty());
        check_chains(&fleet, &job("movie"), Film::default());
        tokio::time::resume();
    }
}

#[actix::test]
async fn sources_that_are_lost_together_are_cut_again_once() {
    tokio::time::pause();
    let fleet = Fleet::default();
    fleet.stages.film("movie", Film { chunks: 4, parallelism: 4, audio: false });
    for key in ["v00000", "v00001", "v00002", "v00003"] {
        fleet.stages.script(&format!("movie/{key}"), [Act::LoseSource]);
    }
    let _workers = (fleet.worker("a"), fleet.worker("b"));
    assert_eq!(run_to_end(&fleet).await.status, JobStatus::Completed);
    assert_eq!(begun(&fleet, "split"), 2);
}

#[actix::test]
async fn a_source_that_is_lost_again_is_cut_again_and_one_that_is_lost_every_time_fails_the_job() {
    for (losses, status, splits) in [(2, JobStatus::Completed, 3), (9, JobStatus::Failed, 3)] {
        tokio::time::pause();
        let fleet = Fleet::default();
        fleet.stages.script("movie/v00001", vec![Act::LoseSource; losses]);
        let _worker = fleet.worker("a");
        let last = run_to_end(&fleet).await;
        assert_eq!(last.status, status);
        assert_eq!((begun(&fleet, "split"), begun(&fleet, "v00001")), (splits, 3));
        let letters = fleet.log.records(Queue::DeadLetter).len();
        assert_eq!(letters, usize::from(status == JobStatus::Failed));
        let told = last.error.map(|error| error.message).unwrap_or_default();
        assert!(told.is_empty() || told.contains("is gone; see whether the disks"), "{told}");
        tokio::time::resume();
    }
}

#[actix::test]
async fn a_worker_that_dies_while_it_cuts_again_begins_it_once_more_when_it_is_back() {
    tokio::time::pause();
    let fleet = Fleet::default();
    fleet.stages.script("movie/v00001", [Act::LoseSource, Act::LoseSource]);
    let worker = fleet.worker("a");
    let job_id = fleet.submit(&job("movie"));
    until("the second split", || begun(&fleet, "split") == 2).await;
    fleet.crash("a", &worker);
    worker.ended().await;
    // Of the same name, as a container that was started again: the lease of the split is its own.
    let _worker = fleet.worker("a");
    assert_eq!(fleet.last_report(&job_id).await.status, JobStatus::Completed);
    fleet.quiet().await;
    assert_eq!((begun(&fleet, "split"), begun(&fleet, "v00001")), (3, 3));
    check(&fleet);
    check_chains(&fleet, &job("movie"), Film::default());
}

#[actix::test]
async fn a_job_that_is_cancelled_while_its_input_is_cut_again_leaves_nothing() {
    tokio::time::pause();
    let fleet = Fleet::default();
    fleet.stages.script("movie/v00001", [Act::LoseSource]);
    let _worker = fleet.worker("a");
    let job_id = fleet.submit(&job("movie"));
    until("the first split", || begun(&fleet, "v00001") == 1).await;
    fleet.stages.pace(Stage::Split, Duration::from_secs(600));
    until("the second split", || begun(&fleet, "split") == 2).await;
    fleet.log.cancel(&job_id);
    assert_eq!(fleet.last_report(&job_id).await.status, JobStatus::Cancelled);
    fleet.quiet().await;
    assert!(fleet.stages.is_empty_of(&job_id));
}

#[actix::test]
async fn an_input_that_was_replaced_meanwhile_gives_a_new_plan_with_which_the_job_goes_on() {
    tokio::time::pause();
    let fleet = Fleet::default();
    fleet.stages.script("movie/v00001", [Act::LoseSource]);
    let _worker = fleet.worker("a");
    let job_id = fleet.submit(&job("movie"));
    until("the chunk", || begun(&fleet, "v00001") == 1).await;
    fleet.stages.replace_input(SourceIdentity { bytes: 2, ..identity() });
    assert_eq!(fleet.last_report(&job_id).await.status, JobStatus::Completed);
    fleet.quiet().await;
    assert_eq!((begun(&fleet, "split"), plans(&fleet)), (2, 2));
    check(&fleet);
}

#[actix::test]
async fn a_worker_that_dies_before_the_first_tasks_of_a_new_plan_are_published_costs_no_job() {
    for (key, act) in [("v00001", Act::LoseSource), ("assemble", Act::Differ)] {
        tokio::time::pause();
        let fleet = Fleet::default();
        // One task at a time, so that no other one has anything to publish.
        fleet.stages.film("movie", Film { chunks: 2, parallelism: 1, audio: false });
        fleet.stages.script(&format!("movie/{key}"), [act]);
        let worker = fleet.worker("a");
        let job_id = fleet.submit(&job("movie"));
        until("the task", || begun(&fleet, key) == 1).await;
        fleet.stages.replace_input(SourceIdentity { bytes: 2, ..identity() });
        until("the second split", || begun(&fleet, "split") == 2).await;
        fleet.log.set_away(true);
        until("the second plan", || plans(&fleet) == 2).await;
        fleet.crash("a", &worker);
        worker.ended().await;
        fleet.log.set_away(false);
        let _worker = fleet.worker("a");
        assert_eq!(fleet.last_report(&job_id).await.status, JobStatus::Completed, "{key}");
        fleet.quiet().await;
        check(&fleet);
        tokio::time::resume();
    }
}
