//! What everything else speaks of: pure and synchronous. Files here use one another downward only and never name an actor,
//! a port or a library of media.
//!
//! * `codec`: codecs and the families that make them; `job`: what is asked; `geometry`: sizes and orientations; `plan`: what is done, `fingerprint`, `track` and
//!   `unit` name it and what it consists of; `task`: the work on Kafka;
//!   `part`: what comes of it
//! * `checkpoint`: how far a job is; `progress`: what is told of it; `dead_letter`: what could not be done
//! * `failure`: what went wrong, by who is to blame; `backoff`: when it is tried again; `record`, `offsets`: of the broker

pub mod backoff;
pub mod checkpoint;
pub mod codec;
pub mod dead_letter;
pub mod failure;
pub mod fingerprint;
pub mod geometry;
pub mod job;
pub mod offsets;
pub mod part;
pub mod plan;
pub mod progress;
pub mod record;
pub mod task;
pub mod track;
pub mod unit;
