//! Checkpoint stores: Redis for a fleet, and one embedded in the process, of which each job of one machine has its own.
//!
//! Both keep the rules of [`actors::domain::checkpoint::Checkpoint`] and pass the same conformance suite. The fake store of
//! `actors::testing` is what they are held against.

pub mod embedded;
mod jobs;
pub mod redis;

pub use self::embedded::EmbeddedStore;
pub use self::jobs::JobStores;
pub use self::redis::{RedisSettings, RedisStore};
