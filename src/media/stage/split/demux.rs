//! Finds the demuxer and the parsers for a file and hands every stream to a [`Receiver`], on the demuxer's own thread:
//!
//! ```text
//! filesrc ! typefind ! demuxer ─┬─► parser ─► pad of ours ─► Receiver      (streams that may be used)
//!                               └─► pad of ours ─► Receiver                (all others)
//! ```
//!
//! No queue and no sink element stands in between, so that no stream can block another. Nothing is decoded.

use std::sync::{Arc, Mutex, PoisonError};

use actors::domain::failure::Failure;
use actors::domain::job::VideoCodec;
use gstreamer::prelude::*;
use gstreamer::{self as gst, glib};

use super::boxes::Patch;
use crate::media::codec;
use crate::media::pipeline::{Gate, Pipeline};

/// What a stream of the container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Moving pictures.
    Video,
    /// Sound.
    Audio,
    /// Something with a key, of any kind.
    Encrypted,
    /// Subtitles, data, unknown.
    Other,
}

/// Takes the streams. Called on the demuxer's thread.
pub trait Receiver: Send + Sync + 'static {
    /// The file is a container of this kind.
    fn container(&self, caps: &gst::Caps);
    /// A stream was found; the answer names it in the other calls.
    fn stream(&self, kind: Kind, caps: &gst::Caps) -> usize;
    /// The file is no container of streams that is known.
    fn unreadable(&self, caps: &gst::Caps);
    /// An event of a stream.
    fn event(&self, stream: usize, event: &gst::Event);
    /// A buffer of a stream. An error ends everything.
    fn buffer(&self, stream: usize, pad: &gst::Pad, buffer: gst::Buffer) -> Result<(), gst::FlowError>;
    /// All streams are known now.
    fn all_streams(&self);
}

/// Containers in containers (an ID3 tag in front of a file, a file in a file) are followed so deep.
const MAX_DEPTH: u32 = 3;
/// Bytes read at once where the demuxer is fed and does not read for itself.
const READ_BYTES: u32 = 256 * 1024;

/// Builds the pipeline that reads `path`, as if `patches` had been made to the file. The gate has to be opened when the
/// pipeline was started, well or not.
///
/// # Errors
/// `permanent` where GStreamer lacks its core elements.
pub fn build(
    pipeline: &Pipeline,
    path: &std::path::Path,
    patches: Vec<Patch>,
    receiver: Arc<dyn Receiver>,
) -> Result<Arc<Gate>, Failure> {
    let source = pipeline.add("filesrc")?;
    source.set_property("location", path);
    source.set_property("blocksize", READ_BYTES);
    let typefind = pipeline.add("typefind")?;
    pipeline.link(&[&source, &typefind])?;
    if let (false, Some(pad)) = (patches.is_empty(), source.static_pad("src")) {
        let kind = gst::PadProbeType::BUFFER | gst::PadProbeType::PUSH | gst::PadProbeType::PULL;
        pad.add_probe(kind, move |_, info| {
            let offset = info.offset;
            if let Some(gst::PadProbeData::Buffer(buffer)) = &mut info.data {
                patches.iter().for_each(|patch| patch.apply(offset, buffer));
            }
            gst::PadProbeReturn::Ok
        });
    }
    let plugger = Plugger { bin: pipeline.bin().downgrade(), receiver, taps: Arc::default() };
    let gate = Arc::new(Gate::default());
    let barrier = Arc::clone(&gate);
    typefind.connect("have-type", false, move |values| {
        barrier.pass();
        let pad = values.first()?.get::<gst::Element>().ok()?.static_pad("src")?;
        plugger.plug(&pad, &values.get(2)?.get::<gst::Caps>().ok()?, 0);
        None
    });
    Ok(gate)
}

/// Connects pads as they appear. Lives as long as the elements whose signals call it.
#[derive(Clone)]
struct Plugger {
    bin: glib::WeakRef<gst::Bin>,
    receiver: Arc<dyn Receiver>,
    // A link does not keep the other pad alive.
    taps: Arc<Mutex<Vec<gst::Pad>>>,
}

impl Plugger {
    /// Connects a pad: to a demuxer where its caps are those of a container, else as a stream.
    fn plug(&self, pad: &gst::Pad, caps: &gst::Caps, depth: u32) {
        let Some(bin) = self.bin.upgrade() else { return };
        let demuxer = (depth < MAX_DEPTH).then(|| best(gst::ElementFactoryType::DEMUXER, caps)).flatten();
        if let Some(element) = demuxer.and_then(|factory| join(&bin, pad, &factory)) {
            self.receiver.container(caps);
            self.follow(&element, depth + 1);
            return;
        }
        let kind = kind_of(caps);
        if depth == 0 && kind == Kind::Other {
            self.receiver.unreadable(caps);
            return;
        }
        self.stream(&bin, pad, caps, kind);
        if depth == 0 {
            // A bare elementary stream: there is nothing beside it.
            self.receiver.all_streams();
        }
    }

    fn follow(&self, demuxer: &gst::Element, depth: u32) {
        let plugger = self.clone();
        let found = move |pad: &gst::Pad| {
            if pad.direction() == gst::PadDirection::Src && !pad.is_linked() {
                let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
                plugger.plug(pad, &caps, depth);
            }
        };
        let plugger = self.clone();
        demuxer.connect_no_more_pads(move |_| plugger.receiver.all_streams());
        for pad in demuxer.src_pads() {
            found(&pad);
        }
        demuxer.connect_pad_added(move |_, pad| found(pad));
        // An element that does not start says so on the bus.
        let _ = demuxer.sync_state_with_parent();
    }

    fn stream(&self, bin: &gst::Bin, pad: &gst::Pad, caps: &gst::Caps, kind: Kind) {
        let mut end = pad.clone();
        forget_repeated_decoding_times(pad, kind);
        if matches!(kind, Kind::Video | Kind::Audio) {
            let parser = best(gst::ElementFactoryType::PARSER, caps);
            if let Some(parser) = parser.and_then(|factory| join(bin, pad, &factory)) {
                if parser.has_property("config-interval") && made(caps).is_some() {
                    // Parameter sets in front of each random access point.
                    parser.set_property("config-interval", -1i32);
                }
                let _ = parser.sync_state_with_parent();
                end = parser.static_pad("src").unwrap_or(end);
            }
        }
        let tap = tap(self.receiver.stream(kind, caps), caps, &self.receiver);
        // What does not fit gives "not linked" from the demuxer, which ends up on the bus.
        let _ = end.link(&tap);
        self.taps.lock().unwrap_or_else(PoisonError::into_inner).push(tap);
    }
}

/// FLV has no negative times, so that the first decoding times of a film with B-frames repeat. The parser of GStreamer
/// (1.22 and 1.26) counts on from them and moves the presentation times behind; without decoding times it lets them alone.
fn forget_repeated_decoding_times(pad: &gst::Pad, kind: Kind) {
    let demuxer = pad.parent_element().and_then(|element| element.factory());
    if kind != Kind::Video || demuxer.is_none_or(|factory| factory.name() != "flvdemux") {
        return;
    }
    pad.add_probe(gst::PadProbeType::BUFFER, |_, info| {
        if let Some(gst::PadProbeData::Buffer(buffer)) = &mut info.data {
            buffer.make_mut().set_dts(gst::ClockTime::NONE);
        }
        gst::PadProbeReturn::Ok
    });
}

/// A pad of ours that hands everything on.
fn tap(id: usize, caps: &gst::Caps, receiver: &Arc<dyn Receiver>) -> gst::Pad {
    let (buffers, events) = (Arc::clone(receiver), Arc::clone(receiver));
    let wanted = normal_form(caps);
    let builder = match gst::PadTemplate::new("tap", gst::PadDirection::Sink, gst::PadPresence::Always, &wanted) {
        Ok(template) => gst::Pad::builder_from_template(&template),
        Err(_) => gst::Pad::builder(gst::PadDirection::Sink),
    };
    let pad = builder
        .chain_function(move |pad, _, buffer| buffers.buffer(id, pad, buffer).map(|()| gst::FlowSuccess::Ok))
        .event_function(move |_, _, event| {
            events.event(id, &event);
            true
        })
        .build();
    // A new pad without a parent can always be activated.
    let _ = pad.set_active(true);
    pad
}

/// The form in which units of these caps are wanted: whole access units that decode on their own.
fn normal_form(caps: &gst::Caps) -> gst::Caps {
    let Some(name) = caps.structure(0).map(|structure| structure.name()) else { return gst::Caps::new_any() };
    if let Some(codec) = made(caps) {
        return codec::of(codec).caps();
    }
    let form = gst::Caps::builder(name);
    match name.as_str() {
        "video/x-vp9" => form.field("alignment", "super-frame").build(),
        "video/x-av1" => form.field("stream-format", "obu-stream").field("alignment", "tu").build(),
        _ => gst::Caps::new_any(),
    }
}

/// The codec of these caps, where it is one that is made here too.
fn made(caps: &gst::Caps) -> Option<VideoCodec> {
    caps.structure(0).and_then(|structure| codec::of_media(structure.name()))
}

fn kind_of(caps: &gst::Caps) -> Kind {
    let Some(structure) = caps.structure(0) else { return Kind::Other };
    match structure.name().as_str() {
        "application/x-cenc" | "application/x-webm-enc" | "application/x-cbcs" => Kind::Encrypted,
        name if name.starts_with("video/") => Kind::Video,
        // A picture with a rate is a film of pictures; without one it is a cover.
        name if name.starts_with("image/") && structure.has_field("framerate") => Kind::Video,
        name if name.starts_with("audio/") => Kind::Audio,
        _ => Kind::Other,
    }
}

/// The factory of the highest rank that takes these caps.
fn best(kind: gst::ElementFactoryType, caps: &gst::Caps) -> Option<gst::ElementFactory> {
    if caps.is_any() || caps.is_empty() {
        return None;
    }
    gst::ElementFactory::factories_with_type(kind, gst::Rank::MARGINAL)
        .into_iter()
        .find(|factory| factory.can_sink_all_caps(caps))
}

/// Adds an element and links `pad` to it.
fn join(bin: &gst::Bin, pad: &gst::Pad, factory: &gst::ElementFactory) -> Option<gst::Element> {
    let element = factory.create().build().ok()?;
    bin.add(&element).ok()?;
    let joined = element.static_pad("sink").is_some_and(|sink| pad.link(&sink).is_ok());
    if !joined {
        // It never ran and has nothing to stop.
        let _ = bin.remove(&element);
        return None;
    }
    Some(element)
}
