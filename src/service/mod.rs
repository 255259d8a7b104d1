//! The Transcoding Service: reports over HTTP, as the OpenAPI file beside this one describes the calls.
//!
//! `HttpService` delivers one report in one call and says whether trying again can help; who tries again, and what may
//! be dropped, is decided by the reporter. Must never wait without an end: connecting and answering have timeouts, the
//! queue has a bound.

mod answer;
mod client;

use std::time::Duration;

use actors::domain::progress::Report;
use actors::ports::{Answer, StatusSink};
use url::Url;

pub use client::{HttpService, reach};

use crate::config::Secret;

/// The description of the calls, OpenAPI 3.1.
pub const OPENAPI: &str = include_str!("openapi.json");

/// How to reach the service.
#[derive(Clone, Debug)]
pub struct ServiceSettings {
    /// Base URL; `/jobs/{job_id}/progress` is appended.
    pub url: Url,
    /// Bearer token.
    pub token: Option<Secret>,
    /// Limit for name resolution, connection and TLS together.
    pub connect_timeout: Duration,
    /// Limit for a whole call.
    pub timeout: Duration,
}

impl ServiceSettings {
    /// A service in the same region answers in milliseconds; this leaves room for a failover.
    pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
    /// Longer than the service's own database may take, short enough to notice an outage.
    pub const TIMEOUT: Duration = Duration::from_secs(10);

    /// With the timeouts above.
    pub fn new(url: Url, token: Option<Secret>) -> Self {
        Self { url, token, connect_timeout: Self::CONNECT_TIMEOUT, timeout: Self::TIMEOUT }
    }
}

/// For a worker without a Transcoding Service: reports go to the log.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoService;

impl StatusSink for NoService {
    fn deliver(&self, report: Report) -> Answer<()> {
        let Report { job_id, sequence, status, progress, speed, .. } = &report;
        let error = report.error.as_ref().map(|failure| failure.message.as_str());
        tracing::info!(%job_id, sequence, status = status.as_str(), progress, speed, error, "progress");
        Box::pin(std::future::ready(Ok(())))
    }
}
