//! Which GStreamer element reads or writes a codec.

use gstreamer as gst;

/// The software decoders, best first. Hardware ones are left out: a plan that was made for the CPU has to give the same
/// pictures on every machine.
fn decoders() -> impl Iterator<Item = gst::ElementFactory> {
    gst::ElementFactory::factories_with_type(gst::ElementFactoryType::DECODER, gst::Rank::MARGINAL)
        .into_iter()
        .filter(|factory| !factory.klass().contains("Hardware"))
}

/// The best software decoder for parsed access units of these caps.
pub fn decoder(caps: &gst::Caps) -> Option<gst::ElementFactory> {
    // A decoder that asks for more than the caps say is for something else, such as streams with an alpha channel.
    decoders()
        .find(|factory| factory.can_sink_all_caps(caps))
        .or_else(|| decoders().find(|f| f.can_sink_any_caps(caps)))
}

/// Whether something here can decode these caps, parsed or not; raw media need no decoder.
pub fn has_decoder(caps: &gst::Caps) -> bool {
    let raw = caps.structure(0).is_some_and(|s| matches!(s.name().as_str(), "video/x-raw" | "audio/x-raw"));
    raw || decoders().any(|factory| factory.can_sink_any_caps(caps))
}
