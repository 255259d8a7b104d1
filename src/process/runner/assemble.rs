//! Assemble: parts in, verified outputs out. Every output is verified before the first one gets its final name.

use std::collections::BTreeMap;

use actors::domain::checkpoint::{OutputReport, PartRecord};
use actors::domain::failure::Failure;
use actors::domain::job;
use actors::domain::plan::{OutputPlan, PinnedPlan, Plan};
use actors::domain::track::{RenditionId, TrackId};
use actors::domain::unit::UnitId;
use actors::ports::{AssembleOutcome, AssembleRequest, OnProgress};
use tokio_util::sync::CancellationToken;

use super::Inner;
use crate::process::gauge::Gauge;
use crate::protocol::{AssembleSpec, Compared, Joined, Member, PartSource, Product, Verdict, VerifiedFile, VerifySpec};
use crate::storage::{Existing, LocalInput, Pending, PlanFiles, name_is_taken};

/// The files of a part, in the order of the renditions.
type Sources = BTreeMap<UnitId, Vec<PartSource>>;

/// What came of one output.
enum Output {
    /// It is good.
    Verified(Box<Verified>),
    /// Files of parts that turned out to be damaged.
    Lost(Vec<String>),
    /// More of the source is damaged than may be.
    TooDamaged(String),
}

/// An output that was verified.
struct Verified {
    report: OutputReport,
    /// `None` where it has its final name already.
    pending: Option<Pending>,
}

impl Inner {
    pub(super) async fn assemble(
        &self,
        request: &AssembleRequest,
        progress: OnProgress,
        stop: &CancellationToken,
    ) -> Result<AssembleOutcome, Failure> {
        let AssembleRequest { plan, parts } = request;
        let files = self.storage.plan_files(&plan.job.job_id, plan.fingerprint())?;
        let (sources, _held, lost) = find_parts(&files, plan, parts).await?;
        if !lost.is_empty() {
            return parts_lost(&files, lost).await;
        }
        // One run for each output, and one that compares them.
        let mut gauge = Gauge::shared(progress, plan.outputs.len() + 1, plan.duration_ns());
        let mut verified = Vec::new();
        for index in 0..plan.outputs.len() {
            match self.output(&files, plan, index, &sources, &mut gauge, stop).await? {
                Output::Verified(output) => verified.push(*output),
                Output::TooDamaged(how) => return Ok(AssembleOutcome::Differs(how)),
                Output::Lost(names) => return parts_lost(&files, units_of(&names, parts)?).await,
            }
            gauge.next_run();
        }
        if let Some(how) = self.compare(plan, &mut verified, &mut gauge, stop).await? {
            return Ok(AssembleOutcome::Differs(how));
        }
        gauge.next_run();
        self.publish_all(&files, plan, verified).await.map(AssembleOutcome::Published)
    }

    async fn output(
        &self,
        files: &PlanFiles,
        plan: &PinnedPlan,
        index: usize,
        sources: &Sources,
        gauge: &mut Gauge,
        stop: &CancellationToken,
    ) -> Result<Output, Failure> {
        let output = &plan.outputs[index];
        // A run that was killed after this output got its name leaves nothing to do here.
        if let Some(report) = files.output(index).await?.filter(|report| report.uri == output.root.as_str())
            && self.storage.compare_output(&output.root, report.bytes, &report.sha256).await? == Existing::Same
        {
            return Ok(Output::Verified(Box::new(Verified { report, pending: None })));
        }
        let pending = self.storage.pending_output(&output.root, plan.fingerprint()).await?;
        let spec = spec(plan, index, sources, &pending);
        let product = match self.process(&spec, gauge, stop).await? {
            Joined::Product(product) => product,
            Joined::PartsLost(names) => return Ok(Output::Lost(names)),
            Joined::TooDamaged(how) => return Ok(Output::TooDamaged(how)),
        };
        let report = report(output.root.as_str(), &product)?;
        let written = pending.bytes().await?;
        if written != report.bytes {
            let told = report.bytes;
            return Err(Failure::retryable(format!("the assemble stage told of {told} bytes and wrote {written}")));
        }
        Ok(Output::Verified(Box::new(Verified { report, pending: Some(pending) })))
    }

    /// Compares the outputs with the input, in a process that has seen neither plan nor parts; gives what differs, in words. Those
    /// that have their names were compared before they got them.
    async fn compare(
        &self,
        plan: &PinnedPlan,
        verified: &mut [Verified],
        gauge: &mut Gauge,
        stop: &CancellationToken,
    ) -> Result<Option<String>, Failure> {
        let file = |((asked, output), made): ((&job::Output, &OutputPlan), &Verified)| {
            let target = made.pending.as_ref()?.path().to_owned();
            let audio = output.members.iter().any(|member| matches!(member.track, TrackId::Audio(_)));
            let damaged_frames = made.report.verification.damaged_frames;
            Some(VerifiedFile { target, audio, damaged_frames, rate: asked.video.rate() })
        };
        let outputs: Vec<_> = plan.job.outputs.iter().zip(&plan.outputs).zip(&*verified).filter_map(file).collect();
        if outputs.is_empty() {
            return Ok(None);
        }
        let uri = &plan.job.input.uri;
        if self.storage.identify(uri).await? != plan.source {
            return Err(Failure::permanent(format!(
                "the input {uri} is another one than was cut, so that the outputs cannot be compared with it; leave it until the \
                 job is completed"
            )));
        }
        let input = self.storage.fetch(uri).await?;
        let spec = VerifySpec { input: input.path().into(), outputs };
        let compared = match self.process(&spec, gauge, stop).await? {
            Verdict::Same(compared) => compared,
            Verdict::Differs(how) => return Ok(Some(how)),
        };
        for (made, compared) in verified.iter_mut().filter(|made| made.pending.is_some()).zip(compared) {
            let Compared { frames, pictures, sound } = compared;
            tracing::info!(frames, pictures, sound, "output compared with the input");
            let told = &mut made.report.verification;
            (told.pictures_compared, told.sound_compared) = (pictures, sound);
            told.video_source = plan.video().and_then(|video| video.facts.account);
            told.audio_source = plan.audio(0).and_then(|audio| audio.facts.account).filter(|_| sound);
        }
        Ok(None)
    }

    /// Gives the outputs their final names. All names are looked at before the first is given.
    async fn publish_all(
        &self,
        files: &PlanFiles,
        plan: &PinnedPlan,
        verified: Vec<Verified>,
    ) -> Result<Vec<OutputReport>, Failure> {
        for (output, Verified { report, pending }) in plan.outputs.iter().zip(&verified) {
            if pending.is_some() && !plan.job.overwrite {
                let existing = self.storage.compare_output(&output.root, report.bytes, &report.sha256).await?;
                if existing == Existing::Other {
                    return Err(name_is_taken(&output.root));
                }
            }
        }
        let mut reports = Vec::new();
        for (index, Verified { report, pending }) in verified.into_iter().enumerate() {
            if let Some(pending) = pending {
                files.put_output(index, &report).await?;
                self.give_name(plan, index, &report, pending).await?;
            }
            self.storage.remove_stale_outputs(&plan.outputs[index].root, plan.fingerprint()).await?;
            reports.push(report);
        }
        Ok(reports)
    }

    async fn give_name(
        &self,
        plan: &PinnedPlan,
        index: usize,
        report: &OutputReport,
        pending: Pending,
    ) -> Result<(), Failure> {
        if plan.job.overwrite {
            return pending.publish().await;
        }
        if pending.publish_new().await? {
            return Ok(());
        }
        // Somebody took the name in between: another worker with this job, or a stranger.
        let uri = &plan.outputs[index].root;
        match self.storage.compare_output(uri, report.bytes, &report.sha256).await? {
            Existing::Same => Ok(()),
            Existing::Other => Err(name_is_taken(uri)),
            Existing::Nothing => Err(Failure::retryable(format!("the output {uri} was there and is gone again"))),
        }
    }
}

/// Looks for the files of all parts, which stay as long as the second list; the third has the units that lack one.
async fn find_parts(
    files: &PlanFiles,
    plan: &PinnedPlan,
    parts: &BTreeMap<UnitId, PartRecord>,
) -> Result<(Sources, Vec<LocalInput>, Vec<UnitId>), Failure> {
    let (mut sources, mut held, mut lost) = (Sources::new(), Vec::new(), Vec::new());
    for unit in plan.units() {
        let mut found = Vec::new();
        for part in parts.get(&unit).map_or(&[][..], |record| &record.parts) {
            if let Some(local) = files.part(&part.file.name, part.file.bytes).await? {
                found.push(PartSource { path: local.path().to_owned(), part: part.clone() });
                held.push(local);
            }
        }
        if found.len() == plan.num_renditions(unit) {
            sources.insert(unit, found);
        } else {
            lost.push(unit);
        }
    }
    Ok((sources, held, lost))
}

async fn parts_lost(files: &PlanFiles, lost: Vec<UnitId>) -> Result<AssembleOutcome, Failure> {
    for unit in &lost {
        // Or it would be found again where the checkpoint store is emptied.
        files.remove_record(*unit).await?;
    }
    Ok(AssembleOutcome::PartsLost(lost))
}

fn spec(plan: &PinnedPlan, index: usize, sources: &Sources, pending: &Pending) -> AssembleSpec {
    let member = |rendition: &RenditionId| {
        let of_unit = |unit| sources.get(&unit)?.iter().find(|source| source.part.rendition == *rendition).cloned();
        Member { rendition: *rendition, parts: plan.units_of(rendition.track).filter_map(of_unit).collect() }
    };
    let members = plan.outputs[index].members.iter().map(member).collect();
    AssembleSpec { plan: Plan::clone(plan), output: index, members, target: pending.path().into() }
}

/// What is told of an output. Packages of today are one file each.
fn report(uri: &str, product: &Product) -> Result<OutputReport, Failure> {
    let [file] = &product.files[..] else {
        let found = product.files.len();
        return Err(Failure::retryable(format!(
            "the assemble stage answered with {found} files where one was asked for"
        )));
    };
    Ok(OutputReport {
        uri: uri.into(),
        bytes: file.bytes,
        duration: product.duration_ns as f64 / 1e9,
        sha256: file.sha256.clone(),
        verification: product.checks.clone(),
    })
}

/// The units whose files the stage found damaged.
fn units_of(names: &[String], parts: &BTreeMap<UnitId, PartRecord>) -> Result<Vec<UnitId>, Failure> {
    let is_lost = |record: &&PartRecord| record.parts.iter().any(|part| names.contains(&part.file.name));
    let lost: Vec<_> = parts.values().filter(is_lost).map(|record| record.unit).collect();
    if lost.is_empty() {
        // Nothing would be made again, and the next try would end here as well.
        return Err(Failure::retryable("the assemble stage lost parts that it was not given"));
    }
    Ok(lost)
}
