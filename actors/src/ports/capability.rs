//! What a machine was seen to do, and who looks.

use serde::{Deserialize, Serialize};

use super::answer::Answer;
use crate::domain::job::VideoCodec;
use crate::domain::plan::{EncoderFamily, EncoderVersions, FamilyOffer};

/// What a machine was seen to do: a table and no flag, as a GPU can have a decoder and no encoder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Capabilities {
    /// The GPUs.
    pub devices: Vec<Device>,
    /// Everything that was tried, whether it works or not. Decoding on the CPU needs no proof and has no row.
    pub paths: Vec<PathCapability>,
    /// What is missing.
    pub findings: Vec<CapabilityFinding>,
    /// The versions of the encoders that work, and of what else decides about bytes.
    pub versions: EncoderVersions,
}

/// A GPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Its number in the driver.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Version of the driver.
    pub driver: String,
    /// Its memory.
    pub memory_bytes: u64,
    /// Encodes that it runs side by side, where it has a limit that is known.
    #[serde(default)]
    pub max_sessions: Option<u32>,
    /// Why it does not answer any more though it is there: only a restart heals it.
    #[serde(default)]
    pub lost: Option<String>,
}

/// Which way a path goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From access units to pictures.
    Decode,
    /// From pictures to access units.
    Encode,
}

impl Direction {
    /// The name used in tables and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Encode => "encode",
        }
    }
}

/// One thing that was tried on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathCapability {
    /// The codec.
    pub codec: VideoCodec,
    /// Which way.
    pub direction: Direction,
    /// Bits of a luma sample.
    pub bit_depth: u8,
    /// Who does it.
    pub family: EncoderFamily,
    /// What came of it.
    pub proof: Proof,
    /// Largest width and height in pixels, where there is a limit that is known.
    #[serde(default)]
    pub max_size: Option<(u32, u32)>,
}

/// What came of a test run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// The pictures that came out were looked at and are right.
    Works {
        /// Frames per second of the test run, start left out; `None` where it was too short to say.
        fps: Option<u32>,
    },
    /// It does not work, as this sentence says.
    Fails(String),
}

/// Something that is missing, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapabilityFinding {
    /// One sentence.
    pub what: String,
    /// One sentence; empty where there is nothing to do.
    #[serde(default)]
    pub advice: String,
}

impl PathCapability {
    /// Whether it works.
    pub const fn works(&self) -> bool {
        matches!(self.proof, Proof::Works { .. })
    }
}

impl Capabilities {
    /// The encoders that work.
    pub fn encoders(&self) -> impl Iterator<Item = &PathCapability> {
        self.paths.iter().filter(|path| path.direction == Direction::Encode && path.works())
    }

    /// The devices among them, as what a plan can be offered.
    pub fn offers(&self) -> impl Iterator<Item = FamilyOffer> + '_ {
        self.encoders().filter(|path| path.family.is_device()).map(|path| FamilyOffer {
            codec: path.codec,
            bit_depth: path.bit_depth,
            family: path.family,
            max_size: path.max_size,
        })
    }
}

impl Capabilities {
    /// Whether it makes what needs these versions: of devices, it also has to offer them.
    pub fn makes(&self, needed: &EncoderVersions) -> bool {
        let offered = |family| self.offers().any(|offer| offer.family == family);
        self.versions.cover(needed) && needed.devices().all(offered)
    }
}

/// Finds out what the machine can do.
pub trait CapabilityProbe: Send + Sync {
    /// Looks at the machine as it is now.
    fn probe(&self) -> Answer<Capabilities>;
}

/// What a GPU does at this moment.
#[derive(Clone, Debug, PartialEq)]
pub struct GpuReading {
    /// Its number in the driver.
    pub index: u32,
    /// Use of its encoder, 0 to 1.
    pub encoder: f64,
    /// Use of its decoder, 0 to 1.
    pub decoder: f64,
    /// Use of its processors, 0 to 1.
    pub compute: f64,
    /// Memory in use.
    pub memory_used_bytes: u64,
    /// Memory that it has.
    pub memory_total_bytes: u64,
}

/// Reads the GPUs of the machine. Costs microseconds, and answers with none where there is no driver.
pub trait GpuMonitor: Send + Sync {
    /// What they do now; a GPU that does not answer is left out.
    fn read(&self) -> Answer<Vec<GpuReading>>;
}
