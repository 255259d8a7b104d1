//! `run`: the pod.

use tracing_subscriber::fmt::writer::BoxMakeWriter;

use super::signals::Signals;
use super::{Context, Exit, Trouble};
use crate::telemetry;

/// Reads the configuration, works until a signal, drains. A clean drain is success: a pod is stopped on purpose.
pub(super) async fn run(context: &Context<'_>) -> Result<Exit, Trouble> {
    let config = context.config()?;
    telemetry::init_logs(config.log_format, telemetry::POD_FILTER, BoxMakeWriter::new(std::io::stderr));
    let signals = Signals::listen()?;
    context.wiring.run(config, signals.stop()).await?;
    Ok(Exit::Done)
}
