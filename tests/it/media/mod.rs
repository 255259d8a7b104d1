//! Pipelines on real and generated media.

mod clips;
mod encode;
mod split;
