//! What happens to a stage when its worker is killed.

use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use super::double::launcher;

/// Waits until a process is gone, or is only a name that nobody has collected yet.
pub async fn wait_until_gone(pid: u32) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        if matches!(state, None | Some('Z' | 'X')) {
            return;
        }
        assert!(Instant::now() < deadline, "process {pid} is still there: {stat}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn kill_the_worker_of(mode: &str) {
    let launcher = launcher("parent");
    let mut command = Command::new(launcher.program);
    command.args(launcher.args).arg(mode).stdout(Stdio::piped()).kill_on_drop(true);
    let mut worker = command.spawn().expect("a worker");
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
