//! Names of the metrics, and what they mean. Nothing else in the project spells a metric's name.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

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
/// Records not committed; `topic`, `partition`.
pub const CONSUMER_LAG: &str = "kafka_consumer_lag";
/// Actors that died and were started again; `actor`.
pub const ACTOR_RESTARTS_TOTAL: &str = "transcode_actor_restarts_total";
/// Stage processes that ended; `reason`.
pub const CHILD_EXITS_TOTAL: &str = "transcode_child_exits_total";

/// Tells the recorder what each metric means. Called once, after the recorder is installed.
pub fn describe() {
    describe_histogram!(ENCODE_FPS, "Frames encoded per second by one task.");
    describe_histogram!(ENCODE_SPEED_RATIO, "Media seconds encoded per second by one task.");
    describe_histogram!(JOB_DURATION_SECONDS, Unit::Seconds, "Time from first seen to the end of a job.");
    describe_histogram!(TASK_DURATION_SECONDS, Unit::Seconds, "Time of one attempt of a task.");
    describe_counter!(TASKS_TOTAL, "Attempts of tasks that ended, by stage and outcome.");
    describe_counter!(JOBS_TOTAL, "Jobs that ended on this worker, by outcome.");
    describe_counter!(ERRORS_TOTAL, "Failures, by class.");
    describe_counter!(MEDIA_SECONDS_TOTAL, Unit::Seconds, "Media encoded.");
    describe_counter!(
        WASTED_MEDIA_SECONDS_TOTAL,
        Unit::Seconds,
        "Media encoded in vain: thrown away, begun again or interrupted."
    );
    describe_gauge!(
        CPU_UTILIZATION_RATIO,
        "CPU time used by the worker and its stages, as a share of all cores, 0 to 1."
    );
    describe_gauge!(GPU_UTILIZATION_RATIO, "Use of a GPU engine, 0 to 1.");
    describe_gauge!(CAPABILITY, "Whether something that was tried on this machine works, 1 or 0.");
    describe_gauge!(GPU_MEMORY_BYTES, Unit::Bytes, "Memory of a GPU, used and total.");
    describe_gauge!(GPU_SESSIONS, "Encoding sessions of GPUs that this worker has in use.");
    describe_gauge!(GPU_BREAKER_STATE, "Circuit breaker of the GPUs: 0 closed, 1 half-open, 2 open.");
    describe_counter!(GPU_FALLBACKS_TOTAL, "Chunks that a GPU was to make and the CPU made, by reason.");
    describe_gauge!(POOL_SLOTS, "Encoders of the pool.");
    describe_gauge!(POOL_BUSY, "Encoders of the pool that work.");
    describe_gauge!(CONSUMER_LAG, "Records of a partition that are not committed, seen by its owner.");
    describe_counter!(ACTOR_RESTARTS_TOTAL, "Actors that died and were started again.");
    describe_counter!(CHILD_EXITS_TOTAL, "Stage processes that ended, by reason.");
}
