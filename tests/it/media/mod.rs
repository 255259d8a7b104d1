//! Pipelines on real and generated media.
