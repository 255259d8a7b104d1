//! Workers and stages are killed at random moments, again and again, while jobs come and end.
//! `KILLS=200 SEED=7 cargo test --test it chaos::kills -- --nocapture` kills more, from another seed.

use std::time::{Duration, Instant};

use actors::domain::checkpoint::JobStatus;

use super::films::Film;
use super::{LONG, VARIABLES};
use crate::support::fleet::Fleet;
use crate::support::process::wait_until_gone;
use crate::support::worker::Worker;

/// Kills where `KILLS` does not say how many.
const KILLS: usize = 30;
/// Jobs that run at once.
const JOBS: usize = 3;
/// The longest pause between two kills.
const PAUSE_MS: usize = 4000;
/// What kills a stage: the kernel for want of memory, or its own native code.
const STAGE_SIGNALS: [i32; 3] = [libc::SIGKILL, libc::SIGSEGV, libc::SIGABRT];
/// Media that was encoded, and that of it which was encoded again; of each rendition.
const MEDIA: &str = "transcode_media_seconds_total";
const WASTED: &str = "transcode_wasted_media_seconds_total";

/// Numbers that follow from a seed (the constants are those of Knuth's MMIX generator).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

struct Chaos {
    fleet: Fleet,
    dice: Dice,
    jobs: Vec<(String, Film)>,
    /// Stages that were killed, or whose worker was.
    doomed: Vec<u32>,
    killed_workers: usize,
    killed_stages: usize,
    /// What the killed workers had counted.
    media: f64,
    wasted: f64,
}

impl Chaos {
    fn running(&self) -> usize {
        let received = self.fleet.service.received();
        let ended =
            |job: &str| received.iter().any(|one| one.report.status.is_terminal() && one.report.job_id.as_str() == job);
        self.jobs.iter().filter(|(job, _)| !ended(job)).count()
    }

    fn keep_jobs_coming(&mut self) {
        while self.running() < JOBS {
            let film = Film::ALL[self.jobs.len() % Film::ALL.len()];
            let job = format!("movie-{}", self.jobs.len());
            self.fleet.publish(&film.job(&job, self.fleet.bench.root()));
            self.jobs.push((job, film));
        }
    }

    fn kill_something(&mut self) {
        let stages: Vec<u32> = self.fleet.workers().iter().flat_map(Worker::stages).collect();
        if !stages.is_empty() && self.dice.roll(2) == 0 {
            let stage = stages[self.dice.roll(stages.len())];
            let signal = STAGE_SIGNALS[self.dice.roll(STAGE_SIGNALS.len())];
            // SAFETY: a signal to a process that was a stage of our worker a moment ago.
            unsafe { libc::kill(stage as i32, signal) };
            self.doomed.push(stage);
            self.killed_stages += 1;
        } else {
            self.kill_a_worker();
        }
    }

    fn kill_a_worker(&mut self) {
        let index = self.dice.roll(self.fleet.workers().len());
        let (media, wasted) = counted(&self.fleet, index);
        (self.media, self.wasted) = (self.media + media, self.wasted + wasted);
        self.doomed.extend(self.fleet.workers()[index].stages());
        let name = self.fleet.workers()[index].fleet_name();
        self.fleet.kill(&name);
        self.fleet.add_worker();
        self.killed_workers += 1;
    }

    fn kills(&self) -> usize {
        self.killed_workers + self.killed_stages
    }
}

/// Media that a worker encoded, and wasted; nothing where it has not begun to listen.
fn counted(fleet: &Fleet, index: usize) -> (f64, f64) {
    let worker = &fleet.workers()[index];
    if worker.get("/healthz").is_none() { (0.0, 0.0) } else { (worker.metric(MEDIA), worker.metric(WASTED)) }
}

fn number(variable: &str, usual: usize) -> usize {
    let given = std::env::var(variable).ok();
    given.map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")))
}

#[actix_rt::test]
async fn whatever_is_killed_whenever_every_job_completes_with_the_same_bytes() {
    let (kills, seed) = (number("KILLS", KILLS), number("SEED", 1));
    eprintln!("{kills} kills from seed {seed}");
    // Every kill costs an attempt of a task.
    let variables = [&VARIABLES[..], &[("MAX_ATTEMPTS", "100")]].concat();
    let mut chaos = Chaos {
        fleet: Fleet::start(3, &variables).await,
        dice: Dice(seed as u64),
        jobs: Vec::new(),
        doomed: Vec::new(),
        killed_workers: 0,
        killed_stages: 0,
        media: 0.0,
        wasted: 0.0,
    };
    let begun = Instant::now();
    while chaos.kills() < kills {
        chaos.keep_jobs_coming();
        // A moment that nothing in the worker can foresee.
        tokio::time::sleep(Duration::from_millis(chaos.dice.roll(PAUSE_MS) as u64)).await;
        chaos.kill_something();
    }
    let jobs: Vec<&str> = chaos.jobs.iter().map(|(job, _)| job.as_str()).collect();
    for last in chaos.fleet.ends_within(LONG, &jobs).await {
        assert_eq!(last.status, JobStatus::Completed, "{last:#?}");
    }
    for (job, film) in &chaos.jobs {
        film.assert_same(&chaos.fleet, job);
    }
    chaos.fleet.service.assert_in_order();
    chaos.fleet.wait_for_no_lag();
    chaos.fleet.wait_for_no_work_files();
    assert!(chaos.fleet.dead_letters().is_empty(), "{:?}", chaos.fleet.dead_letters());
    for stage in &chaos.doomed {
        wait_until_gone(*stage).await;
    }
    for index in 0..chaos.fleet.workers().len() {
        let (media, wasted) = counted(&chaos.fleet, index);
        (chaos.media, chaos.wasted) = (chaos.media + media, chaos.wasted + wasted);
    }
    eprintln!(
        "{} jobs in {:.0} s; killed {} workers and {} stages; {:.0} s of media encoded, {:.0} s of it again: {:.2} s a kill",
        chaos.jobs.len(),
        begun.elapsed().as_secs_f64(),
        chaos.killed_workers,
        chaos.killed_stages,
        chaos.media + chaos.wasted,
        chaos.wasted,
        chaos.wasted / chaos.kills() as f64
    );
    let codes = chaos.fleet.stop_all();
    assert_eq!(codes, vec![Some(0); codes.len()]);
}
