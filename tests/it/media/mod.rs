//! Pipelines on real and generated media.

mod encode;
mod split;
