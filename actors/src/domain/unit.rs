//! The units of work of a plan, each of which needs its parts. Their text form names fields, files and tasks.

use serde::{Deserialize, Serialize};

use super::track::TrackId;

/// The text form of the first audio track.
const AUDIO: &str = "audio";

/// What is made by one task: all renditions of a chunk, or of a whole track. Its text form is the field name in the
/// checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum UnitId {
    /// Chunk of the video.
    Chunk(u32),
    /// An audio track, see [`TrackId::Audio`].
    Audio(u16),
}

impl UnitId {
    /// The track that it is a piece of.
    pub const fn track(self) -> TrackId {
        match self {
            Self::Chunk(_) => TrackId::Video,
            Self::Audio(number) => TrackId::Audio(number),
        }
    }

    /// Whether it is a chunk and no whole track.
    pub const fn is_chunk(self) -> bool {
        matches!(self, Self::Chunk(_))
    }
}

impl std::fmt::Display for UnitId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Chunk(index) => write!(f, "v{index:05}"),
            Self::Audio(0) => f.write_str(AUDIO),
            Self::Audio(number) => write!(f, "{AUDIO}{number}"),
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
        let chunk = || text.strip_prefix('v').and_then(|digits| digits.parse().ok()).map(Self::Chunk);
        let audio = || match text.strip_prefix(AUDIO)? {
            "" => Some(Self::Audio(0)),
            digits => {
                digits.parse().ok().filter(|number: &u16| *number > 0 && number.to_string() == digits).map(Self::Audio)
            }
        };
        audio()
            .or_else(chunk)
            .ok_or_else(|| format!("`{text}` is neither a track such as `audio` nor a chunk such as `v00003`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_unit_reads_back_from_its_text(index: u32, number: u16) {
            for unit in [UnitId::Chunk(index), UnitId::Audio(number)] {
                prop_assert_eq!(UnitId::try_from(unit.to_string()), Ok(unit));
            }
        }
    }

    #[test]
    fn what_is_no_unit_is_refused() {
        for text in ["", "v", "vx", "audio0", "audio-1", "video", "audio99999", "audio+1", "audio01"] {
            assert!(UnitId::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
