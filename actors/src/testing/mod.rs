//! Fakes, conformance suites and a harness for tests, here and in the root package.

pub mod source;
