//! The parts that an output is joined from.
//!
//! * [`reader`]: the files, and their access units in order
//! * [`video`], [`audio`]: the first pass over them, [`mismatch`]: what it may find
//! * [`timing`]: times in the ticks of a container
//! * [`tracks`]: all of it together, for a packager

pub mod audio;
pub mod mismatch;
pub mod reader;
pub mod timing;
pub mod tracks;
pub mod video;
