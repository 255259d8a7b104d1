//! Codecs that can be made, and the families of encoders that make them: what has to be known of each before an input was
//! read. A codec is a variant and a row of its table, a family is a variant; how they are done stands with the media.

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

/// Video codecs that can be made.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum VideoCodec {
    /// H.264, MPEG-4 part 10.
    H264,
    /// H.265, HEVC.
    H265,
    /// AV1.
    Av1,
}

/// A row of the table of codecs.
struct About {
    /// The family that makes it on the CPU of every worker.
    cpu: EncoderFamily,
    /// Bits of a luma sample for sources that have more than 8.
    deep: u8,
    /// Constant quality: the default, and the worst that can be asked for.
    crf: (u8, u8),
    /// Whether a rate can be asked for, or constant quality only.
    has_bitrate: bool,
    /// Whether MPEG-TS has a stream type for it.
    in_mpegts: bool,
    /// The least width and height of a picture in pixels.
    least: u32,
}

impl VideoCodec {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::VARIANTS.iter().copied()
    }

    const fn about(self) -> About {
        match self {
            // High 10 plays nearly nowhere.
            Self::H264 => {
                About { cpu: EncoderFamily::X264, deep: 8, crf: (23, 51), has_bitrate: true, in_mpegts: true, least: 2 }
            }
            Self::H265 => About {
                cpu: EncoderFamily::X265,
                deep: 10,
                crf: (23, 51),
                has_bitrate: true,
                in_mpegts: true,
                least: 2,
            },
            // 30 looks on the film of the benches as 23 of x264 (SSIM 0.985 at 480p, preset medium), with 61 % of the bytes.
            Self::Av1 => About {
                cpu: EncoderFamily::SvtAv1,
                deep: 10,
                crf: (30, 63),
                has_bitrate: false,
                in_mpegts: false,
                least: 64,
            },
        }
    }

    /// The name used in jobs, metrics and reports.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The family that makes it on the CPU, on every worker.
    pub const fn cpu_family(self) -> EncoderFamily {
        self.about().cpu
    }

    /// Bits of a luma sample, where the source has `source` of them.
    pub const fn bit_depth(self, source: u8) -> u8 {
        if source > 8 { self.about().deep } else { 8 }
    }

    /// Constant quality where a job asks for no rate: what its encoder has as the default, or what looks alike.
    pub const fn default_crf(self) -> u8 {
        self.about().crf.0
    }

    /// The worst constant quality that can be asked for.
    pub const fn worst_crf(self) -> u8 {
        self.about().crf.1
    }

    /// The end of the longest scale.
    pub fn worst_crf_of_all() -> u8 {
        Self::all().map(Self::worst_crf).max().unwrap_or(0)
    }

    /// Checks a constant quality.
    ///
    /// # Errors
    /// What is accepted, where it is not on the scale of this codec.
    pub fn check_crf(self, crf: u8) -> Result<(), String> {
        let worst = self.worst_crf();
        if crf <= worst {
            return Ok(());
        }
        Err(format!("crf {crf} is out of range, 0 to {worst} are accepted for {}", self.as_str()))
    }

    /// Whether an average rate can be asked for.
    pub const fn has_bitrate(self) -> bool {
        self.about().has_bitrate
    }

    /// Whether MPEG-TS holds it.
    pub const fn in_mpegts(self) -> bool {
        self.about().in_mpegts
    }

    /// The least width and height of a picture in pixels.
    pub const fn least_size(self) -> u32 {
        self.about().least
    }
}

/// Audio codecs that can be made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AudioCodec {
    /// AAC-LC.
    #[default]
    Aac,
}

/// The encoder that makes a rendition. In the order in which devices are preferred.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr, VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum EncoderFamily {
    /// NVENC of an NVIDIA GPU.
    Nvcodec,
    /// VA-API, as of GPUs by Intel and AMD.
    Va,
    /// OpenH264 on the CPU: stands for a device in tests, and is offered only where a test asks for it.
    Openh264,
    /// x264 on the CPU, one thread.
    X264,
    /// x265 on the CPU, one thread.
    X265,
    /// SVT-AV1 on the CPU.
    SvtAv1,
}

impl EncoderFamily {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::VARIANTS.iter().copied()
    }

    /// The name used in metrics and reports.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether it needs a device that not every worker has and that can fail: it makes no codec on the CPU of every worker.
    pub fn is_device(self) -> bool {
        VideoCodec::all().all(|codec| codec.cpu_family() != self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_reports_are_those_in_jobs_and_plans() {
        for codec in VideoCodec::all() {
            assert_eq!(serde_json::to_value(codec).expect("json"), codec.as_str());
        }
        for family in EncoderFamily::all() {
            assert_eq!(serde_json::to_value(family).expect("json"), family.as_str());
        }
    }

    #[test]
    fn each_codec_has_a_family_of_its_own_on_the_cpu_and_the_others_are_devices() {
        let devices: Vec<_> = EncoderFamily::all().filter(|family| family.is_device()).collect();
        assert_eq!(devices, [EncoderFamily::Nvcodec, EncoderFamily::Va, EncoderFamily::Openh264]);
        assert_eq!(devices.len() + VideoCodec::all().count(), EncoderFamily::all().count());
    }
}
