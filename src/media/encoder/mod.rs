//! Encoder families: a file for each, and the one place that chooses between them. Rates are bits per second everywhere
//! but in the settings of an element; each family says its unit.
//!
//! | family | element | rate in | constant quality | presets | B-frames | takes |
//! |---|---|---|---|---|---|---|
//! | x264, x265 | `x264enc`, `x265enc` | kbit/s | `quantizer`, `crf` | its own | its own | main memory |
//! | svtav1 | `svtav1enc` | none | `crf` | 12 to 4 | its own, hidden | main memory |
//! | openh264 | `openh264enc` | bit/s | both ends of the quantizer | complexity | none | main memory |
//! | nvcodec | `nvh264enc`, `nvh265enc` | 1024 bit/s | `qp-const-i`, `-p`, `-b` | p1 to p7 | 0 or 2 | CUDA or main memory |
//! | va | `vah264enc`, `vah265enc` | kbit/s | `qpi`, `qpp`, `qpb` | target-usage | 0 or 2 | main memory |
//!
//! * [`family`]: what has to be known of a family
//! * [`settings`], [`effort`]: what families say to an element, and what presets mean to most of them
//! * [`element`]: makes the element
//! * [`avenc_aac`]: the encoder of sound
//! * [`said`]: texts in streams; [`foreign`]: an x264 of another version, for tests

pub mod avenc_aac;
mod effort;
pub mod element;
pub mod family;
mod foreign;
mod nvcodec;
mod openh264;
mod said;
pub mod settings;
mod svtav1;
mod va;
mod x264;
mod x265;

use actors::domain::failure::Failure;
use actors::domain::job::Rate;
use actors::domain::plan::{EncoderFamily, VideoRendition};

use family::{Coder, Family};
use settings::Settings;

/// What is known of a family.
pub const fn of(family: EncoderFamily) -> &'static Family {
    match family {
        EncoderFamily::X264 => &x264::X264,
        EncoderFamily::X265 => &x265::X265,
        EncoderFamily::SvtAv1 => &svtav1::SVTAV1,
        EncoderFamily::Openh264 => &openh264::OPENH264,
        EncoderFamily::Nvcodec => &nvcodec::NVCODEC,
        EncoderFamily::Va => &va::VA,
    }
}

/// The encoders of the CPU that a plan can ask for.
pub fn of_cpu() -> impl Iterator<Item = (EncoderFamily, &'static Coder)> {
    let families = EncoderFamily::all().filter(|family| !family.is_device());
    families.flat_map(|family| of(family).encodes.iter().map(move |coder| (family, coder)))
}

/// Settings of the encoder that makes `rendition` at `rate`.
///
/// # Errors
/// `permanent` where the family does not make the codec or its depth: a mistake in the plan.
pub fn settings(rendition: &VideoRendition, rate: Rate) -> Result<Settings, Failure> {
    let family = of(rendition.encoder);
    let element = family.encoder(rendition.codec, rendition.bit_depth).ok_or_else(|| {
        Failure::permanent(format!(
            "{} does not make {} with {} bits; the plan is wrong",
            rendition.encoder.as_str(),
            rendition.codec.as_str(),
            rendition.bit_depth
        ))
    })?;
    Ok((family.settings)(element, rendition, rate))
}

/// Prepares this process for the encoders of `renditions`; call it before they are made.
pub fn prepare(renditions: &[VideoRendition]) {
    renditions.iter().filter_map(|rendition| of(rendition.encoder).prepare).for_each(|prepare| prepare());
}

#[cfg(test)]
mod tests;
