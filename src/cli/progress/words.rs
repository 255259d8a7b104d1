//! Reports in words.

use std::time::Duration;

use actors::domain::checkpoint::{OutputReport, Verification};
use actors::domain::plan::Account;
use actors::domain::progress::Report;
use indicatif::{DecimalBytes, FormattedDuration, HumanCount};

use crate::storage::file_path;

/// Percent, chunks, speed and the time that is left, as far as they are known.
pub(super) fn standing(report: &Report) -> String {
    let mut parts = vec![format!("{:5.1} %", report.progress)];
    if report.chunks_total > 0 {
        parts.push(format!("chunk {} of {}", report.chunks_done, report.chunks_total));
    }
    if report.speed > 0.0 {
        parts.push(format!("{:.2}x", report.speed));
    }
    if let Some(eta) = report.eta_seconds.filter(|eta| eta.is_finite() && *eta >= 0.0) {
        parts.push(format!("eta {}", FormattedDuration(Duration::from_secs(eta.min(1e9) as u64))));
    }
    parts.join("  ")
}

/// What was made, and how it was checked.
pub(super) fn completed(report: &Report) -> Vec<String> {
    match report.outputs.as_deref() {
        Some(outputs) => outputs.iter().flat_map(output).collect(),
        None => vec![format!("job {} is completed", report.job_id)],
    }
}

/// Why it failed, in one sentence.
pub(super) fn failed(report: &Report) -> String {
    report.error.as_ref().map_or_else(|| format!("job {} failed", report.job_id), ToString::to_string)
}

fn output(output: &OutputReport) -> Vec<String> {
    let mut lines = vec![
        place(&output.uri),
        format!("  size      {} ({} bytes)", DecimalBytes(output.bytes), HumanCount(output.bytes)),
        format!("  duration  {:.3} s", output.duration),
        format!("  sha256    {}", output.sha256),
        format!("  verified  {}", verification(&output.verification)),
        format!("  compared  {}", compared(&output.verification)),
    ];
    let source = source(&output.verification);
    if !source.is_empty() {
        lines.push(format!("  source    {source}"));
    }
    lines
}

/// A path where it is one: that is what was typed.
fn place(uri: &str) -> String {
    file_path(uri).map_or_else(|| uri.to_owned(), |path| path.display().to_string())
}

fn verification(found: &Verification) -> String {
    let frames = format!("{} frames, {} of them key frames", HumanCount(found.frames), HumanCount(found.key_frames));
    let sound = match found.audio_samples {
        0 => "no audio".to_owned(),
        samples => {
            let offset = found.av_offset_ns as f64 / 1e6;
            format!("{} audio samples, audio {offset:+.3} ms from video", HumanCount(samples))
        }
    };
    format!("{frames}, {sound}")
}

/// What of an output was compared with the input.
fn compared(found: &Verification) -> String {
    let pictures = format!("{} pictures", HumanCount(found.pictures_compared));
    if found.sound_compared { format!("{pictures} and all sound") } else { pictures }
}

/// What became of the packets of the input.
fn source(found: &Verification) -> String {
    let track = |(name, account): (&str, Option<Account>)| {
        let Account { shown, hidden, lost } = account?;
        let number = |count: u64, what: &str| (count > 0).then(|| format!(", {} {what}", HumanCount(count)));
        let rest = [number(hidden, "hidden"), number(lost, "lost")].into_iter().flatten().collect::<String>();
        Some(format!("{name} {} packets shown{rest}", HumanCount(shown)))
    };
    let tracks = [("video", found.video_source), ("audio", found.audio_source)].into_iter().filter_map(track);
    let damaged = (found.damaged_frames > 0).then(|| format!("{} frames damaged", HumanCount(found.damaged_frames)));
    tracks.chain(damaged).collect::<Vec<_>>().join("; ")
}
