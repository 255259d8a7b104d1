//! What the embedded store does not keep over the end of its process: leases, announcements, the time of the last
//! report. A lease of a killed process would hold up the one that goes on for it.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use actors::domain::checkpoint::REPORT_INTERVAL;
use actors::domain::job::JobId;
use actors::ports::WorkerInfo;

/// Longer than any process runs; the clock has room for it.
const LONGEST_TTL: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

#[derive(Default)]
pub(super) struct Memory {
    leases: HashMap<String, (String, Instant)>,
    workers: BTreeMap<String, (WorkerInfo, Instant)>,
    reported_at: HashMap<JobId, Instant>,
}

impl Memory {
    pub fn hold(&mut self, task: String, owner: String, ttl: Duration) -> bool {
        let now = Instant::now();
        self.leases.retain(|_, (_, until)| *until > now);
        if self.leases.get(&task).is_some_and(|(holder, _)| *holder != owner) {
            return false;
        }
        self.leases.insert(task, (owner, now + ttl.min(LONGEST_TTL)));
        true
    }

    pub fn release(&mut self, task: &str, owner: &str) {
        if self.leases.get(task).is_some_and(|(holder, _)| holder == owner) {
            self.leases.remove(task);
        }
    }

    pub fn announce(&mut self, worker: String, info: WorkerInfo, ttl: Duration) {
        self.workers.insert(worker, (info, Instant::now() + ttl.min(LONGEST_TTL)));
    }

    pub fn workers(&mut self) -> Vec<WorkerInfo> {
        let now = Instant::now();
        self.workers.retain(|_, (_, until)| *until > now);
        self.workers.values().map(|(info, _)| info.clone()).collect()
    }

    /// Whether a report of the job is due; if so, the next one is only after [`REPORT_INTERVAL`].
    pub fn take_report(&mut self, job_id: &JobId) -> bool {
        let now = Instant::now();
        self.reported_at.retain(|_, last| now.duration_since(*last) < REPORT_INTERVAL);
        if self.reported_at.contains_key(job_id) {
            return false;
        }
        self.reported_at.insert(job_id.clone(), now);
        true
    }
}
