//! A checkpoint store in memory, with tokio's clock (so that virtual time expires leases) and with faults on demand.
//! It keeps the rules of [`Checkpoint`] by calling them; the other stores are held against it.
//! Must never do more than a real store does: the conformance suite runs on all of them.

mod faults;
mod state;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use self::faults::Faults;
pub use self::faults::Operation;
use self::state::{Job, State};
use super::chronicle::{Chronicle, Event};
use super::service::VirtualClock;
use crate::domain::checkpoint::{Advance, Advanced, Checkpoint, Outcome, PartRecord, Timestamp};
use crate::domain::failure::Failure;
use crate::domain::fingerprint::Fingerprint;
use crate::domain::job::JobId;
use crate::domain::progress::Report;
use crate::domain::unit::UnitId;
use crate::ports::{Answer, JobStore, LeaseStore, Outbox, PartStore, Recorded, Reopened, WorkerInfo};

/// How long finished jobs are kept where a test does not say it.
pub const CHECKPOINT_TTL: Duration = Duration::from_secs(7 * 24 * 3600);

/// The clock has room for it.
const LONGEST_TTL: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// The fake store. Clones share their contents.
#[derive(Clone)]
pub struct FakeStore {
    state: Arc<Mutex<State>>,
    faults: Arc<Mutex<Faults>>,
    checkpoint_ttl: Duration,
}

impl Default for FakeStore {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::with_checkpoint_ttl(CHECKPOINT_TTL)
    }

    /// An empty store that forgets finished jobs after `checkpoint_ttl`.
    pub fn with_checkpoint_ttl(checkpoint_ttl: Duration) -> Self {
        Self { state: Arc::default(), faults: Arc::default(), checkpoint_ttl: checkpoint_ttl.min(LONGEST_TTL) }
    }

    /// An empty store that writes down what happens, and that numbers reports by `clock`, as a store does by its own:
    /// what a caller thinks that the time is may be old when its call arrives.
    pub fn writing(chronicle: &Chronicle, clock: VirtualClock) -> Self {
        let store = Self::new();
        *lock(&store.state) = State { chronicle: chronicle.clone(), clock: Some(clock), ..State::default() };
        store
    }

    /// The next `calls` calls, whatever they are, fail as `retryable` and do nothing.
    pub fn fail_next(&self, calls: usize) {
        lock(&self.faults).fail_any = calls;
    }

    /// The next `calls` calls of `operation` fail as `retryable` and do nothing.
    pub fn fail_next_of(&self, operation: Operation, calls: usize) {
        lock(&self.faults).fail.insert(operation, calls);
    }

    /// The next `calls` calls do their work, but fail as if the answer had been lost on the way.
    pub fn lose_next_answers(&self, calls: usize) {
        lock(&self.faults).lose_answers = calls;
    }

    /// While the store is away, all calls fail as `retryable`.
    pub fn set_away(&self, away: bool) {
        lock(&self.faults).away = away;
    }

    /// From now on each call takes `delay` before it does anything.
    pub fn delay(&self, delay: Duration) {
        lock(&self.faults).delay = delay;
    }

    /// Forgets everything, as a Redis that was restarted without its data.
    pub fn empty(&self) {
        let mut state = lock(&self.state);
        state.chronicle.note(Event::Emptied);
        *state = State { chronicle: state.chronicle.clone(), clock: state.clock, ..State::default() };
    }

    /// Takes leases away from their owners: of all that are held, each for which `taken` says so.
    pub fn drop_leases(&self, mut taken: impl FnMut(&str) -> bool) {
        lock(&self.state).leases.retain(|task, _| !taken(task));
    }

    /// Last reports that nobody has confirmed.
    pub fn outbox_len(&self) -> usize {
        lock(&self.state).outbox.len()
    }

    /// How often `operation` was called, failed calls included.
    pub fn calls(&self, operation: Operation) -> usize {
        lock(&self.faults).calls.get(&operation).copied().unwrap_or(0)
    }

    /// Does `work` on the contents, unless a fault is due. Nothing happens before the future is polled.
    fn call<T: Send + 'static>(
        &self,
        operation: Operation,
        work: impl FnOnce(&mut State, Instant) -> T + Send + 'static,
    ) -> Answer<T> {
        let this = self.clone();
        Box::pin(async move {
            let verdict = lock(&this.faults).judge(operation);
            if !verdict.delay.is_zero() {
                tokio::time::sleep(verdict.delay).await;
            }
            if let Some(failure) = verdict.failure {
                return Err(failure);
            }
            let now = Instant::now();
            let mut state = lock(&this.state);
            state.expire(now);
            let answer = work(&mut state, now);
            if verdict.answer_lost {
                return Err(Failure::retryable(format!("the fake store was told to lose the answer to {operation:?}")));
            }
            Ok(answer)
        })
    }
}

/// A test that panicked while it held the lock has failed already; the others go on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl JobStore for FakeStore {
    fn open(&self, job_id: JobId, content: String, now: Timestamp) -> Answer<Checkpoint> {
        self.call(Operation::Open, move |state, _| {
            let job = state.jobs.entry(job_id.clone()).or_default();
            if job.checkpoint.as_ref().is_none_or(|known| !known.status.is_terminal()) {
                job.expires_at = None;
            }
            let checkpoint = job.checkpoint.get_or_insert_with(|| Checkpoint::queued(job_id, content.clone(), now));
            if checkpoint.content.is_empty() {
                checkpoint.content = content;
            }
            checkpoint.clone()
        })
    }

    fn read(&self, job_id: JobId) -> Answer<Option<Checkpoint>> {
        self.call(Operation::Read, move |state, _| state.jobs.get(&job_id).and_then(|job| job.checkpoint.clone()))
    }

    fn advance(&self, job_id: JobId, step: Advance, now: Timestamp) -> Answer<Option<Advanced>> {
        self.call(Operation::Advance, move |state, instant| {
            let time = state.time(now);
            let advanced = state.jobs.get_mut(&job_id).and_then(|job| job.advance(&step, now, time, instant))?;
            state.note_advance(&step, &advanced);
            Some(advanced)
        })
    }

    fn finish(&self, job_id: JobId, outcome: Outcome, mut report: Report, now: Timestamp) -> Answer<bool> {
        let ttl = self.checkpoint_ttl;
        self.call(Operation::Finish, move |state, instant| {
            let time = state.time(now);
            let job = state.jobs.entry(job_id.clone()).or_default();
            let checkpoint = job.checkpoint.get_or_insert_with(|| report.checkpoint(now));
            if !checkpoint.finish(&outcome, now) {
                return false;
            }
            report.sequence = checkpoint.next_sequence(time);
            job.expires_at = Some(instant + ttl);
            state.outbox.retain(|older| older.job_id != job_id);
            state.chronicle.note(Event::Numbered(job_id.clone(), report.sequence));
            state.chronicle.note(Event::Ended(job_id, outcome.status(), report.sequence));
            state.outbox.push(report);
            true
        })
    }

    fn reopen(&self, job_id: JobId, content: String, now: Timestamp) -> Answer<Reopened> {
        let ttl = self.checkpoint_ttl;
        self.call(Operation::Reopen, move |state, instant| {
            let job = state.jobs.entry(job_id.clone()).or_default();
            if let Some(kept) = job.checkpoint.as_ref().filter(|found| !found.may_reopen(&content)) {
                return Reopened::Kept(kept.clone());
            }
            let found = job.checkpoint.take();
            let anew = Checkpoint::reopened(found.as_ref(), job_id, content, now, now);
            *job = Job { checkpoint: Some(anew), expires_at: Some(instant + ttl), ..Job::default() };
            Reopened::Anew(found)
        })
    }
}

impl PartStore for FakeStore {
    fn record(&self, job_id: JobId, fingerprint: Fingerprint, part: PartRecord, now: Timestamp) -> Answer<Recorded> {
        let ttl = self.checkpoint_ttl;
        self.call(Operation::Record, move |state, instant| {
            let chronicle = state.chronicle.clone();
            let job = state.side(job_id.clone(), instant + ttl);
            let parts = job.parts.entry(fingerprint.clone()).or_default();
            let news = !parts.contains_key(&part.unit);
            let in_force = parts.entry(part.unit).or_insert_with(|| part.clone()).clone();
            let units_done = parts.len() as u32;
            let chunks_done = job.chunks(&fingerprint);
            if let Some(checkpoint) = job.live(&fingerprint).filter(|_| news) {
                checkpoint.chunks_done = chunks_done;
                checkpoint.waiting_for = None;
                checkpoint.updated_at = now;
            }
            let recorded = Recorded { first: in_force == part, part: in_force.clone(), units_done };
            chronicle.note(Event::Recorded { job_id, fingerprint, offered: part, in_force });
            recorded
        })
    }

    fn part(&self, job_id: JobId, fingerprint: Fingerprint, unit: UnitId) -> Answer<Option<PartRecord>> {
        self.call(Operation::Part, move |state, _| {
            state.jobs.get(&job_id)?.parts.get(&fingerprint)?.get(&unit).cloned()
        })
    }

    fn parts(&self, job_id: JobId, fingerprint: Fingerprint) -> Answer<BTreeMap<UnitId, PartRecord>> {
        self.call(Operation::Parts, move |state, _| {
            state.jobs.get(&job_id).and_then(|job| job.parts.get(&fingerprint)).cloned().unwrap_or_default()
        })
    }

    fn forget(&self, job_id: JobId, fingerprint: Fingerprint, unit: UnitId) -> Answer<()> {
        self.call(Operation::Forget, move |state, _| {
            let Some(job) = state.jobs.get_mut(&job_id) else { return };
            job.parts.get_mut(&fingerprint).and_then(|parts| parts.remove(&unit));
            let chunks_done = job.chunks(&fingerprint);
            if let Some(checkpoint) = job.live(&fingerprint) {
                checkpoint.chunks_done = chunks_done;
            }
            state.chronicle.note(Event::Forgotten(job_id, fingerprint, unit));
        })
    }

    fn count_attempt(&self, job_id: JobId, task: String) -> Answer<u32> {
        let ttl = self.checkpoint_ttl;
        self.call(Operation::CountAttempt, move |state, instant| {
            let counted = state.side(job_id.clone(), instant + ttl).attempts.entry(task.clone()).or_default();
            *counted += 1;
            let attempts = *counted;
            state.chronicle.note(Event::Counted { job_id, task, attempts });
            attempts
        })
    }

    fn return_attempt(&self, job_id: JobId, task: String) -> Answer<()> {
        self.call(Operation::ReturnAttempt, move |state, _| {
            let Some(job) = state.jobs.get_mut(&job_id) else { return };
            if let Some(attempts) = job.attempts.get_mut(&task) {
                *attempts = attempts.saturating_sub(1);
            }
        })
    }
}

impl LeaseStore for FakeStore {
    fn hold(&self, task: String, owner: String, ttl: Duration) -> Answer<bool> {
        self.call(Operation::Hold, move |state, now| {
            if state.leases.get(&task).is_some_and(|(holder, _)| *holder != owner) {
                return false;
            }
            state.leases.insert(task, (owner, now + ttl.min(LONGEST_TTL)));
            true
        })
    }

    fn release(&self, task: String, owner: String) -> Answer<()> {
        self.call(Operation::Release, move |state, _| {
            if state.leases.get(&task).is_some_and(|(holder, _)| *holder == owner) {
                state.leases.remove(&task);
            }
        })
    }

    fn announce(&self, worker: String, info: WorkerInfo, ttl: Duration) -> Answer<()> {
        self.call(Operation::Announce, move |state, now| {
            state.workers.insert(worker, (info, now + ttl.min(LONGEST_TTL)));
        })
    }

    fn workers(&self) -> Answer<Vec<WorkerInfo>> {
        self.call(Operation::Workers, |state, _| state.workers.values().map(|(info, _)| info.clone()).collect())
    }
}

impl Outbox for FakeStore {
    fn pending(&self, limit: usize) -> Answer<Vec<Report>> {
        self.call(Operation::Pending, move |state, _| state.outbox.iter().take(limit).cloned().collect())
    }

    fn delivered(&self, job_id: JobId, sequence: u64) -> Answer<()> {
        self.call(Operation::Delivered, move |state, _| {
            state.outbox.retain(|report| (&report.job_id, report.sequence) != (&job_id, sequence));
        })
    }
}
