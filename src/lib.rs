//! gstreamer-worker: VOD jobs from Kafka, encoded in chunks with GStreamer, verified before they are called completed.
//!
//! This package holds how things are done (adapters, pipelines, command line); what is decided stands in `actors`.

pub mod admin;
pub mod cli;
pub mod config;
mod fault_injection;
pub mod gpu;
pub mod kafka;
pub mod media;
pub mod process;
pub mod protocol;
pub mod service;
pub mod storage;
pub mod store;
pub mod telemetry;

mod digest;
mod worker;

pub use worker::Worker;
