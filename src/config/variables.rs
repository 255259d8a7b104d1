//! The variables: name, default, what is accepted, what it means. Each default stands with its reason.

/// Whether a variable has to be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing works without it.
    Always,
    /// Needed unless the embedded broker is used.
    WithCluster,
    /// Never needed.
    Optional,
}

/// One environment variable.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// The value that is read where it is not set.
    pub default: Option<&'static str>,
    /// What is accepted.
    pub accepts: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// Whether it has to be set.
    pub need: Need,
    /// Whether its value must not be shown.
    pub secret: bool,
}

const fn optional(name: &'static str, accepts: &'static str, meaning: &'static str) -> Variable {
    Variable { name, default: None, accepts, meaning, need: Need::Optional, secret: false }
}

const fn with_default(
    name: &'static str,
    default: &'static str,
    accepts: &'static str,
    meaning: &'static str,
) -> Variable {
    Variable { default: Some(default), ..optional(name, accepts, meaning) }
}

const DURATION: &str = "a duration such as `30s`, `5m`, `2h`, or a number of seconds";

/// Variables that begin so are passed to librdkafka: `KAFKA_CONFIG_SASL_USERNAME` sets `sasl.username`.
pub const KAFKA_CONFIG_PREFIX: &str = "KAFKA_CONFIG_";

pub(super) const KAFKA_BROKERS: Variable = Variable {
    need: Need::Always,
    ..optional(
        "KAFKA_BROKERS",
        "`host:port`, several with commas, or `embedded`",
        "Kafka cluster; `embedded` starts a broker inside the process",
    )
};
/// The name in the contract with the Transcoding Service.
pub(super) const KAFKA_TOPIC: Variable = with_default(
    "KAFKA_TOPIC",
    "transcoding",
    "a topic name: up to 200 letters, digits, `.`, `_`, `-`",
    "topic of the jobs; task, control and dead-letter topics begin with its name",
);
pub(super) const KAFKA_GROUP_ID: Variable = with_default(
    "KAFKA_GROUP_ID",
    "gstreamer-worker",
    "a group name: up to 200 letters, digits, `.`, `_`, `-`",
    "consumer group; all workers of one fleet have the same",
);
pub(super) const KAFKA_CONFIG: Variable = optional(
    "KAFKA_CONFIG_*",
    "a value of that librdkafka property",
    "passed to librdkafka: `KAFKA_CONFIG_SECURITY_PROTOCOL` sets `security.protocol`",
);
pub(super) const REDIS_HOST: Variable = Variable {
    need: Need::WithCluster,
    ..optional("REDIS_HOST", "a host name or an address", "Redis server that holds the checkpoints")
};
/// The port that Redis has registered.
pub(super) const REDIS_PORT: Variable = with_default(
    "REDIS_PORT",
    "6379",
    "a port, 1 to 65535, or a Kubernetes service link `tcp://address:port`",
    "its port",
);
pub(super) const REDIS_PASSWORD: Variable =
    Variable { secret: true, ..optional("REDIS_PASSWORD", "any text", "its password") };
pub(super) const TRANSCODING_SERVICE_URL: Variable = optional(
    "TRANSCODING_SERVICE_URL",
    "an http or https URL",
    "base URL of the Transcoding Service; without it progress is only logged",
);
pub(super) const TRANSCODING_SERVICE_TOKEN: Variable = Variable {
    secret: true,
    ..optional("TRANSCODING_SERVICE_TOKEN", "visible ASCII characters", "bearer token for the Transcoding Service")
};
/// A GPU is used only after it encoded a picture, so looking for one cannot do harm.
pub(super) const GPU_ENABLED: Variable = with_default(
    "GPU_ENABLED",
    "auto",
    "`auto`, `true` or `false`",
    "whether GPUs are used: where one works, expected to work, never",
);
/// Drivers know their limit, and probes ask them; an operator who shares a GPU with others sets less.
pub(super) const GPU_SESSIONS: Variable = optional(
    "GPU_SESSIONS",
    "a number, 1 to 1024",
    "encoding sessions that this worker opens side by side; without it what its GPUs allow",
);
/// A node with a GPU that an autoscaler orders is there in five minutes.
pub(super) const GPU_WAIT_TIMEOUT: Variable =
    with_default("GPU_WAIT_TIMEOUT", "10m", DURATION, "how long a job that requires a GPU waits for a worker with one");
/// A rolling update of a fleet takes minutes; after half an hour somebody has to start a worker of the old image.
pub(super) const ENCODER_WAIT_TIMEOUT: Variable = with_default(
    "ENCODER_WAIT_TIMEOUT",
    "30m",
    DURATION,
    "how long a job waits for a worker with the encoder versions that it was planned with",
);
/// Each encoder uses one thread (more would change the bytes), so that one per core fills the machine.
pub(super) const ENCODER_POOL_SIZE: Variable = with_default(
    "ENCODER_POOL_SIZE",
    "cores",
    "`cores` or a number, 1 to 1024",
    "encoders that work at once; `cores`: one per core of the machine or its CPU limit",
);
/// Enough for one film to use eight pods of four cores, few enough that jobs share a fleet fairly.
pub(super) const JOB_PARALLELISM: Variable = with_default(
    "JOB_PARALLELISM",
    "32",
    "a number, 1 to 10000",
    "chunk tasks of one job that are in the queue at once",
);
/// A kill costs at most one chunk for each encoder, and a closed GOP costs rate at each chunk: 10 s balances both.
pub(super) const CHUNK_SECONDS: Variable = with_default(
    "CHUNK_SECONDS",
    "10",
    "a number of seconds, 1 to 600",
    "length of a chunk; films under a minute get shorter ones",
);
/// Where Debian's file system standard puts the state of a service.
pub(super) const WORK_URL: Variable = with_default(
    "WORK_URL",
    "file:///var/lib/gstreamer-worker",
    "a `file://` URL of an absolute path without `?` and `#`, such as `file:///mnt/work`",
    "storage for chunks and parts; all workers of one fleet must see the same",
);
/// The port that Prometheus tutorials and charts expect first.
pub(super) const METRICS_PORT: Variable = with_default(
    "METRICS_PORT",
    "9090",
    "a port, 0 to 65535",
    "port of `/metrics`, `/healthz`, `/readyz`; 0 takes a free one",
);
/// The slowest single frame (x265 veryslow, 8K, one thread) takes seconds; a minute without one is no slowness.
pub(super) const STALL_TIMEOUT: Variable =
    with_default("STALL_TIMEOUT", "60s", DURATION, "a stage whose media time stands still this long is killed");
/// Two for bad luck of the machine, one for a second machine; more only delays the answer.
pub(super) const MAX_ATTEMPTS: Variable =
    with_default("MAX_ATTEMPTS", "3", "a number, 1 to 100", "tries of a task before its job fails");
/// A chunk takes seconds, so most of them end in it. Of the thirty seconds that Kubernetes gives a pod by default five are
/// left to take leave, which is enough where Kafka and the service answer at once; [`actors::supervisor::AFTER_DRAIN`] is
/// what it can take.
pub(super) const DRAIN_TIMEOUT: Variable =
    with_default("DRAIN_TIMEOUT", "25s", DURATION, "how long running chunks may go on after SIGTERM");
/// A week: long enough to be asked on Monday about a job of Friday.
pub(super) const CHECKPOINT_TTL: Variable = with_default(
    "CHECKPOINT_TTL",
    "7d",
    "a duration of a minute or more such as `12h`, `7d`",
    "how long the checkpoint of a finished job is kept",
);
/// People start it first; a cluster sets json.
pub(super) const LOG_FORMAT: Variable =
    with_default("LOG_FORMAT", "text", "`text` or `json`", "form of the log on standard error");

/// All variables, in the order of the table in `docs/configuration.md`.
pub const VARIABLES: &[Variable] = &[
    KAFKA_BROKERS,
    KAFKA_TOPIC,
    KAFKA_GROUP_ID,
    KAFKA_CONFIG,
    REDIS_HOST,
    REDIS_PORT,
    REDIS_PASSWORD,
    TRANSCODING_SERVICE_URL,
    TRANSCODING_SERVICE_TOKEN,
    GPU_ENABLED,
    GPU_SESSIONS,
    GPU_WAIT_TIMEOUT,
    ENCODER_WAIT_TIMEOUT,
    ENCODER_POOL_SIZE,
    JOB_PARALLELISM,
    CHUNK_SECONDS,
    WORK_URL,
    METRICS_PORT,
    STALL_TIMEOUT,
    MAX_ATTEMPTS,
    DRAIN_TIMEOUT,
    CHECKPOINT_TTL,
    LOG_FORMAT,
];

/// Those that also count for one job on this machine.
const LOCAL: &[Variable] = &[
    GPU_ENABLED,
    GPU_SESSIONS,
    GPU_WAIT_TIMEOUT,
    ENCODER_WAIT_TIMEOUT,
    ENCODER_POOL_SIZE,
    JOB_PARALLELISM,
    CHUNK_SECONDS,
    STALL_TIMEOUT,
    MAX_ATTEMPTS,
    DRAIN_TIMEOUT,
    LOG_FORMAT,
];

impl Variable {
    /// The column *default* of the table.
    pub fn default_text(&self) -> String {
        match (self.need, self.default) {
            (Need::Always, _) => "required".into(),
            (Need::WithCluster, _) => "required unless `KAFKA_BROKERS=embedded`".into(),
            (Need::Optional, Some(default)) => format!("`{default}`"),
            (Need::Optional, None) => "none".into(),
        }
    }
}

/// The table of `docs/configuration.md`.
pub fn markdown_table() -> String {
    let mut table = String::from("| variable | default | accepted | meaning |\n|---|---|---|---|\n");
    for variable in VARIABLES {
        let Variable { name, accepts, meaning, .. } = variable;
        table.push_str(&format!("| `{name}` | {} | {accepts} | {meaning} |\n", variable.default_text()));
    }
    table
}

/// The variable of this name.
pub fn variable(name: &str) -> Option<&'static Variable> {
    VARIABLES.iter().find(|variable| variable.name == name)
}

/// Whether the variable also counts for one job on this machine.
pub fn counts_locally(name: &str) -> bool {
    LOCAL.iter().any(|variable| variable.name == name)
}
