//! What it means that parts are not what the plan asked for.

use std::fmt::Display;

use actors::domain::failure::Failure;

/// Of parts that are whole and do not belong to the plan, or not together.
pub fn mismatch(what: impl Display) -> Failure {
    Failure::retryable(format!("the parts do not fit the plan: {what}; encode them again"))
}
