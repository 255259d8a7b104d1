//! CPU time of the worker and of all its stage processes, as a share of the cores that it may use.
//!
//! `/proc/PID/stat` has the time of a process and, apart, that of its children that ended and were waited for. The sum
//! over the tree of living processes therefore counts everything once: a child that ends moves into its parent's line.

use std::collections::HashMap;
use std::fs;
use std::time::{Duration, Instant};

/// Ticks in a second of the times in `/proc`: the kernel's USER_HZ, 100 on every architecture that has GStreamer.
const TICKS_PER_SECOND: f64 = 100.0;
/// Samples closer than this would measure the coarseness of a tick.
const SHORTEST_SAMPLE: Duration = Duration::from_millis(50);

/// Measures from one call to the next.
#[derive(Debug)]
pub struct CpuMeter {
    cores: f64,
    at: Instant,
    ticks: u64,
}

impl CpuMeter {
    /// Begins to measure.
    pub fn start() -> Self {
        let cores = std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64);
        Self { cores, at: Instant::now(), ticks: tree_ticks(std::process::id(), &processes()) }
    }

    /// Share of all cores used since the last answer, 0 to 1; `None` where too little time went by.
    pub fn ratio(&mut self) -> Option<f64> {
        let elapsed = self.at.elapsed();
        if elapsed < SHORTEST_SAMPLE {
            return None;
        }
        let ticks = tree_ticks(std::process::id(), &processes());
        // A child that was killed without being waited for takes its time with it: never less than nothing.
        let used = ticks.saturating_sub(self.ticks) as f64 / TICKS_PER_SECOND;
        (self.at, self.ticks) = (Instant::now(), ticks);
        Some((used / (elapsed.as_secs_f64() * self.cores)).clamp(0.0, 1.0))
    }
}

/// One line of `/proc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Process {
    pid: u32,
    parent: u32,
    ticks: u64,
}

fn processes() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(|c: char| c.is_ascii_digit()))
        .filter_map(|entry| parse_stat(&fs::read_to_string(entry.path().join("stat")).ok()?))
        .collect()
}

/// The name stands in parentheses and can hold anything, so that fields are counted after the last one.
fn parse_stat(stat: &str) -> Option<Process> {
    let pid = stat.split_once(' ')?.0.parse().ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    // utime, stime, cutime, cstime: fields 14 to 17, the state (field 3) has index 0 here.
    let ticks = (11..=14).map(number).sum::<Option<u64>>()?;
    Some(Process { pid, parent: u32::try_from(number(1)?).ok()?, ticks })
}

fn tree_ticks(root: u32, processes: &[Process]) -> u64 {
    let mut children: HashMap<u32, Vec<&Process>> = HashMap::new();
    for process in processes {
        children.entry(process.parent).or_default().push(process);
    }
    let mut sum = processes.iter().find(|process| process.pid == root).map_or(0, |process| process.ticks);
    let mut todo = vec![root];
    while let Some(parent) = todo.pop() {
        // Taken out, so that a list that was read while processes came and went cannot make a circle.
        for child in children.remove(&parent).unwrap_or_default() {
            sum += child.ticks;
            todo.push(child.pid);
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_is_no_obstacle() {
        let stat = "42 (a) b (c) S 7 42 42 0 -1 4194304 1 2 3 4 100 20 3 1 20 0 1 0 99 1 1";
        assert_eq!(parse_stat(stat), Some(Process { pid: 42, parent: 7, ticks: 124 }));
        assert_eq!(parse_stat("garbage"), None);
    }

    #[test]
    fn the_whole_tree_counts_once_and_strangers_do_not() {
        let line = |pid, parent, ticks| Process { pid, parent, ticks };
        let list =
            [line(1, 0, 1000), line(10, 1, 1), line(11, 10, 2), line(12, 11, 4), line(13, 1, 500), line(0, 0, 9)];
        assert_eq!(tree_ticks(10, &list), 7);
    }

    #[test]
    fn a_busy_thread_shows() {
        let mut meter = CpuMeter::start();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(300) {
            std::hint::black_box((0..1000u64).sum::<u64>());
        }
        let ratio = meter.ratio().expect("enough time went by");
        assert!(ratio > 0.0 && ratio <= 1.0, "{ratio}");
    }
}
