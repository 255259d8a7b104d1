//! Checkpoint stores against the conformance suite.
