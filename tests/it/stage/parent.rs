//! What happens to a stage when its worker is killed.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use super::double::launcher;
use crate::support::process::wait_until_gone;

/// A worker that runs this double as its stage.
fn worker(mode: &str) -> Command {
    let launcher = launcher("parent");
    let mut command = Command::new(launcher.program);
    command.args(launcher.args).arg(mode).stdout(Stdio::piped()).kill_on_drop(true);
    command
}

async fn kill_the_worker_of(mode: &str) {
    let mut worker = worker(mode).spawn().expect("a worker");
    let mut lines = BufReader::new(worker.stdout.take().expect("its output")).lines();
    let pid = lines.next_line().await.expect("a line").expect("the process id of its stage");
    worker.kill().await.expect("killed");
    wait_until_gone(pid.parse().expect("a process id")).await;
}

#[tokio::test]
async fn a_stage_ends_with_its_worker() {
    kill_the_worker_of("pid").await;
}

#[tokio::test]
async fn a_stage_that_stands_still_in_the_kernel_ends_with_its_worker() {
    kill_the_worker_of("stopped").await;
}

#[tokio::test]
async fn a_stage_is_given_the_settings_of_libraries_and_no_secret() {
    let mut command = worker("environment");
    command.env("REDIS_PASSWORD", "secret").env("TRANSCODING_SERVICE_TOKEN", "secret").env("GST_DEBUG", "1");
    let output = command.output().await.expect("a worker");
    let names = String::from_utf8_lossy(&output.stdout);
    assert!(names.contains("GST_DEBUG") && names.contains("PATH"), "{names}");
    assert!(!names.contains("REDIS_PASSWORD") && !names.contains("TOKEN"), "{names}");
}
