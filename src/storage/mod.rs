//! Objects behind URIs: inputs, outputs and work files. All of it works on the traits of `objects.rs`; a storage is a
//! file that implements them, such as `local.rs`, and a line in `location.rs`. Stages only ever see files of this
//! machine: a [`LocalInput`], a [`Scratch`] or the file of a [`Pending`].
//!
//! Layout of the work storage (`WORK_URL`), one directory for each job:
//!
//! ```text
//! {job_id}/split-{unique}/                        scratch of a running split
//! {job_id}/{fingerprint}/plan.json                written last by split: all sources are there
//! {job_id}/{fingerprint}/source/v00000.gdp        chunk sources and the audio source
//! {job_id}/{fingerprint}/parts/v0-v00000-….gdp    encoded parts; the name holds the digest
//! {job_id}/{fingerprint}/records/v00000.json      a part, written after its files are durable
//! {job_id}/{fingerprint}/outputs/0.json           an output, written just before it gets its final name
//! ```

mod documents;
mod faults;
mod local;
mod location;
mod media;
mod objects;
mod pending;
mod plan_files;
mod root;
mod scratch;
mod space;
mod work;

pub use local::{file_path, file_uri};
pub use media::name_is_taken;
pub use objects::{Existing, LocalInput};
pub use pending::Pending;
pub use plan_files::PlanFiles;
pub use root::Storage;
pub use scratch::Scratch;
pub use space::{MIN_FREE_BYTES, Space};
