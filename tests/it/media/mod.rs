//! Pipelines on real and generated media.

mod clips;
