//! A way around the end that `qtdemux` puts to its streams: it compares the length of the movie with times that still
//! contain what the edit list skips, and so loses that much of the end of each audio track. After a seek to the
//! beginning without a stop it reads to the ends of the edits, as it should.
//!
//! The demuxer's thread waits at the gate with its first buffer until the thread that owns the pipeline did the seek.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;

/// The longest that the demuxer waits for the seek: the other thread looks five times a second.
const GATE_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    Untried,
    Wanted,
    Flushing,
    Open,
}

/// The gate in front of the first buffer.
#[derive(Debug)]
pub struct Rewind {
    gate: Mutex<Gate>,
    moved: Condvar,
}

impl Rewind {
    /// A gate that nobody came to.
    pub fn new() -> Self {
        Self { gate: Mutex::new(Gate::Untried), moved: Condvar::new() }
    }

    /// Called with each buffer, on the demuxer's thread: passes at once, or asks with `ask` for the seek if `needed` says
    /// that there has to be one, and waits for it.
    ///
    /// # Errors
    /// `Flushing` where the buffer is void because of the seek.
    pub fn pass(&self, needed: impl FnOnce() -> bool, ask: impl FnOnce()) -> Result<(), gst::FlowError> {
        let mut gate = self.lock();
        if *gate == Gate::Untried {
            *gate = if needed() { Gate::Wanted } else { Gate::Open };
            if *gate == Gate::Wanted {
                ask();
            }
        }
        while *gate == Gate::Wanted {
            let (next, waited) = self.moved.wait_timeout(gate, GATE_TIMEOUT).unwrap_or_else(PoisonError::into_inner);
            gate = next;
            if waited.timed_out() && *gate == Gate::Wanted {
                *gate = Gate::Open;
            }
        }
        if *gate == Gate::Flushing { Err(gst::FlowError::Flushing) } else { Ok(()) }
    }

    /// Does the seek if one is asked for; called by the owner of the pipeline.
    pub fn serve(&self, demuxer: Option<gst::Element>) {
        if *self.lock() != Gate::Wanted {
            return;
        }
        let seek = gst::event::Seek::new(
            1.0,
            gst::SeekFlags::FLUSH,
            gst::SeekType::Set,
            gst::ClockTime::ZERO,
            gst::SeekType::Set,
            gst::ClockTime::NONE,
        );
        // Without the lock: the seek flushes the pads, and their events come back to this gate.
        let done = demuxer.is_some_and(|demuxer| demuxer.send_event(seek));
        if !done {
            tracing::warn!("the demuxer does not seek to the beginning, the end of the audio can be missing");
        }
        self.set(Gate::Open);
    }

    /// The seek empties the pads.
    pub fn flushing(&self) {
        self.set(Gate::Flushing);
    }

    fn set(&self, gate: Gate) {
        *self.lock() = gate;
        self.moved.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
