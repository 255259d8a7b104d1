//! What its handle tells the supervisor.

use actix::prelude::*;

/// Drain, then end.
#[derive(Message)]
#[rtype(result = "()")]
pub struct BeginDrain;

/// End at once.
#[derive(Message)]
#[rtype(result = "()")]
pub struct EndNow;
