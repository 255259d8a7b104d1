//! What every command is given.

use std::collections::BTreeMap;

use super::streams::Streams;
use super::wiring::Wiring;
use crate::config::{Config, ConfigErrors};

/// What every command is given.
pub(super) struct Context<'a> {
    pub json: bool,
    pub env: BTreeMap<String, String>,
    pub wiring: &'a dyn Wiring,
    pub streams: Streams,
}

impl Context<'_> {
    pub fn config(&self) -> Result<Config, ConfigErrors> {
        Config::from_vars(self.env.clone())
    }

    pub fn say(&self, line: &str) {
        self.streams.say(line);
    }

    pub fn note(&self, line: &str) {
        self.streams.note(line);
    }
}
