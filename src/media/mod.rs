//! The pipelines: split, encode, audio, assemble. Runs in stage processes only.
