//! Objects behind URIs: inputs, outputs and work files.
