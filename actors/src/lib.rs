//! What the worker decides: the domain, the ports and the actors. No I/O library in this package.

pub mod backoff;
pub mod board;
pub mod capability;
pub mod checkpoint;
pub mod checkpointer;
pub mod consumer;
pub mod encoder;
pub mod exit;
pub mod failure;
pub mod geometry;
pub mod gpu;
pub mod handle;
pub mod job;
pub mod letter;
pub mod link;
pub mod metrics;
pub mod offsets;
pub mod plan;
pub mod pool;
pub mod ports;
pub mod progress;
pub mod reporter;
pub mod status;
pub mod supervisor;
pub mod task;
pub mod trace;
pub mod versions;
pub mod work;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
