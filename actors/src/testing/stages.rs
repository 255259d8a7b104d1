//! Stages and a work storage without media: what each run does and how long it takes is written down before.

mod scripted;
mod storage;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::chronicle::Chronicle;
use super::life::Life;
use crate::domain::checkpoint::{OutputReport, PartRecord, Verification};
use crate::domain::codec::EncoderFamily;
use crate::domain::failure::{Failure, FailureClass};
use crate::domain::fingerprint::Fingerprint;
use crate::domain::job::{JobId, MediaUri};
use crate::domain::part::{AudioStats, FileRef, MediaStats, Part, VideoStats};
use crate::domain::plan::testing::identity;
use crate::domain::plan::{Families, PinnedPlan, Plan, SourceIdentity};
use crate::domain::task::Stage;
use crate::domain::track::{RenditionId, TrackId};
use crate::domain::unit::UnitId;
use crate::ports::{Answer, OnProgress, RunStage, WorkStorage};
use scripted::Scripted;
use storage::Storage;

/// What a run does instead of what it should.
#[derive(Clone, Debug)]
pub enum Act {
    /// Fails at half of its time.
    Fail(Failure),
    /// Panics at half of its time.
    Panic,
    /// Never ends by itself.
    Hang,
    /// Takes this long.
    Take(Duration),
    /// An assembly that finds these parts lost.
    LoseParts(Vec<UnitId>),
    /// Kills its worker at half of its time, where the worker is one that can die.
    Kill,
    /// A unit that finds its source lost at half of its time.
    LoseSource,
    /// An assembly that makes what the input does not show.
    Differ,
}

impl Act {
    fn is_of_device(&self) -> bool {
        matches!(self, Self::Fail(failure) if failure.class == FailureClass::Device)
    }
}

/// A film.
#[derive(Clone, Copy, Debug)]
pub struct Film {
    /// Its chunks of 10 s.
    pub chunks: u32,
    /// `JOB_PARALLELISM`.
    pub parallelism: u32,
    /// Whether it has sound.
    pub audio: bool,
}

impl Default for Film {
    fn default() -> Self {
        Self { chunks: 4, parallelism: 2, audio: true }
    }
}

/// A run of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// `{job}/split`, or the key of the task.
    pub key: String,
    /// The worker.
    pub worker: String,
    /// Whether its result became durable.
    pub done: bool,
    /// Whether it found its source lost or its outputs different, so that the input is cut again.
    pub cuts_again: bool,
    /// Whether a device made it, or was to.
    pub by_device: bool,
    /// Whether its device failed.
    pub device_failed: bool,
}

/// Stages and work storage. Clones share everything but the name of their worker.
#[derive(Clone, Default)]
pub struct FakeStages {
    state: Arc<Mutex<State>>,
    worker: String,
    life: Life,
}

#[derive(Default)]
struct State {
    films: HashMap<JobId, Film>,
    scripts: HashMap<String, VecDeque<Act>>,
    pace: HashMap<Stage, Duration>,
    runs: Vec<Run>,
    source: Option<SourceIdentity>,
    identify_failures: VecDeque<Failure>,
    storage: Storage,
}

/// Time of a run where a test does not say it.
const PACE: Duration = Duration::from_secs(5);
/// Progress is told so often in a run.
const STEPS: u32 = 10;

impl FakeStages {
    /// Stages and a work storage that write down what happens.
    pub fn writing(chronicle: &Chronicle) -> Self {
        let stages = Self::default();
        stages.lock().storage.chronicle = chronicle.clone();
        stages
    }

    /// The same for another worker, whose life a run can end.
    pub fn of_worker(&self, worker: &str, life: &Life) -> Self {
        Self { state: self.state.clone(), worker: worker.into(), life: life.clone() }
    }

    /// The film that a job reads.
    pub fn film(&self, job_id: &str, film: Film) {
        self.lock().films.extend(job_id.parse().map(|job_id| (job_id, film)));
    }

    /// The next runs of `key` do this, one each.
    pub fn script(&self, key: &str, acts: impl IntoIterator<Item = Act>) {
        self.lock().scripts.entry(key.into()).or_default().extend(acts);
    }

    /// All runs of a stage take this long.
    pub fn pace(&self, stage: Stage, pace: Duration) {
        self.lock().pace.insert(stage, pace);
    }

    /// The input was replaced.
    pub fn replace_input(&self, source: SourceIdentity) {
        self.lock().source = Some(source);
    }

    /// The next look at an input fails.
    pub fn fail_identify(&self, failure: Failure) {
        self.lock().identify_failures.push_back(failure);
    }

    /// All runs so far.
    pub fn runs(&self) -> Vec<Run> {
        self.lock().runs.clone()
    }

    /// How often `key` was begun.
    pub fn begun(&self, key: &str) -> usize {
        self.lock().runs.iter().filter(|run| run.key == key).count()
    }

    /// How often `key` was done.
    pub fn done(&self, key: &str) -> usize {
        self.lock().runs.iter().filter(|run| run.key == key && run.done).count()
    }

    /// Jobs whose work was removed.
    pub fn removed(&self) -> Vec<JobId> {
        self.lock().storage.removed.clone()
    }

    /// The files of a part vanish from the work storage, if there is one; which one, `pick` says.
    pub fn damage(&self, pick: usize) {
        self.lock().storage.damage(pick);
    }

    /// Whether nothing of a job is left.
    pub fn is_empty_of(&self, job_id: &JobId) -> bool {
        self.lock().storage.is_empty_of(job_id)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn carry_out<R: Scripted>(self, request: R, progress: OnProgress) -> Result<R::Output, Failure> {
        let (stage, key, media_ns) = request.describe();
        let (act, pace, run) = self.lock().begin(key, stage, &self.worker, request.uses_device());
        let pace = if let Some(Act::Take(pace)) = act { pace } else { pace };
        if let Some(lost) = self.lock().lose_source(&request, run, false) {
            return Ok(lost);
        }
        for step in 1..=STEPS {
            tokio::time::sleep(pace / STEPS).await;
            progress(media_ns * u64::from(step) / u64::from(STEPS));
            match &act {
                Some(Act::Fail(failure)) if step == STEPS / 2 => {
                    let run = &mut self.lock().runs[run];
                    run.device_failed = run.by_device;
                    return Err(failure.clone());
                }
                Some(Act::Panic) if step == STEPS / 2 => panic!("the stage was told to panic"),
                Some(Act::Hang) if step == STEPS / 2 => std::future::pending().await,
                Some(Act::Kill) if step == STEPS / 2 => self.life.end().await,
                Some(Act::LoseParts(units)) if step == STEPS - 1 => request.lose_parts(&mut self.lock().storage, units),
                Some(Act::Differ) if step == STEPS - 1 => {
                    if let Some(differs) = request.differ() {
                        self.lock().runs[run].cuts_again = true;
                        return Ok(differs);
                    }
                }
                Some(Act::LoseSource) if step == STEPS / 2 => {
                    if let Some(lost) = self.lock().lose_source(&request, run, true) {
                        return Ok(lost);
                    }
                }
                _ => {}
            }
            // The last step of an assembly is the one from the verified file to its final name.
            if step == STEPS - 1
                && let Some(lost) = request.verify(&mut self.lock().storage)
            {
                return Ok(lost);
            }
        }
        let mut state = self.lock();
        let outcome = request.produce(&mut state, &self.worker)?;
        state.runs[run].done = true;
        Ok(outcome)
    }
}

impl State {
    fn begin(&mut self, key: String, stage: Stage, worker: &str, by_device: bool) -> (Option<Act>, Duration, usize) {
        let act = self.scripts.get_mut(&key).and_then(VecDeque::pop_front);
        // A device fails where there is one.
        let act = act.filter(|act| by_device || !act.is_of_device());
        let worker = worker.into();
        self.runs.push(Run { key, worker, done: false, cuts_again: false, by_device, device_failed: false });
        (act, self.pace.get(&stage).copied().unwrap_or(PACE), self.runs.len() - 1)
    }

    /// What comes of a request of which the source is gone, or is to be `now`.
    fn lose_source<R: Scripted>(&mut self, request: &R, run: usize, now: bool) -> Option<R::Output> {
        let how = format!("the source of {} is gone", self.runs[run].key);
        let lost = request.lose_source(&self.storage, how, now)?;
        self.runs[run].cuts_again = true;
        Some(lost)
    }
}

/// The part of a unit; equal for all workers but for their names.
pub fn part_of(unit: UnitId, worker: &str) -> PartRecord {
    parts_of(unit, worker, [None])
}

/// The same with a part of each of these encoders.
pub fn parts_of(unit: UnitId, worker: &str, encoders: impl IntoIterator<Item = Option<EncoderFamily>>) -> PartRecord {
    let part = |(index, encoder): (u16, Option<EncoderFamily>)| {
        let name = format!("{unit}-r{index}-0123456789abcdef.gdp");
        let media = match unit.track() {
            TrackId::Video => MediaStats::Video(VideoStats { access_units: 250, key_units: 5, damaged: 0 }),
            TrackId::Audio(_) => MediaStats::Audio(AudioStats { packets: 250, samples: 255_000, priming: 1024 }),
        };
        let file = FileRef { name, bytes: 1000, sha256: "0123456789abcdef".into() };
        Part { rendition: RenditionId::new(unit.track(), index), file, media, encoder }
    };
    let parts = (0..).zip(encoders).map(part).collect();
    PartRecord { unit, worker: worker.into(), encode_seconds: 2.0, parts }
}

fn output_of(plan: &Plan) -> OutputReport {
    OutputReport {
        uri: plan.job.outputs.first().map(|output| output.uri.as_str().to_owned()).unwrap_or_default(),
        bytes: 4000,
        duration: plan.duration_ns() as f64 / 1e9,
        sha256: "feedbeef".into(),
        verification: Verification {
            frames: plan.frames(),
            key_frames: 1,
            audio_samples: 0,
            av_offset_ns: 0,
            ..Verification::default()
        },
    }
}

impl<R: Scripted> RunStage<R> for FakeStages {
    fn run(&self, request: R, progress: OnProgress, stop: CancellationToken) -> Answer<R::Output> {
        let stage = self.clone().carry_out(request, progress);
        Box::pin(async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => Err(Failure::interrupted("the stage was told to stop")),
                outcome = stage => outcome,
            }
        })
    }
}

impl WorkStorage for FakeStages {
    fn identify(&self, _: MediaUri) -> Answer<SourceIdentity> {
        let mut state = self.lock();
        let answer = match state.identify_failures.pop_front() {
            Some(failure) => Err(failure),
            None => Ok(state.source.clone().unwrap_or_else(identity)),
        };
        Box::pin(std::future::ready(answer))
    }

    fn pin(&self, job_id: JobId, families: Families) -> Answer<Families> {
        let first = self.lock().storage.pin(job_id, families);
        Box::pin(std::future::ready(Ok(first)))
    }

    fn plan(&self, job_id: JobId, fingerprint: Fingerprint) -> Answer<Option<Arc<PinnedPlan>>> {
        let plan = self.lock().storage.plan(job_id, fingerprint);
        Box::pin(std::future::ready(Ok(plan)))
    }

    fn recorded_parts(&self, job_id: JobId, fingerprint: Fingerprint) -> Answer<Vec<PartRecord>> {
        let parts = self.lock().storage.parts(job_id, fingerprint);
        Box::pin(std::future::ready(Ok(parts)))
    }

    fn discard(&self, job_id: JobId, fingerprint: Fingerprint, unit: UnitId) -> Answer<()> {
        self.lock().storage.discard(job_id, fingerprint, unit);
        Box::pin(std::future::ready(Ok(())))
    }

    fn remove(&self, job_id: JobId) -> Answer<()> {
        self.lock().storage.remove(job_id);
        Box::pin(std::future::ready(Ok(())))
    }
}
