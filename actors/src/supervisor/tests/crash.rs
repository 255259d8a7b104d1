//! Workers that die without a word.

use std::time::Duration;

use crate::domain::checkpoint::JobStatus;
use crate::domain::plan::testing::job;
use crate::testing::fleet::Fleet;
use crate::testing::invariants::{check, check_chains};
use crate::testing::stages::Film;

#[actix::test]
async fn whenever_a_worker_dies_the_next_one_does_only_its_running_work_again() {
    // With a slow broker, so that workers also die between a part and its successors.
    for after in (0..40_000).step_by(900) {
        tokio::time::pause();
        let fleet = Fleet::default();
        fleet.log.set_latency(Duration::from_secs(2));
        let first = fleet.worker("a");
        let job = job("movie");
        let job_id = fleet.submit(&job);
        tokio::time::sleep(Duration::from_millis(after)).await;
        fleet.crash("a", &first);
        first.ended().await;
        let running = fleet.stages.runs().iter().filter(|run| !run.done).count();
        let begun = fleet.stages.runs().len();
        let _second = fleet.worker("b");
        let last = fleet.last_report(&job_id).await;
        assert_eq!(last.status, JobStatus::Completed, "after {after} ms");
        fleet.quiet().await;
        let again = fleet.stages.runs().len() - 7;
        assert!(again <= running.max(1), "{again} runs too many, {running} of {begun} ran at {after} ms");
        check(&fleet);
        check_chains(&fleet, &job, Film::default());
        tokio::time::resume();
    }
}

#[actix::test]
async fn a_fleet_whose_workers_die_all_the_time_still_ends_its_job() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let film = Film { chunks: 30, parallelism: 8, audio: true };
    fleet.stages.film("movie", film);
    let mut workers = vec![("w0".to_owned(), fleet.worker("w0")), ("w1".to_owned(), fleet.worker("w1"))];
    let job = job("movie");
    let job_id = fleet.submit(&job);
    for life in 2..10 {
        tokio::time::sleep(Duration::from_millis(9300)).await;
        let (name, dead) = workers.remove(0);
        fleet.crash(&name, &dead);
        let name = format!("w{life}");
        let next = fleet.worker(&name);
        workers.push((name, next));
    }
    assert_eq!(fleet.last_report(&job_id).await.status, JobStatus::Completed);
    fleet.quiet().await;
    check(&fleet);
    check_chains(&fleet, &job, film);
}
