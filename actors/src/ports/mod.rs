//! What the worker needs from the outside, as small traits. Adapters live in the root package, fakes in `testing`.
//! Every error is a [`Failure`] with its class; every call has an end (adapters set their own timeouts).

mod answer;
mod broker;
mod capability;
mod clock;
mod service;
mod stages;
mod storage;
mod store;

pub use answer::Answer;
pub use broker::{ConnectSource, DeadLetters, Letters, SourceEvent, TaskPublisher, TaskSource};
pub use capability::{
    Capabilities, CapabilityFinding, CapabilityProbe, Device, Direction, GpuMonitor, GpuReading, PathCapability, Proof,
};
pub use clock::{Clock, SystemClock};
pub use service::StatusSink;
pub use stages::{
    AssembleOutcome, AssembleRequest, OnProgress, RunStage, SplitRequest, StageRequest, StageRunner, UnitOutcome,
    UnitRequest,
};
pub use storage::WorkStorage;
pub use store::{JobStore, LeaseStore, Outbox, PartStore, Recorded, Reopened, Store, WorkerInfo};
