//! Whether a stage that failed had a whole source.

use std::path::Path;

use actors::domain::failure::{Failure, FailureClass};

use crate::media::gdp;
use crate::protocol::Encoded;

/// Whose fault a failed encode is: `source` is read once more from end to end, with its checksums. Whatever came of one
/// that is not whole says nothing of the input.
///
/// # Errors
/// `failure`, where it is not the source's.
pub fn blame<M>(source: &Path, failure: Failure) -> Result<Encoded<M>, Failure> {
    match failure.class {
        FailureClass::Retryable | FailureClass::Permanent => match gdp::check(source) {
            Err(found) if found.class == FailureClass::Retryable => Ok(Encoded::SourceLost(found.message)),
            Ok(()) | Err(_) => Err(failure),
        },
        FailureClass::Device | FailureClass::Interrupted => Err(failure),
    }
}
