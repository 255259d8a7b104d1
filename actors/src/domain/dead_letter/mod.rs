//! A dead letter: a record as it came, and in its headers what is wrong with it, where it came from and, for a task, the
//! job that it belongs to. Written by the worker that gives up, read by the commands `dead-letters` and `requeue`.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::domain::checkpoint::Timestamp;
use crate::domain::failure::Failure;
use crate::domain::job::{JobId, JobSpec};
use crate::domain::record::{Delivery, Publication, Queue};
use crate::domain::task::Task;
use crate::trace::TraceParent;

/// Header of a letter whose value was cut, because the broker found it too large: the bytes that the original had.
pub const TRUNCATED: &str = "truncated-from-bytes";

const CLASS: &str = "class";
const REASON: &str = "reason";
const ATTEMPTS: &str = "attempts";
const ORIGIN_TOPIC: &str = "origin-topic";
const ORIGIN_PARTITION: &str = "origin-partition";
const ORIGIN_OFFSET: &str = "origin-offset";
/// The job of a task, as JSON.
const JOB: &str = "job";
/// The letter went without its value and its job; the reason for that.
const OMITTED: &str = "value-omitted";
/// What a record brings along under these names is of an earlier letter, or of somebody who does not know us.
const OURS: [&str; 9] =
    [CLASS, REASON, ATTEMPTS, ORIGIN_TOPIC, ORIGIN_PARTITION, ORIGIN_OFFSET, JOB, OMITTED, TRUNCATED];

/// With a job of [`crate::domain::job::MAX_JOB_BYTES`] beside it, a letter of a task fits the broker's default of 1 MiB.
const MAX_REASON_BYTES: usize = 16 * 1024;

/// The dead letter of a delivery from `topic`. `job` is what a task belongs to; a job message carries its own.
pub fn write(delivery: &Delivery, topic: &str, failure: &Failure, attempts: u32, job: Option<&JobSpec>) -> Publication {
    let tag = delivery.tag;
    let ours = [
        (CLASS, failure.class.as_str().to_owned()),
        (REASON, beginning(&failure.message, MAX_REASON_BYTES).to_owned()),
        (ATTEMPTS, attempts.to_string()),
        (ORIGIN_TOPIC, topic.to_owned()),
        (ORIGIN_PARTITION, tag.partition.to_string()),
        (ORIGIN_OFFSET, tag.offset.to_string()),
    ];
    let job = job.and_then(|job| serde_json::to_string(job).ok()).map(|json| (JOB, json));
    let ours = ours.into_iter().chain(job).map(|(name, text)| (name.to_owned(), text.into_bytes()));
    let kept = delivery.headers.iter().filter(|(name, _)| !OURS.contains(&name.as_str())).cloned();
    Publication {
        queue: Queue::DeadLetter,
        key: delivery.key.clone().unwrap_or_default(),
        value: delivery.value.clone(),
        headers: kept.chain(ours).collect(),
    }
}

/// The first characters of a text, at most `bytes` bytes.
fn beginning(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The letter without what makes it large; `reason` says why.
pub fn without_contents(mut letter: Publication, reason: String) -> Publication {
    letter.headers.retain(|(name, _)| name != JOB);
    letter.headers.push((OMITTED.into(), reason.into_bytes()));
    letter.value = None;
    letter
}

/// Names a letter: its partition and its offset, `0-17`. It never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LetterId {
    /// The partition of the dead-letter topic.
    pub partition: i32,
    /// The offset there.
    pub offset: i64,
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.partition, self.offset)
    }
}

impl FromStr for LetterId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?;
        let read = || {
            let (partition, offset) = text.split_once('-')?;
            Some(Self { partition: i32::try_from(number(partition)?).ok()?, offset: number(offset)? })
        };
        read().ok_or_else(|| "an id is PARTITION-OFFSET, such as 0-17; `dead-letters` prints them".into())
    }
}

impl Serialize for LetterId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A record of the dead-letter topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterRecord {
    /// Where it is.
    pub id: LetterId,
    /// When it was written.
    pub at: Option<Timestamp>,
    /// Its key.
    pub key: Vec<u8>,
    /// Its value.
    pub value: Option<Vec<u8>>,
    /// Its headers.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// Where the record of a letter came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

/// A letter that was read. Whatever lies in the topic can be read; what is not known is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its name.
    pub id: LetterId,
    /// When it was written.
    pub at: Option<Timestamp>,
    /// The key of the record.
    pub key: String,
    /// The job that it names.
    pub job_id: Option<JobId>,
    /// Class of the failure.
    pub class: Option<String>,
    /// The failure in a sentence.
    pub reason: Option<String>,
    /// Attempts of the task; 0 where none was made.
    pub attempts: Option<u32>,
    /// Where it came from.
    pub origin: Option<Origin>,
    /// The trace that it belongs to.
    pub trace: Option<TraceParent>,
    /// The job that can be sent back, or a sentence that says why there is none and what to do.
    pub job: Result<JobSpec, String>,
}

impl DeadLetter {
    /// Reads a letter.
    pub fn read(record: &LetterRecord) -> Self {
        let value = record.value.as_deref().unwrap_or_default();
        let task = || serde_json::from_slice::<Task>(value).ok();
        let (job, named) = match JobSpec::parse(value) {
            Ok(job) => (Ok(job), None),
            Err(error) => (without_job(record, &error.to_string(), task().is_some()), error.job_id),
        };
        let job_id = job.as_ref().ok().map(|job| job.job_id.clone()).or(named);
        Self {
            id: record.id,
            at: record.at,
            key: String::from_utf8_lossy(&record.key).into_owned(),
            job_id: job_id.or_else(|| task().map(|task| task.job_id().clone())),
            class: text(record, CLASS),
            reason: text(record, REASON),
            attempts: text(record, ATTEMPTS).and_then(|text| text.parse().ok()),
            origin: origin(record),
            trace: TraceParent::of(&record.headers),
            job,
        }
    }
}

/// The job of a letter whose value is none, or what to do without it.
fn without_job(record: &LetterRecord, problem: &str, is_task: bool) -> Result<JobSpec, String> {
    if let Some(json) = header(record, JOB) {
        return JobSpec::parse(json).map_err(|error| format!("the job in its headers is {error}: submit it anew"));
    }
    let advice = "submit the job under another id";
    Err(match header(record, OMITTED).or_else(|| header(record, TRUNCATED)) {
        Some(_) => format!("the message was too large to be kept whole: {advice}"),
        None if is_task => format!("it is a task, and the letter does not say of which job: {advice}"),
        None if record.value.is_none() => "the message had no value: submit what was meant".into(),
        None => format!("the message is {problem}: correct it and submit it"),
    })
}

fn origin(record: &LetterRecord) -> Option<Origin> {
    Some(Origin {
        topic: text(record, ORIGIN_TOPIC)?,
        partition: text(record, ORIGIN_PARTITION)?.parse().ok()?,
        offset: text(record, ORIGIN_OFFSET)?.parse().ok()?,
    })
}

fn text(record: &LetterRecord, name: &str) -> Option<String> {
    header(record, name).map(|value| String::from_utf8_lossy(value).into_owned())
}

/// The last one of that name: ours come last.
fn header<'a>(record: &'a LetterRecord, name: &str) -> Option<&'a [u8]> {
    record.headers.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_slice())
}

#[cfg(test)]
mod tests;
