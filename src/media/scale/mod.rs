//! Scales the usual pictures, planar 4:2:0 of 8 bits, in a third of the time that GStreamer takes.
//!
//! * [`taps`]: the filter
//! * [`rows`]: the arithmetic of a row
//! * [`plane`]: a plane
//! * [`element`]: the frames in a pipeline
//!
//! Columns come first: a row of sums stays in the cache until it is made a row of the new picture, and the wide part of
//! the work is done with whole rows.

mod element;
mod plane;
mod rows;
mod taps;

pub use element::PlanarScale;
