//! The encode stage on real and generated media.
