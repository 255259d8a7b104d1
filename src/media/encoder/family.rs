//! What has to be known of an encoder family: data, one [`Family`] for each. Says what is to be set and never makes an
//! element, so that all of it is tested on machines without a device.

use actors::domain::job::{Rate, VideoCodec};
use actors::domain::plan::VideoRendition;

use super::settings::Settings;

/// Where the pictures lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// Main memory.
    System,
    /// Memory of an NVIDIA GPU.
    Cuda,
}

/// An element that encodes or decodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coder {
    /// What it makes or reads.
    pub codec: VideoCodec,
    /// Bits of a luma sample.
    pub bit_depth: u8,
    /// The element.
    pub element: &'static str,
}

/// What is done with the key frames of an encoder before they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFrames {
    /// Nothing: each has its parameter sets once.
    AsTheyAre,
    /// What comes twice is taken out, and what the encoder says of itself.
    Tidied,
    /// Encoders of a kind differ: each key frame gets its parameter sets, once, and is known by its slices.
    Completed,
}

/// Who says in which version a family is here.
#[derive(Clone, Copy)]
pub enum Version {
    /// This function, which is given the beginning of what it made: the stream itself says it, or a library is asked.
    Asked(fn(&[u8]) -> Option<String>),
    /// Its plugin, which has the name of the family.
    Plugin,
    /// The driver of the device.
    Driver,
}

/// An encoder family.
pub struct Family {
    /// Debian's package with its elements.
    pub package: &'static str,
    /// What it encodes.
    pub encodes: &'static [Coder],
    /// What it decodes, to the last bit as the CPU does.
    pub decodes: &'static [Coder],
    /// Its scaler.
    pub scaler: Option<&'static str>,
    /// Further elements that its pipelines are made of.
    pub further: &'static [&'static str],
    /// Whether it is hardware; OpenH264 only stands for a device.
    pub is_hardware: bool,
    /// Where it takes pictures from if it can choose.
    pub memory: Memory,
    /// The raw format that it takes for 8 bits, and for more.
    pub formats: (&'static str, &'static str),
    /// Its settings, said to this element.
    pub settings: fn(&'static str, &VideoRendition, Rate) -> Settings,
    /// What is done with its key frames.
    pub key_frames: KeyFrames,
    /// Who says in which version it is here.
    pub version: Version,
    /// To be called in a process before its encoders are made there.
    pub prepare: Option<fn()>,
}

impl Coder {
    /// Of a codec and its depth.
    pub const fn new(codec: VideoCodec, bit_depth: u8, element: &'static str) -> Self {
        Self { codec, bit_depth, element }
    }

    /// Its name in the table of the machine.
    pub fn name(&self) -> String {
        match self.bit_depth {
            8 => self.element.to_owned(),
            depth => format!("{}, {depth} bits", self.element),
        }
    }
}

impl Family {
    /// The element that encodes so.
    pub fn encoder(&self, codec: VideoCodec, bit_depth: u8) -> Option<&'static str> {
        let coder = self.encodes.iter().find(|coder| (coder.codec, coder.bit_depth) == (codec, bit_depth));
        coder.map(|coder| coder.element)
    }

    /// The element that decodes this.
    pub fn decoder(&self, codec: VideoCodec) -> Option<&'static str> {
        self.decodes.iter().find(|coder| coder.codec == codec).map(|coder| coder.element)
    }

    /// The raw format of pictures with so many bits.
    pub const fn format(&self, bit_depth: u8) -> &'static str {
        if bit_depth > 8 { self.formats.1 } else { self.formats.0 }
    }

    /// Every element that its pipelines are made of, each once.
    pub fn elements(&self) -> Vec<&'static str> {
        let coders = self.encodes.iter().chain(self.decodes).map(|coder| coder.element);
        let mut elements: Vec<_> = coders.chain(self.scaler).chain(self.further.iter().copied()).collect();
        elements.dedup();
        elements
    }
}
