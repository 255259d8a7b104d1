//! Several `transcode` in one work directory: none disturbs another one, whatever becomes of it.

use std::fs::File;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Instant;

use serde_json::Value;

use super::alone::{POLL, parts};
use super::films::Film;
use crate::support::media::text;
use crate::support::process::{Owned, children_of, wait_until_gone};
use crate::support::service::PATIENCE;
use crate::support::transcode::Bench;

/// Of the jobs that run beside each other.
const FILM: Film = Film::Small;

/// A command that runs, with what it says in files.
struct Running {
    job: &'static str,
    process: Owned,
}

impl Running {
    fn start(bench: &Bench, job: &'static str) -> Self {
        Self::start_with(bench, job, &FILM.job(job, bench.root()))
    }

    fn start_with(bench: &Bench, job: &'static str, json: &Value) -> Self {
        std::fs::write(bench.path(&format!("{job}.json")), json.to_string()).expect("the job is written");
        let said = |kind: &str| File::create(bench.path(&format!("{job}.{kind}"))).expect("a file");
        let mut command = bench.command(&args(text(&bench.path(&format!("{job}.json")))));
        let child = command.stdout(said("out")).stderr(said("err")).spawn().expect("the program starts");
        Self { job, process: Owned(child) }
    }

    fn said(&self, bench: &Bench, kind: &str) -> String {
        std::fs::read_to_string(bench.path(&format!("{}.{kind}", self.job))).expect("what it said")
    }

    fn has_done_chunks(&self, bench: &Bench) -> bool {
        let said = self.said(bench, "out");
        let mut events = said.lines().flat_map(serde_json::from_str::<Value>);
        events.any(|event| event["chunks_done"].as_u64() > Some(0))
    }

    fn end(&mut self) -> Option<ExitStatus> {
        self.process.0.try_wait().expect("its state")
    }

    async fn ends(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE * 2;
        loop {
            if let Some(status) = self.end() {
                return status;
            }
            assert!(Instant::now() < deadline, "job {} does not end", self.job);
            tokio::time::sleep(POLL).await;
        }
    }

    async fn completes(&mut self, bench: &Bench) {
        let status = self.ends().await;
        assert!(status.success(), "job {} ended with {status}: {}", self.job, self.said(bench, "err"));
    }
}

fn args(job: &str) -> [&str; 5] {
    ["--job", job, "--chunk-seconds", "2", "--json"]
}

fn parts_of(bench: &Bench, job: &str) -> usize {
    parts(&bench.path("work").join(job))
}

/// Waits until each of them has said that chunks are done; none may have ended by then.
async fn in_the_middle(bench: &Bench, running: &mut [&mut Running]) {
    let deadline = Instant::now() + PATIENCE;
    while !running.iter().all(|one| one.has_done_chunks(bench)) {
        for one in &mut *running {
            assert_eq!(one.end(), None, "job {} ended: {}", one.job, one.said(bench, "err"));
        }
        assert!(Instant::now() < deadline, "they do not get to their middle");
        tokio::time::sleep(POLL).await;
    }
    for one in running {
        assert_eq!(one.end(), None, "job {} ended before the other one was in its middle", one.job);
    }
}

/// The last event that a command said.
fn last_event(out: &str) -> Value {
    serde_json::from_str(out.lines().last().expect("an event")).expect("json")
}

fn names_in(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).expect("a directory").flatten();
    entries.map(|entry| entry.file_name().into_string().expect("a name")).collect()
}

#[tokio::test]
async fn jobs_run_beside_each_other_and_one_that_runs_is_not_begun_again() {
    let bench = Bench::new();
    let (mut one, mut two) = (Running::start(&bench, "one"), Running::start(&bench, "two"));
    in_the_middle(&bench, &mut [&mut one, &mut two]).await;
    let again = bench.run(&args(text(&bench.path("one.json"))));
    assert_eq!(one.end(), None, "it ended before it was begun again");
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    let message = last_event(&String::from_utf8_lossy(&again.stdout))["error"]["message"].to_string();
    assert!(message.contains("job one is being done by another process: wait for its end, or stop it"), "{message}");
    for running in [&mut one, &mut two] {
        running.completes(&bench).await;
        FILM.assert_same_in(bench.root(), running.job);
    }
    assert_eq!(names_in(&bench.path("work")), [".store"], "work is left");
    assert_eq!(names_in(&bench.path("work/.store/jobs")), [""; 0], "stores of jobs that ended are left");
    let again = bench.run(&args(text(&bench.path("one.json"))));
    let event = last_event(&String::from_utf8_lossy(&again.stdout));
    assert_eq!((again.status.code(), &event["event"]), (Some(0), &"already_done".into()));
}

#[tokio::test]
async fn a_job_that_is_killed_beside_another_one_goes_on_where_it_was() {
    let bench = Bench::new();
    let (mut one, mut two) = (Running::start(&bench, "one"), Running::start(&bench, "two"));
    in_the_middle(&bench, &mut [&mut one, &mut two]).await;
    let stages = children_of(one.process.0.id());
    drop(one);
    for stage in stages {
        wait_until_gone(stage).await;
    }
    let done = parts_of(&bench, "one");
    two.completes(&bench).await;
    FILM.assert_same_in(bench.root(), "two");
    assert_eq!(parts_of(&bench, "one"), done, "the other job took its work along");
    let mut one = Running::start(&bench, "one");
    one.completes(&bench).await;
    let said = one.said(&bench, "out");
    let first: Value = serde_json::from_str(said.lines().next().expect("an event")).expect("json");
    assert_eq!(first["event"], "resumed", "{first}");
    assert!(first["chunks_done"].as_u64() > Some(0), "{first}");
    FILM.assert_same_in(bench.root(), "one");
}

#[tokio::test]
async fn of_two_jobs_with_one_output_the_later_one_leaves_what_is_there() {
    let bench = Bench::new();
    let job = |name: &str, bitrate: u32| {
        let mut job = Film::Small.job("same", bench.root());
        job["job_id"] = name.into();
        job["outputs"][0]["video"]["bitrate"] = bitrate.into();
        job
    };
    let mut one = Running::start_with(&bench, "one", &job("one", 600_000));
    let mut two = Running::start_with(&bench, "two", &job("two", 500_000));
    in_the_middle(&bench, &mut [&mut one, &mut two]).await;
    let ends = [one.ends().await.code(), two.ends().await.code()];
    let [one, two] = [one, two].map(|ended| last_event(&ended.said(&bench, "out")));
    let (done, refused) = match ends {
        [Some(0), Some(1)] => (one, two),
        [Some(1), Some(0)] => (two, one),
        other => panic!("{other:?}: {one}, {two}"),
    };
    assert!(refused["error"]["message"].to_string().contains("exists and was not made by this job"), "{refused}");
    let output = bench.path("same-180.ts");
    assert_eq!(done["outputs"][0]["sha256"], super::films::digest(&output));
    assert_eq!(names_in(&bench.path("work")), [".store"], "work is left");
}
