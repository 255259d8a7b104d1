//! Makes the elements that [`Settings`] describe.

use actors::domain::failure::Failure;
use actors::domain::job::VideoCodec;
use gstreamer::prelude::*;
use gstreamer::{self as gst, glib};

use super::settings::{Property, Settings};
use crate::media::codec;
use crate::media::pipeline::element;

/// The element, with its settings.
///
/// # Errors
/// `permanent` where GStreamer lacks the encoder, or its version does not know a setting.
pub fn make(settings: &Settings) -> Result<gst::Element, Failure> {
    let encoder = element(settings.element)?;
    settings.properties.iter().try_for_each(|property| set(&encoder, property))?;
    Ok(encoder)
}

fn set(encoder: &gst::Element, property: &Property) -> Result<(), Failure> {
    let Property { name, values, needed } = property;
    let Some(pspec) = encoder.find_property(name) else {
        return if *needed { Err(unknown(encoder, name, "")) } else { Ok(()) };
    };
    let known = values.iter().find_map(|text| glib::Value::deserialize_with_pspec(text, &pspec).ok());
    match known {
        Some(value) => encoder.set_property_from_value(name, &value),
        None if *needed => return Err(unknown(encoder, name, &format!(" {}", values.join(" or ")))),
        None => {}
    }
    Ok(())
}

fn unknown(encoder: &gst::Element, name: &str, value: &str) -> Failure {
    let factory = encoder.factory().map(|factory| factory.name().to_string()).unwrap_or_default();
    let version = gst::version_string();
    Failure::permanent(format!("`{factory}` of {version} knows no {name}{value}, take the GStreamer of this release"))
}

/// The caps of what the encoder gives.
pub fn output_caps(codec: VideoCodec, settings: &Settings) -> gst::Caps {
    let mut caps = codec::of(codec).caps();
    match settings.profiles {
        [] => {}
        [profile] => caps.make_mut().set("profile", *profile),
        profiles => caps.make_mut().set("profile", gst::List::new(profiles.iter().copied())),
    }
    caps
}

#[cfg(test)]
mod tests {
    use actors::domain::job::{Preset, Rate};
    use actors::domain::plan::{EncoderFamily, VideoRendition};

    use super::*;
    use crate::media::encoder;

    /// What was set is read back: GLib brings a number that is out of range into it, with no more than a line in a log.
    #[test]
    fn the_encoders_of_the_cpu_are_what_the_table_says() {
        gst::init().expect("GStreamer");
        let bitrate = Rate::Bitrate(5_000_000.try_into().expect("a rate"));
        let crf = Rate::Crf(51u64.try_into().expect("a crf"));
        let families = [
            (EncoderFamily::X264, VideoCodec::H264),
            (EncoderFamily::X265, VideoCodec::H265),
            (EncoderFamily::SvtAv1, VideoCodec::Av1),
            (EncoderFamily::Openh264, VideoCodec::H264),
        ];
        for preset in [Preset::Ultrafast, Preset::Faster, Preset::Medium, Preset::Veryslow] {
            for ((family, codec), rate) in families.iter().flat_map(|family| [(*family, bitrate), (*family, crf)]) {
                let rendition = VideoRendition {
                    codec,
                    encoder: family,
                    width: 640,
                    height: 360,
                    bit_depth: 8,
                    preset,
                    rate,
                    keyframe_interval: 48,
                };
                let settings = encoder::settings(&rendition, rate).expect("settings");
                let encoder = make(&settings).expect("an encoder that knows them all");
                for Property { name, values, .. } in &settings.properties {
                    let pspec = encoder.find_property(name).expect("a property");
                    let wanted = glib::Value::deserialize_with_pspec(&values[0], &pspec).expect("a value");
                    let found = encoder.property_value(name);
                    let text = |value: &glib::Value| value.serialize().expect("text");
                    assert_eq!(text(&found), text(&wanted), "{name} of {}", settings.element);
                }
            }
        }
    }
}
