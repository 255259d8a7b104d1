//! Configuration from the environment: parsed once, all errors together.
