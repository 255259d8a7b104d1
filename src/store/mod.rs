//! Checkpoint stores: Redis, and one embedded in the process.
