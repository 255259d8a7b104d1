//! What the reporter is connected to.

use std::sync::Arc;

use super::memory::Memory;
use crate::in_flight::InFlight;
use crate::ports::{Clock, StatusSink, Store};

/// What the reporter is connected to.
#[derive(Clone)]
pub struct ReporterPorts {
    /// Sequence numbers and the outbox.
    pub store: Arc<dyn Store>,
    /// The service.
    pub sink: Arc<dyn StatusSink>,
    /// Time stamps.
    pub clock: Arc<dyn Clock>,
    /// What runs here.
    pub in_flight: InFlight,
    /// What the reporters before it saw.
    pub memory: Memory,
    /// Name of this worker.
    pub worker: String,
}
