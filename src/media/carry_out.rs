//! What a stage process does with its spec: implemented in the file of each stage, called by the one match on stages.

use actors::domain::failure::Failure;

use crate::process::Progress;
use crate::protocol::Stage;

/// Carries out a stage to its end in this process, which is one of its own.
pub trait CarryOut: Stage {
    /// `progress` is called from this thread.
    ///
    /// # Errors
    /// What the stage fails with, classified.
    fn carry_out(&self, progress: Progress<'_>) -> Result<Self::Output, Failure>;
}
