//! What is done to the tables of the embedded store in one transaction.
//! Times to live are judged by the machine's clock, because they outlive the process.

use std::time::Duration;

use actors::domain::checkpoint::{Advance, Checkpoint, Outcome, PartRecord, Timestamp};
use actors::domain::fingerprint::Fingerprint;
use actors::domain::job::JobId;
use actors::domain::progress::Report;
use actors::domain::unit::UnitId;
use actors::ports::{Recorded, Reopened};
use redb::{ReadTransaction, ReadableTable, WriteTransaction};

use super::tables::{
    ATTEMPTS, Count, Counts, EXPIRIES, JOBS, OUTBOX, PARTS, PLACES, Problem, Row, beyond, json_of, read_json, row_of,
};

/// One transaction that changes something.
pub(super) struct Change<'a> {
    pub transaction: &'a WriteTransaction,
    /// The clock of the machine.
    pub time: Timestamp,
    /// How long ended jobs are kept.
    pub ttl: Duration,
}

impl Change<'_> {
    /// Makes the tables of a new file, so that readers find them, and forgets what expired while nothing ran.
    pub fn prepare(&self) -> Result<(), Problem> {
        self.transaction.open_table(JOBS)?;
        self.transaction.open_table(PARTS)?;
        self.transaction.open_table(ATTEMPTS)?;
        self.transaction.open_table(OUTBOX)?;
        self.transaction.open_table(PLACES)?;
        self.forget_expired()
    }

    pub fn open(&self, job_id: JobId, content: String, now: Timestamp) -> Result<Checkpoint, Problem> {
        self.forget_expired()?;
        let mut row = self.row(&job_id)?;
        if row.checkpoint.as_ref().is_none_or(|known| !known.status.is_terminal()) {
            row.expires_at = None;
        }
        let checkpoint = row.checkpoint.get_or_insert_with(|| Checkpoint::queued(job_id, content.clone(), now));
        if checkpoint.content.is_empty() {
            checkpoint.content = content;
        }
        let checkpoint = checkpoint.clone();
        self.keep(&checkpoint.job_id, &row)?;
        Ok(checkpoint)
    }

    /// Takes the step, and a sequence number where `due` says so; it is asked only where a report could follow.
    pub fn advance(
        &self,
        job_id: &JobId,
        step: &Advance,
        now: Timestamp,
        due: impl FnOnce() -> bool,
    ) -> Result<Option<(Checkpoint, Option<u64>)>, Problem> {
        let mut row = self.row(job_id)?;
        let Some(checkpoint) = &mut row.checkpoint else { return Ok(None) };
        if !checkpoint.takes(step) {
            return Ok(Some((checkpoint.clone(), None)));
        }
        let before = checkpoint.fingerprint.clone();
        checkpoint.advance(step, now);
        if checkpoint.fingerprint != before {
            let count =
                checkpoint.fingerprint.as_ref().map(|plan| self.count(job_id, plan, &row.counts)).transpose()?;
            checkpoint.chunks_done = count.unwrap_or_default().chunks;
        }
        let ended = checkpoint.status.is_terminal();
        let number = (step.report && !ended && due()).then(|| checkpoint.next_sequence(self.time));
        let answer = (checkpoint.clone(), number);
        if ended {
            row.expires_at = Some(self.time + self.ttl);
        }
        self.keep(job_id, &row)?;
        Ok(Some(answer))
    }

    pub fn finish(
        &self,
        job_id: &JobId,
        outcome: &Outcome,
        mut report: Report,
        now: Timestamp,
    ) -> Result<bool, Problem> {
        self.forget_expired()?;
        let mut row = self.row(job_id)?;
        let checkpoint = row.checkpoint.get_or_insert_with(|| report.checkpoint(now));
        if !checkpoint.finish(outcome, now) {
            return Ok(false);
        }
        report.sequence = checkpoint.next_sequence(self.time);
        row.expires_at = Some(self.time + self.ttl);
        self.keep(job_id, &row)?;
        self.take_out(job_id)?;
        let mut outbox = self.transaction.open_table(OUTBOX)?;
        let place = outbox.last()?.map_or(0, |(last, _)| last.value() + 1);
        outbox.insert(place, json_of(&report)?.as_str())?;
        self.transaction.open_table(PLACES)?.insert(job_id.as_str(), place)?;
        Ok(true)
    }

    /// The job begins anew where it has failed or is not known. It is kept as long as an ended one until it is opened.
    pub fn reopen(&self, job_id: JobId, content: String, now: Timestamp) -> Result<Reopened, Problem> {
        self.forget_expired()?;
        let found = self.row(&job_id)?.checkpoint;
        if let Some(kept) = found.as_ref().filter(|found| !found.may_reopen(&content)) {
            return Ok(Reopened::Kept(kept.clone()));
        }
        self.wipe(job_id.as_str())?;
        let anew = Checkpoint::reopened(found.as_ref(), job_id.clone(), content, now, self.time);
        let row = Row { checkpoint: Some(anew), expires_at: Some(self.time + self.ttl), ..Row::default() };
        self.keep(&job_id, &row)?;
        Ok(Reopened::Anew(found))
    }

    /// Takes a last report out of the outbox, if it is the one with this number.
    pub fn delivered(&self, job_id: &JobId, sequence: u64) -> Result<(), Problem> {
        let place = self.transaction.open_table(PLACES)?.get(job_id.as_str())?.map(|place| place.value());
        let Some(place) = place else { return Ok(()) };
        let report = self.transaction.open_table(OUTBOX)?.get(place)?.map(|json| json.value().to_owned());
        let report = report.map(|json| read_json::<Report>("a last report", &json)).transpose()?;
        match report {
            Some(other) if other.sequence != sequence => Ok(()),
            _ => self.take_out(job_id),
        }
    }

    fn take_out(&self, job_id: &JobId) -> Result<(), Problem> {
        if let Some(place) = self.transaction.open_table(PLACES)?.remove(job_id.as_str())? {
            self.transaction.open_table(OUTBOX)?.remove(place.value())?;
        }
        Ok(())
    }

    pub fn record(
        &self,
        job_id: &JobId,
        plan: &Fingerprint,
        part: PartRecord,
        now: Timestamp,
    ) -> Result<Recorded, Problem> {
        let mut row = self.row(job_id)?;
        let mut count = self.count(job_id, plan, &row.counts)?;
        let (unit, json) = (part.unit.to_string(), json_of(&part)?);
        let mut parts = self.transaction.open_table(PARTS)?;
        let key = (job_id.as_str(), plan.0.as_str(), unit.as_str());
        let in_force = parts.get(key)?.map(|found| found.value().to_owned());
        if in_force.is_none() {
            parts.insert(key, json.as_str())?;
            count = count.with(part.unit);
        }
        drop(parts);
        row.counts.insert(plan.0.clone(), count);
        if let Some(checkpoint) = live(&mut row, plan).filter(|_| in_force.is_none()) {
            checkpoint.chunks_done = count.chunks;
            checkpoint.waiting_for = None;
            checkpoint.updated_at = now;
        }
        self.keep_side(job_id, row)?;
        let first = in_force.as_ref().is_none_or(|in_force| *in_force == json);
        let part = in_force.map_or(Ok(part), |in_force| read_json("a part", &in_force))?;
        Ok(Recorded { part, first, units_done: count.units })
    }

    pub fn forget(&self, job_id: &JobId, plan: &Fingerprint, unit: UnitId) -> Result<(), Problem> {
        let mut row = self.row(job_id)?;
        let count = self.count(job_id, plan, &row.counts)?.without(unit);
        let unit = unit.to_string();
        let key = (job_id.as_str(), plan.0.as_str(), unit.as_str());
        if self.transaction.open_table(PARTS)?.remove(key)?.is_none() {
            return Ok(());
        }
        row.counts.insert(plan.0.clone(), count);
        if let Some(checkpoint) = live(&mut row, plan) {
            checkpoint.chunks_done = count.chunks;
        }
        self.keep(job_id, &row)
    }

    pub fn count_attempt(&self, job_id: &JobId, task: &str) -> Result<u32, Problem> {
        let row = self.row(job_id)?;
        let mut attempts = self.transaction.open_table(ATTEMPTS)?;
        let key = (job_id.as_str(), task);
        let count = attempts.get(key)?.map_or(0, |count| count.value()).saturating_add(1);
        attempts.insert(key, count)?;
        drop(attempts);
        self.keep_side(job_id, row)?;
        Ok(count)
    }

    /// Never below zero; a task that was not counted, or whose count has expired, stays so.
    pub fn return_attempt(&self, job_id: &JobId, task: &str) -> Result<(), Problem> {
        self.row(job_id)?;
        let mut attempts = self.transaction.open_table(ATTEMPTS)?;
        let key = (job_id.as_str(), task);
        let counted = attempts.get(key)?.map(|count| count.value());
        if let Some(fewer) = counted.and_then(|count| count.checked_sub(1)) {
            attempts.insert(key, fewer)?;
        }
        Ok(())
    }

    /// Takes over a job from another file, unless it is known here; whether it was known there.
    pub fn take_over(&self, job_id: &JobId, from: &ReadTransaction) -> Result<bool, Problem> {
        let Some(row) = row_of(&from.open_table(JOBS)?, job_id, self.time)? else { return Ok(false) };
        if row_of(&self.transaction.open_table(JOBS)?, job_id, self.time)?.is_some() {
            return Ok(true);
        }
        let (job, end) = (job_id.as_str(), beyond(job_id.as_str()));
        let mut parts = self.transaction.open_table(PARTS)?;
        for entry in from.open_table(PARTS)?.range((job, "", "")..(end.as_str(), "", ""))? {
            let (key, part) = entry?;
            parts.insert(key.value(), part.value())?;
        }
        let mut attempts = self.transaction.open_table(ATTEMPTS)?;
        for entry in from.open_table(ATTEMPTS)?.range((job, "")..(end.as_str(), ""))? {
            let (key, count) = entry?;
            attempts.insert(key.value(), count.value())?;
        }
        self.keep(job_id, &row)?;
        Ok(true)
    }

    /// Gives up a job that another file has taken over, its last report with it.
    pub fn leave(&self, job_id: &JobId) -> Result<(), Problem> {
        self.take_out(job_id)?;
        self.wipe(job_id.as_str())
    }

    /// Keeps a job that ended elsewhere: of such a one nobody asks for parts or attempts.
    pub fn keep_ended(&self, ended: Checkpoint) -> Result<(), Problem> {
        let job_id = ended.job_id.clone();
        self.wipe(job_id.as_str())?;
        let row = Row { checkpoint: Some(ended), expires_at: Some(self.time + self.ttl), ..Row::default() };
        self.keep(&job_id, &row)
    }

    /// The row of a job. What is left of a job that was to be forgotten goes first.
    fn row(&self, job_id: &JobId) -> Result<Row, Problem> {
        if let Some(row) = row_of(&self.transaction.open_table(JOBS)?, job_id, self.time)? {
            return Ok(row);
        }
        self.wipe(job_id.as_str())?;
        Ok(Row::default())
    }

    fn keep(&self, job_id: &JobId, row: &Row) -> Result<(), Problem> {
        if let Some(at) = row.expires_at {
            self.transaction.open_table(EXPIRIES)?.insert((at.timestamp_millis(), job_id.as_str()), ())?;
        }
        self.transaction.open_table(JOBS)?.insert(job_id.as_str(), json_of(row)?.as_str())?;
        Ok(())
    }

    /// Keeps the row after a write to parts or attempts: without a checkpoint they live as long as an ended job.
    fn keep_side(&self, job_id: &JobId, mut row: Row) -> Result<(), Problem> {
        if row.checkpoint.is_none() {
            row.expires_at = Some(self.time + self.ttl);
        }
        self.keep(job_id, &row)
    }

    /// How many parts of a plan are recorded: as its row knows, or counted once.
    fn count(&self, job_id: &JobId, plan: &Fingerprint, known: &Counts) -> Result<Count, Problem> {
        if let Some(count) = known.get(&plan.0) {
            return Ok(*count);
        }
        let parts = self.transaction.open_table(PARTS)?;
        let (job, end) = (job_id.as_str(), beyond(&plan.0));
        let mut count = Count::default();
        for entry in parts.range((job, plan.0.as_str(), "")..(job, end.as_str(), ""))? {
            let unit = UnitId::try_from(entry?.0.value().2.to_owned()).map_err(Problem::of)?;
            count = count.with(unit);
        }
        Ok(count)
    }

    fn forget_expired(&self) -> Result<(), Problem> {
        let mut expiries = self.transaction.open_table(EXPIRIES)?;
        let mut due = Vec::new();
        for entry in expiries.extract_from_if(..(self.time.timestamp_millis(), ""), |_, ()| true)? {
            due.push(entry?.0.value().1.to_owned());
        }
        drop(expiries);
        for job in due {
            let row = self.transaction.open_table(JOBS)?.get(job.as_str())?.map(|json| json.value().to_owned());
            let row = row.map(|json| read_json::<Row>("a checkpoint", &json)).transpose()?;
            if row.is_some_and(|row| row.is_expired(self.time)) {
                self.wipe(&job)?;
            }
        }
        Ok(())
    }

    /// Removes everything of a job but its last report.
    fn wipe(&self, job: &str) -> Result<(), Problem> {
        let end = beyond(job);
        self.transaction.open_table(JOBS)?.remove(job)?;
        self.transaction.open_table(PARTS)?.retain_in((job, "", "")..(end.as_str(), "", ""), |_, _| false)?;
        self.transaction.open_table(ATTEMPTS)?.retain_in((job, "")..(end.as_str(), ""), |_, _| false)?;
        Ok(())
    }
}

/// The checkpoint, if the job has not ended and follows that plan.
fn live<'a>(row: &'a mut Row, plan: &Fingerprint) -> Option<&'a mut Checkpoint> {
    let follows = |checkpoint: &&mut Checkpoint| checkpoint.fingerprint.as_ref() == Some(plan);
    row.checkpoint.as_mut().filter(|checkpoint| !checkpoint.status.is_terminal()).filter(follows)
}
