//! A process is killed in the middle of its writes: what it had been answered is there, and the next one can go on.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::*;

/// Names the directory of the store in the process that is to be killed.
const DIRECTORY: &str = "STORE_TO_BE_KILLED_OVER";
/// Says in that process that a line on its output is ours.
const SAID: &str = "recorded ";

/// The other half of the test below: in a process of its own it writes until it is killed. In the test run itself
/// there is nothing to do.
#[tokio::test]
async fn writes_until_it_is_killed() {
    let Some(dir) = std::env::var_os(DIRECTORY) else { return };
    let store = open(Path::new(&dir));
    store.open(movie(), "c".into(), Utc::now()).await.expect("a checkpoint");
    let step = Advance { status: Some(JobStatus::Encoding), plan: Some((plan(), 0)), ..Advance::default() };
    store.advance(movie(), step, Utc::now()).await.expect("a step");
    assert_eq!(store.hold("movie-42/v00000".into(), "a dead process".into(), LONG).await, Ok(true));
    for chunk in store.parts(movie(), plan()).await.expect("parts").len() as u32.. {
        store.count_attempt(movie(), "t".into()).await.expect("a count");
        store.record(movie(), plan(), part(chunk), Utc::now()).await.expect("a part");
        let progress = Advance { progress: Some(f64::from(chunk) / 1000.0), ..Advance::default() };
        store.advance(movie(), progress, Utc::now()).await.expect("a step");
        println!("\n{SAID}{chunk}");
    }
}

fn writer(dir: &Path) -> Child {
    let myself = std::env::current_exe().expect("the test program");
    let mut command = Command::new(myself);
    command.args(["--exact", "--nocapture", "store::embedded::killed::writes_until_it_is_killed"]);
    command.env(DIRECTORY, dir).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    command.spawn().expect("a process that writes")
}

/// Lets a process write `records` parts, kills it and gives the last part that it was sure of.
fn kill_after(dir: &Path, records: usize) -> u32 {
    let mut child = writer(dir);
    let output = BufReader::new(child.stdout.take().expect("its output"));
    let mut lines = output.lines().map_while(Result::ok).filter_map(|line| line.strip_prefix(SAID)?.parse().ok());
    let reached: Option<u32> = lines.nth(records - 1);
    child.kill().expect("it is killed");
    // What it said between the last line that was read and its end counts as well.
    let last = lines.last().or(reached);
    child.wait().expect("its end");
    last.expect("a process that records parts")
}

#[tokio::test]
async fn nothing_that_was_answered_is_lost_when_the_process_is_killed() {
    let dir = directory();
    let mut before = 0;
    for records in [1, 7, 40] {
        let path = dir.path().to_owned();
        let last = tokio::task::spawn_blocking(move || kill_after(&path, records)).await.expect("a killed process");
        assert!(last + 1 >= before + records as u32, "it went on where the one before had stopped");
        let store = open(dir.path());
        let parts = store.parts(movie(), plan()).await.expect("parts");
        assert!((0..=last).all(|chunk| parts.contains_key(&UnitId::Chunk(chunk))), "{last}: {parts:?}");
        let checkpoint = store.read(movie()).await.expect("an answer").expect("a checkpoint");
        assert_eq!(checkpoint.chunks_done as usize, parts.len());
        assert!(checkpoint.progress >= f64::from(last) / 1000.0, "progress that was told never goes back");
        assert!(store.count_attempt(movie(), "t".into()).await.expect("a count") > last + 1);
        assert_eq!(store.hold("movie-42/v00000".into(), "the next one".into(), LONG).await, Ok(true));
        before = parts.len() as u32;
    }
}

#[test]
fn another_process_that_has_the_store_open_is_respected() {
    let dir = directory();
    let mut child = writer(dir.path());
    let output = BufReader::new(child.stdout.take().expect("its output"));
    // Not consumed: the process ends when nobody reads what it says.
    let mut lines = output.lines().map_while(Result::ok);
    lines.find(|line| line.starts_with(SAID)).expect("a process that records parts");
    let failure = refusal(dir.path());
    child.kill().expect("it is killed");
    child.wait().expect("its end");
    assert!(failure.message.contains("in use by another process"), "{failure}");
    open(dir.path());
}
