//! What has to be known of a package: one [`Packager`] for each.

use std::path::PathBuf;

use actors::domain::checkpoint::Verification;
use actors::domain::failure::Failure;
use actors::domain::job::AudioCodec;

use crate::media::parts::tracks::Tracks;

/// Writes a package and reads it back. Must never decode.
pub trait Packager: Sync {
    /// What it makes, in a sentence.
    fn name(&self) -> &'static str;

    /// Whether it holds sound of this codec.
    fn takes_audio(&self, codec: AudioCodec) -> bool;

    /// Ticks per second for frames at these times in nanoseconds with this frame rate, `(0, 1)` where it varies.
    fn timescale(&self, pts_ns: &[i64], frame_rate: (u32, u32)) -> u32;

    /// Writes the target of the spec, and gives all files in the order in which they may appear; `progress` gets the media
    /// time that was written.
    ///
    /// # Errors
    /// `retryable` where the disk does not take it or a part cannot be read.
    fn write(&self, tracks: &Tracks, progress: &dyn Fn(u64)) -> Result<Vec<PathBuf>, Failure>;

    /// Compares what lies at the target of the spec with what it was made of.
    ///
    /// # Errors
    /// `retryable` with the first difference, or where the file cannot be read.
    fn verify(&self, tracks: &Tracks) -> Result<Verification, Failure>;
}
