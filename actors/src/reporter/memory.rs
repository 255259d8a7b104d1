//! What the reporter saw of each job. A store that comes back empty must not make a job go back in the eyes of the
//! service, nor may the panic of a reporter: like the in-flight progress, the memory outlives it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::checkpoint::{Checkpoint, JobStatus};
use crate::domain::job::JobId;
use crate::in_flight::JobProgress;

/// Jobs that are remembered though nothing of them runs here.
const MAX_SEEN: usize = 1024;
/// Ended jobs that are remembered, so that no late progress follows.
const MAX_ENDED: usize = 1024;

/// The memory. Clones share it.
#[derive(Clone, Default)]
pub struct Memory {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    seen: HashMap<JobId, Seen>,
    /// With the sequence number of the last report.
    ended: VecDeque<(JobId, u64)>,
}

/// The furthest that was seen of a job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) status: JobStatus,
    pub(super) percent: f64,
    chunks_done: u32,
    pub(super) generation: u64,
}

impl Seen {
    const NOTHING: Self = Self { status: JobStatus::Queued, percent: 0.0, chunks_done: 0, generation: 0 };

    /// With what runs here. A store that was emptied forgets the generation.
    fn with(self, job: &JobProgress) -> Self {
        let chunks_done = self.chunks_done.max(job.chunks_done);
        Self {
            status: self.status.later(job.status()),
            percent: job.percent(chunks_done).max(self.percent),
            chunks_done,
            generation: job.generation.max(self.generation),
        }
    }
}

impl Memory {
    /// Of all these jobs that have not ended: what is known of them, with what runs here.
    pub(super) fn of(&self, jobs: Vec<JobProgress>) -> Vec<(JobProgress, Seen)> {
        let mut shared = self.lock();
        if shared.seen.len() > MAX_SEEN {
            shared.seen.retain(|job_id, _| jobs.iter().any(|job| job.job_id == *job_id));
        }
        let known = jobs.into_iter().map(|job| {
            // What was seen of an earlier generation says nothing.
            let seen = shared.seen.get(&job.job_id).copied().filter(|seen| seen.generation >= job.generation);
            let seen = seen.unwrap_or(Seen::NOTHING).with(&job);
            (job, seen)
        });
        known.filter(|(job, seen)| !shared.has_ended(&job.job_id, seen.generation)).collect()
    }

    /// A job was seen so, and goes on.
    pub(super) fn note(&self, checkpoint: &Checkpoint) {
        let Checkpoint { status, progress: percent, chunks_done, generation, .. } = *checkpoint;
        self.lock().seen.insert(checkpoint.job_id.clone(), Seen { status, percent, chunks_done, generation });
    }

    /// A job has ended, and `sequence` is the number of its last report.
    pub(super) fn note_end(&self, job_id: &JobId, sequence: u64) {
        let shared = &mut *self.lock();
        // A report that waited long may be of an earlier generation than the one that runs.
        if shared.seen.get(job_id).is_some_and(|seen| seen.generation <= sequence) {
            shared.seen.remove(job_id);
        }
        match shared.ended.iter_mut().find(|(known, _)| known == job_id) {
            Some((_, last)) => *last = sequence.max(*last),
            None => shared.ended.push_back((job_id.clone(), sequence)),
        }
        while shared.ended.len() > MAX_ENDED {
            shared.ended.pop_front();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // It is whole after every statement, so a panic elsewhere does not spoil it.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Whether this generation of the job has ended: its last report has a higher number than its beginning.
    fn has_ended(&self, job_id: &JobId, generation: u64) -> bool {
        self.ended.iter().any(|(ended, sequence)| ended == job_id && *sequence >= generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::checkpoint::Timestamp;
    use crate::domain::plan::testing::plan_of;
    use crate::domain::unit::UnitId;
    use crate::in_flight::InFlight;

    fn known(memory: &Memory, in_flight: &InFlight) -> Vec<(JobStatus, f64)> {
        memory.of(in_flight.jobs()).into_iter().map(|(_, seen)| (seen.status, seen.percent)).collect()
    }

    #[test]
    fn what_runs_here_says_the_least_that_a_job_can_be() {
        let (memory, in_flight) = (Memory::default(), InFlight::default());
        let plan = Arc::new(plan_of(1, 4, false));
        // As in a store that came back empty.
        let queued = Checkpoint::queued(plan.job.job_id.clone(), String::new(), Timestamp::default());
        let split = in_flight.split(&queued);
        assert_eq!(known(&memory, &in_flight), [(JobStatus::Queued, 0.0)]);
        drop(split);
        let chunk = in_flight.unit(&plan, UnitId::Chunk(0), &queued);
        assert_eq!(known(&memory, &in_flight), [(JobStatus::Encoding, 1.0)]);
        let assembly = in_flight.assembly(&plan, &queued);
        assert_eq!(known(&memory, &in_flight), [(JobStatus::Assembling, 98.0)]);
        drop((chunk, assembly));
    }

    #[test]
    fn what_was_seen_of_a_job_counts_until_this_generation_of_it_ends() {
        let (memory, in_flight) = (Memory::default(), InFlight::default());
        let plan = plan_of(1, 4, false);
        let mut checkpoint = Checkpoint::queued(plan.job.job_id.clone(), String::new(), Timestamp::default());
        let _split = in_flight.split(&checkpoint);
        checkpoint.status = JobStatus::Encoding;
        checkpoint.progress = 50.0;
        memory.note(&checkpoint);
        // The next reporter has a clone.
        let memory = memory.clone();
        assert_eq!(known(&memory, &in_flight), [(JobStatus::Encoding, 50.0)]);
        memory.note_end(&checkpoint.job_id, 7);
        assert_eq!(known(&memory, &in_flight), []);
        checkpoint.generation = 8;
        let _anew = in_flight.split(&checkpoint);
        assert_eq!(known(&memory, &in_flight), [(JobStatus::Queued, 0.0)]);
    }
}
