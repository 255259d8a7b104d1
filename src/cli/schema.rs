//! `schema`: the JSON Schema of a job, made from the type that reads jobs.

use actors::job::JobSpec;

use super::exit::cannot;
use super::{Exit, Trouble, say};

pub(super) fn schema() -> Result<Exit, Trouble> {
    let schema = schemars::schema_for!(JobSpec);
    say(&serde_json::to_string_pretty(&schema).map_err(|error| cannot("the schema cannot be printed", error))?);
    Ok(Exit::Done)
}
