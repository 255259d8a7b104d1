//! Names of what an input holds and of what is made of it: tracks and renditions. They name files, tasks and fields, so
//! that a name never changes its meaning.

use serde::{Deserialize, Serialize};

/// A track of the input that is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrackId {
    /// The video.
    Video,
    /// An audio track, by its number among those that are used.
    Audio(u16),
}

/// An encoded version of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RenditionId {
    /// The track.
    pub track: TrackId,
    /// Its number among the renditions of the track.
    pub index: u16,
}

impl RenditionId {
    /// The rendition of that number.
    pub const fn new(track: TrackId, index: u16) -> Self {
        Self { track, index }
    }

    /// Its place in a list of the renditions of its track.
    pub const fn place(self) -> usize {
        self.index as usize
    }
}

/// As in names of files of parts, in which the unit stands too.
impl std::fmt::Display for RenditionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.track {
            TrackId::Video => write!(f, "v{}", self.index),
            TrackId::Audio(_) => write!(f, "a{}", self.index),
        }
    }
}
