//! Builds the worker from its parts, for the command line.

use std::process::ExitCode;
use std::sync::Arc;

use actors::failure::Failure;
use actors::ports::{Answer, Capabilities, JobStore, TaskPublisher};
use futures_util::future::LocalBoxFuture;
use tokio_util::sync::CancellationToken;

use crate::cli::{LocalJob, Wiring};
use crate::config::Config;

/// The worker of this package.
#[derive(Clone, Copy, Debug, Default)]
pub struct Worker;

fn absent<T: Send + 'static>(part: &str) -> Answer<T> {
    let failure = Failure::permanent(format!("this build has no {part}"));
    Box::pin(std::future::ready(Err(failure)))
}

impl Wiring for Worker {
    fn run(&self, _: Config, _: CancellationToken) -> LocalBoxFuture<'static, Result<(), Failure>> {
        absent("worker")
    }

    fn transcode(&self, _: LocalJob, _: CancellationToken) -> LocalBoxFuture<'static, Result<(), Failure>> {
        absent("worker")
    }

    fn jobs(&self, _: &Config) -> Answer<Arc<dyn JobStore>> {
        absent("store")
    }

    fn publisher(&self, _: &Config) -> Result<Arc<dyn TaskPublisher>, Failure> {
        Err(Failure::permanent("this build has no producer"))
    }

    fn probe(&self, _: &Config) -> Answer<Capabilities> {
        absent("probe")
    }

    fn try_work_storage(&self, _: &Config) -> Answer<()> {
        absent("work storage")
    }

    fn stage(&self) -> ExitCode {
        ExitCode::FAILURE
    }
}
