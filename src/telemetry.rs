//! Logs and metrics of the process. Logs go to standard error, standard output belongs to results.
//! Must never stop the work: a metric or a log line that cannot be written is lost.

pub mod cpu;
mod histograms;
mod json;

use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::LogFormat;
pub use json::name_worker;

/// What a pod logs: its own life and that of its jobs; libraries only where something is wrong.
pub const POD_FILTER: &str = "warn,gstreamer_worker=info,actors=info";
/// What a command logs that somebody waits for: how the job ended is on the screen already. Why it stands still is not.
pub const COMMAND_FILTER: &str = "error,actors=off,actors::tasks::full=warn";

/// How often gauges are sampled and histograms are folded up.
const SAMPLE_EVERY: Duration = Duration::from_secs(5);

/// A log of one form.
pub type Log = Box<dyn tracing::Subscriber + Send + Sync>;

/// Sets up the log: `RUST_LOG` where it is set and can be read, otherwise `default_filter`. Only the first call counts.
pub fn init_logs(format: LogFormat, default_filter: &str, writer: BoxMakeWriter) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default_filter));
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    // A second call finds the log of the first, which is as good.
    let _ = log(format, filter, colours, writer).try_init();
}

/// The log itself; colours only where a person reads it as text.
pub fn log(format: LogFormat, filter: EnvFilter, colours: bool, writer: BoxMakeWriter) -> Log {
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    match format {
        LogFormat::Text => Box::new(log.with_ansi(colours).finish()),
        LogFormat::Json => {
            Box::new(log.with_ansi(false).fmt_fields(JsonFields::new()).event_format(json::JsonLines).finish())
        }
    }
}

/// Installs the recorder of the process; the handle renders `/metrics`.
///
/// # Errors
/// Where another recorder was installed before.
pub fn install_metrics() -> Result<PrometheusHandle, String> {
    let recorder = recorder()?;
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|error| format!("metrics are recorded already: {error}"))?;
    actors::metrics::describe();
    Ok(handle)
}

/// A recorder with this worker's histogram buckets.
///
/// # Errors
/// Never with the buckets as they are.
pub fn recorder() -> Result<metrics_exporter_prometheus::PrometheusRecorder, String> {
    let mut builder = PrometheusBuilder::new();
    for (metric, buckets) in histograms::BUCKETS {
        builder = builder
            .set_buckets_for_metric(metrics_exporter_prometheus::Matcher::Full((*metric).into()), buckets)
            .map_err(|error| format!("buckets of {metric}: {error}"))?;
    }
    Ok(builder.build_recorder())
}

/// Samples the CPU gauge and folds histograms up until `stop` is cancelled.
pub async fn sample(handle: PrometheusHandle, stop: CancellationToken) {
    let mut meter = cpu::CpuMeter::start();
    // There from the beginning, so that a dashboard does not show a gap for each new pod.
    metrics::gauge!(actors::metrics::CPU_UTILIZATION_RATIO).set(0.0);
    let mut ticks = tokio::time::interval(SAMPLE_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        if let Some(ratio) = meter.ratio() {
            metrics::gauge!(actors::metrics::CPU_UTILIZATION_RATIO).set(ratio);
        }
        handle.run_upkeep();
    }
}
