//! What is made of a track.

use serde::{Deserialize, Serialize};

use crate::domain::codec::EncoderFamily;
use crate::domain::job::{AudioCodec, Bitrate, Preset, Rate, VideoCodec};

/// One encoded version of the video. Outputs that ask for the same share it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VideoRendition {
    /// The codec.
    pub codec: VideoCodec,
    /// The encoder.
    pub encoder: EncoderFamily,
    /// Width in square pixels.
    pub width: u32,
    /// Height in square pixels.
    pub height: u32,
    /// Bits of a luma sample, 8 or 10.
    pub bit_depth: u8,
    /// Effort.
    pub preset: Preset,
    /// The rate of the whole rendition; what a chunk gets stands in the chunk.
    pub rate: Rate,
    /// The most frames from one IDR to the next.
    pub keyframe_interval: u32,
}

impl VideoRendition {
    /// The family that makes it: the planned one, or with `on_cpu` that of the CPU where a device was planned.
    pub fn made_by(&self, on_cpu: bool) -> EncoderFamily {
        if on_cpu && self.encoder.is_device() { self.codec.cpu_family() } else { self.encoder }
    }
}

/// One encoded version of the audio.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioRendition {
    /// The codec.
    pub codec: AudioCodec,
    /// Bits per second of the track.
    pub bitrate: Bitrate,
    /// Samples per second.
    pub sample_rate: u32,
    /// Channels, 1 to 6.
    pub channels: u32,
}
