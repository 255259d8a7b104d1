//! Films and the outside judge.
