//! Where each step of an encode runs, and where the pictures lie between them. Pure: from what is asked for to a
//! description, so that the forms for a GPU are tested on machines that have none.
//!
//! The pictures are decoded once, into one memory. Where a branch wants them in the other, they cross once for all such
//! branches. Pictures that have to be deinterlaced or turned are brought to main memory behind the decoder.

use actors::domain::failure::Failure;
use actors::domain::geometry::Orientation;
use actors::domain::job::{Rate, VideoCodec};
use actors::domain::plan::{VideoFacts, VideoRendition};

use crate::media::encoder;
use crate::media::encoder::family::Memory;
use crate::media::encoder::settings::Settings;
use crate::protocol::{EncodeSpec, Scaling};

/// How a chunk becomes its renditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The decoder of the device; `None` for the best one of the CPU.
    pub decoder: Option<&'static str>,
    /// Where the pictures lie from which all renditions are made.
    pub home: Memory,
    /// One for each rendition.
    pub branches: Vec<Branch>,
}

/// From pictures to one rendition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// Where they are scaled.
    pub scaled_in: Memory,
    /// Where the encoder takes them from.
    pub encoded_from: Memory,
    /// The raw format that the encoder takes.
    pub format: &'static str,
    /// Width and height in pixels.
    pub size: (u32, u32),
    /// The encoder.
    pub settings: Settings,
}

/// The format of pictures of so many bits in main memory, in which the scalers of the CPU do the same as behind a decoder
/// of the CPU.
pub const fn planar(bit_depth: u8) -> &'static str {
    if bit_depth > 8 { "I420_10LE" } else { "I420" }
}

impl Layout {
    /// The layout for what `spec` asks for, from access units of `codec`; `None` for codecs that no device here decodes.
    ///
    /// # Errors
    /// `permanent` where the plan asks a family for what it does not make.
    pub fn new(spec: &EncodeSpec, codec: Option<VideoCodec>) -> Result<Self, Failure> {
        let prepared = is_prepared_by_cpu(&spec.facts);
        let decoder = spec.device.decoder.zip(codec);
        let decoder = decoder.and_then(|(family, codec)| encoder::of(family).decoder(codec));
        let home = if decoder.is_some() && !prepared { Memory::Cuda } else { Memory::System };
        let branch = |(rendition, rate): (&VideoRendition, &Rate)| Branch::new(rendition, *rate, spec.device.scaling);
        let branches = spec.renditions.iter().zip(&spec.chunk.rates).map(branch).collect::<Result<_, _>>()?;
        Ok(Self { decoder, home, branches })
    }

    /// Whether the pictures have to be brought to main memory as soon as they are decoded.
    pub fn lands(&self) -> bool {
        self.decoder.is_some() && self.home == Memory::System
    }

    /// The branches whose pictures have to cross to the other memory first.
    pub fn crosses(&self) -> bool {
        self.branches.iter().any(|branch| branch.scaled_in != self.home)
    }
}

/// Whether the pictures go through elements that only the CPU has.
fn is_prepared_by_cpu(facts: &VideoFacts) -> bool {
    facts.interlaced || facts.orientation != Orientation::Rotate0
}

impl Branch {
    fn new(rendition: &VideoRendition, rate: Rate, scaling: Scaling) -> Result<Self, Failure> {
        let family = encoder::of(rendition.encoder);
        let on_gpu = family.memory == Memory::Cuda;
        let scaled_in = match scaling {
            Scaling::Everything => Memory::Cuda,
            Scaling::ForItsEncoder if on_gpu => Memory::Cuda,
            Scaling::ForItsEncoder | Scaling::Nothing => Memory::System,
        };
        let encoded_from = if on_gpu { scaled_in } else { Memory::System };
        Ok(Self {
            scaled_in,
            encoded_from,
            format: family.format(rendition.bit_depth),
            size: (rendition.width, rendition.height),
            settings: encoder::settings(rendition, rate)?,
        })
    }
}

#[cfg(test)]
mod tests;
