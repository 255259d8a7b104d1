//! The audio stage: what is heard, and when.
