//! Stage processes and the runner, with real child processes. The stages themselves are doubles.

mod double;
mod film;
mod parent;
mod probe;
mod process;
mod runner;
