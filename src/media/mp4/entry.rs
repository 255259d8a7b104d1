//! Sample entries: what a reader has to know of a codec before the first sample.

use actors::domain::job::VideoCodec;

use super::boxes::{Put as _, atom};

/// How a video track is coded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoEntry {
    /// The codec.
    pub codec: VideoCodec,
    /// The decoder configuration: content of `avcC` or `hvcC`.
    pub configuration: Vec<u8>,
    /// Whether parameter sets stand in the samples too, because they change (`avc3`, `hev1`).
    pub parameters_in_band: bool,
    /// Width of the coded picture in pixels.
    pub width: u16,
    /// Height of the coded picture in pixels.
    pub height: u16,
    /// Shape of a pixel, width to height.
    pub pixel_aspect: (u32, u32),
    /// Colour, where it is known.
    pub colour: Option<Colour>,
}

/// Colour by the code points of ISO/IEC 23091-2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour {
    /// Colour primaries.
    pub primaries: u16,
    /// Transfer characteristics.
    pub transfer: u16,
    /// Matrix coefficients.
    pub matrix: u16,
    /// Whether the samples use the full range.
    pub full_range: bool,
}

/// How an AAC track is coded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AacEntry {
    /// The AudioSpecificConfig.
    pub configuration: Vec<u8>,
    /// Samples per second, at most 65535.
    pub sample_rate: u16,
    /// Channels.
    pub channels: u16,
    /// Average bits per second.
    pub bitrate: u32,
}

impl VideoEntry {
    /// Appends the sample entry.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (name, configuration) = match (self.codec, self.parameters_in_band) {
            (VideoCodec::H264, false) => (b"avc1", b"avcC"),
            (VideoCodec::H264, true) => (b"avc3", b"avcC"),
            (VideoCodec::H265, false) => (b"hvc1", b"hvcC"),
            (VideoCodec::H265, true) => (b"hev1", b"hvcC"),
        };
        atom(out, name, |out| {
            out.zeros(6);
            out.put16(1); // data reference
            out.zeros(16);
            out.put16(self.width);
            out.put16(self.height);
            out.put32(72 << 16); // dots per inch
            out.put32(72 << 16);
            out.zeros(4);
            out.put16(1); // frames per sample
            out.zeros(32); // name of the compressor
            out.put16(24); // depth: colour without alpha
            out.put16(u16::MAX);
            atom(out, configuration, |out| out.extend_from_slice(&self.configuration));
            if let Some(colour) = self.colour {
                atom(out, b"colr", |out| colour.encode(out));
            }
            atom(out, b"pasp", |out| {
                out.put32(self.pixel_aspect.0);
                out.put32(self.pixel_aspect.1);
            });
        });
    }
}

impl Colour {
    fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"nclx");
        out.put16(self.primaries);
        out.put16(self.transfer);
        out.put16(self.matrix);
        out.push(u8::from(self.full_range) << 7);
    }
}

impl AacEntry {
    /// Appends the sample entry.
    pub fn encode(&self, out: &mut Vec<u8>) {
        atom(out, b"mp4a", |out| {
            out.zeros(6);
            out.put16(1); // data reference
            out.zeros(8);
            out.put16(self.channels);
            out.put16(16); // bits of a sample
            out.zeros(4);
            out.put32(u32::from(self.sample_rate) << 16);
            super::full_atom(out, b"esds", 0, 0, |out| self.descriptors(out));
        });
    }

    /// The elementary stream descriptor of ISO/IEC 14496-1.
    fn descriptors(&self, out: &mut Vec<u8>) {
        let mut decoder = vec![0x40, 0x15, 0, 0, 0]; // MPEG-4 audio, an audio stream, size of the buffer unknown
        decoder.put32(self.bitrate);
        decoder.put32(self.bitrate);
        descriptor(&mut decoder, 5, &self.configuration);
        let mut stream = vec![0, 0, 0]; // no number, no dependence
        descriptor(&mut stream, 4, &decoder);
        descriptor(&mut stream, 6, &[2]); // as in an MP4 file
        descriptor(out, 3, &stream);
    }
}

fn descriptor(out: &mut Vec<u8>, tag: u8, body: &[u8]) {
    out.push(tag);
    // Seven bits a byte, the last one without the high bit.
    let length = body.len();
    for shift in [21, 14, 7] {
        out.push((length >> shift & 0x7f) as u8 | 0x80);
    }
    out.push((length & 0x7f) as u8);
    out.extend_from_slice(body);
}
