//! `schema`: the JSON Schema of a job, made from the type that reads jobs.

use actors::domain::job::JobSpec;

use super::exit::cannot;
use super::{Context, Exit, Trouble};

pub(super) fn schema(context: &Context<'_>) -> Result<Exit, Trouble> {
    let schema = schemars::schema_for!(JobSpec);
    context.say(&serde_json::to_string_pretty(&schema).map_err(|error| cannot("the schema cannot be printed", error))?);
    Ok(Exit::Done)
}
