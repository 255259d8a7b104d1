//! Jobs that go well, whatever the broker does with their messages.

use std::time::Duration;

use crate::domain::checkpoint::JobStatus;
use crate::domain::plan::testing::job;
use crate::domain::record::Queue;
use crate::testing::fleet::{Fleet, until};
use crate::testing::invariants::{check, check_chains};
use crate::testing::stages::Film;

/// Everything that one job of the default film begins.
const KEYS: [&str; 7] = ["split", "audio", "v00000", "v00001", "v00002", "v00003", "assemble"];

#[actix::test]
async fn a_job_goes_from_its_message_to_completed_and_does_each_piece_of_work_once() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let worker = fleet.worker("a");
    let job = job("movie");
    let job_id = fleet.submit(&job);
    let last = fleet.last_report(&job_id).await;
    fleet.quiet().await;
    assert_eq!((last.status, last.progress, last.chunks_done, last.chunks_total), (JobStatus::Completed, 100.0, 4, 4));
    assert_eq!(last.outputs.map(|outputs| outputs.len()), Some(1));
    for key in KEYS {
        assert_eq!(fleet.stages.begun(&format!("movie/{key}")), 1, "{key}");
    }
    assert!(fleet.stages.is_empty_of(&job_id));
    assert!(fleet.log.records(Queue::DeadLetter).is_empty());
    check(&fleet);
    check_chains(&fleet, &job, Film::default());
    worker.drain();
    assert!(worker.ended().await.exit_code() == 0);
}

#[actix::test]
async fn progress_is_reported_every_second_through_all_stages() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let _worker = fleet.worker("a");
    let job_id = fleet.submit(&job("movie"));
    fleet.last_report(&job_id).await;
    let reports = fleet.service.taken_of(&job_id);
    let statuses: Vec<_> = reports.iter().map(|report| report.status).collect();
    for status in [JobStatus::Splitting, JobStatus::Encoding, JobStatus::Assembling, JobStatus::Completed] {
        assert!(statuses.contains(&status), "no report while {status:?}");
    }
    let half = reports.iter().filter(|report| (5.0..95.0).contains(&report.progress)).count();
    assert!(half >= 8, "only {half} reports while the chunks were encoded: {reports:#?}");
    check(&fleet);
}

#[actix::test]
async fn a_job_that_comes_twice_is_one_job() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let _worker = fleet.worker("a");
    let job_id = fleet.submit(&job("movie"));
    fleet.submit(&job("movie"));
    fleet.last_report(&job_id).await;
    fleet.submit(&job("movie"));
    fleet.quiet().await;
    assert!(fleet.stages.runs().iter().all(|run| fleet.stages.begun(&run.key) == 1));
    assert!(fleet.log.records(Queue::DeadLetter).is_empty());
    check(&fleet);
}

#[actix::test]
async fn everything_delivered_again_at_any_moment_does_no_work_twice() {
    for after in [1, 6, 8, 11, 13, 18, 21, 40] {
        tokio::time::pause();
        let fleet = Fleet::default();
        let worker = fleet.worker("a");
        let job = job("movie");
        let job_id = fleet.submit(&job);
        tokio::time::sleep(Duration::from_secs(after)).await;
        fleet.log.rewind();
        assert_eq!(fleet.last_report(&job_id).await.status, JobStatus::Completed);
        fleet.quiet().await;
        for run in fleet.stages.runs() {
            assert_eq!(fleet.stages.begun(&run.key), 1, "{} after {after} s", run.key);
        }
        check(&fleet);
        check_chains(&fleet, &job, Film::default());
        worker.stop();
        tokio::time::resume();
    }
}

#[actix::test]
async fn two_workers_share_a_job() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let film = Film { chunks: 12, parallelism: 6, audio: true };
    fleet.stages.film("movie", film);
    let _workers = [fleet.worker("a"), fleet.worker("b")];
    let job = job("movie");
    let job_id = fleet.submit(&job);
    fleet.last_report(&job_id).await;
    fleet.quiet().await;
    let runs = fleet.stages.runs();
    assert_eq!(runs.len(), 1 + 1 + 12 + 1);
    for name in ["a", "b"] {
        assert!(runs.iter().filter(|run| run.worker == name).count() >= 4, "{name} did too little: {runs:?}");
    }
    check(&fleet);
    check_chains(&fleet, &job, film);
}

#[actix::test]
async fn rebalances_in_the_middle_cost_no_work_and_lose_nothing() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let film = Film { chunks: 12, parallelism: 6, audio: true };
    fleet.stages.film("movie", film);
    let _workers = [fleet.worker("a"), fleet.worker("b"), fleet.worker("c")];
    let job = job("movie");
    let job_id = fleet.submit(&job);
    for _ in 0..12 {
        tokio::time::sleep(Duration::from_millis(1700)).await;
        fleet.log.shuffle();
    }
    assert_eq!(fleet.last_report(&job_id).await.status, JobStatus::Completed);
    fleet.quiet().await;
    assert_eq!(fleet.stages.runs().len(), 15);
    check(&fleet);
    check_chains(&fleet, &job, film);
}

#[actix::test]
async fn many_jobs_share_the_pool_and_all_end() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let worker = fleet.worker("a");
    let jobs: Vec<_> = (0..10).map(|index| fleet.submit(&job(&format!("movie-{index}")))).collect();
    until("a busy pool", || worker.status().borrow().busy >= 2).await;
    for job_id in &jobs {
        assert_eq!(fleet.last_report(job_id).await.status, JobStatus::Completed);
    }
    fleet.quiet().await;
    assert_eq!(fleet.stages.runs().len(), 70);
    check(&fleet);
}

#[actix::test]
async fn an_input_that_was_replaced_is_split_again_and_the_old_tasks_do_no_work() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let _worker = fleet.worker("a");
    let job_id = fleet.submit(&job("movie"));
    until("the first chunk", || fleet.stages.begun("movie/v00000") == 1).await;
    let mut replaced = crate::domain::plan::testing::identity();
    replaced.bytes = 2;
    fleet.stages.replace_input(replaced);
    fleet.submit(&job("movie"));
    assert_eq!(fleet.last_report(&job_id).await.status, JobStatus::Completed);
    fleet.quiet().await;
    assert_eq!(fleet.stages.begun("movie/split"), 2);
    assert_eq!(fleet.stages.begun("movie/assemble"), 1);
    check(&fleet);
}

#[actix::test]
async fn an_assembly_that_comes_again_removes_what_is_left_of_its_job() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let _worker = fleet.worker("a");
    let job_id = fleet.submit(&job("movie"));
    fleet.last_report(&job_id).await;
    fleet.quiet().await;
    let before = fleet.stages.removed().len();
    let assembly = fleet.log.records(Queue::Cpu).into_iter().find(|record| record.key == b"movie/assemble");
    fleet.log.put(assembly.expect("an assembly"));
    fleet.quiet().await;
    assert_eq!(fleet.stages.removed().len(), before + 1);
    assert_eq!(fleet.stages.begun("movie/assemble"), 1);
}
