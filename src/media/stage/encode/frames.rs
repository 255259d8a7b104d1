//! The frames of a chunk while they pass: which of them belong to it, how many there were, and what the plan knows of them.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use actors::domain::failure::Failure;
use actors::domain::plan::{VideoFacts, Window};
use gstreamer as gst;

use super::picture::colours;
use crate::media::gdp::{presentation_ns, to_file_time};
use crate::media::pipeline::Nudge;

/// Distance of frames where nothing tells it, in nanoseconds: that of 25 a second.
const FRAME_NS: i64 = 40_000_000;

/// What is known of the frames while they pass.
pub struct Frames {
    window: Window,
    nudge: Nudge,
    beyond: AtomicBool,
    kept: AtomicU32,
    corrupted: AtomicU32,
    seen: AtomicU64,
    media_ns: AtomicU64,
    // The latest frame, and its distance from the one before.
    latest: Mutex<Option<(i64, i64)>>,
    failure: Mutex<Option<Failure>>,
}

impl Frames {
    /// Nothing yet of the frames in `window`.
    pub fn new(window: Window, nudge: Nudge) -> Arc<Self> {
        Arc::new(Self {
            window,
            nudge,
            beyond: AtomicBool::new(false),
            kept: AtomicU32::new(0),
            corrupted: AtomicU32::new(0),
            seen: AtomicU64::new(0),
            media_ns: AtomicU64::new(0),
            latest: Mutex::new(None),
            failure: Mutex::new(None),
        })
    }

    /// Frames in the window so far.
    pub fn kept(&self) -> u32 {
        self.kept.load(Ordering::Relaxed)
    }

    /// Frames in the window that the decoder had to guess in part.
    pub fn corrupted(&self) -> u32 {
        self.corrupted.load(Ordering::Relaxed)
    }

    /// Changes with every access unit and every frame.
    pub fn movement(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }

    /// Media time in the window that was decoded, in nanoseconds.
    pub fn media_ns(&self) -> u64 {
        self.media_ns.load(Ordering::Relaxed)
    }

    /// What went wrong here.
    pub fn failure(&self) -> Option<Failure> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Something went wrong: the pipeline is stopped.
    pub fn fail(&self, failure: Failure) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
        self.nudge.send();
    }

    /// When a decoded frame is shown. One without a time follows the one before as that did.
    fn time(&self, buffer: &mut gst::Buffer) -> Option<i64> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let said = buffer.pts().map(presentation_ns);
        let time = said.or_else(|| latest.map(|(time, distance)| time.saturating_add(distance)))?;
        if said.is_none() {
            buffer.make_mut().set_pts(to_file_time(time));
        }
        let usual = buffer.duration().and_then(|length| i64::try_from(length.nseconds()).ok()).unwrap_or(FRAME_NS);
        let distance = latest.map_or(usual, |(before, _)| time.saturating_sub(before));
        *latest = Some((time, if distance > 0 { distance } else { usual }));
        Some(time)
    }

    /// Whether a frame behind the window was seen.
    pub fn is_beyond(&self) -> bool {
        self.beyond.load(Ordering::Relaxed)
    }

    /// Another unit was read.
    pub fn move_on(&self) {
        self.seen.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether a decoded frame belongs to the chunk.
    pub fn keeps(&self, buffer: &mut gst::Buffer) -> bool {
        self.move_on();
        let Some(time) = self.time(buffer) else {
            self.fail(Failure::permanent("the decoder gave a frame without a time"));
            return false;
        };
        let Ok(time) = u64::try_from(time) else { return false };
        if time >= self.window.end_ns {
            self.beyond.store(true, Ordering::Relaxed);
            return false;
        }
        if time < self.window.start_ns {
            return false;
        }
        self.kept.fetch_add(1, Ordering::Relaxed);
        if buffer.flags().contains(gst::BufferFlags::CORRUPTED) {
            self.corrupted.fetch_add(1, Ordering::Relaxed);
        }
        self.media_ns.fetch_max(time - self.window.start_ns, Ordering::Relaxed);
        true
    }
}

/// What the plan knows of the frames.
pub struct Planned {
    rate: gst::Fraction,
    interlaced: bool,
}

impl Planned {
    /// From what the split found.
    pub fn new(facts: &VideoFacts) -> Self {
        let (num, den) = facts.frame_rate;
        let rate = gst::Fraction::new(i32::try_from(num).unwrap_or(0), i32::try_from(den).unwrap_or(1).max(1));
        Self { rate, interlaced: facts.interlaced }
    }

    /// The caps of frames as all behind the decoder are to see them.
    pub fn caps(&self, mut caps: gst::Caps) -> gst::Caps {
        let colours = colours(&caps);
        let fields = caps.make_mut();
        fields.set("framerate", self.rate);
        if let Some(colours) = colours {
            fields.set("colorimetry", colours);
        }
        if !self.interlaced {
            // What the container and the stream do not announce is not deinterlaced, nor encoded as fields.
            fields.set("interlace-mode", "progressive");
            fields.iter_mut().for_each(|structure| structure.remove_field("field-order"));
        }
        caps
    }
}
