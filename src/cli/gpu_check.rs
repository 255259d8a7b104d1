//! `gpu-check`: what the GPU of this machine does, measured against its CPU.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use super::exit::cannot;
use super::{Context, Exit, Trouble};
use crate::config::Config;
use crate::process::check::{CheckOrder, CheckReport, Outcome, Way};

/// Even sides that can be halved, within what every NVENC takes.
const SIDES: std::ops::RangeInclusive<u32> = 320..=4096;

#[derive(Debug, Args)]
pub(super) struct GpuCheckArgs {
    /// Size of the generated film; what is made of it is half as wide and high
    #[arg(long, default_value = "1920x1080", value_parser = size, value_name = "WxH")]
    size: (u32, u32),
    /// Length of the film in frames, 25 a second
    #[arg(long, default_value_t = 250, value_parser = clap::value_parser!(u32).range(10..=10_000))]
    frames: u32,
    /// Also write the report as JSON to this file
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What is written as JSON.
#[derive(Serialize)]
struct Written<'a> {
    version: &'static str,
    gstreamer: String,
    size: String,
    frames: u32,
    #[serde(flatten)]
    report: &'a CheckReport,
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let side = |text: &str| text.parse().ok().filter(|side| SIDES.contains(side) && side % 4 == 0);
    let sides = text.split_once('x').and_then(|(width, height)| Some((side(width)?, side(height)?)));
    sides.ok_or_else(|| {
        format!("give width and height as 1920x1080, multiples of 4 from {} to {}", SIDES.start(), SIDES.end())
    })
}

/// Fails where a way that the probe found to work does not.
pub(super) async fn gpu_check(args: GpuCheckArgs, context: &Context<'_>) -> Result<Exit, Trouble> {
    // What a pod needs is of no concern here, but whether it uses its GPU is.
    let gpu = context.env.clone().into_iter().filter(|(name, _)| name == "GPU_ENABLED");
    let config = Config::local(&std::env::temp_dir(), &[], gpu)?;
    let streams = context.streams.clone();
    let order =
        CheckOrder { size: args.size, frames: args.frames, told: Arc::new(move |way| streams.note(&line(way))) };
    let report = context.wiring.gpu_check(&config, order).await?;
    let written = Written {
        version: env!("CARGO_PKG_VERSION"),
        gstreamer: gstreamer::version_string().to_string(),
        size: format!("{}x{}", args.size.0, args.size.1),
        frames: args.frames,
        report: &report,
    };
    let json = serde_json::to_string_pretty(&written).map_err(|error| cannot("the report cannot be written", error))?;
    if let Some(path) = &args.output {
        std::fs::write(path, format!("{json}\n")).map_err(|error| cannot(path.display(), error))?;
    }
    if context.json {
        context.say(&json);
    } else {
        show(&report, context);
    }
    let fails = report.ways.iter().any(|way| matches!(way.outcome, Outcome::Fails { .. }));
    Ok(if fails { Exit::Failed } else { Exit::Done })
}

fn show(report: &CheckReport, context: &Context<'_>) {
    for device in &report.capabilities.devices {
        context.say(&format!("gpu {}: {}, driver {}", device.index, device.name, device.driver));
    }
    for path in &report.capabilities.paths {
        let (codec, direction, family) = (path.codec.as_str(), path.direction.as_str(), path.family.as_str());
        context.say(&format!(
            "{codec} {direction} {} bits by {family}: {}",
            path.bit_depth,
            if path.works() { "works" } else { "fails" }
        ));
    }
    for finding in &report.capabilities.findings {
        context.say(&format!("{}\n    -> {}", finding.what, finding.advice));
    }
    context.say("codec bits  decoder  scaler   encoder   frames/s  PSNR worst  mean   bytes");
    report.ways.iter().for_each(|way| context.say(&line(way)));
}

fn line(way: &Way) -> String {
    let Way { codec, bit_depth, decoder, scaler, encoder, outcome } = way;
    let way = format!("{:<5} {bit_depth:>4}  {decoder:<8} {scaler:<8} {encoder:<8}", codec.as_str());
    match outcome {
        Outcome::Works(tried) => format!(
            "{way} {:>9.1} {:>8.1} dB {:>5.1} {:>8}{}",
            tried.fps,
            tried.worst_psnr_db,
            tried.mean_psnr_db,
            tried.bytes,
            if tried.same_bytes { "  same bytes as the CPU" } else { "" }
        ),
        Outcome::Fails { error, .. } => format!("{way} FAILS: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_two_sides_that_can_be_halved() {
        assert_eq!(size("1920x1080"), Ok((1920, 1080)));
        for wrong in ["1920", "1920x", "1921x1080", "100x100", "1922x1080", "9000x9000"] {
            assert!(size(wrong).is_err_and(|why| why.contains("1920x1080")), "{wrong}");
        }
    }
}
