//! Encode and audio: one source in, one part file for each rendition out, then the record that names them.
//! A source that is damaged or missing is an outcome and no failure: it can be cut again.

use std::time::Instant;

use actors::domain::failure::Failure;
use actors::domain::part::{FileRef, MediaStats, Part, PartRecord};
use actors::domain::plan::{AudioPlan, Chunk, EncoderFamily, Plan, Track, VideoPlan, VideoRendition};
use actors::domain::track::RenditionId;
use actors::domain::unit::UnitId;
use actors::ports::{UnitOutcome, UnitRequest};
use tokio_util::sync::CancellationToken;

use super::Inner;
use crate::process::gauge::Gauge;
use crate::protocol::{DeviceWork, EncodeAudioSpec, EncodeSpec, Encoded};
use crate::storage::Pending;

/// Hex digits of the digest in the name of a part.
const NAME_DIGITS: usize = 16;

impl Inner {
    pub(super) async fn unit(
        &self,
        request: &UnitRequest,
        mut gauge: Gauge,
        stop: &CancellationToken,
    ) -> Result<UnitOutcome, Failure> {
        let UnitRequest { plan, unit, on_cpu } = request;
        let files = self.storage.plan_files(&plan.job.job_id, plan.fingerprint())?;
        let mut pending = Vec::new();
        for _ in 0..plan.num_renditions(*unit) {
            pending.push(files.pending_part(*unit).await?);
        }
        let work = work(plan, *unit)?;
        let Some(input) = files.source(work.source()).await? else {
            return Ok(UnitOutcome::SourceLost(format!("the source of unit {unit} is missing in the work storage")));
        };
        let source = input.path().to_owned();
        let targets = pending.iter().map(|file| file.path().to_owned()).collect();
        let started = Instant::now();
        let parts = match work {
            Work::Chunk(video, chunk) => {
                let renditions = on(video, *on_cpu);
                let encoders: Vec<_> = renditions.iter().map(|rendition| rendition.encoder).collect();
                let device = if *on_cpu { DeviceWork::default() } else { self.device_work(video) };
                let (facts, chunk) = (video.facts.clone(), chunk.clone());
                let spec = EncodeSpec { source, facts, chunk, renditions, targets, device };
                let encoded = self.process(&spec, &mut gauge, stop).await?;
                publish(*unit, encoded, &encoders, pending).await?
            }
            Work::Audio(audio) => {
                let spec = EncodeAudioSpec { source, plan: audio.clone(), targets };
                let encoded = self.process(&spec, &mut gauge, stop).await?;
                publish(*unit, encoded, &[], pending).await?
            }
        };
        let parts = match parts {
            Published::Parts(parts) => parts,
            Published::SourceLost(how) => return Ok(UnitOutcome::SourceLost(how)),
        };
        let encode_seconds = started.elapsed().as_secs_f64();
        let record = PartRecord { unit: *unit, worker: self.settings.worker.clone(), encode_seconds, parts };
        files.put_record(&record).await?;
        Ok(UnitOutcome::Made(record))
    }

    fn device_work(&self, video: &VideoPlan) -> DeviceWork {
        self.settings.proven.work(&video.facts, &video.renditions)
    }
}

/// What a unit is in its plan.
enum Work<'a> {
    Chunk(&'a VideoPlan, &'a Chunk),
    Audio(&'a AudioPlan),
}

impl Work<'_> {
    /// File name of its source.
    fn source(&self) -> &str {
        match self {
            Self::Chunk(_, chunk) => &chunk.source,
            Self::Audio(audio) => &audio.facts.source,
        }
    }
}

fn work(plan: &Plan, unit: UnitId) -> Result<Work<'_>, Failure> {
    let found = match plan.track(unit.track()) {
        Some(Track::Video(video)) => plan.chunk(unit).map(|chunk| Work::Chunk(video, chunk)),
        Some(Track::Audio(audio)) => Some(Work::Audio(audio)),
        None => None,
    };
    found.ok_or_else(|| Failure::permanent(format!("the plan has no unit {unit}, the task belongs to another plan")))
}

/// The video renditions with the families that make them.
fn on(video: &VideoPlan, on_cpu: bool) -> Vec<VideoRendition> {
    let made = |rendition: &VideoRendition| VideoRendition { encoder: rendition.made_by(on_cpu), ..rendition.clone() };
    video.renditions.iter().map(made).collect()
}

/// What came of a source, with its files under their final names.
enum Published {
    Parts(Vec<Part>),
    SourceLost(String),
}

/// Gives each file its final name, which holds its digest, so that two results never replace each other.
async fn publish<M: Into<MediaStats>>(
    unit: UnitId,
    encoded: Encoded<M>,
    encoders: &[EncoderFamily],
    pending: Vec<Pending>,
) -> Result<Published, Failure> {
    let made = match encoded {
        Encoded::Files(files) => files,
        Encoded::SourceLost(how) => return Ok(Published::SourceLost(how)),
    };
    let wrong = |what: &str| Failure::retryable(format!("the stage of unit {unit} {what}"));
    if made.len() != pending.len() {
        return Err(wrong(&format!("answered with {} files where {} were asked for", made.len(), pending.len())));
    }
    let mut published = Vec::new();
    for (index, (file, pending)) in (0u16..).zip(made.into_iter().zip(pending)) {
        let rendition = RenditionId::new(unit.track(), index);
        let digits = file.sha256.get(..NAME_DIGITS).filter(|digits| digits.chars().all(|c| c.is_ascii_hexdigit()));
        let digits = digits.ok_or_else(|| wrong("answered with a digest that is none"))?;
        let written = pending.bytes().await?;
        if file.bytes == 0 || written != file.bytes {
            return Err(wrong(&format!("told of {} bytes and wrote {written}", file.bytes)));
        }
        let name = format!("{rendition}-{unit}-{digits}.gdp");
        pending.named(&name).publish().await?;
        let encoder = encoders.get(rendition.place()).copied();
        let file_ref = FileRef { name, bytes: file.bytes, sha256: file.sha256 };
        published.push(Part { rendition, file: file_ref, media: file.media.into(), encoder });
    }
    Ok(Published::Parts(published))
}
