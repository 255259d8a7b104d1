//! The files between the stages: buffers with their caps, times and flags exact to the nanosecond, in GStreamer's
//! own data protocol (GDP), on the elements `gdppay` and `gdpdepay`. Both ends are plain calls without a pipeline:
//! the element is fed and emptied through pads of ours, on the caller's thread.
//!
//! ```text
//! write ─► pad ─► gdppay ─► pad ─► file, SHA-256        file ─► pad ─► gdpdepay ─► pad ─► next
//! ```
//!
//! `gdppay` does not write the end of the stream, so a whole file ends with a `segment-done` event that holds the
//! number of buffers: a file without it was cut. Headers have checksums, payloads of sources as well: a source is read
//! up to its window, a part only after its SHA-256 was compared. Time stamps are shifted by [`BASE_NS`], because frames
//! in front of the first one that is shown have negative times.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actors::domain::failure::Failure;
use actors::domain::job::hex;
use gstreamer as gst;
use gstreamer::prelude::*;
use sha2::{Digest as _, Sha256};

use super::pipeline::element;

/// What is added to a presentation time to get the time in a file: 1000 hours.
pub const BASE_NS: u64 = 1000 * 3600 * 1_000_000_000;
/// `GST_BUFFER_OFFSET_NONE`: a place in the input means nothing in another file.
pub const NO_OFFSET: u64 = u64::MAX;
/// Bytes read at once.
const BLOCK_BYTES: usize = 128 * 1024;

/// The time in a file for a presentation time in nanoseconds. Times before -1000 h do not occur and become 0.
pub fn to_file_time(presentation_ns: i64) -> gst::ClockTime {
    gst::ClockTime::from_nseconds(BASE_NS.saturating_add_signed(presentation_ns))
}

/// The presentation time in nanoseconds for a time in a file.
pub fn presentation_ns(file_time: gst::ClockTime) -> i64 {
    let ns = i64::try_from(file_time.nseconds()).unwrap_or(i64::MAX);
    // BASE_NS is far below i64::MAX.
    ns - BASE_NS as i64
}

/// A file that was written whole and is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Size.
    pub bytes: u64,
    /// Of the whole file, in hex.
    pub sha256: String,
}

struct Output {
    file: BufWriter<File>,
    digest: Sha256,
    bytes: u64,
    error: Option<io::Error>,
}

impl Output {
    fn append(&mut self, buffer: &gst::Buffer) -> Result<(), io::Error> {
        for memory in buffer.iter_memories() {
            let map = memory.map_readable().map_err(io::Error::other)?;
            self.file.write_all(&map)?;
            self.digest.update(&map);
            self.bytes += map.len() as u64;
        }
        Ok(())
    }
}

/// Writes one stream of buffers with one caps.
pub struct GdpWriter {
    path: PathBuf,
    payloader: gst::Element,
    entry: gst::Pad,
    // Keeps the pad alive that the payloader pushes into.
    _exit: gst::Pad,
    output: Arc<Mutex<Output>>,
    buffers: u64,
}

impl GdpWriter {
    /// Creates a chunk source or an audio source, replacing a file of the same name. Its payloads have checksums, because
    /// readers of a window stop before the end and cannot compare a digest.
    ///
    /// # Errors
    /// `retryable` where the file cannot be made or written, `permanent` where GStreamer lacks `gdppay`.
    pub fn source(path: &Path, caps: &gst::Caps) -> Result<Self, Failure> {
        Self::create(path, caps, true)
    }

    /// Creates a part, replacing a file of the same name. Nobody uses a part without comparing its digest first, which is
    /// why its payloads have no checksums.
    ///
    /// # Errors
    /// As [`Self::source`].
    pub fn part(path: &Path, caps: &gst::Caps) -> Result<Self, Failure> {
        Self::create(path, caps, false)
    }

    fn create(path: &Path, caps: &gst::Caps, checksums: bool) -> Result<Self, Failure> {
        let file = File::create(path).map_err(|error| write_failure(path, &error))?;
        let output =
            Output { file: BufWriter::with_capacity(BLOCK_BYTES, file), digest: Sha256::new(), bytes: 0, error: None };
        let output = Arc::new(Mutex::new(output));
        let payloader = element("gdppay")?;
        payloader.set_property("crc-payload", checksums);
        let sink = Arc::clone(&output);
        let exit = gst::Pad::builder(gst::PadDirection::Sink)
            .chain_function(move |_, _, buffer| {
                let mut output = lock(&sink);
                output.append(&buffer).map(|()| gst::FlowSuccess::Ok).map_err(|error| {
                    output.error = Some(error);
                    gst::FlowError::Error
                })
            })
            .event_function(|_, _, _| true)
            .build();
        let entry = gst::Pad::builder(gst::PadDirection::Src).build();
        connect(&entry, &payloader, &exit)?;
        let writer = Self { path: path.to_owned(), payloader, entry, _exit: exit, output, buffers: 0 };
        let segment = gst::FormattedSegment::<gst::ClockTime>::new();
        for event in
            [gst::event::StreamStart::new("gdp"), gst::event::Caps::new(caps), gst::event::Segment::new(&segment)]
        {
            if !writer.entry.push_event(event) {
                return Err(writer.failure("the stream cannot be begun"));
            }
        }
        Ok(writer)
    }

    /// Appends a buffer.
    ///
    /// # Errors
    /// `retryable` where the disk does not take it.
    pub fn write(&mut self, buffer: gst::Buffer) -> Result<(), Failure> {
        match self.entry.push(buffer) {
            Ok(_) => {
                self.buffers += 1;
                if self.buffers == 1 {
                    // Whoever watches the file sees when the first frame is there.
                    lock(&self.output).file.flush().map_err(|error| write_failure(&self.path, &error))?;
                }
                Ok(())
            }
            Err(flow) => Err(self.failure(&format!("the buffer was refused ({flow})"))),
        }
    }

    /// Ends the file and makes it durable.
    ///
    /// # Errors
    /// `retryable` where the disk does not take it.
    pub fn finish(self) -> Result<Written, Failure> {
        let end = gst::event::SegmentDone::new(gst::format::Default::from_u64(self.buffers));
        if !self.entry.push_event(end) {
            return Err(self.failure("the stream cannot be ended"));
        }
        let mut output = lock(&self.output);
        if let Some(error) = output.error.take() {
            return Err(write_failure(&self.path, &error));
        }
        output.file.flush().map_err(|error| write_failure(&self.path, &error))?;
        output.file.get_ref().sync_all().map_err(|error| write_failure(&self.path, &error))?;
        let digest = std::mem::take(&mut output.digest).finalize();
        Ok(Written { bytes: output.bytes, sha256: hex(&digest) })
    }

    fn failure(&self, otherwise: &str) -> Failure {
        match lock(&self.output).error.take() {
            Some(error) => write_failure(&self.path, &error),
            None => Failure::retryable(format!("writing {}: {otherwise}", self.path.display())),
        }
    }
}

impl Drop for GdpWriter {
    fn drop(&mut self) {
        // The element has no thread: this cannot wait, and nothing can be done where it fails.
        let _ = self.payloader.set_state(gst::State::Null);
    }
}

#[derive(Default)]
struct Arrived {
    caps: Option<gst::Caps>,
    segment: Option<gst::Segment>,
    samples: VecDeque<gst::Sample>,
    // What came so far, and what the end of the file says.
    buffers: u64,
    promised: Option<u64>,
}

/// Reads what a [`GdpWriter`] wrote.
pub struct GdpReader {
    path: PathBuf,
    file: File,
    depayloader: gst::Element,
    entry: gst::Pad,
    // Keeps the pad alive that the depayloader pushes into.
    _exit: gst::Pad,
    arrived: Arc<Mutex<Arrived>>,
}

impl GdpReader {
    /// Opens a file.
    ///
    /// # Errors
    /// `retryable` where it cannot be read, `permanent` where GStreamer lacks `gdpdepay`.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let file = File::open(path).map_err(|error| read_failure(path, &error))?;
        let depayloader = element("gdpdepay")?;
        let arrived = Arc::new(Mutex::new(Arrived::default()));
        let (buffers, events) = (Arc::clone(&arrived), Arc::clone(&arrived));
        let exit = gst::Pad::builder(gst::PadDirection::Sink)
            .chain_function(move |_, _, buffer| {
                lock(&buffers).push(&buffer);
                Ok(gst::FlowSuccess::Ok)
            })
            .event_function(move |_, _, event| {
                lock(&events).note(&event);
                true
            })
            .build();
        let entry = gst::Pad::builder(gst::PadDirection::Src).build();
        connect(&entry, &depayloader, &exit)?;
        let reader = Self { path: path.to_owned(), file, depayloader, entry, _exit: exit, arrived };
        let segment = gst::FormattedSegment::<gst::format::Bytes>::new();
        let caps = gst::Caps::new_empty_simple("application/x-gdp");
        for event in
            [gst::event::StreamStart::new("file"), gst::event::Caps::new(&caps), gst::event::Segment::new(&segment)]
        {
            reader.entry.push_event(event);
        }
        Ok(reader)
    }

    /// The next buffer with its caps; `None` after the last.
    ///
    /// # Errors
    /// `retryable` where the file cannot be read, is damaged or was cut: it has to be made or fetched again.
    // Not an iterator: a failure ends it.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<gst::Sample>, Failure> {
        loop {
            {
                let mut arrived = lock(&self.arrived);
                if let Some(sample) = arrived.samples.pop_front() {
                    return Ok(Some(sample));
                }
                match arrived.promised {
                    Some(count) if count == arrived.buffers => return Ok(None),
                    Some(_) => return Err(self.damaged("lacks a piece")),
                    None => {}
                }
            }
            self.feed()?;
        }
    }

    fn feed(&mut self) -> Result<(), Failure> {
        let mut block = vec![0; BLOCK_BYTES];
        let length = self.file.read(&mut block).map_err(|error| read_failure(&self.path, &error))?;
        if length == 0 {
            return Err(self.damaged("ends in the middle"));
        }
        block.truncate(length);
        match self.entry.push(gst::Buffer::from_slice(block)) {
            Ok(_) => Ok(()),
            Err(_) => Err(self.damaged("is damaged")),
        }
    }

    fn damaged(&self, how: &str) -> Failure {
        Failure::retryable(format!("{} {how}; it has to be made again", self.path.display()))
    }
}

impl Drop for GdpReader {
    fn drop(&mut self) {
        // The element has no thread: this cannot wait, and nothing can be done where it fails.
        let _ = self.depayloader.set_state(gst::State::Null);
    }
}

impl Arrived {
    fn push(&mut self, buffer: &gst::Buffer) {
        let mut sample = gst::Sample::builder().buffer(buffer);
        if let Some(caps) = &self.caps {
            sample = sample.caps(caps);
        }
        if let Some(segment) = &self.segment {
            sample = sample.segment(segment);
        }
        self.samples.push_back(sample.build());
        self.buffers += 1;
    }

    fn note(&mut self, event: &gst::Event) {
        match event.view() {
            gst::EventView::Caps(caps) => self.caps = Some(caps.caps_owned()),
            gst::EventView::Segment(segment) => self.segment = Some(segment.segment().clone()),
            gst::EventView::SegmentDone(done) => self.promised = u64::try_from(done.get().value()).ok(),
            _ => {}
        }
    }
}

/// Reads a file to its end and compares its checksums.
///
/// # Errors
/// As [`GdpReader::next`].
pub fn check(path: &Path) -> Result<(), Failure> {
    let mut reader = GdpReader::open(path)?;
    while reader.next()?.is_some() {}
    Ok(())
}

fn connect(entry: &gst::Pad, element: &gst::Element, exit: &gst::Pad) -> Result<(), Failure> {
    let joined = || -> Option<()> {
        entry.link(&element.static_pad("sink")?).ok()?;
        element.static_pad("src")?.link(exit).ok()?;
        element.set_state(gst::State::Playing).ok()?;
        entry.set_active(true).ok()?;
        exit.set_active(true).ok()
    };
    joined().ok_or_else(|| Failure::permanent(format!("`{}` of GStreamer cannot be used", element.name())))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What it means that a stage cannot write `path`.
pub fn write_failure(path: &Path, error: &io::Error) -> Failure {
    Failure::of_full_storage(path, error)
        .unwrap_or_else(|| Failure::retryable(format!("writing {}: {error}", path.display())))
}

fn read_failure(path: &Path, error: &io::Error) -> Failure {
    Failure::retryable(format!("reading {}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
