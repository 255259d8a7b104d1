//! Names of the metrics, and what they mean. Nothing else in the project spells a metric's name; dashboard, alerts and
//! autoscaler are checked against [`METRICS`].

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram};

/// Frames encoded per second by one task; `codec`, `encoder`.
pub const ENCODE_FPS: &str = "transcode_encode_fps";
/// Media seconds encoded per second by one task; `codec`, `encoder`.
pub const ENCODE_SPEED_RATIO: &str = "transcode_encode_speed_ratio";
/// From first seen to the end of a job; `outcome`.
pub const JOB_DURATION_SECONDS: &str = "transcode_job_duration_seconds";
/// One attempt of a task; `stage`, `outcome`.
pub const TASK_DURATION_SECONDS: &str = "transcode_task_duration_seconds";
/// Attempts of tasks that ended; `stage`, `outcome`.
pub const TASKS_TOTAL: &str = "transcode_tasks_total";
/// Jobs that ended; `outcome`.
pub const JOBS_TOTAL: &str = "transcode_jobs_total";
/// Failures; `class`.
pub const ERRORS_TOTAL: &str = "transcode_errors_total";
/// Records put away.
pub const DEAD_LETTERS_TOTAL: &str = "transcode_dead_letters_total";
/// Media encoded; `codec`, `encoder`.
pub const MEDIA_SECONDS_TOTAL: &str = "transcode_media_seconds_total";
/// Media encoded and thrown away, or begun again; `codec`, `encoder`.
pub const WASTED_MEDIA_SECONDS_TOTAL: &str = "transcode_wasted_media_seconds_total";
/// CPU time used by the worker and its stages, as a share of all cores.
pub const CPU_UTILIZATION_RATIO: &str = "transcode_cpu_utilization_ratio";
/// GPU engines in use; `gpu`, `engine`.
pub const GPU_UTILIZATION_RATIO: &str = "transcode_gpu_utilization_ratio";
/// Whether something that was tried works; `direction`, `codec`, `bit_depth`, `encoder`.
pub const CAPABILITY: &str = "transcode_capability";
/// GPU memory; `gpu`, `kind` (`used`, `total`).
pub const GPU_MEMORY_BYTES: &str = "transcode_gpu_memory_bytes";
/// Encoding sessions of GPUs that this worker has in use.
pub const GPU_SESSIONS: &str = "transcode_gpu_sessions";
/// The circuit breaker of the GPUs: 0 closed, 1 half-open, 2 open.
pub const GPU_BREAKER_STATE: &str = "transcode_gpu_breaker_state";
/// Chunks that a GPU was to make and the CPU made; `reason`.
pub const GPU_FALLBACKS_TOTAL: &str = "transcode_gpu_fallbacks_total";
/// Encoders of the pool.
pub const POOL_SLOTS: &str = "transcode_pool_slots";
/// Encoders that work.
pub const POOL_BUSY: &str = "transcode_pool_busy";
/// Last reports in the outbox.
pub const OUTBOX_REPORTS: &str = "transcode_outbox_reports";
/// Records not committed; `topic`, `partition`.
pub const CONSUMER_LAG: &str = "kafka_consumer_lag";
/// Actors that died and were started again; `actor`.
pub const ACTOR_RESTARTS_TOTAL: &str = "transcode_actor_restarts_total";
/// Stage processes that ended; `reason`.
pub const CHILD_EXITS_TOTAL: &str = "transcode_child_exits_total";

/// How a metric behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size.
    Histogram,
}

impl Kind {
    /// The word of Prometheus.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// What its number counts.
    pub unit: Unit,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// All values of its only label, where they are known: such a counter is there from the beginning, with 0, so that
    /// its first increment is seen as one.
    pub values: &'static [&'static str],
    /// What it means, with its unit.
    pub help: &'static str,
}

impl Metric {
    const fn new(
        kind: Kind,
        name: &'static str,
        unit: Unit,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self { name, kind, unit, labels, values: &[], help }
    }

    const fn counts(self, values: &'static [&'static str]) -> Self {
        Self { values, ..self }
    }
}

use Kind::{Counter, Gauge, Histogram};

const ENCODE: &[&str] = &["codec", "encoder"];

/// All metrics, in the order of the table in `docs/metrics.md`.
pub const METRICS: &[Metric] = &[
    Metric::new(Histogram, ENCODE_FPS, Unit::CountPerSecond, ENCODE, "Frames per second that one task encodes."),
    Metric::new(
        Histogram,
        ENCODE_SPEED_RATIO,
        Unit::Count,
        ENCODE,
        "Speed of one encode: media seconds per second, 1 is real time.",
    ),
    Metric::new(
        Histogram,
        JOB_DURATION_SECONDS,
        Unit::Seconds,
        &["outcome"],
        "Seconds from first seen to the end of a job.",
    ),
    Metric::new(
        Histogram,
        TASK_DURATION_SECONDS,
        Unit::Seconds,
        &["stage", "outcome"],
        "Seconds of one attempt of a task.",
    ),
    Metric::new(Counter, TASKS_TOTAL, Unit::Count, &["stage", "outcome"], "Attempts of tasks that ended."),
    Metric::new(Counter, JOBS_TOTAL, Unit::Count, &["outcome"], "Jobs that ended on this worker.").counts(&[
        "completed",
        "failed",
        "cancelled",
    ]),
    Metric::new(Counter, ERRORS_TOTAL, Unit::Count, &["class"], "Failures.").counts(&[
        "retryable",
        "permanent",
        "device",
        "interrupted",
    ]),
    Metric::new(Counter, DEAD_LETTERS_TOTAL, Unit::Count, &[], "Records that this worker put away as dead letters."),
    Metric::new(
        Counter,
        MEDIA_SECONDS_TOTAL,
        Unit::Seconds,
        ENCODE,
        "Seconds of media encoded, once for each rendition.",
    ),
    Metric::new(
        Counter,
        WASTED_MEDIA_SECONDS_TOTAL,
        Unit::Seconds,
        ENCODE,
        "Seconds of media encoded in vain: thrown away, begun again or interrupted.",
    ),
    Metric::new(
        Gauge,
        CPU_UTILIZATION_RATIO,
        Unit::Count,
        &[],
        "CPU time used by the worker and its stages, as a share of its cores, 0 to 1.",
    ),
    Metric::new(Gauge, GPU_UTILIZATION_RATIO, Unit::Count, &["gpu", "engine"], "Use of a GPU engine, 0 to 1."),
    Metric::new(
        Gauge,
        CAPABILITY,
        Unit::Count,
        &["direction", "codec", "bit_depth", "encoder"],
        "1 where something that was tried on this machine works, otherwise 0.",
    ),
    Metric::new(Gauge, GPU_MEMORY_BYTES, Unit::Bytes, &["gpu", "kind"], "Bytes of memory of a GPU, used and total."),
    Metric::new(Gauge, GPU_SESSIONS, Unit::Count, &[], "Encoding sessions of GPUs that this worker has in use."),
    Metric::new(
        Gauge,
        GPU_BREAKER_STATE,
        Unit::Count,
        &[],
        "Circuit breaker of the GPUs: 0 closed, 1 half-open, 2 open.",
    ),
    Metric::new(
        Counter,
        GPU_FALLBACKS_TOTAL,
        Unit::Count,
        &["reason"],
        "Chunks that a GPU was to make and the CPU made.",
    )
    .counts(&["session_limit", "out_of_memory", "device_lost", "hang", "bad_output", "other"]),
    Metric::new(Gauge, POOL_SLOTS, Unit::Count, &[], "Encoders of the pool."),
    Metric::new(Gauge, POOL_BUSY, Unit::Count, &[], "Encoders of the pool that work."),
    Metric::new(
        Gauge,
        OUTBOX_REPORTS,
        Unit::Count,
        &[],
        "Last reports of jobs that the Transcoding Service has not confirmed, all workers together, 64 at most.",
    ),
    Metric::new(
        Gauge,
        CONSUMER_LAG,
        Unit::Count,
        &["topic", "partition"],
        "Records of a partition that are not committed, seen by its owner.",
    ),
    Metric::new(Counter, ACTOR_RESTARTS_TOTAL, Unit::Count, &["actor"], "Actors that died and were started again.")
        .counts(&["capability", "checkpointer", "consumer", "encoder", "pool", "reporter"]),
    Metric::new(Counter, CHILD_EXITS_TOTAL, Unit::Count, &["reason"], "Stage processes that ended.").counts(&[
        "done",
        "failed",
        "crashed",
        "killed",
        "signalled",
        "exited",
        "garbage",
        "stalled",
        "stopped",
        "dropped",
    ]),
];

/// The metric of this name.
pub fn metric(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}

/// Tells the recorder what each metric means, and begins the counters whose labels are known. Called once, after the
/// recorder is installed.
pub fn describe() {
    for metric in METRICS {
        let Metric { name, unit, help, .. } = *metric;
        match metric.kind {
            Counter => describe_counter!(name, unit, help),
            Gauge => describe_gauge!(name, unit, help),
            Histogram => describe_histogram!(name, unit, help),
        }
        match (metric.kind, metric.labels) {
            (Counter, []) => counter!(name).increment(0),
            (Counter, [label]) => {
                metric.values.iter().for_each(|value| counter!(name, *label => *value).increment(0));
            }
            (Counter | Gauge | Histogram, _) => {}
        }
    }
}

/// The table of `docs/metrics.md`.
pub fn markdown_table() -> String {
    let mut table = String::from("| metric | kind | labels | meaning |\n|---|---|---|---|\n");
    for Metric { name, kind, labels, help, .. } in METRICS {
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        let help = help.trim_end_matches('.');
        table.push_str(&format!("| `{name}` | {} | {} | {help} |\n", kind.as_str(), labels.join(", ")));
    }
    table
}
