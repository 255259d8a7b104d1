//! Whatever dies or fails in the middle of a job: the job ends, and its outputs are, byte for byte, those of a run that
//! nothing disturbed. On real servers, real processes and real film.

mod alone;
mod beside;
mod files;
mod films;
mod kills;
mod pauses;
mod servers;

use actors::domain::checkpoint::JobStatus;

use crate::support::fleet::{Fleet, assert_monotonic};
use crate::support::service::PATIENCE;
use films::Film;

/// Small chunks, and a worker that was killed is missed soon.
const VARIABLES: [(&str, &str); 4] = [
    ("CHUNK_SECONDS", "2"),
    ("ENCODER_POOL_SIZE", "1"),
    ("KAFKA_CONFIG_SESSION_TIMEOUT_MS", "6000"),
    ("KAFKA_CONFIG_HEARTBEAT_INTERVAL_MS", "500"),
];

/// What a disturbed job may take: half a minute of it is waiting for leases and sessions of those who died.
const LONG: std::time::Duration = PATIENCE.saturating_mul(4);

/// Waits until the job is completed, and compares its outputs with those of an undisturbed run; nothing else is left of it.
async fn completes(fleet: &Fleet, job: &str, film: Film) {
    let last = fleet.ends_within(LONG, &[job]).await.remove(0);
    assert_eq!(last.status, JobStatus::Completed, "{last:#?}");
    film.assert_same(fleet, job);
    fleet.wait_for_no_lag();
    fleet.wait_for_no_work_files();
    let hidden: Vec<String> = fleet.bench.files().into_iter().filter(|name| name.starts_with('.')).collect();
    assert_eq!(hidden, Vec::<String>::new(), "unfinished outputs are left");
}

/// [`completes`], and what the service was told only ever grew.
async fn completes_in_order(fleet: &Fleet, job: &str, film: Film) {
    completes(fleet, job, film).await;
    assert_monotonic(&fleet.service.received(), job);
    fleet.service.assert_in_order();
}
