//! Log lines of librdkafka in our own log, and a brake for lines that would repeat without end.

use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;

/// Writes a line of librdkafka. What the adapter reports itself, or what is only noise, goes to debug.
pub(super) fn line(level: RDKafkaLogLevel, facility: &str, text: &str) {
    // COMMITFAIL repeats for each refused commit; CONFWARN says that a producer has no use for a consumer's property.
    let noise = matches!(facility, "COMMITFAIL" | "CONFWARN");
    match level {
        _ if noise => tracing::debug!(target: "librdkafka", facility, "{text}"),
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(target: "librdkafka", facility, "{text}");
        }
        // librdkafka calls a lost connection an error; it connects again by itself.
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => {
            tracing::warn!(target: "librdkafka", facility, "{text}");
        }
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => tracing::info!(target: "librdkafka", facility, "{text}"),
        RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", facility, "{text}"),
    }
}

/// Lets one line through in each interval and counts the others.
pub(super) struct Brake {
    next_at: Option<Instant>,
    muted: u64,
}

impl Brake {
    const INTERVAL: Duration = Duration::from_secs(10);

    pub(super) const fn new() -> Self {
        Self { next_at: None, muted: 0 }
    }

    /// Whether to log now; says then how many lines were left out before.
    pub(super) fn admit(&mut self, now: Instant) -> Option<u64> {
        if self.next_at.is_some_and(|next_at| now < next_at) {
            self.muted += 1;
            return None;
        }
        self.next_at = Some(now + Self::INTERVAL);
        Some(std::mem::take(&mut self.muted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brake_lets_one_line_through_and_counts_the_rest() {
        let now = Instant::now();
        let mut brake = Brake::new();
        assert_eq!(brake.admit(now), Some(0));
        assert_eq!(brake.admit(now), None);
        assert_eq!(brake.admit(now), None);
        assert_eq!(brake.admit(now + Brake::INTERVAL), Some(2));
    }
}
