//! Inputs that were cut, and what the encode stage makes of their chunks.

use std::path::{Path, PathBuf};

use actors::domain::failure::Failure;
use actors::domain::job::{Preset, Rate, VideoCodec};
use actors::domain::part::VideoStats;
use actors::domain::plan::{Chunk, EncoderFamily, SourceFacts, VideoRendition};
use gstreamer_worker::media;
use gstreamer_worker::media::gdp::{GdpReader, presentation_ns};
use gstreamer_worker::protocol::{DeviceWork, EncodeSpec, Encoded, EncodedFile};

use super::sources::{make, split};

pub const H264: &str = "-c:v libx264 -preset veryfast -pix_fmt yuv420p -bf 3 -g 40";

/// An input that was cut, and a place for parts.
pub struct Cut {
    pub directory: tempfile::TempDir,
    pub input: PathBuf,
    pub facts: SourceFacts,
}

impl Cut {
    pub fn new(options: &str, name: &str, chunk_seconds: u32) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let input = make(directory.path(), name, options);
        Self::of(directory, input, chunk_seconds)
    }

    pub fn of(directory: tempfile::TempDir, input: PathBuf, chunk_seconds: u32) -> Self {
        let facts = split(&input, directory.path(), chunk_seconds).expect("a film");
        Self { directory, input, facts }
    }

    pub fn spec(&self, index: usize, renditions: &[VideoRendition]) -> EncodeSpec {
        let mut facts = self.facts.video.clone();
        let chunk = std::mem::take(&mut facts.chunks).remove(index);
        let targets = (0..renditions.len()).map(|n| self.directory.path().join(format!("{index:05}-{n}.gdp")));
        EncodeSpec {
            source: self.directory.path().join(&chunk.source),
            facts,
            chunk: Chunk {
                index: index as u32,
                source: chunk.source,
                window: chunk.window,
                rates: renditions.iter().map(|rendition| rendition.rate).collect(),
            },
            renditions: renditions.to_vec(),
            targets: targets.collect(),
            device: DeviceWork::default(),
        }
    }

    pub fn encode(&self, index: usize, rendition: &VideoRendition) -> (PathBuf, EncodedFile<VideoStats>) {
        let spec = self.spec(index, std::slice::from_ref(rendition));
        let file = encode(&spec).unwrap_or_else(|failure| panic!("{failure}")).remove(0);
        (spec.targets[0].clone(), file)
    }

    /// All chunks as one elementary stream, which the judge can read.
    pub fn stream(&self, rendition: &VideoRendition) -> PathBuf {
        let mut bytes = Vec::new();
        for index in 0..self.facts.video.chunks.len() {
            let (part, _) = self.encode(index, rendition);
            units(&part).into_iter().for_each(|unit| bytes.extend(unit.bytes));
        }
        // What the judge knows such a stream by.
        let extension = if rendition.codec == VideoCodec::Av1 { "obu" } else { rendition.codec.as_str() };
        let path = self.directory.path().join(format!("out.{extension}"));
        std::fs::write(&path, bytes).expect("written");
        path
    }
}

pub fn encode(spec: &EncodeSpec) -> Result<Vec<EncodedFile<VideoStats>>, Failure> {
    match media::run(spec, &|_| {})? {
        Encoded::Files(files) => Ok(files),
        other => panic!("not the result of an encode: {other:?}"),
    }
}

/// Frames, and random access points among them.
pub fn counts(file: &EncodedFile<VideoStats>) -> (u32, u32) {
    (file.media.access_units, file.media.key_units)
}

pub struct Unit {
    pub pts: i64,
    pub dts: i64,
    pub key: bool,
    pub bytes: Vec<u8>,
}

/// The access units of a part.
pub fn units(part: &Path) -> Vec<Unit> {
    let mut reader = GdpReader::open(part).expect("a part");
    let mut units = Vec::new();
    while let Some(sample) = reader.next().expect("a whole part") {
        let buffer = sample.buffer().expect("a buffer");
        units.push(Unit {
            pts: presentation_ns(buffer.pts().expect("a time")),
            dts: presentation_ns(buffer.dts().expect("a time")),
            key: !buffer.flags().contains(gstreamer::BufferFlags::DELTA_UNIT),
            bytes: buffer.map_readable().expect("bytes").to_vec(),
        });
    }
    units
}

pub fn crf(value: u64) -> Rate {
    Rate::Crf(value.try_into().expect("a crf"))
}

pub fn bitrate(bits: u64) -> Rate {
    Rate::Bitrate(bits.try_into().expect("a bitrate"))
}

pub fn h264(width: u32, height: u32, rate: Rate) -> VideoRendition {
    VideoRendition {
        codec: VideoCodec::H264,
        encoder: EncoderFamily::X264,
        width,
        height,
        bit_depth: 8,
        preset: Preset::Veryfast,
        rate,
        keyframe_interval: 50,
    }
}

pub fn h265(width: u32, height: u32, bit_depth: u8, rate: Rate) -> VideoRendition {
    let encoder = EncoderFamily::X265;
    let preset = Preset::Ultrafast;
    VideoRendition { codec: VideoCodec::H265, encoder, bit_depth, preset, ..h264(width, height, rate) }
}

pub fn av1(width: u32, height: u32, bit_depth: u8, value: u64) -> VideoRendition {
    let (codec, encoder, preset) = (VideoCodec::Av1, EncoderFamily::SvtAv1, Preset::Ultrafast);
    VideoRendition { codec, encoder, bit_depth, preset, ..h264(width, height, crf(value)) }
}
