//! Stage processes: what is said to them, and how they are run and watched.

pub mod protocol;
