//! Checkpoint stores against the conformance suite, and what only the real ones can suffer.

mod embedded;
mod jobs;
mod redis;
mod steps;
