//! The tables of the embedded store and the form of what lies in them: JSON, so that a later version can add fields.

use std::collections::BTreeMap;
use std::fmt;

use actors::domain::checkpoint::{Checkpoint, PartRecord, Timestamp};
use actors::domain::fingerprint::Fingerprint;
use actors::domain::job::JobId;
use actors::domain::unit::UnitId;
use redb::{ReadableTable, TableDefinition};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Job to [`Row`].
pub(super) const JOBS: TableDefinition<&str, &str> = TableDefinition::new("jobs");
/// Job, fingerprint and unit to the part.
pub(super) const PARTS: TableDefinition<(&str, &str, &str), &str> = TableDefinition::new("parts");
/// Job and task to the number of attempts.
pub(super) const ATTEMPTS: TableDefinition<(&str, &str), u32> = TableDefinition::new("attempts");
/// Last reports by the order of the ends.
pub(super) const OUTBOX: TableDefinition<u64, &str> = TableDefinition::new("outbox");
/// Job to its place in the outbox.
pub(super) const PLACES: TableDefinition<&str, u64> = TableDefinition::new("outbox places");
/// When a job may have to be forgotten, in milliseconds since 1970. Its row decides.
pub(super) const EXPIRIES: TableDefinition<(i64, &str), ()> = TableDefinition::new("expiries");

/// What went wrong in the file, as a clause for the end of a sentence. (redb's own errors are too large to pass around.)
#[derive(Debug)]
pub(super) struct Problem(String);

impl<E: Into<redb::Error>> From<E> for Problem {
    fn from(error: E) -> Self {
        Self(error.into().to_string())
    }
}

impl Problem {
    pub fn of(why: String) -> Self {
        Self(why)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is kept of a job beside its parts and attempts, which may be older than its checkpoint.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Row {
    pub checkpoint: Option<Checkpoint>,
    pub expires_at: Option<Timestamp>,
    /// By plan; counted anew where a worker that did not know it has written the row.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counts: Counts,
}

/// By the fingerprint of their plan.
pub(super) type Counts = BTreeMap<String, Count>;

/// How many parts of a plan are recorded.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Count {
    pub units: u32,
    pub chunks: u32,
}

impl Count {
    #[must_use]
    pub fn with(self, unit: UnitId) -> Self {
        Self { units: self.units + 1, chunks: self.chunks + u32::from(unit.is_chunk()) }
    }

    #[must_use]
    pub fn without(self, unit: UnitId) -> Self {
        let chunk = u32::from(unit.is_chunk());
        Self { units: self.units.saturating_sub(1), chunks: self.chunks.saturating_sub(chunk) }
    }
}

impl Row {
    pub fn is_expired(&self, time: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= time)
    }
}

/// The text that comes directly after `text` in the order of keys.
pub(super) fn beyond(text: &str) -> String {
    format!("{text}\0")
}

pub(super) fn read_json<T: DeserializeOwned>(what: &str, json: &str) -> Result<T, Problem> {
    serde_json::from_str(json).map_err(|error| Problem(format!("{what} makes no sense ({error})")))
}

pub(super) fn json_of<T: Serialize>(value: &T) -> Result<String, Problem> {
    serde_json::to_string(value).map_err(|error| Problem(format!("a value has no JSON ({error})")))
}

/// The part of a unit.
pub(super) fn part_of(
    parts: &impl ReadableTable<(&'static str, &'static str, &'static str), &'static str>,
    job_id: &JobId,
    fingerprint: &Fingerprint,
    unit: UnitId,
) -> Result<Option<PartRecord>, Problem> {
    let found = parts.get((job_id.as_str(), fingerprint.0.as_str(), unit.to_string().as_str()))?;
    found.map(|json| read_json("a part", json.value())).transpose()
}

/// The parts of a plan, as read by a reader or a writer.
pub(super) fn parts_of(
    parts: &impl ReadableTable<(&'static str, &'static str, &'static str), &'static str>,
    job_id: &JobId,
    fingerprint: &Fingerprint,
) -> Result<BTreeMap<UnitId, PartRecord>, Problem> {
    let (job, plan, end) = (job_id.as_str(), fingerprint.0.as_str(), beyond(&fingerprint.0));
    let found = parts.range((job, plan, "")..(job, end.as_str(), ""))?;
    found
        .map(|entry| {
            let part: PartRecord = read_json("a part", entry?.1.value())?;
            Ok((part.unit, part))
        })
        .collect()
}

/// What is kept of a job, unless it was to be forgotten by `time`.
pub(super) fn row_of(
    jobs: &impl ReadableTable<&'static str, &'static str>,
    job_id: &JobId,
    time: Timestamp,
) -> Result<Option<Row>, Problem> {
    let Some(json) = jobs.get(job_id.as_str())? else { return Ok(None) };
    let row: Row = read_json("a checkpoint", json.value())?;
    Ok((!row.is_expired(time)).then_some(row))
}
