//! A parser that is fed and emptied by plain calls, on the caller's thread, without a pipeline:
//!
//! ```text
//! push ─► pad ─► parser ─► pad ─► take
//! ```

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use actors::domain::failure::Failure;
use gstreamer as gst;
use gstreamer::prelude::*;

use crate::media::codec;
use crate::media::libav::caps::Form;
use crate::media::pipeline::{Pipeline, element};

/// What comes out.
pub enum Item {
    /// The form of what follows.
    Caps(gst::Caps),
    /// An access unit.
    Unit(gst::Buffer),
}

/// The access units of a track.
pub struct Parsed {
    pipeline: Pipeline,
    entry: gst::Pad,
    // Keeps the pad alive that the parser pushes into.
    _exit: gst::Pad,
    items: Arc<Mutex<VecDeque<Item>>>,
}

impl Parsed {
    /// Ready for packets of this form.
    ///
    /// # Errors
    /// `permanent` where GStreamer lacks the parser, or it does not take the packets.
    pub fn new(form: &Form) -> Result<Self, Failure> {
        let pipeline = Pipeline::new("parse");
        let items = Arc::new(Mutex::new(VecDeque::new()));
        let entry = gst::Pad::builder(gst::PadDirection::Src).build();
        let exit = exit(&form.caps, &items);
        let parser = element(form.parser.unwrap_or("identity"))?;
        if parser.has_property("config-interval") && made(&form.caps).is_some() {
            // Parameter sets in front of each random access point.
            parser.set_property("config-interval", -1i32);
        }
        pipeline.put(&parser)?;
        let pads = parser.static_pad("sink").zip(parser.static_pad("src"));
        let joined = pads.is_some_and(|(sink, source)| entry.link(&sink).is_ok() && source.link(&exit).is_ok());
        let parsed = Self { pipeline, entry, _exit: exit, items };
        let name = form.parser.unwrap_or_default();
        if !joined {
            return Err(Failure::permanent(format!("{name} does not give what is stored, install another version")));
        }
        parsed.pipeline.start()?;
        // A pad without a parent can always be activated.
        let _ = parsed.entry.set_active(true);
        let segment = gst::FormattedSegment::<gst::ClockTime>::new();
        parsed.entry.push_event(gst::event::StreamStart::new("track"));
        let taken = parsed.entry.push_event(gst::event::Caps::new(&form.caps));
        parsed.entry.push_event(gst::event::Segment::new(&segment));
        if taken { Ok(parsed) } else { Err(parsed.refused()) }
    }

    /// From here on packets have this form.
    ///
    /// # Errors
    /// `permanent` where the parser does not take them.
    pub fn change(&self, form: &Form) -> Result<(), Failure> {
        if self.entry.push_event(gst::event::Caps::new(&form.caps)) { Ok(()) } else { Err(self.refused()) }
    }

    /// Gives it a packet.
    ///
    /// # Errors
    /// `permanent` where the parser gives up.
    pub fn push(&self, packet: gst::Buffer) -> Result<(), Failure> {
        self.entry.push(packet).map(|_| ()).map_err(|_| self.refused())
    }

    /// Brings out what it holds; packets may follow.
    ///
    /// # Errors
    /// `permanent` where the parser does not begin again.
    pub fn drain(&self) -> Result<(), Failure> {
        self.end();
        self.entry.push_event(gst::event::FlushStart::new());
        self.entry.push_event(gst::event::FlushStop::new(false));
        let segment = gst::FormattedSegment::<gst::ClockTime>::new();
        if self.entry.push_event(gst::event::Segment::new(&segment)) { Ok(()) } else { Err(self.refused()) }
    }

    /// There are no more packets.
    pub fn end(&self) {
        self.entry.push_event(gst::event::Eos::new());
    }

    /// What came out, if something did.
    pub fn take(&self) -> Option<Item> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    fn refused(&self) -> Failure {
        let said = self.pipeline.first_failure();
        said.unwrap_or_else(|| Failure::permanent("the video track cannot be parsed; it is damaged, upload it again"))
    }
}

/// A pad of ours that keeps everything.
fn exit(caps: &gst::Caps, items: &Arc<Mutex<VecDeque<Item>>>) -> gst::Pad {
    let wanted = normal_form(caps);
    let builder = match gst::PadTemplate::new("exit", gst::PadDirection::Sink, gst::PadPresence::Always, &wanted) {
        Ok(template) => gst::Pad::builder_from_template(&template),
        Err(_) => gst::Pad::builder(gst::PadDirection::Sink),
    };
    let (units, events) = (Arc::clone(items), Arc::clone(items));
    let keep = |items: &Mutex<VecDeque<Item>>, item| {
        items.lock().unwrap_or_else(PoisonError::into_inner).push_back(item);
    };
    let pad = builder
        .chain_function(move |_, _, buffer| {
            keep(&units, Item::Unit(buffer));
            Ok(gst::FlowSuccess::Ok)
        })
        .event_function(move |_, _, event| {
            if let gst::EventView::Caps(caps) = event.view() {
                keep(&events, Item::Caps(caps.caps_owned()));
            }
            true
        })
        .build();
    // As above.
    let _ = pad.set_active(true);
    pad
}

/// The form in which units of these caps are stored: whole access units that decode on their own.
fn normal_form(caps: &gst::Caps) -> gst::Caps {
    let Some(name) = caps.structure(0).map(|structure| structure.name()) else { return gst::Caps::new_any() };
    if let Some(codec) = made(caps) {
        return codec::of(codec).caps();
    }
    let form = gst::Caps::builder(name);
    match name.as_str() {
        "video/x-vp9" => form.field("alignment", "super-frame").build(),
        _ => gst::Caps::new_any(),
    }
}

/// The codec of these caps, where it is one that is made here too.
fn made(caps: &gst::Caps) -> Option<actors::domain::job::VideoCodec> {
    caps.structure(0).and_then(|structure| codec::of_media(structure.name()))
}
