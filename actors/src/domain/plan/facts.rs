//! What the split stage learned about an input.

use serde::{Deserialize, Serialize};

use super::cut::Window;
use crate::domain::geometry::Orientation;

/// What tells one input from another under the same URI.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SourceIdentity {
    /// Size in bytes.
    pub bytes: u64,
    /// Last change, in nanoseconds since 1970.
    pub modified_unix_ns: u64,
    /// The storage's own version tag, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
}

/// What became of the packets of a track. Those that were given are shown or hidden; what the container says there is and
/// nobody gave is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Packets that are shown or heard.
    pub shown: u64,
    /// Packets that an edit list hides, or that only start a decoder.
    pub hidden: u64,
    /// Units of the container that are damaged or missing, by an account that shares nothing with the demuxer: samples (MP4), frames
    /// (Matroska), tags (FLV), chunks (AVI), PES packets (MPEG-TS). 0 where the container has none that is read.
    pub lost: u64,
}

/// What the split stage learned about the video track.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VideoFacts {
    /// The caps of the access units, for logs and for the choice of a decoder.
    pub caps: String,
    /// Width of the coded picture in pixels.
    pub width: u32,
    /// Height of the coded picture in pixels.
    pub height: u32,
    /// Shape of a pixel, width to height.
    pub pixel_aspect: (u32, u32),
    /// Frames per second as a fraction; `(0, 1)` where the distances of the frames differ.
    pub frame_rate: (u32, u32),
    /// Bits of a luma sample.
    pub bit_depth: u8,
    /// Whether pictures consist of two fields.
    pub interlaced: bool,
    /// How to turn the picture upright.
    pub orientation: Orientation,
    /// Whether each access unit gives exactly one frame (VP8, VP9 and AV1 have hidden ones).
    pub one_frame_per_unit: bool,
    /// End of the last frame.
    pub end_ns: u64,
    /// The chunks, in order, without gap or overlap.
    pub chunks: Vec<ChunkFacts>,
    /// What became of its packets; `None` in plans of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Account>,
}

/// A chunk as the split stage cut it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkFacts {
    /// File name of the chunk source. Chunks that share one long GOP share its source.
    pub source: String,
    /// The frames of the chunk.
    pub window: Window,
}

/// What the split stage learned about the audio track.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioFacts {
    /// File name of the audio source.
    pub source: String,
    /// The caps of the access units.
    pub caps: String,
    /// Samples per second.
    pub sample_rate: u32,
    /// Channels of the source.
    pub channels: u32,
    /// Time of the first sample that is heard.
    pub start_ns: u64,
    /// End of the last sample that is heard.
    pub end_ns: u64,
    /// What became of its packets; `None` in plans of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Account>,
}

/// What the split stage learned about the input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFacts {
    /// The video track.
    pub video: VideoFacts,
    /// The first audio track, if there is one and an output wants it.
    pub audio: Option<AudioFacts>,
}
