//! Encodes a whole audio track.

use actors::failure::Failure;

use crate::stage::protocol::{AudioSpec, StageEvent, StageResult};

/// Runs the stage.
///
/// # Errors
/// What it fails with, classified.
pub fn run(_spec: &AudioSpec, _emit: &dyn Fn(StageEvent)) -> Result<StageResult, Failure> {
    Err(Failure::permanent("this stage is not part of this build"))
}
