//! The plan of a job: everything that affects the bytes, fixed once when the job is split.
//! Times are nanoseconds on the presentation timeline (running time after edit lists).
//! Must never depend on the worker that reads it: two workers with different settings do the same work.
//!
//! * `facts`: what the split stage learned about the input; `cut`: where chunks begin and end
//! * `family`, `versions`: who can make what, and which version of it
//! * `rendition`, `model`: the plan, `stored`: its form in the work storage; `build`: how it is made; `needs`: what a unit
//!   of it needs
//! * `pinned`: the plan as it is carried out; `chains`: the order of its units

mod build;
mod chains;
mod cut;
mod facts;
mod family;
mod model;
mod needs;
mod pinned;
mod rendition;
mod stored;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod versions;

pub use super::codec::EncoderFamily;
pub use cut::{MAX_WINDOWS_PER_SOURCE, Window, chunk_target, windows};
pub use facts::{Account, AudioFacts, ChunkFacts, SourceFacts, SourceIdentity, VideoFacts};
pub use family::{Families, FamilyOffer};
pub use model::{AudioPlan, Chunk, OutputPlan, PLAN_FORMAT, Plan, Track, VideoPlan};
pub use pinned::{PinnedPlan, Unreadable};
pub use rendition::{AudioRendition, VideoRendition};
pub use versions::{AAC_ENCODER, EncoderVersions, GSTREAMER};
