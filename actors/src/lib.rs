//! What the worker decides: the domain, the ports and the actors. No I/O library in this package.

pub mod backoff;
pub mod checkpoint;
pub mod failure;
pub mod geometry;
pub mod job;
pub mod metrics;
pub mod offsets;
pub mod plan;
pub mod ports;
pub mod progress;
pub mod task;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
