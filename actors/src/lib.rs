//! What the worker decides: the domain, the ports and the actors. No I/O library in this package.

pub mod capability;
pub mod checkpointer;
pub mod consumer;
pub mod domain;
pub mod encoder;
pub mod exit;
pub mod gpu;
pub mod in_flight;
pub mod link;
pub mod metrics;
pub mod pool;
pub mod ports;
pub mod reporter;
pub mod running;
pub mod status;
pub mod supervisor;
pub mod tasks;
pub mod trace;
pub mod versions;
pub mod work;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
