//! Joins the parts of one output, without decoding, and reads the result back before it calls it done.
//!
//! 1. every part is compared with its record; what is missing or damaged is the result ([`Joined::PartsLost`])
//! 2. a first pass over the parts makes tables of times and sizes ([`scan`])
//! 3. a second pass copies the access units ([`package::Packager::write`])
//! 4. the file is made durable, read back and compared ([`package::Packager::verify`]); one that differs is removed
//!
//! Memory holds some tens of bytes for each frame and one access unit, never the media.

use std::cell::Cell;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use actors::domain::failure::Failure;
use actors::domain::plan::{Plan, Track, Window};
use actors::domain::track::RenditionId;

use crate::digest;
use crate::media::carry_out::CarryOut;
use crate::media::gdp::write_failure;
use crate::media::package;
use crate::media::parts::timing::FrameTimes;
use crate::media::parts::tracks::Tracks;
use crate::media::parts::video::VideoTrack;
use crate::media::parts::{audio, reader, video};
use crate::process::Progress;
use crate::protocol::{AssembleSpec, Joined, Member, Product, ProductFile};

/// Progress is told each time that so much media was written, in nanoseconds.
const PROGRESS_NS: u64 = 10_000_000_000;
/// So many places of damage are said.
const MAX_PLACES: usize = 5;

impl CarryOut for AssembleSpec {
    /// # Errors
    /// `retryable` where a file cannot be read or written, where parts and plan do not belong together, and where the
    /// output is not what it should be. The target is removed then.
    fn carry_out(&self, progress: Progress<'_>) -> Result<Joined, Failure> {
        run(self, progress)
    }
}

fn run(spec: &AssembleSpec, progress: Progress<'_>) -> Result<Joined, Failure> {
    let names = reader::lost(spec.members.iter().flat_map(|member| &member.parts))?;
    if !names.is_empty() {
        return Ok(Joined::PartsLost(names));
    }
    let tracks = scan(spec)?;
    if let Some(damage) = too_damaged(&tracks.video, &spec.plan) {
        return Ok(Joined::TooDamaged(damage));
    }
    progress(0);
    let assembled = assemble(&tracks, progress);
    if assembled.is_err() {
        // What is left of it must not be taken for an output; where it cannot be removed its name still says temporary.
        let _ = std::fs::remove_file(&spec.target);
    }
    assembled.map(Joined::Product)
}

/// The first pass over the parts.
///
/// # Errors
/// `retryable` where parts and plan do not belong together or a part cannot be read; `permanent` where the package does not
/// hold what they are.
pub fn scan(spec: &AssembleSpec) -> Result<Tracks<'_>, Failure> {
    let plan = &spec.plan;
    let Some(output) = plan.outputs.get(spec.output) else {
        return Err(Failure::permanent(format!("the plan has no output {}", spec.output)));
    };
    let given: Vec<_> = spec.members.iter().map(|member| member.rendition).collect();
    if given != output.members {
        let names = |members: &[RenditionId]| members.iter().map(RenditionId::to_string).collect::<Vec<_>>().join(", ");
        let (asked, given) = (names(&output.members), names(&given));
        return Err(Failure::retryable(format!("the output consists of {asked}, and there are parts of {given}")));
    }
    let package = package::of(output.package);
    let (mut video, mut audio) = (None, None);
    let (mut video_parts, mut audio_parts) = (&[][..], &[][..]);
    for Member { rendition, parts } in &spec.members {
        let place = rendition.place();
        match (plan.track(rendition.track), &video, &audio) {
            (Some(Track::Video(plan)), None, _) => {
                if output.package.is_of_one_family() {
                    reader::of_one_family(parts, package.name())?;
                }
                video = Some((video::scan(plan, place, parts)?, &plan.facts));
                video_parts = parts;
            }
            (Some(Track::Audio(plan)), _, None) => {
                audio = Some(Arc::new(audio::scan(plan, place, parts)?));
                audio_parts = parts;
            }
            (None, ..) => {
                return Err(Failure::retryable(format!("the plan has no track for {rendition}, which it asks for")));
            }
            (Some(_), ..) => {
                let name = package.name();
                return Err(Failure::permanent(format!(
                    "{name} has room for one track of a kind, and {rendition} is another"
                )));
            }
        }
    }
    let Some((video, facts)) = video else {
        return Err(Failure::permanent(format!("{} has to have pictures", package.name())));
    };
    if !output.package.takes(video.codec) || !audio.as_ref().is_none_or(|audio| package.takes_audio(audio.codec)) {
        return Err(Failure::permanent(format!("{} does not hold the codecs of the plan", package.name())));
    }
    let timescale = package.timescale(&video.pts_ns, facts.frame_rate);
    let end_ns = i64::try_from(facts.end_ns).unwrap_or(i64::MAX);
    let times = FrameTimes::new(&video.pts_ns, end_ns, timescale);
    let (video, times) = (Arc::new(video), Arc::new(times));
    Ok(Tracks { spec, package: output.package, video_parts, video, times, audio_parts, audio })
}

/// That more of the film is damaged than the job allows, where it is.
fn too_damaged(video: &VideoTrack, plan: &Plan) -> Option<String> {
    let (damaged, frames, allowed) = (video.damaged, plan.frames(), plan.job.input.max_damage());
    if allowed.allows(damaged, frames) {
        return None;
    }
    let (share, limit) = (damaged as f64 / frames.max(1) as f64, f64::from(allowed));
    let at = places(&video.damaged_in);
    Some(format!(
        "{damaged} of {frames} frames of the source are damaged or missing ({at}), {share:.3} of the film where \
         input.max_damage allows {limit}; upload it again, or allow more"
    ))
}

/// Where chunks lie, those next to each other as one; the first few of many.
fn places(windows: &[Window]) -> String {
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for window in windows {
        match joined.last_mut() {
            Some((_, end)) if *end == window.start_ns => *end = window.end_ns,
            _ => joined.push((window.start_ns, window.end_ns)),
        }
    }
    // Tenths of a second are enough for a reader.
    let place = |(start, end): &(u64, u64)| format!("{:.1} s to {:.1} s", *start as f64 / 1e9, *end as f64 / 1e9);
    let said = joined.iter().take(MAX_PLACES).map(place).collect::<Vec<_>>().join(", ");
    match joined.len().saturating_sub(MAX_PLACES) {
        0 => said,
        more => format!("{said}, and {more} more places"),
    }
}

fn assemble(tracks: &Tracks, progress: Progress<'_>) -> Result<Product, Failure> {
    let package = package::of(tracks.package);
    let paths = package.write(tracks, &seldom(progress))?;
    for path in &paths {
        sync(path).map_err(|error| write_failure(path, &error))?;
    }
    let checks = package.verify(tracks)?;
    let file = |path: PathBuf| match digest::of_file(&path) {
        Ok((bytes, sha256)) => Ok(ProductFile { path, bytes, sha256 }),
        Err(error) => Err(write_failure(&path, &error)),
    };
    let files = paths.into_iter().map(file).collect::<Result<_, _>>()?;
    let duration_ns = u64::try_from(tracks.end_ns()).unwrap_or_default();
    Ok(Product { files, duration_ns, checks })
}

/// Tells progress each time that [`PROGRESS_NS`] were written.
fn seldom(progress: Progress<'_>) -> impl Fn(u64) {
    let told = Cell::new(0);
    move |media_ns: u64| {
        if media_ns >= told.get() + PROGRESS_NS {
            told.set(media_ns);
            progress(media_ns);
        }
    }
}

fn sync(path: &Path) -> std::io::Result<()> {
    File::open(path)?.sync_all()
}
