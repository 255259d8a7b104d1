//! Encode and audio: one source in, one part file for each rendition out, then the record that names them.
//! A source that is damaged or missing is an outcome and no failure: it can be cut again.

use std::time::Instant;

use actors::domain::checkpoint::{PartFile, PartRecord};
use actors::domain::failure::Failure;
use actors::domain::plan::{AudioPlan, Chunk, Plan, VideoRendition};
use actors::domain::unit::UnitId;
use actors::ports::{UnitOutcome, UnitRequest};
use tokio_util::sync::CancellationToken;

use super::Inner;
use crate::process::gauge::Gauge;
use crate::protocol::{AudioSpec, DeviceWork, EncodeSpec, Encoded};
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
        for _ in 0..renditions(plan, *unit) {
            pending.push(files.pending_part(*unit).await?);
        }
        let Some(input) = files.source(source_name(plan, *unit)?).await? else {
            return Ok(UnitOutcome::SourceLost(format!("the source of unit {unit} is missing in the work storage")));
        };
        let source = input.path().to_owned();
        let targets = pending.iter().map(|file| file.path().to_owned()).collect();
        let started = Instant::now();
        let (encoded, encoders) = match unit {
            UnitId::Chunk(_) => {
                let renditions = on(plan, *on_cpu);
                let encoders = renditions.iter().map(|rendition| rendition.encoder).collect();
                let device = if *on_cpu { DeviceWork::default() } else { self.device_work(plan) };
                let (facts, chunk) = (plan.video.facts.clone(), chunk(plan, *unit)?.clone());
                let spec = EncodeSpec { source, facts, chunk, renditions, targets, device };
                (self.process(&spec, &mut gauge, stop).await?, encoders)
            }
            UnitId::Audio => {
                let spec = AudioSpec { source, plan: audio(plan)?.clone(), targets };
                (self.process(&spec, &mut gauge, stop).await?, Vec::new())
            }
        };
        let encode_seconds = started.elapsed().as_secs_f64();
        let made = match encoded {
            Encoded::Files(files) => publish(*unit, files, pending).await?,
            Encoded::SourceLost(how) => return Ok(UnitOutcome::SourceLost(how)),
        };
        let worker = self.settings.worker.clone();
        let record = PartRecord { unit: *unit, worker, encode_seconds, files: made, encoders };
        files.put_record(&record).await?;
        Ok(UnitOutcome::Made(record))
    }

    fn device_work(&self, plan: &Plan) -> DeviceWork {
        self.settings.proven.work(&plan.video.facts, &plan.video.renditions)
    }
}

/// The video renditions with the families that make them.
fn on(plan: &Plan, on_cpu: bool) -> Vec<VideoRendition> {
    let made = |rendition: &VideoRendition| VideoRendition { encoder: rendition.made_by(on_cpu), ..rendition.clone() };
    plan.video.renditions.iter().map(made).collect()
}

fn renditions(plan: &Plan, unit: UnitId) -> usize {
    match unit {
        UnitId::Chunk(_) => plan.video.renditions.len(),
        UnitId::Audio => plan.audio.as_ref().map_or(0, |audio| audio.renditions.len()),
    }
}

fn source_name(plan: &Plan, unit: UnitId) -> Result<&str, Failure> {
    match unit {
        UnitId::Chunk(_) => chunk(plan, unit).map(|chunk| chunk.source.as_str()),
        UnitId::Audio => audio(plan).map(|audio| audio.facts.source.as_str()),
    }
}

fn chunk(plan: &Plan, unit: UnitId) -> Result<&Chunk, Failure> {
    let chunk = match unit {
        UnitId::Chunk(index) => plan.video.chunks.get(index as usize),
        UnitId::Audio => None,
    };
    chunk.ok_or_else(|| unknown(unit))
}

fn audio(plan: &Plan) -> Result<&AudioPlan, Failure> {
    plan.audio.as_ref().ok_or_else(|| unknown(UnitId::Audio))
}

fn unknown(unit: UnitId) -> Failure {
    Failure::permanent(format!("the plan has no unit {unit}, the task belongs to another plan"))
}

/// Gives each file its final name, which holds its digest, so that two results never replace each other.
async fn publish(unit: UnitId, made: Vec<PartFile>, pending: Vec<Pending>) -> Result<Vec<PartFile>, Failure> {
    let wrong = |what: &str| Failure::retryable(format!("the stage of unit {unit} {what}"));
    if made.len() != pending.len() {
        return Err(wrong(&format!("answered with {} files where {} were asked for", made.len(), pending.len())));
    }
    let mut published = Vec::new();
    for (rendition, (mut file, pending)) in made.into_iter().zip(pending).enumerate() {
        let digits = file.sha256.get(..NAME_DIGITS).filter(|digits| digits.chars().all(|c| c.is_ascii_hexdigit()));
        let digits = digits.ok_or_else(|| wrong("answered with a digest that is none"))?;
        let written = pending.bytes().await?;
        if file.bytes == 0 || written != file.bytes {
            return Err(wrong(&format!("told of {} bytes and wrote {written}", file.bytes)));
        }
        let kind = if unit == UnitId::Audio { 'a' } else { 'v' };
        file.name = format!("{kind}{rendition}-{unit}-{digits}.gdp");
        pending.named(&file.name).publish().await?;
        published.push(file);
    }
    Ok(published)
}
