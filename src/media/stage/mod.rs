//! The stages that do the work of a job: a file or folder each, which never import each other.
//!
//! * [`split`]: cuts an input into chunk sources and an audio source
//! * [`encode`]: makes the renditions of a chunk
//! * [`audio`]: encodes an audio track
//! * [`assemble`]: joins the parts of an output and reads it back
//! * [`verify`]: compares an output with the input, by another way
//! * [`blame`]: whether a failed stage had a whole source

pub mod assemble;
pub mod audio;
pub mod blame;
pub mod encode;
pub mod split;
pub mod verify;
