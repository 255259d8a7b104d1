//! What an encoder makes, written to a file.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actors::checkpoint::PartFile;
use actors::failure::Failure;
use actors::plan::EncoderFamily;
use gstreamer as gst;
use gstreamer_app::{AppSink, AppSinkCallbacks};

use super::headers::tidy;
use crate::media::gdp::{GdpWriter, NO_OFFSET};
use crate::media::pipeline::Nudge;

#[derive(Default)]
struct State {
    writer: Option<GdpWriter>,
    access_units: u32,
    key_units: u32,
    failure: Option<Failure>,
}

/// Writes one rendition of a chunk.
pub struct Output {
    target: PathBuf,
    family: EncoderFamily,
    nudge: Nudge,
    written: AtomicU64,
    state: Mutex<State>,
}

impl Output {
    /// Writes to `target` what arrives from an encoder of `family`; `nudge` is sent where that fails.
    pub fn new(target: PathBuf, family: EncoderFamily, nudge: Nudge) -> Arc<Self> {
        Arc::new(Self { target, family, nudge, written: AtomicU64::new(0), state: Mutex::default() })
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

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, sample: &gst::Sample) -> Result<(), Failure> {
        let (Some(caps), Some(buffer)) = (sample.caps_owned(), sample.buffer()) else {
            return Err(Failure::permanent("the encoder gave a buffer without caps"));
        };
        let mut state = self.lock();
        let key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        if state.access_units == 0 && !key {
            return Err(Failure::permanent("the encoder did not begin the chunk with a key frame"));
        }
        let mut copy = match self.family {
            EncoderFamily::X265 if key => tidied(buffer)?,
            _ => buffer.copy(),
        };
        {
            let segment = sample.segment().and_then(|segment| segment.downcast_ref::<gst::ClockTime>());
            let file_time = |time: Option<gst::ClockTime>| match segment?.to_running_time_full(time) {
                Some(gst::Signed::Positive(time)) => Some(time),
                _ => None,
            };
            let fields = copy.make_mut();
            let (pts, dts) = (file_time(fields.pts()), file_time(fields.dts()));
            if pts.is_none() || dts.is_none() {
                return Err(Failure::permanent("the encoder gave an access unit without its times"));
            }
            fields.set_pts(pts);
            fields.set_dts(dts);
            fields.set_offset(NO_OFFSET);
            fields.set_offset_end(NO_OFFSET);
            fields.unset_flags(gst::BufferFlags::DISCONT);
        }
        if state.writer.is_none() {
            state.writer = Some(GdpWriter::part(&self.target, &caps)?);
        }
        if let Some(writer) = &mut state.writer {
            writer.write(copy)?;
        }
        state.access_units += 1;
        state.key_units += u32::from(key);
        self.written.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Ends the file. Call it when the pipeline is gone.
    ///
    /// # Errors
    /// `permanent` where nothing or not all of `frames` came, `retryable` where the file cannot be written.
    pub fn finish(&self, frames: u32) -> Result<PartFile, Failure> {
        let mut state = self.lock();
        let (access_units, key_units) = (state.access_units, state.key_units);
        let Some(writer) = state.writer.take().filter(|_| access_units == frames) else {
            return Err(Failure::permanent(format!("the encoder was given {frames} frames and gave {access_units}")));
        };
        let written = writer.finish()?;
        Ok(PartFile {
            name: String::new(),
            bytes: written.bytes,
            sha256: written.sha256,
            access_units,
            key_units,
            samples: 0,
            priming: 0,
        })
    }
}

/// A key frame of x265 with nothing in it but what is needed.
fn tidied(buffer: &gst::BufferRef) -> Result<gst::Buffer, Failure> {
    let unreadable = |_| Failure::retryable("an access unit of the encoder cannot be read");
    let mut copy = gst::Buffer::from_mut_slice(tidy(&buffer.map_readable().map_err(unreadable)?));
    // A new buffer has one owner.
    buffer.copy_into(copy.make_mut(), gst::BUFFER_COPY_METADATA, ..).map_err(unreadable)?;
    Ok(copy)
}
