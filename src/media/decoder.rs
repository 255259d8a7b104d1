//! Who decodes on the CPU. Hardware is left out: a plan that was made for the CPU has to give the same pictures and the same
//! sound on every machine.

use std::cmp::Reverse;

use gstreamer as gst;
use gstreamer::prelude::*;

/// Does not know 32 bits and mistakes the places of 7.1: comes last.
const WORST: &str = "flacdec";

/// The software decoders, best first: those of the highest rank, of the same rank the first by name.
fn decoders(media: gst::ElementFactoryType) -> Vec<gst::ElementFactory> {
    let kind = gst::ElementFactoryType::DECODER | media;
    let known = gst::ElementFactory::factories_with_type(kind, gst::Rank::MARGINAL);
    let mut decoders: Vec<_> = known.into_iter().filter(|factory| !factory.klass().contains("Hardware")).collect();
    decoders.sort_by_key(|factory| (factory.name() == WORST, Reverse(factory.rank()), factory.name()));
    decoders
}

/// The decoder for parsed access units of these caps.
pub fn of_video(caps: &gst::Caps) -> Option<gst::ElementFactory> {
    let decoders = decoders(gst::ElementFactoryType::empty());
    // A decoder that asks for more than the caps say is for something else, such as streams with an alpha channel.
    let best = decoders.iter().find(|factory| factory.can_sink_all_caps(caps));
    best.or_else(|| decoders.iter().find(|factory| factory.can_sink_any_caps(caps))).cloned()
}

/// The decoder for packets of sound of these caps.
pub fn of_audio(caps: &gst::Caps) -> Option<gst::ElementFactory> {
    decoders(gst::ElementFactoryType::MEDIA_AUDIO).into_iter().find(|factory| factory.can_sink_any_caps(caps))
}

/// Whether something here can decode these caps, parsed or not; raw media need no decoder.
pub fn has_decoder(caps: &gst::Caps) -> bool {
    let raw = caps.structure(0).is_some_and(|s| matches!(s.name().as_str(), "video/x-raw" | "audio/x-raw"));
    raw || decoders(gst::ElementFactoryType::empty()).iter().any(|factory| factory.can_sink_any_caps(caps))
}
