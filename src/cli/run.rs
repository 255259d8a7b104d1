//! `run`: the pod.

use tracing_subscriber::fmt::writer::BoxMakeWriter;

use super::signals::Signals;
use super::{Exit, Trouble, Wiring};
use crate::config::Config;
use crate::telemetry;

/// Reads the configuration, works until a signal, drains. A clean drain is success: a pod is stopped on purpose.
pub(super) async fn run(wiring: &dyn Wiring) -> Result<Exit, Trouble> {
    let config = Config::from_env()?;
    telemetry::init_logs(config.log_format, telemetry::POD_FILTER, BoxMakeWriter::new(std::io::stderr));
    let signals = Signals::listen()?;
    wiring.run(config, signals.stop()).await?;
    Ok(Exit::Done)
}
