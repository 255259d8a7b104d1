//! What a port answers.

use futures_util::future::BoxFuture;

use crate::domain::failure::Failure;

/// Answer of a port.
pub type Answer<T> = BoxFuture<'static, Result<T, Failure>>;
