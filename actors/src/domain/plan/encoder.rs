//! The families of encoders.

use serde::{Deserialize, Serialize};

use crate::domain::job::VideoCodec;

/// The encoder that makes a rendition. In the order in which devices are preferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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
}

impl EncoderFamily {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Nvcodec, Self::Va, Self::Openh264, Self::X264, Self::X265];

    /// The name used in metrics and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nvcodec => "nvcodec",
            Self::Va => "va",
            Self::Openh264 => "openh264",
            Self::X264 => "x264",
            Self::X265 => "x265",
        }
    }

    /// Whether it needs a device that not every worker has and that can fail.
    pub const fn is_device(self) -> bool {
        match self {
            Self::Nvcodec | Self::Va | Self::Openh264 => true,
            Self::X264 | Self::X265 => false,
        }
    }

    /// The family that makes `codec` on the CPU, on every worker.
    pub const fn cpu_family(codec: VideoCodec) -> Self {
        match codec {
            VideoCodec::H264 => Self::X264,
            VideoCodec::H265 => Self::X265,
        }
    }
}
