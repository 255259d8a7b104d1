//! Runs a stage that has no media time which could move.

use std::time::Duration;

use actors::domain::failure::Failure;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::exit;
use super::gauge::Gauge;
use super::stage_process::{Launcher, StageProcess};
use crate::protocol::Stage;

/// Runs one stage that is over within `deadline`, however busy it is.
pub(super) async fn run<S: Stage>(launcher: &Launcher, spec: &S, deadline: Duration) -> Result<S::Output, Failure> {
    let process = StageProcess::new(launcher.clone(), deadline);
    let mut gauge = Gauge::new(Box::new(|_| {}));
    let stop = CancellationToken::new();
    // A stage that moves and never ends is killed with its future.
    let ran = timeout(deadline * 2, process.run(spec, &mut gauge, &stop)).await;
    ran.unwrap_or_else(|_| {
        let message = format!("the {} stage took longer than {} s", S::NAME, deadline.as_secs() * 2);
        Err(exit::overdue(spec.uses_device(), message))
    })
}
