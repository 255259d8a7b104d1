//! The checkpoint as the fields of a hash, and back. Fields that are not known are left alone.

use std::collections::HashMap;
use std::str::FromStr;

use actors::domain::checkpoint::{Checkpoint, Timestamp};
use actors::domain::failure::Failure;
use actors::domain::fingerprint::Fingerprint;
use actors::domain::job::JobId;
use actors::domain::progress::Report;
use chrono::SecondsFormat;
use serde::Serialize;

/// A time stamp with all its digits.
pub(super) fn text_of(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// Reads a checkpoint; the error names the field that makes no sense.
pub(super) fn checkpoint(job_id: JobId, fields: &HashMap<String, String>) -> Result<Checkpoint, String> {
    let error = fields.get("error").map(|json| serde_json::from_str::<Failure>(json));
    Ok(Checkpoint {
        content: field(fields, "content")?,
        status: field(fields, "status")?,
        progress: field(fields, "progress")?,
        sequence: field(fields, "sequence")?,
        generation: optional(fields, "life")?.unwrap_or(0),
        created_at: field(fields, "created_at")?,
        updated_at: field(fields, "updated_at")?,
        started_at: optional(fields, "started_at")?,
        completed_at: optional(fields, "completed_at")?,
        fingerprint: fields.get("fingerprint").cloned().map(Fingerprint),
        chunks_total: field(fields, "chunks_total")?,
        chunks_done: field(fields, "chunks_done")?,
        cancel_requested: field::<u8>(fields, "cancel_requested")? != 0,
        waiting_for: fields.get("waiting_for").cloned(),
        error: error.transpose().map_err(|error| format!("its field `error` is no failure ({error})"))?,
        job_id,
    })
}

fn field<T: FromStr>(fields: &HashMap<String, String>, name: &str) -> Result<T, String> {
    optional(fields, name)?.ok_or_else(|| format!("its field `{name}` is missing"))
}

fn optional<T: FromStr>(fields: &HashMap<String, String>, name: &str) -> Result<Option<T>, String> {
    let Some(text) = fields.get(name) else { return Ok(None) };
    let shown = || text.chars().take(40).collect::<String>();
    text.parse().map(Some).map_err(|_| format!("its field `{name}` holds `{}`", shown()))
}

/// JSON of a value. Our own types do not fail to serialise; were one to, it is said like any other failure.
pub(super) fn json_of<T: Serialize>(value: &T) -> Result<String, Failure> {
    let unfit = |error| Failure::retryable(format!("a value cannot be put into Redis: {error}"));
    serde_json::to_string(value).map_err(unfit)
}

/// A report as JSON, cut where its sequence number belongs: Lua would round the other numbers if it had to read them.
pub(super) fn around_sequence(report: &Report) -> Result<(String, String), Failure> {
    let json = json_of(&Report { sequence: u64::MAX, ..report.clone() })?;
    let number = u64::MAX.to_string();
    // The first one: only the job id stands before it, and that has no quotes.
    let name = "\"sequence\":";
    let at = json.find(&format!("{name}{number}")).map_or(json.len(), |at| at + name.len());
    let after = json.get(at + number.len()..).unwrap_or_default().to_owned();
    Ok((json[..at].to_owned(), after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(fields: &[(&str, &str)]) -> HashMap<String, String> {
        fields.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    fn queued() -> HashMap<String, String> {
        let at = "2026-01-02T03:04:05.000000006Z";
        let names = ["content", "chunks_total", "chunks_done", "cancel_requested", "progress", "sequence"];
        let mut fields = hash(&names.map(|name| (name, "0")));
        fields.extend(hash(&[("status", "queued"), ("created_at", at), ("updated_at", at), ("something new", "x")]));
        fields
    }

    #[test]
    fn a_hash_of_another_program_is_refused_by_the_name_of_its_field() {
        let read = |fields: &HashMap<String, String>| checkpoint("j".parse().expect("an id"), fields);
        assert_eq!(
            read(&queued()).map(|checkpoint| text_of(checkpoint.created_at)),
            Ok(queued()["created_at"].clone())
        );
        assert_eq!(read(&hash(&[])), Err("its field `content` is missing".into()));
        for (name, text) in [("status", "done"), ("progress", "half"), ("created_at", "today"), ("chunks_done", "-1")] {
            let mut fields = queued();
            fields.insert(name.into(), text.into());
            assert_eq!(read(&fields), Err(format!("its field `{name}` holds `{text}`")));
        }
        let mut fields = queued();
        fields.insert("error".into(), "oh".into());
        assert!(read(&fields).expect_err("no failure").starts_with("its field `error` is no failure"));
    }
}
