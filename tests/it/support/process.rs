//! Processes of this machine, as `/proc` shows them.

use std::process::Child;
use std::time::{Duration, Instant};

/// A program that ends with the test that started it, however that ends.
pub struct Owned(pub Child);

impl Drop for Owned {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until a process is gone, or is only a name that nobody has collected yet.
pub async fn wait_until_gone(pid: u32) {
    gone_within(Duration::from_secs(20), pid).await;
}

/// [`wait_until_gone`] of a process that may live longer.
pub async fn gone_within(patience: Duration, pid: u32) {
    let deadline = Instant::now() + patience;
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

/// The processes that `parent` started and that have not ended.
pub fn children_of(parent: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let mut fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ');
        let (state, of) = (fields.next(), fields.next().and_then(|of| of.parse().ok()));
        of == Some(parent) && !matches!(state, Some("Z" | "X"))
    })
    .collect()
}
