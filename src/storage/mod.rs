//! Objects behind URIs: inputs, outputs and work files. The only place that turns URIs into paths.
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
mod durable;
mod faults;
mod input;
mod location;
mod output;
mod pending;
mod plan_files;
mod root;
mod scratch;
mod space;
mod work;

pub use input::LocalInput;
pub use location::{KNOWN_SCHEMES, file_uri};
pub use output::{Existing, name_is_taken};
pub use pending::Pending;
pub use plan_files::PlanFiles;
pub use root::Storage;
pub use scratch::Scratch;
pub use space::{MIN_FREE_BYTES, Space};
