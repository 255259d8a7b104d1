//! `transcode` on one machine is killed and started again.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::films::Film;
use crate::support::media::text;
use crate::support::process::{Owned, children_of, wait_until_gone};
use crate::support::service::PATIENCE;
use crate::support::transcode::Bench;

/// How often something is looked at.
pub const POLL: Duration = Duration::from_millis(20);

fn start(bench: &Bench, job: &str) -> Owned {
    let mut command = bench.command(&["--job", job, "--chunk-seconds", "2", "--json"]);
    Owned(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts"))
}

/// Parts below a directory that are done.
pub fn parts(below: &Path) -> usize {
    let mut directories = vec![below.to_owned()];
    let mut found = 0;
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() {
                directories.push(path);
            } else if path.parent().is_some_and(|parent| parent.ends_with("records")) && name.starts_with('v') {
                found += 1;
            }
        }
    }
    found
}

/// Starts the command, and kills it and its stages when it has so many parts.
async fn kill_with(wanted: usize, bench: &Bench, job: &str) {
    let work = bench.path("work");
    let mut running = start(bench, job);
    let end = Instant::now() + PATIENCE;
    while parts(&work) < wanted || children_of(running.0.id()).is_empty() {
        assert!(running.0.try_wait().expect("its state").is_none(), "it ended before it was killed");
        assert!(Instant::now() < end, "it has {} parts and not {wanted}", parts(&work));
        tokio::time::sleep(POLL).await;
    }
    let stages = children_of(running.0.id());
    drop(running);
    for stage in stages {
        wait_until_gone(stage).await;
    }
}

#[tokio::test]
async fn a_transcode_that_is_killed_again_and_again_goes_on_and_gives_the_same_bytes() {
    let bench = Bench::new();
    let job = bench.job(&Film::Ladder.job("movie", bench.root()));
    let job = text(&job);
    for wanted in [0, 2, 5] {
        kill_with(wanted, &bench, job).await;
        assert!(bench.files().iter().all(|name| !name.starts_with("movie-")), "{:?}", bench.files());
    }
    let output = bench.run(&["--job", job, "--chunk-seconds", "2"]);
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("going on"), "it does not say how much was done already: {said}");
    Film::Ladder.assert_same_in(bench.root(), "movie");
}

#[tokio::test]
async fn a_job_that_was_begun_when_all_jobs_had_one_store_goes_on_where_it_was() {
    let bench = Bench::new();
    let job = bench.job(&Film::Ladder.job("movie", bench.root()));
    let job = text(&job);
    kill_with(3, &bench, job).await;
    let store = bench.path("work/.store");
    std::fs::rename(store.join("jobs/movie/checkpoints.redb"), store.join("checkpoints.redb")).expect("its old place");
    std::fs::remove_dir_all(store.join("jobs")).expect("no other place");
    let output = bench.run(&["--job", job, "--chunk-seconds", "2"]);
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("going on with job movie: "), "it does not say how much was done already: {said}");
    Film::Ladder.assert_same_in(bench.root(), "movie");
}
