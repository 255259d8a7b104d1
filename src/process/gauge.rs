//! How far a running stage is, as the caller of the runner sees it.

use actors::ports::OnProgress;

/// Tells media time on, never less than before. Where a task consists of several runs of equal length, each counts
/// for its share, so that the whole goes from 0 to the length of the media once.
pub struct Gauge {
    sink: OnProgress,
    told: u64,
    run: u64,
    runs: u64,
    length_ns: u64,
}

impl Gauge {
    /// Tells the media time of one run as it is.
    pub fn new(sink: OnProgress) -> Self {
        Self::shared(sink, 1, u64::MAX)
    }

    /// Shares `length_ns` of media between `runs` runs.
    pub fn shared(sink: OnProgress, runs: usize, length_ns: u64) -> Self {
        Self { sink, told: 0, run: 0, runs: (runs as u64).max(1), length_ns }
    }

    /// The current run told its media time.
    pub(super) fn media(&mut self, media_ns: u64) {
        let done = u128::from(self.run) * u128::from(self.length_ns) + u128::from(media_ns.min(self.length_ns));
        let whole = u64::try_from(done / u128::from(self.runs)).unwrap_or(u64::MAX);
        if whole > self.told {
            self.told = whole;
            (self.sink)(whole);
        }
    }

    /// The current run is done, the next begins.
    pub(super) fn next_run(&mut self) {
        self.media(self.length_ns);
        self.run += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    fn recorded() -> (Arc<Mutex<Vec<u64>>>, OnProgress) {
        let told = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&told);
        (told, Box::new(move |ns| sink.lock().unwrap().push(ns)))
    }

    #[test]
    fn one_run_is_told_as_it_is_and_never_goes_back() {
        let (told, sink) = recorded();
        let mut gauge = Gauge::new(sink);
        for media in [5, 3, 5, 9] {
            gauge.media(media);
        }
        assert_eq!(*told.lock().unwrap(), [5, 9]);
    }

    #[test]
    fn several_runs_share_the_length() {
        let (told, sink) = recorded();
        let mut gauge = Gauge::shared(sink, 2, 100);
        gauge.media(50);
        gauge.next_run();
        gauge.media(50);
        gauge.media(500);
        assert_eq!(*told.lock().unwrap(), [25, 50, 75, 100]);
    }
}
