//! What a stage that compares outputs with their input is told, and what it answers.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use actors::domain::job::Rate;

/// Compare outputs with the input that they were made of, which is read once for all of them, and with nothing else.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VerifySpec {
    /// The input.
    pub input: PathBuf,
    /// The outputs.
    pub outputs: Vec<VerifiedFile>,
}

/// An output that is compared.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VerifiedFile {
    /// Where it is (a temporary name).
    pub target: PathBuf,
    /// Whether it has sound.
    pub audio: bool,
    /// Frames of the input that could not be decoded.
    pub damaged_frames: u64,
    /// How many bits were asked for.
    pub rate: Rate,
}

/// What came of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All outputs show what the input shows.
    Same(Vec<Compared>),
    /// One does not, as this sentence says.
    Differs(String),
}

/// An output that shows what its input shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// Its frames.
    pub frames: u64,
    /// Pictures that were compared.
    pub pictures: u64,
    /// Whether sound was compared.
    pub sound: bool,
}
