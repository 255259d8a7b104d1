//! The GPUs of a machine.

use actors::ports::{CapabilityFinding, Device};

/// What there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// The GPUs.
    pub devices: Vec<Device>,
    /// Why there are none, or not all of them.
    pub findings: Vec<CapabilityFinding>,
}
