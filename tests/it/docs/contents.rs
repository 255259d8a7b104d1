//! What pages list is what the code has: fields of a job, libraries.

use std::collections::BTreeSet;

use actors::domain::job::JobSpec;
use serde_json::Value;

use super::{code_spans, root, text};

/// The names of all fields in a JSON Schema.
fn fields(schema: &Value, found: &mut BTreeSet<String>) {
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        found.extend(properties.keys().cloned());
    }
    match schema {
        Value::Object(members) => members.values().for_each(|member| fields(member, found)),
        Value::Array(items) => items.iter().for_each(|item| fields(item, found)),
        _ => {}
    }
}

/// The first column of the rows of tables, without their titles.
fn first_column(page: &str) -> impl Iterator<Item = &str> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    rows.filter(|cell| !matches!(*cell, "field" | "crate"))
}

fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|name| !name.is_empty())
}

#[test]
fn the_fields_of_a_job_are_those_of_the_page() {
    let page = text(&root().join("docs/job.md"));
    let mut known = BTreeSet::new();
    fields(&schemars::schema_for!(JobSpec).to_value(), &mut known);
    assert!(known.len() > 10, "{known:?}");
    let spans = code_spans(&page);
    let explained: BTreeSet<&str> = spans.iter().flat_map(|span| names(span)).collect();
    for field in &known {
        assert!(explained.contains(field.as_str()), "docs/job.md does not explain {field}");
    }
    for cell in first_column(&page) {
        for name in code_spans(cell).into_iter().flat_map(names) {
            assert!(known.contains(name), "docs/job.md explains {name}, which no job has");
        }
    }
}

#[test]
fn the_examples_of_jobs_are_jobs() {
    let page = text(&root().join("docs/job.md"));
    let examples: Vec<&str> =
        page.split("```json\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0)).collect();
    assert_eq!(examples.len(), 2);
    for example in examples {
        JobSpec::parse(example.as_bytes()).unwrap_or_else(|error| panic!("{error}:\n{example}"));
    }
}

#[test]
fn every_library_has_its_reason() {
    let mut used = BTreeSet::new();
    for manifest in ["Cargo.toml", "actors/Cargo.toml"] {
        let mut in_dependencies = false;
        for line in text(&root().join(manifest)).lines() {
            if line.starts_with('[') {
                in_dependencies = line.ends_with("dependencies]");
            } else if let Some((name, _)) = line.split_once(" = ").filter(|_| in_dependencies) {
                used.extend((name != "gstreamer-worker").then(|| name.to_owned()));
            }
        }
    }
    let page = text(&root().join("docs/libraries.md"));
    let explained: BTreeSet<String> =
        first_column(&page).flat_map(|cell| cell.split(", ")).map(str::to_owned).collect();
    assert_eq!(explained, used);
}
