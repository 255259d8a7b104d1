//! Configuration from the environment: read once, turned into domain types, all errors reported together.
//!
//! [`VARIABLES`] is the only place that knows names, defaults and meanings; the table in `docs/configuration.md` and
//! `doctor` are made from it. Nothing else in the project reads an environment variable of this list. Secrets never
//! appear in errors, logs or `Debug`.

mod read;
mod values;
mod variables;

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::Path;
use std::time::Duration;

use url::Url;

use read::Reader;
pub use read::{ConfigError, ConfigErrors};
pub use values::{Brokers, Gpu, LogFormat, Secret, Shown};
use variables::*;
pub use variables::{KAFKA_CONFIG_PREFIX, Need, VARIABLES, Variable, counts_locally, markdown_table, variable};

/// Everything that an operator can set, valid once it exists.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where jobs and tasks come from.
    pub kafka: Kafka,
    /// Where checkpoints are kept.
    pub store: Store,
    /// Who is told; `None`: reports are logged.
    pub service: Option<Service>,
    /// Whether GPUs are used.
    pub gpu: Gpu,
    /// Encoding sessions that may be open side by side; `None` for what the GPUs allow.
    pub gpu_sessions: Option<NonZeroU32>,
    /// How long a job that requires a GPU waits for one.
    pub gpu_wait_timeout: Duration,
    /// How long a job waits for a worker with the encoder versions that it was planned with.
    pub encoder_wait_timeout: Duration,
    /// Encoders of the pool.
    pub pool_size: NonZeroUsize,
    /// Chunk tasks that a job may have in the queue at once.
    pub job_parallelism: NonZeroU32,
    /// Length of a chunk, in seconds.
    pub chunk_seconds: NonZeroU32,
    /// Work storage, shared by all workers of the group.
    pub work_url: Url,
    /// Port of the admin endpoint; 0 takes a free one.
    pub metrics_port: u16,
    /// A stage whose media time stands still this long is killed.
    pub stall_timeout: Duration,
    /// Tries of a task before its job fails.
    pub max_attempts: NonZeroU32,
    /// How long running work may go on after SIGTERM.
    pub drain_timeout: Duration,
    /// How long the checkpoint of a finished job is kept.
    pub checkpoint_ttl: Duration,
    /// Form of the log.
    pub log_format: LogFormat,
}

/// Where jobs and tasks come from.
#[derive(Clone, Debug)]
pub struct Kafka {
    /// The cluster.
    pub brokers: Brokers,
    /// The topic of the jobs; the names of the other topics begin with it.
    pub topic: String,
    /// The consumer group.
    pub group_id: String,
    /// Further librdkafka properties, by their own names. Values can be secrets.
    pub properties: BTreeMap<String, Secret>,
}

/// Where checkpoints are kept.
#[derive(Clone, Debug)]
pub enum Store {
    /// In a Redis server.
    Redis {
        /// Its host.
        host: String,
        /// Its port.
        port: u16,
        /// Its password.
        password: Option<Secret>,
    },
    /// In a file of this worker; only with the embedded broker.
    Embedded,
}

/// Who is told.
#[derive(Clone, Debug)]
pub struct Service {
    /// Base URL; paths are appended.
    pub url: Url,
    /// Bearer token.
    pub token: Option<Secret>,
}

/// Who presses Ctrl-C does not want to wait for a chunk that can be done again.
const LOCAL_DRAIN_TIMEOUT: &str = "1s";

/// Nobody else can bring a GPU, or another version of an encoder.
const LOCAL_WAIT_TIMEOUT: &str = "0s";

/// The environment of the process. What is not Unicode gets marks in place of the bad bytes: its variable then fails
/// to parse.
pub fn environment() -> BTreeMap<String, String> {
    let text = |os: std::ffi::OsString| os.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
}

impl Config {
    /// Reads the environment of the process.
    ///
    /// # Errors
    /// Everything that is wrong, together.
    pub fn from_env() -> Result<Self, ConfigErrors> {
        Self::from_vars(environment())
    }

    /// Reads variables given as pairs. Those that are not this worker's are passed over.
    ///
    /// # Errors
    /// Everything that is wrong, together.
    pub fn from_vars(vars: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigErrors> {
        let mut read = Reader::new(vars);
        let brokers = read.required(&KAFKA_BROKERS, values::brokers);
        let config = Self::assemble(&mut read, brokers);
        read.refuse_misspelt();
        match (config, read.into_errors()) {
            (Some(config), errors) if errors.is_empty() => Ok(config),
            (_, errors) => Err(errors),
        }
    }

    /// The configuration of one job on this machine: embedded broker and store, work files in `work_dir`. Of the
    /// environment only what tunes the work is read; `overrides` (the options of the command) go before it.
    ///
    /// # Errors
    /// Everything that is wrong, together.
    pub fn local(
        work_dir: &Path,
        overrides: &[(&Variable, String)],
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigErrors> {
        let mut vars: BTreeMap<String, String> = env.into_iter().filter(|(name, _)| counts_locally(name)).collect();
        vars.insert(KAFKA_BROKERS.name.into(), values::EMBEDDED.into());
        vars.entry(DRAIN_TIMEOUT.name.into()).or_insert_with(|| LOCAL_DRAIN_TIMEOUT.into());
        for timeout in [GPU_WAIT_TIMEOUT, ENCODER_WAIT_TIMEOUT] {
            vars.entry(timeout.name.into()).or_insert_with(|| LOCAL_WAIT_TIMEOUT.into());
        }
        let url = Url::from_directory_path(work_dir).map_or_else(|()| String::new(), String::from);
        vars.insert(WORK_URL.name.into(), url);
        vars.extend(overrides.iter().map(|(variable, value)| (variable.name.to_owned(), value.clone())));
        Self::from_vars(vars)
    }

    /// Reads every variable, so that all errors are found, then builds the whole if nothing is missing.
    fn assemble(read: &mut Reader, brokers: Option<Brokers>) -> Option<Self> {
        let topic = read.value(&KAFKA_TOPIC, values::kafka_name);
        let group_id = read.value(&KAFKA_GROUP_ID, values::kafka_name);
        let properties = read.kafka_properties();
        let store = Self::store(read, brokers.as_ref());
        let service = Self::service(read);
        let gpu = read.value(&GPU_ENABLED, values::gpu);
        let gpu_sessions = read.optional(&GPU_SESSIONS, values::number::<1, 1024>);
        let gpu_wait_timeout = read.value(&GPU_WAIT_TIMEOUT, values::duration::<0, 86_400>);
        let encoder_wait_timeout = read.value(&ENCODER_WAIT_TIMEOUT, values::duration::<0, 86_400>);
        let pool_size = read.value(&ENCODER_POOL_SIZE, values::pool_size);
        let job_parallelism = read.value(&JOB_PARALLELISM, values::number::<1, 10_000>);
        let chunk_seconds = read.value(&CHUNK_SECONDS, values::number::<1, 600>);
        let work_url = read.value(&WORK_URL, values::work_url);
        let metrics_port = read.value(&METRICS_PORT, values::port);
        let stall_timeout = read.value(&STALL_TIMEOUT, values::duration::<1, 86_400>);
        let max_attempts = read.value(&MAX_ATTEMPTS, values::number::<1, 100>);
        let drain_timeout = read.value(&DRAIN_TIMEOUT, values::duration::<0, 86_400>);
        let checkpoint_ttl = read.value(&CHECKPOINT_TTL, values::duration::<60, 31_536_000>);
        let log_format = read.value(&LOG_FORMAT, values::log_format);
        Some(Self {
            kafka: Kafka { brokers: brokers?, topic: topic?, group_id: group_id?, properties },
            store: store?,
            service,
            gpu: gpu?,
            gpu_sessions,
            gpu_wait_timeout: gpu_wait_timeout?,
            encoder_wait_timeout: encoder_wait_timeout?,
            pool_size: pool_size?,
            job_parallelism: job_parallelism?,
            chunk_seconds: chunk_seconds?,
            work_url: work_url?,
            metrics_port: metrics_port?,
            stall_timeout: stall_timeout?,
            max_attempts: max_attempts?,
            drain_timeout: drain_timeout?,
            checkpoint_ttl: checkpoint_ttl?,
            log_format: log_format?,
        })
    }

    fn store(read: &mut Reader, brokers: Option<&Brokers>) -> Option<Store> {
        let host = read.optional(&REDIS_HOST, values::host);
        let port = read.value(&REDIS_PORT, values::redis_port);
        let password = read.optional(&REDIS_PASSWORD, values::secret);
        match (host, brokers) {
            (Some(host), _) => Some(Store::Redis { host, port: port?, password }),
            (None, Some(Brokers::Cluster(_))) if !read.is_set(&REDIS_HOST) => {
                read.missing(&REDIS_HOST, "the workers of a cluster share their checkpoints in Redis");
                None
            }
            (None, _) => Some(Store::Embedded),
        }
    }

    fn service(read: &mut Reader) -> Option<Service> {
        let url = read.optional(&TRANSCODING_SERVICE_URL, values::service_url);
        let token = read.optional(&TRANSCODING_SERVICE_TOKEN, values::token);
        if token.is_some() && !read.is_set(&TRANSCODING_SERVICE_URL) {
            read.missing(&TRANSCODING_SERVICE_URL, "there is a token for it in TRANSCODING_SERVICE_TOKEN");
        }
        Some(Service { url: url?, token })
    }
}
