//! The split stage on real and generated media.
