//! The binary: gives the command line the worker that it commands.

use std::process::ExitCode;

fn main() -> ExitCode {
    gstreamer_worker::cli::main(&gstreamer_worker::Worker)
}
