//! The configuration: all errors at once, no secrets, no silent slips.

mod errors;
mod values;

use std::collections::BTreeMap;

use gstreamer_worker::config::{Config, ConfigErrors, VARIABLES, Variable, markdown_table};

/// Parses variables given as pairs.
pub fn parse(vars: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    Config::from_vars(vars.iter().map(|(name, value)| (name.to_string(), value.to_string())))
}

/// The least that a pod needs, with `more`.
pub fn pod(more: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let mut vars: BTreeMap<&str, &str> =
        [("KAFKA_BROKERS", "kafka-1:9092, kafka-2:9092"), ("REDIS_HOST", "redis")].into();
    vars.extend(more.iter().copied());
    parse(&vars.into_iter().collect::<Vec<_>>())
}

#[test]
fn the_table_of_the_docs_is_the_table_of_the_code() {
    let page = include_str!("../../../docs/configuration.md");
    assert!(page.contains(&markdown_table()), "put this table into docs/configuration.md:\n\n{}", markdown_table());
}

#[test]
fn names_are_unique_and_everything_is_explained() {
    let mut names: Vec<_> = VARIABLES.iter().map(|variable| variable.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), VARIABLES.len());
    for Variable { name, accepts, meaning, .. } in VARIABLES {
        assert!(
            !accepts.is_empty() && !meaning.is_empty() && !meaning.contains('|') && !accepts.contains('|'),
            "{name}"
        );
    }
}
