//! Which GStreamer element reads or writes a codec.

use gstreamer as gst;

/// The software decoders for these caps, best first. Hardware ones are left out: a plan that was made for the CPU has to
/// give the same pictures on every machine.
pub fn decoders(caps: &gst::Caps) -> impl Iterator<Item = gst::ElementFactory> {
    let caps = caps.clone();
    gst::ElementFactory::factories_with_type(gst::ElementFactoryType::DECODER, gst::Rank::MARGINAL)
        .into_iter()
        .filter(move |factory| !factory.klass().contains("Hardware") && factory.can_sink_any_caps(&caps))
}

/// Whether something here can decode these caps; raw media need no decoder.
pub fn has_decoder(caps: &gst::Caps) -> bool {
    let raw = caps.structure(0).is_some_and(|s| matches!(s.name().as_str(), "video/x-raw" | "audio/x-raw"));
    raw || decoders(caps).next().is_some()
}
