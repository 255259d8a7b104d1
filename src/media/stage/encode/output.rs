//! What an encoder makes, written to a file.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use actors::domain::failure::{DeviceFault, Failure};
use actors::domain::part::VideoStats;
use actors::domain::plan::{EncoderFamily, VideoRendition};
use gstreamer as gst;
use gstreamer_app::{AppSink, AppSinkCallbacks};

use super::sets::ParameterSets;
use crate::media::codec::{self, Bitstream};
use crate::media::device::StandIn;
use crate::media::encoder::{self, family::KeyFrames};
use crate::media::gdp::{GdpWriter, NO_OFFSET};
use crate::media::pipeline::Nudge;
use crate::protocol::EncodedFile;

struct State {
    writer: Option<GdpWriter>,
    access_units: u32,
    key_units: u32,
    sets: ParameterSets,
    /// When the first access unit came, and the last one.
    came: Option<(Instant, Instant)>,
    failure: Option<Failure>,
}

/// What an [`Output`] has to know of its encoder.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// Who encodes.
    pub family: EncoderFamily,
    /// Whether frames may come in another order than they are shown in.
    pub reorders: bool,
    /// What the stand-in for a device does.
    pub stand_in: StandIn,
}

/// Writes one rendition of a chunk.
pub struct Output {
    target: PathBuf,
    codec: &'static dyn Bitstream,
    origin: Origin,
    nudge: Nudge,
    written: AtomicU64,
    state: Mutex<State>,
}

impl Output {
    /// Writes to `target` what arrives of `rendition` from the encoder that `origin` describes; `nudge` is sent where that
    /// fails.
    pub fn new(target: PathBuf, rendition: &VideoRendition, origin: Origin, nudge: Nudge) -> Arc<Self> {
        let sets = ParameterSets::new(rendition.codec);
        let state = State { writer: None, access_units: 0, key_units: 0, sets, came: None, failure: None };
        let codec = codec::of(rendition.codec);
        Arc::new(Self { target, codec, origin, nudge, written: AtomicU64::new(0), state: Mutex::new(state) })
    }

    /// A sink that writes to this output. It keeps nothing back.
    pub fn sink(self: &Arc<Self>, caps: &gst::Caps) -> AppSink {
        let output = Arc::clone(self);
        let callbacks = AppSinkCallbacks::builder()
            .new_sample(move |sink| {
                let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                output.take(&sample).map(|()| gst::FlowSuccess::Ok).map_err(|failure| {
                    output.lock().failure.get_or_insert(failure);
                    output.nudge.send();
                    gst::FlowError::Error
                })
            })
            .build();
        let sink = AppSink::builder().caps(caps).sync(false).async_(false).max_buffers(1).callbacks(callbacks).build();
        // The base class would keep the last access unit for nobody.
        sink.set_enable_last_sample(false);
        sink
    }

    /// Access units so far: changes while the encoder moves.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// What went wrong here.
    pub fn failure(&self) -> Option<Failure> {
        self.lock().failure.clone()
    }

    /// Access units per second, from the first to the last. The start of the encoder does not count.
    pub fn fps(&self) -> Option<f64> {
        let state = self.lock();
        let (first, last) = state.came?;
        let seconds = (last - first).as_secs_f64();
        (seconds > 0.0).then(|| f64::from(state.access_units.saturating_sub(1)) / seconds)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, sample: &gst::Sample) -> Result<(), Failure> {
        let (Some(caps), Some(buffer)) = (sample.caps_owned(), sample.buffer()) else {
            return Err(Failure::permanent("the encoder gave a buffer without caps"));
        };
        if self.origin.family == EncoderFamily::Openh264 {
            self.origin.stand_in.fail_at(self.written())?;
        }
        let mut state = self.lock();
        let (key, mut copy) = self.tidied(buffer, &mut state.sets)?;
        if state.access_units == 0 && !key {
            return Err(self.wrong("the encoder did not begin the chunk with a key frame"));
        }
        {
            let segment = sample.segment().and_then(|segment| segment.downcast_ref::<gst::ClockTime>());
            let file_time = |time: Option<gst::ClockTime>| match segment?.to_running_time_full(time) {
                Some(gst::Signed::Positive(time)) => Some(time),
                _ => None,
            };
            let fields = copy.make_mut();
            let pts = file_time(fields.pts());
            // Frames that come in order are decoded when they are shown, whether the encoder says so or not.
            let dts = if self.origin.reorders { file_time(fields.dts()) } else { pts };
            if pts.is_none() || dts.is_none() {
                return Err(self.wrong("the encoder gave an access unit without its times"));
            }
            fields.set_pts(pts);
            fields.set_dts(dts);
            fields.set_offset(NO_OFFSET);
            fields.set_offset_end(NO_OFFSET);
            fields.unset_flags(gst::BufferFlags::DISCONT);
            match key {
                true => fields.unset_flags(gst::BufferFlags::DELTA_UNIT),
                false => fields.set_flags(gst::BufferFlags::DELTA_UNIT),
            }
        }
        if state.writer.is_none() {
            state.writer = Some(GdpWriter::part(&self.target, &caps)?);
        }
        if let Some(writer) = &mut state.writer {
            writer.write(copy)?;
        }
        state.access_units += 1;
        state.key_units += u32::from(key);
        let now = Instant::now();
        state.came = Some((state.came.map_or(now, |(first, _)| first), now));
        self.written.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Ends the file. Call it when the pipeline is gone.
    ///
    /// # Errors
    /// `permanent` where nothing or not all of `frames` came, `retryable` where the file cannot be written.
    pub fn finish(&self, frames: u32, damaged: u32) -> Result<EncodedFile<VideoStats>, Failure> {
        let mut state = self.lock();
        let (access_units, key_units) = (state.access_units, state.key_units);
        let Some(writer) = state.writer.take().filter(|_| access_units == frames) else {
            return Err(self.wrong(&format!("the encoder was given {frames} frames and gave {access_units}")));
        };
        let written = writer.finish()?;
        let media = VideoStats { access_units, key_units, damaged };
        Ok(EncodedFile { bytes: written.bytes, sha256: written.sha256, media })
    }

    /// Whether an access unit is a key frame, and what is written of it.
    fn tidied(&self, buffer: &gst::BufferRef, sets: &mut ParameterSets) -> Result<(bool, gst::Buffer), Failure> {
        let marked = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        let treatment = encoder::of(self.origin.family).key_frames;
        if treatment == KeyFrames::AsTheyAre {
            return Ok((marked, buffer.copy()));
        }
        let unreadable = |_| Failure::retryable("an access unit of the encoder cannot be read");
        let unit = buffer.map_readable().map_err(unreadable)?;
        let (key, instead) = match treatment {
            KeyFrames::AsTheyAre | KeyFrames::Tidied => (marked, marked.then(|| self.codec.tidied(&unit))),
            KeyFrames::Completed => {
                let looked = sets.look(&unit)?;
                (looked.key, looked.instead)
            }
        };
        let Some(instead) = instead else { return Ok((key, buffer.copy())) };
        let mut copy = gst::Buffer::from_mut_slice(instead);
        // A new buffer has one owner.
        buffer.copy_into(copy.make_mut(), gst::BUFFER_COPY_METADATA, ..).map_err(unreadable)?;
        Ok((key, copy))
    }

    /// The encoder is at fault.
    fn wrong(&self, what: &str) -> Failure {
        match self.origin.family.is_device() {
            true => Failure::device_fault(DeviceFault::BadOutput, what),
            false => Failure::permanent(what),
        }
    }
}
