//! Sample entries: what a reader has to know of a codec before the first sample. Their names and the configuration in them
//! are the codec's business.

use super::boxes::{Put as _, atom};

/// How a video track is coded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoEntry {
    /// Name of the entry.
    pub name: &'static [u8; 4],
    /// Name and content of the box with the decoder configuration.
    pub configuration: (&'static [u8; 4], Vec<u8>),
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

/// How an audio track is coded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioEntry {
    /// Name of the entry.
    pub name: &'static [u8; 4],
    /// Samples per second, at most 65535.
    pub sample_rate: u16,
    /// Channels.
    pub channels: u16,
    /// The box with the decoder configuration.
    pub configuration: Vec<u8>,
    /// Where decoding has to begin for a packet to be right, counted from it.
    pub roll_packets: i16,
}

impl VideoEntry {
    /// Appends the sample entry.
    pub fn encode(&self, out: &mut Vec<u8>) {
        atom(out, self.name, |out| {
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
            atom(out, self.configuration.0, |out| out.extend_from_slice(&self.configuration.1));
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

impl AudioEntry {
    /// Appends the sample entry.
    pub fn encode(&self, out: &mut Vec<u8>) {
        atom(out, self.name, |out| {
            out.zeros(6);
            out.put16(1); // data reference
            out.zeros(8);
            out.put16(self.channels);
            out.put16(16); // bits of a sample
            out.zeros(4);
            out.put32(u32::from(self.sample_rate) << 16);
            out.extend_from_slice(&self.configuration);
        });
    }
}
