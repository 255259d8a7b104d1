//! The checkpoint store of a fleet: Redis, each call one script in one round trip.
//! A Redis that is away or slow gives a `retryable` failure within the timeouts of the settings, never a hang.
//! Must never give `permanent`: it is not the job's fault when the store cannot be read.

mod connection;
mod fields;
mod keys;
mod scripts;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use actors::domain::checkpoint::{Advance, Advanced, Checkpoint, Outcome, PartRecord, REPORT_INTERVAL, Timestamp};
use actors::domain::failure::Failure;
use actors::domain::fingerprint::Fingerprint;
use actors::domain::job::JobId;
use actors::domain::progress::Report;
use actors::domain::unit::UnitId;
use actors::ports::{Answer, JobStore, LeaseStore, Outbox, PartStore, Recorded, Reopened, WorkerInfo};
use serde::de::DeserializeOwned;

pub use self::connection::RedisSettings;
use self::connection::{Call, Link};
use self::fields::{around_sequence, json_of, text_of};

/// The store. Clones share their connections.
#[derive(Clone)]
pub struct RedisStore {
    link: Link,
    checkpoint_ttl: Duration,
}

type Fields = HashMap<String, String>;

impl RedisStore {
    /// A store that connects when it is first asked something. Finished jobs are forgotten after `checkpoint_ttl`.
    pub fn new(settings: &RedisSettings, checkpoint_ttl: Duration) -> Result<Self, Failure> {
        Ok(Self { link: Link::new(settings)?, checkpoint_ttl })
    }

    /// Asks Redis for a sign of life; the failure says what to do.
    pub fn ping(&self) -> Answer<()> {
        self.link.ping()
    }

    fn ttl(&self) -> u64 {
        millis(self.checkpoint_ttl)
    }

    /// Runs a script that gives a checkpoint, or nothing.
    fn checkpoint(&self, call: Call, job_id: JobId) -> Answer<Option<Checkpoint>> {
        let link = self.link.clone();
        Box::pin(async move {
            let fields: Fields = link.invoke(call).await?;
            if fields.is_empty() {
                return Ok(None);
            }
            read_checkpoint(&link, job_id, &fields).map(Some)
        })
    }

    /// Runs a script whose answer says nothing.
    fn tell(&self, call: Call) -> Answer<()> {
        let link = self.link.clone();
        Box::pin(async move { link.invoke::<u64>(call).await.map(|_| ()) })
    }

    /// Runs a script that answers 1 or 0.
    fn ask(&self, call: Call) -> Answer<bool> {
        let link = self.link.clone();
        Box::pin(async move { link.invoke::<u64>(call).await.map(|yes| yes == 1) })
    }
}

fn read_checkpoint(link: &Link, job_id: JobId, fields: &Fields) -> Result<Checkpoint, Failure> {
    let key = keys::checkpoint(&job_id);
    fields::checkpoint(job_id, fields).map_err(|why| link.foreign(&key, why))
}

/// At least one: Redis refuses a time to live of zero.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).clamp(1, MAX_TTL_MS)
}

/// A thousand years; Redis adds it to the time of day and refuses what does not fit.
const MAX_TTL_MS: u64 = 1000 * 365 * 24 * 3600 * 1000;

fn read_json<T: DeserializeOwned>(link: &Link, key: &str, json: &str) -> Result<T, Failure> {
    serde_json::from_str(json).map_err(|error| link.foreign(key, format!("its value makes no sense ({error})")))
}

impl JobStore for RedisStore {
    fn open(&self, job_id: JobId, content: String, now: Timestamp) -> Answer<Checkpoint> {
        let key = keys::checkpoint(&job_id);
        let call = Call::new("open a job", &scripts::OPEN, &key).arg(text_of(now)).arg(content);
        let (link, answer) = (self.link.clone(), self.checkpoint(call, job_id));
        Box::pin(async move { answer.await?.ok_or_else(|| link.foreign(&key, "it is empty".into())) })
    }

    fn read(&self, job_id: JobId) -> Answer<Option<Checkpoint>> {
        self.checkpoint(Call::new("read a job", &scripts::READ, keys::checkpoint(&job_id)), job_id)
    }

    fn advance(&self, job_id: JobId, step: Advance, now: Timestamp) -> Answer<Option<Advanced>> {
        // What is not a number is no progress.
        let progress = step.progress.filter(|progress| !progress.is_nan()).map(|progress| progress.clamp(0.0, 100.0));
        let (fingerprint, chunks) = step.plan.map_or_else(Default::default, |(f, chunks)| (f.0, chunks.to_string()));
        let call = Call::new("advance a job", &scripts::ADVANCE, keys::checkpoint(&job_id))
            .arg(text_of(now))
            .arg(step.status.map_or("", |status| status.as_str()))
            .arg(progress.map(|progress| progress.to_string()).unwrap_or_default())
            .arg(fingerprint)
            .arg(chunks)
            .arg(u8::from(step.cancel))
            .arg(u8::from(step.report))
            .arg(millis(REPORT_INTERVAL))
            .arg(self.ttl())
            .arg(step.generation.map(|generation| generation.to_string()).unwrap_or_default())
            .arg(step.waiting_for.unwrap_or_default());
        let link = self.link.clone();
        Box::pin(async move {
            let answer: Option<(Option<u64>, Fields)> = link.invoke(call).await?;
            let Some((sequence, fields)) = answer else { return Ok(None) };
            Ok(Some(Advanced { checkpoint: read_checkpoint(&link, job_id, &fields)?, sequence }))
        })
    }

    fn finish(&self, job_id: JobId, outcome: Outcome, report: Report, now: Timestamp) -> Answer<bool> {
        let (link, ttl) = (self.link.clone(), self.ttl());
        Box::pin(async move {
            let error = match &outcome {
                Outcome::Failed(failure) => json_of(failure)?,
                Outcome::Completed(_) | Outcome::Cancelled => String::new(),
            };
            let (before, after) = around_sequence(&report)?;
            let lost = report.checkpoint(now);
            let call = Call::new("end a job", &scripts::FINISH, keys::checkpoint(&job_id))
                .key(keys::OUTBOX)
                .key(keys::OUTBOX_ORDER)
                .arg(job_id.as_str())
                .arg(text_of(now))
                .arg(outcome.status().as_str())
                .arg(error)
                .arg(before)
                .arg(after)
                .arg(ttl)
                .arg(lost.progress.to_string())
                .arg(lost.chunks_done)
                .arg(lost.chunks_total);
            link.invoke::<u64>(call).await.map(|first| first == 1)
        })
    }

    fn reopen(&self, job_id: JobId, content: String, now: Timestamp) -> Answer<Reopened> {
        let key = keys::checkpoint(&job_id);
        let call = Call::new("open a failed job again", &scripts::REOPEN, &key);
        let (link, call) = (self.link.clone(), call.arg(text_of(now)).arg(content).arg(self.ttl()));
        Box::pin(async move {
            let (anew, fields): (bool, Fields) = link.invoke(call).await?;
            let found = match fields.is_empty() {
                true => None,
                false => Some(read_checkpoint(&link, job_id, &fields)?),
            };
            match found {
                Some(kept) if !anew => Ok(Reopened::Kept(kept)),
                found => Ok(Reopened::Anew(found)),
            }
        })
    }
}

impl PartStore for RedisStore {
    fn record(&self, job_id: JobId, fingerprint: Fingerprint, part: PartRecord, now: Timestamp) -> Answer<Recorded> {
        let (link, ttl) = (self.link.clone(), self.ttl());
        Box::pin(async move {
            let (key, given) = (keys::parts(&job_id, &fingerprint), json_of(&part)?);
            let call = Call::new("record a part", &scripts::RECORD, keys::checkpoint(&job_id))
                .key(&key)
                .arg(fingerprint.0)
                .arg(part.unit.to_string())
                .arg(&given)
                .arg(text_of(now))
                .arg(ttl);
            let (in_force, units_done): (String, u32) = link.invoke(call).await?;
            // A record that is sent again, because its answer was lost, is still the first one.
            let first = in_force == given;
            let part = if first { part } else { read_json(&link, &key, &in_force)? };
            Ok(Recorded { part, first, units_done })
        })
    }

    fn part(&self, job_id: JobId, fingerprint: Fingerprint, unit: UnitId) -> Answer<Option<PartRecord>> {
        let (link, key) = (self.link.clone(), keys::parts(&job_id, &fingerprint));
        Box::pin(async move {
            let call = Call::new("read a part", &scripts::READ_FIELD, &key).arg(unit.to_string());
            let found: Option<String> = link.invoke(call).await?;
            found.map(|json| read_json(&link, &key, &json)).transpose()
        })
    }

    fn parts(&self, job_id: JobId, fingerprint: Fingerprint) -> Answer<BTreeMap<UnitId, PartRecord>> {
        let (link, key) = (self.link.clone(), keys::parts(&job_id, &fingerprint));
        Box::pin(async move {
            let parts: Fields = link.invoke(Call::new("read parts", &scripts::READ, &key)).await?;
            let read = |(unit, json): (String, String)| {
                let unit = UnitId::try_from(unit).map_err(|why| link.foreign(&key, why))?;
                Ok((unit, read_json(&link, &key, &json)?))
            };
            parts.into_iter().map(read).collect()
        })
    }

    fn forget(&self, job_id: JobId, fingerprint: Fingerprint, unit: UnitId) -> Answer<()> {
        let call = Call::new("forget a part", &scripts::FORGET, keys::checkpoint(&job_id));
        self.tell(call.key(&keys::parts(&job_id, &fingerprint)).arg(fingerprint.0).arg(unit.to_string()))
    }

    fn count_attempt(&self, job_id: JobId, task: String) -> Answer<u32> {
        let call = Call::new("count an attempt", &scripts::COUNT_ATTEMPT, keys::checkpoint(&job_id));
        let (link, call) = (self.link.clone(), call.arg(task).arg(self.ttl()));
        Box::pin(async move { link.invoke(call).await })
    }

    fn return_attempt(&self, job_id: JobId, task: String) -> Answer<()> {
        self.tell(Call::new("return an attempt", &scripts::RETURN_ATTEMPT, keys::checkpoint(&job_id)).arg(task))
    }
}

impl LeaseStore for RedisStore {
    fn hold(&self, task: String, owner: String, ttl: Duration) -> Answer<bool> {
        self.ask(Call::new("take a lease", &scripts::HOLD, keys::lease(&task)).arg(owner).arg(millis(ttl)))
    }

    fn release(&self, task: String, owner: String) -> Answer<()> {
        self.tell(Call::new("give a lease back", &scripts::RELEASE, keys::lease(&task)).arg(owner))
    }

    fn announce(&self, worker: String, info: WorkerInfo, ttl: Duration) -> Answer<()> {
        let link = self.link.clone();
        Box::pin(async move {
            let call = Call::new("announce a worker", &scripts::ANNOUNCE, keys::worker(&worker)).key(keys::WORKERS);
            let call = call.arg(worker).arg(json_of(&info)?).arg(millis(ttl));
            link.invoke::<u64>(call).await.map(|_| ())
        })
    }

    fn workers(&self) -> Answer<Vec<WorkerInfo>> {
        let link = self.link.clone();
        Box::pin(async move {
            let call = Call::new("list the workers", &scripts::WORKERS, keys::WORKERS).arg(keys::WORKER);
            let found: Vec<String> = link.invoke(call).await?;
            found.iter().map(|json| read_json(&link, keys::WORKERS, json)).collect()
        })
    }
}

impl Outbox for RedisStore {
    fn pending(&self, limit: usize) -> Answer<Vec<Report>> {
        let link = self.link.clone();
        Box::pin(async move {
            let limit = u32::try_from(limit).unwrap_or(u32::MAX);
            let call = Call::new("read the outbox", &scripts::PENDING, keys::OUTBOX).key(keys::OUTBOX_ORDER).arg(limit);
            let found: Vec<(String, Option<String>)> = link.invoke(call).await?;
            Ok(found.into_iter().filter_map(|(job_id, json)| readable(&link, &job_id, json)).collect())
        })
    }

    fn delivered(&self, job_id: JobId, sequence: u64) -> Answer<()> {
        let call = Call::new("take a report out of the outbox", &scripts::DELIVERED, keys::OUTBOX);
        self.tell(call.key(keys::OUTBOX_ORDER).arg(job_id.as_str()).arg(sequence))
    }
}

/// A report that makes no sense must not hold back the reports of other jobs: it is left where it is, and said.
fn readable(link: &Link, job_id: &str, json: Option<String>) -> Option<Report> {
    let report = read_json(link, keys::OUTBOX, &json.unwrap_or_default());
    report.inspect_err(|failure| tracing::error!(job_id, %failure, "a last report cannot be delivered")).ok()
}
