//! Buckets of the histograms: fine where a person would act on the difference.

use actors::metrics::{ENCODE_FPS, ENCODE_SPEED_RATIO, JOB_DURATION_SECONDS, TASK_DURATION_SECONDS};

/// Metric and upper bounds of its buckets, growing.
pub(super) const BUCKETS: &[(&str, &[f64])] = &[
    // From x265 veryslow at 8K to x264 ultrafast or NVENC at 480p.
    (ENCODE_FPS, &[0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 24.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 240.0, 480.0, 960.0]),
    // 1.0 is real time.
    (ENCODE_SPEED_RATIO, &[0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 40.0]),
    // From a clip to a night of film.
    (
        JOB_DURATION_SECONDS,
        &[5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0, 14_400.0, 28_800.0, 86_400.0],
    ),
    // A task is seconds of work; splits of long films and slow presets are the tail.
    (
        TASK_DURATION_SECONDS,
        &[0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0],
    ),
];
