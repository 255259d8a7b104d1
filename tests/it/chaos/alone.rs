//! `transcode` on one machine is killed and started again.

use std::process::Stdio;
use std::time::{Duration, Instant};

use super::films::Film;
use crate::support::media::text;
use crate::support::process::{Owned, children_of, wait_until_gone};
use crate::support::service::PATIENCE;
use crate::support::transcode::Bench;

const POLL: Duration = Duration::from_millis(20);

fn start(bench: &Bench, job: &str) -> Owned {
    let mut command = bench.command(&["--job", job, "--chunk-seconds", "2", "--json"]);
    Owned(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts"))
}

/// Parts that are done.
fn parts(bench: &Bench) -> usize {
    let mut directories = vec![bench.path("work")];
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

#[tokio::test]
async fn a_transcode_that_is_killed_again_and_again_goes_on_and_gives_the_same_bytes() {
    let bench = Bench::new();
    let job = bench.job(&Film::Ladder.job("movie", bench.root()));
    let job = text(&job);
    for wanted in [0, 2, 5] {
        let mut running = start(&bench, job);
        let end = Instant::now() + PATIENCE;
        while parts(&bench) < wanted || children_of(running.0.id()).is_empty() {
            assert!(running.0.try_wait().expect("its state").is_none(), "it ended before it was killed");
            assert!(Instant::now() < end, "it has {} parts and not {wanted}", parts(&bench));
            tokio::time::sleep(POLL).await;
        }
        let stages = children_of(running.0.id());
        drop(running);
        for stage in stages {
            wait_until_gone(stage).await;
        }
        assert!(bench.files().iter().all(|name| !name.starts_with("movie-")), "{:?}", bench.files());
    }
    let output = bench.run(&["--job", job, "--chunk-seconds", "2"]);
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("going on"), "it does not say how much was done already: {said}");
    Film::Ladder.assert_same_in(bench.root(), "movie");
}
