//! The Transcoding Service: reports over HTTP, as the OpenAPI file beside this one describes the calls.
//!
//! `HttpService` delivers one report in one call and says whether trying again can help; who tries again, and what may
//! be dropped, is decided by the reporter. Must never wait without an end: connecting and answering have timeouts, the
//! queue has a bound.

mod answer;
mod client;
mod settings;

use actors::domain::progress::Report;
use actors::ports::{Answer, StatusSink};

pub use client::{HttpService, reach};
pub use settings::ServiceSettings;

/// The description of the calls, OpenAPI 3.1.
pub const OPENAPI: &str = include_str!("openapi.json");

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
