//! How the service is reached.

use std::time::Duration;

use url::Url;

use crate::config::Secret;

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
