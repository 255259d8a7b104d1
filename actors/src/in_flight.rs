//! What runs on this worker and how far it is. Encoders write, the reporter reads once a second: however often a stage
//! says something, nothing piles up. It outlives both, so that a reporter that was started again knows what runs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::domain::checkpoint::{Checkpoint, JobStatus};
use crate::domain::job::JobId;
use crate::domain::plan::{PinnedPlan, Plan};
use crate::domain::progress::MediaLength;
use crate::domain::task::Stage;
use crate::domain::unit::UnitId;
use crate::ports::OnProgress;

/// Share of the whole job, in percent, that is done when the input was cut.
pub const AFTER_SPLIT: f64 = 1.0;
/// Share of the whole job, in percent, that is done when all chunks are.
pub const AFTER_ENCODE: f64 = 98.0;

/// Progress of a job in percent with `done` of `chunks` chunks encoded; `done` may have a fraction.
pub fn encode_progress(done: f64, chunks: u32) -> f64 {
    let share = if chunks == 0 { 0.0 } else { (done / f64::from(chunks)).clamp(0.0, 1.0) };
    AFTER_SPLIT + (AFTER_ENCODE - AFTER_SPLIT) * share
}

/// The tasks that run. Clones share it.
#[derive(Clone, Default)]
pub struct InFlight {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    tasks: Mutex<BTreeMap<u64, Running>>,
    /// Jobs that wait, seen since the last look.
    waiting: Mutex<BTreeMap<JobId, u64>>,
    next: AtomicU64,
    ended: Notify,
}

/// A task that runs.
#[derive(Clone)]
struct Running {
    job_id: JobId,
    stage: Stage,
    plan: Option<Arc<PinnedPlan>>,
    chunks_done: u32,
    generation: u64,
    done_ns: Arc<AtomicU64>,
    total_ns: u64,
}

/// Takes a task out of the in-flight progress when dropped.
pub struct Entry {
    in_flight: InFlight,
    number: u64,
    done_ns: Arc<AtomicU64>,
}

/// Where a job stands, as far as this worker sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct JobProgress {
    /// The job.
    pub job_id: JobId,
    /// Length of its media, once there is a plan.
    pub media: Option<MediaLength>,
    /// Number of its chunks, 0 before there is a plan.
    pub chunks: u32,
    /// Chunks that were done when the newest of its tasks here began.
    pub chunks_done: u32,
    /// The latest generation of the job that one of its tasks here began in, see [`crate::domain::checkpoint::Checkpoint::generation`].
    pub generation: u64,
    /// Sum of the fractions of the chunks that run here.
    pub running: f64,
    /// How far the assembly here is, 0 to 1, where there is one.
    pub assembled: Option<f64>,
}

impl JobProgress {
    /// Of a job of which nothing is done yet.
    fn none(job_id: JobId, generation: u64) -> Self {
        Self { job_id, media: None, chunks: 0, chunks_done: 0, generation, running: 0.0, assembled: None }
    }

    /// The least that the status of the job can be, by what runs here.
    pub const fn status(&self) -> JobStatus {
        match self.assembled {
            Some(_) => JobStatus::Assembling,
            None if self.chunks > 0 => JobStatus::Encoding,
            None => JobStatus::Queued,
        }
    }

    /// Progress of the whole job in percent, where `chunks_done` chunks are known to be done.
    pub fn percent(&self, chunks_done: u32) -> f64 {
        match self.assembled {
            Some(share) => AFTER_ENCODE + (100.0 - AFTER_ENCODE) * share,
            None if self.chunks == 0 => 0.0,
            None => encode_progress(f64::from(chunks_done) + self.running, self.chunks),
        }
    }
}

/// Length of the media of a plan.
pub fn media_length(plan: &Plan) -> MediaLength {
    MediaLength { seconds: plan.duration_ns() as f64 / 1e9, frames: plan.frames() }
}

impl InFlight {
    /// Puts the split of a job into the in-flight progress. `seen` is the checkpoint that its task found.
    pub fn split(&self, seen: &Checkpoint) -> Entry {
        self.add(seen, Stage::Split, None, 0)
    }

    /// Puts a unit into the in-flight progress.
    pub fn unit(&self, plan: &Arc<PinnedPlan>, unit: UnitId, seen: &Checkpoint) -> Entry {
        let (stage, total_ns) = match unit {
            UnitId::Chunk(_) => {
                let window = plan.chunk(unit).map(|chunk| chunk.window);
                (Stage::Encode, window.map_or(0, |window| window.end_ns.saturating_sub(window.start_ns)))
            }
            UnitId::Audio(_) => (Stage::Audio, plan.duration_ns()),
        };
        self.add(seen, stage, Some(plan), total_ns)
    }

    /// Puts the assembly of a job into the in-flight progress.
    pub fn assembly(&self, plan: &Arc<PinnedPlan>, seen: &Checkpoint) -> Entry {
        self.add(seen, Stage::Assemble, Some(plan), plan.duration_ns())
    }

    /// A job was seen that waits for something: it is among the [`jobs`](Self::jobs) once.
    pub fn waits(&self, seen: &Checkpoint) {
        self.waiting().insert(seen.job_id.clone(), seen.generation);
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<JobId, u64>> {
        self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, seen: &Checkpoint, stage: Stage, plan: Option<&Arc<PinnedPlan>>, total_ns: u64) -> Entry {
        let number = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let done_ns = Arc::<AtomicU64>::default();
        let chunks_done = match (stage, plan) {
            (Stage::Assemble, Some(plan)) => plan.num_chunks(),
            _ => seen.chunks_done,
        };
        let running = Running {
            job_id: seen.job_id.clone(),
            stage,
            plan: plan.cloned(),
            chunks_done,
            generation: seen.generation,
            done_ns: done_ns.clone(),
            total_ns,
        };
        self.tasks().insert(number, running);
        Entry { in_flight: self.clone(), number, done_ns }
    }

    fn tasks(&self) -> MutexGuard<'_, BTreeMap<u64, Running>> {
        // The map is whole after every statement, so a panic elsewhere does not spoil it.
        self.shared.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The jobs with a task that runs here, and those that wait and were not told of.
    pub fn jobs(&self) -> Vec<JobProgress> {
        let waiting = std::mem::take(&mut *self.waiting());
        let waiting =
            waiting.into_iter().map(|(job_id, generation)| (job_id.clone(), JobProgress::none(job_id, generation)));
        let mut jobs: BTreeMap<JobId, JobProgress> = waiting.collect();
        for task in self.tasks().values() {
            let job = jobs.entry(task.job_id.clone());
            task.add_to(job.or_insert_with(|| JobProgress::none(task.job_id.clone(), 0)));
        }
        jobs.into_values().collect()
    }

    /// A job ended here: its last report waits in the outbox.
    pub fn job_ended(&self) {
        self.shared.ended.notify_one();
    }

    /// Resolves when a job ended here since the last time.
    pub async fn wait_for_end(&self) {
        self.shared.ended.notified().await;
    }
}

impl Running {
    fn add_to(&self, job: &mut JobProgress) {
        if let Some(plan) = &self.plan {
            job.media = Some(media_length(plan));
            job.chunks = plan.num_chunks();
        }
        job.chunks_done = job.chunks_done.max(self.chunks_done);
        job.generation = job.generation.max(self.generation);
        match self.stage {
            Stage::Split | Stage::Audio => {}
            Stage::Encode => job.running += self.share(),
            Stage::Assemble => job.assembled = Some(self.share()),
        }
    }

    fn share(&self) -> f64 {
        if self.total_ns == 0 {
            return 0.0;
        }
        (self.done_ns.load(Ordering::Relaxed) as f64 / self.total_ns as f64).clamp(0.0, 1.0)
    }
}

impl Entry {
    /// Media time that the stage has done, in nanoseconds.
    pub fn done_ns(&self) -> u64 {
        self.done_ns.load(Ordering::Relaxed)
    }

    /// What the stage calls with the media time that it has done.
    pub fn on_progress(&self) -> OnProgress {
        let done_ns = self.done_ns.clone();
        Box::new(move |media_ns| {
            done_ns.fetch_max(media_ns, Ordering::Relaxed);
        })
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.in_flight.tasks().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::plan::testing::plan_of;

    fn seen(plan: &Plan, chunks_done: u32, generation: u64) -> Checkpoint {
        let queued = Checkpoint::queued(plan.job.job_id.clone(), String::new(), Default::default());
        Checkpoint { chunks_done, generation, ..queued }
    }

    #[test]
    fn the_chunks_that_run_count_by_their_share_and_leave_with_their_entry() {
        let in_flight = InFlight::default();
        let plan = Arc::new(plan_of(4, 2, true));
        let first = in_flight.unit(&plan, UnitId::Chunk(0), &seen(&plan, 1, 0));
        let second = in_flight.unit(&plan, UnitId::Chunk(1), &seen(&plan, 2, 0));
        let _audio = in_flight.unit(&plan, UnitId::Audio(0), &seen(&plan, 0, 0));
        first.on_progress()(5_000_000_000);
        second.on_progress()(u64::MAX);
        let [job] = in_flight.jobs().try_into().expect("one job");
        assert_eq!((job.chunks, job.chunks_done, job.running), (4, 2, 1.5));
        assert_eq!(job.percent(2), encode_progress(3.5, 4));
        drop((first, second));
        assert_eq!(in_flight.jobs().first().map(|job| job.running), Some(0.0));
    }

    #[test]
    fn a_job_that_waits_is_told_of_once_each_time_that_it_is_seen() {
        let (in_flight, plan) = (InFlight::default(), plan_of(1, 1, false));
        in_flight.waits(&seen(&plan, 0, 7));
        let told = in_flight.jobs();
        assert_eq!(told.iter().map(|job| (job.generation, job.percent(0))).collect::<Vec<_>>(), [(7, 0.0)]);
        assert!(in_flight.jobs().is_empty());
    }

    #[test]
    fn the_stages_share_the_percents_without_a_step_back() {
        assert_eq!((encode_progress(0.0, 9), encode_progress(9.0, 9)), (AFTER_SPLIT, AFTER_ENCODE));
        assert_eq!(encode_progress(1.0, 0), AFTER_SPLIT);
        let in_flight = InFlight::default();
        let plan = Arc::new(plan_of(1, 1, false));
        let _split = in_flight.split(&seen(&plan, 0, 0));
        assert_eq!(in_flight.jobs().first().map(|job| job.percent(0)), Some(0.0));
        let assembly = in_flight.assembly(&plan, &seen(&plan, 0, 0));
        assert_eq!(in_flight.jobs().first().map(|job| job.percent(1)), Some(AFTER_ENCODE));
        assembly.on_progress()(10_000_000_000);
        assert_eq!(in_flight.jobs().first().map(|job| job.percent(1)), Some(100.0));
    }
}
