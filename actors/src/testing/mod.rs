//! Fakes, conformance suites and a harness for tests, here and in the root package.

pub mod chronicle;
pub mod faulty;
pub mod fleet;
pub mod invariants;
pub mod jitter;
pub mod life;
pub mod log;
pub mod meter;
pub mod service;
pub mod source;
pub mod stages;
pub mod store;
pub mod store_conformance;
