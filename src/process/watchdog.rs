//! Finds stages that do not move. What counts is media time and not life: a hung GPU driver leaves a process that
//! lives, logs and does nothing.

use std::time::Duration;

use tokio::time::Instant;

/// When the media time of a stage last changed.
#[derive(Debug)]
pub(super) struct Movement {
    media_ns: u64,
    moved_at: Instant,
    timeout: Duration,
}

impl Movement {
    /// A stage that begins now and has to show other media time within each `timeout`.
    pub(super) fn begun(timeout: Duration) -> Self {
        Self { media_ns: 0, moved_at: Instant::now(), timeout }
    }

    /// The stage told its media time. The same as before is no movement.
    pub(super) fn observe(&mut self, media_ns: u64) {
        if media_ns != self.media_ns {
            self.media_ns = media_ns;
            self.moved_at = Instant::now();
        }
    }

    /// When the stage counts as stalled, if it does not move before.
    pub(super) fn deadline(&self) -> Instant {
        self.moved_at + self.timeout
    }

    /// Whether that instant is over.
    pub(super) fn is_stalled(&self) -> bool {
        Instant::now() >= self.deadline()
    }

    /// The last media time, in seconds.
    pub(super) fn media_seconds(&self) -> f64 {
        self.media_ns as f64 / 1e9
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_stage_that_moves_once_in_each_timeout_is_never_stalled() {
        let mut movement = Movement::begun(TIMEOUT);
        for media_ns in 1..100 {
            tokio::time::advance(TIMEOUT - Duration::from_millis(1)).await;
            assert!(!movement.is_stalled());
            movement.observe(media_ns);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stage_that_repeats_its_media_time_is_stalled() {
        let mut movement = Movement::begun(TIMEOUT);
        movement.observe(12_300_000_000);
        for _ in 0..60 {
            assert!(!movement.is_stalled());
            tokio::time::advance(Duration::from_secs(1)).await;
            movement.observe(12_300_000_000);
        }
        assert!(movement.is_stalled());
        assert_eq!(movement.media_seconds(), 12.3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stage_that_never_begins_is_stalled() {
        let movement = Movement::begun(TIMEOUT);
        tokio::time::advance(TIMEOUT).await;
        assert!(movement.is_stalled());
    }
}
