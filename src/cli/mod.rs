//! The command line, one command a file. Results go to standard output, everything else to standard error.
//!
//! The commands know the rest of the worker only through [`Wiring`], so that each can be tried with small fakes.

mod cancel;
mod context;
mod dead_letters;
mod doctor;
mod exit;
mod gpu_check;
mod progress;
mod requeue;
mod run;
mod schema;
mod signals;
mod status;
mod streams;
mod submit;
mod transcode;
mod wiring;

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use context::Context;
pub use exit::{Exit, Trouble};
pub use progress::Progress;
pub use streams::Streams;
pub use wiring::{LocalJob, LocalJobs, Wiring};

use crate::config::environment;

/// Transcodes video in chunks with GStreamer: resumable, byte-identical, verified.
#[derive(Debug, Parser)]
#[command(name = "gstreamer-worker", version, arg_required_else_help = true, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Print results as JSON, for scripts
    #[arg(long, global = true)]
    json: bool,
}

const AFTER_HELP: &str = "Exit status: 0 done, 1 the job failed, 2 usage, 64 configuration, 130/143 interrupted.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Work on jobs from Kafka until SIGTERM, then drain; configured by environment variables
    Run,
    /// Do one job on this machine; started again after a kill it goes on where it was
    Transcode(Box<transcode::TranscodeArgs>),
    /// Publish a job to Kafka and print its id
    Submit(submit::SubmitArgs),
    /// Show where a job stands
    Status(status::StatusArgs),
    /// Ask all workers to stop a job
    Cancel(cancel::CancelArgs),
    /// List what could not be done: records of the dead-letter topic, the newest last
    DeadLetters(dead_letters::DeadLettersArgs),
    /// Send the job of a dead letter back: it begins anew
    Requeue(requeue::RequeueArgs),
    /// Check GStreamer, GPU, Kafka, Redis, service and storage, and say what to do about each finding
    Doctor,
    /// Run every way through the GPU that works on a generated film, and compare pictures and speed with the CPU
    GpuCheck(gpu_check::GpuCheckArgs),
    /// Print the JSON Schema of a job
    Schema,
    /// The inside of a stage process: a spec on standard input, events on standard output
    #[command(hide = true)]
    Stage,
}

/// Runs the command that the arguments ask for. Wrong usage ends the process with 2.
pub fn main(wiring: &dyn Wiring) -> ExitCode {
    let Cli { command, json } = Cli::parse();
    // A stage process brings its own runtime, limits and log: nothing may be started before it.
    if matches!(command, Command::Stage) {
        return wiring.stage();
    }
    let streams = Streams::of_process();
    let context = Context { json, env: environment(), wiring, streams };
    let outcome = actix_rt::System::new().block_on(execute(command, &context));
    exit::finish(outcome, &context)
}

/// Runs a command inside a program that has an actix runtime, with the given arguments (the first is the program's
/// name), environment and streams.
///
/// # Errors
/// Why the command could not do what it was asked for; nothing was printed about it.
pub async fn command(
    args: &[&str],
    env: BTreeMap<String, String>,
    wiring: &dyn Wiring,
    streams: Streams,
) -> Result<Exit, Trouble> {
    let Cli { command, json } = Cli::try_parse_from(args).map_err(|error| Trouble::usage(error.to_string()))?;
    execute(command, &Context { json, env, wiring, streams }).await
}

async fn execute(command: Command, context: &Context<'_>) -> Result<Exit, Trouble> {
    match command {
        Command::Run => run::run(context).await,
        Command::Transcode(args) => transcode::transcode(*args, context).await,
        Command::Submit(args) => submit::submit(args, context).await,
        Command::Status(args) => status::status(args, context).await,
        Command::Cancel(args) => cancel::cancel(args, context).await,
        Command::DeadLetters(args) => dead_letters::dead_letters(args, context).await,
        Command::Requeue(args) => requeue::requeue(args, context).await,
        Command::Doctor => doctor::doctor(context).await,
        Command::GpuCheck(args) => gpu_check::gpu_check(args, context).await,
        Command::Schema | Command::Stage => schema::schema(context),
    }
}
