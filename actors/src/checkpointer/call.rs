//! A call of the store, on its way to the checkpointer.

use std::sync::Arc;

use actix::prelude::*;
use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::domain::failure::{Failure, FailureClass};
use crate::ports::Store;

/// One try of a call: an error is a reason to try again, everything else was kept for the asker.
pub type Try = Arc<dyn Fn(Arc<dyn Store>) -> BoxFuture<'static, Result<(), Failure>> + Send + Sync>;

/// A call of the store.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub struct CallStore {
    /// Its name in the log.
    pub what: &'static str,
    /// Tries it once.
    pub attempt: Try,
    /// Cancelled when nobody waits for the answer any more.
    pub abandoned: CancellationToken,
}

/// Whether a failure of the store is one of its surroundings. The store has no device and is never interrupted; should
/// one say so, trying again is right as well.
pub fn is_passing(failure: &Failure) -> bool {
    match failure.class {
        FailureClass::Retryable | FailureClass::Device | FailureClass::Interrupted => true,
        FailureClass::Permanent => false,
    }
}
