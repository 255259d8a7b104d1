//! The units of work of a plan, each of which needs a part. Their text form names fields, files and tasks.

use serde::{Deserialize, Serialize};

/// What a part is the result of: a chunk or the audio track. Its text form is the field name in the checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum UnitId {
    /// Chunk of the video.
    Chunk(u32),
    /// The audio track.
    Audio,
}

impl std::fmt::Display for UnitId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Chunk(index) => write!(f, "v{index:05}"),
            Self::Audio => f.write_str("audio"),
        }
    }
}

impl From<UnitId> for String {
    fn from(unit: UnitId) -> Self {
        unit.to_string()
    }
}

impl TryFrom<String> for UnitId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "audio" {
            return Ok(Self::Audio);
        }
        let index = text.strip_prefix('v').and_then(|digits| digits.parse().ok());
        index.map(Self::Chunk).ok_or_else(|| format!("`{text}` is neither `audio` nor a chunk such as `v00003`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_unit_reads_back_from_its_text(index: u32) {
            let unit = UnitId::Chunk(index);
            prop_assert_eq!(UnitId::try_from(unit.to_string()), Ok(unit));
        }
    }
}
