//! Reads variables and collects what is wrong with them.

use std::collections::BTreeMap;
use std::fmt;

use super::values::{self, Secret};
use super::variables::{KAFKA_CONFIG_PREFIX, VARIABLES, Variable};
use crate::kafka::reserved;

/// Names this close to a variable's are taken for a misspelling of it.
const MISSPELT_DISTANCE: usize = 2;

/// One thing that is wrong: one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The variable.
    pub variable: String,
    /// What is wrong, and what is accepted.
    pub problem: String,
}

/// Everything that is wrong with the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl ConfigErrors {
    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.variable, self.problem)
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for ConfigErrors {}

/// The environment, and what was found wrong with it so far.
pub(super) struct Reader {
    vars: BTreeMap<String, String>,
    errors: ConfigErrors,
}

impl Reader {
    /// Blanks around a value are no part of it, and an empty value counts as not set: that is what manifests and
    /// `--env-file` leave behind.
    pub(super) fn new(vars: impl IntoIterator<Item = (String, String)>) -> Self {
        let vars = vars.into_iter().map(|(name, value)| (name, value.trim().to_owned()));
        Self { vars: vars.filter(|(_, value)| !value.is_empty()).collect(), errors: ConfigErrors::default() }
    }

    /// Whether the variable has a value, good or bad.
    pub(super) fn is_set(&self, variable: &Variable) -> bool {
        self.vars.contains_key(variable.name)
    }

    /// A variable with a default. `None` only after an error.
    pub(super) fn value<T>(&mut self, variable: &Variable, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        if !self.is_set(variable) {
            return variable.default.and_then(parse);
        }
        self.optional(variable, parse)
    }

    /// A variable that can be absent. `None` also after an error.
    pub(super) fn optional<T>(&mut self, variable: &Variable, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.vars.get(variable.name)?;
        let parsed = parse(text);
        if parsed.is_none() {
            let shown =
                if variable.secret { "the value (not shown)".into() } else { format!("`{}`", values::shown(text)) };
            self.error(variable.name, format!("{shown} is not accepted, it takes {}", variable.accepts));
        }
        parsed
    }

    /// A variable that must be set. `None` only after an error.
    pub(super) fn required<T>(&mut self, variable: &Variable, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        if !self.is_set(variable) {
            self.missing(variable, variable.meaning);
        }
        self.optional(variable, parse)
    }

    /// Says that a variable is not set, and why it is needed.
    pub(super) fn missing(&mut self, variable: &Variable, why: &str) {
        self.error(variable.name, format!("is not set ({why}), it takes {}", variable.accepts));
    }

    /// `KAFKA_CONFIG_SASL_USERNAME` as `sasl.username`. Whether librdkafka knows a property, librdkafka says.
    pub(super) fn kafka_properties(&mut self) -> BTreeMap<String, Secret> {
        let mut properties = BTreeMap::new();
        let mut refused = Vec::new();
        for (name, value) in self.vars.range(KAFKA_CONFIG_PREFIX.to_owned()..) {
            let Some(rest) = name.strip_prefix(KAFKA_CONFIG_PREFIX) else { break };
            let property = rest.to_ascii_lowercase().replace('_', ".");
            if let Some(reason) = reserved(&property) {
                refused.push((name.clone(), format!("`{property}` cannot be set: {reason}")));
            } else if property.is_empty() || property.split('.').any(str::is_empty) {
                refused.push((
                    name.clone(),
                    "is not the name of a librdkafka property such as KAFKA_CONFIG_SASL_USERNAME".into(),
                ));
            } else {
                properties.insert(property, Secret::new(value.clone()));
            }
        }
        for (name, problem) in refused {
            self.error(&name, problem);
        }
        properties
    }

    /// Refuses names that differ from a variable of ours by a slip of the fingers: a setting that is silently not
    /// read is worse than a start that fails.
    pub(super) fn refuse_misspelt(&mut self) {
        let known = |name: &str| VARIABLES.iter().any(|variable| variable.name == name);
        let meant = |name: &str| {
            VARIABLES.iter().map(|variable| variable.name).find(|ours| {
                strsim::osa_distance(name, ours) <= MISSPELT_DISTANCE
                    || (name.eq_ignore_ascii_case(ours) && name != *ours)
            })
        };
        let unknown = self.vars.keys().filter(|name| !known(name) && !name.starts_with(KAFKA_CONFIG_PREFIX));
        let found: Vec<_> = unknown.filter_map(|name| Some((name.clone(), meant(name)?))).collect();
        for (name, ours) in found {
            self.error(&name, format!("is not a variable of this worker, did you mean {ours}?"));
        }
    }

    pub(super) fn into_errors(self) -> ConfigErrors {
        self.errors
    }

    fn error(&mut self, variable: &str, problem: String) {
        self.errors.0.push(ConfigError { variable: variable.to_owned(), problem });
    }
}
