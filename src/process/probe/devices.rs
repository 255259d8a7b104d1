//! The devices of the machine: every path through them is tried in a stage process of its own, with a deadline. Nothing of
//! a GPU is touched where none is visible.

mod advice;
mod paths;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actors::domain::failure::{DeviceFault, Failure};
use actors::domain::plan::EncoderFamily;
use actors::ports::{Capabilities, CapabilityFinding, Device};
use futures_util::future::BoxFuture;

use crate::fault_injection::wanted;
use crate::process::once::run;
use crate::process::proven::Proven;
use crate::process::stage_process::Launcher;
use crate::protocol::{DeviceElements, DevicesSpec, Tried};
use advice::finding;
use paths::{Attempt, Trial};

/// A trial encodes some dozen small frames; what takes longer hangs. The first one wakes the driver.
const TRIAL_TIMEOUT: Duration = Duration::from_secs(20);
/// Tests set it to `openh264`, which then is offered as a device.
const STAND_IN: &str = "TEST_DEVICE_ENCODER";

/// Whether devices are wanted (`GPU_ENABLED`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// Never: none is looked at.
    #[default]
    Never,
    /// Where one works.
    IfThere,
    /// It is a finding if there is none.
    Expected,
}

/// Lists the GPUs, and says what is wrong with them.
pub type ListDevices = Arc<dyn Fn() -> BoxFuture<'static, (Vec<Device>, Vec<CapabilityFinding>)> + Send + Sync>;

/// Looks at devices.
#[derive(Clone, Default)]
pub struct DeviceProbe {
    wanted: Wanted,
    list: Option<ListDevices>,
    proven: Proven,
    /// What worked when it was tried last.
    worked: Arc<Mutex<Vec<(Trial, Tried)>>>,
}

impl DeviceProbe {
    /// Looks at devices as `wanted`, asks `list` which there are, and writes what was proven beside encoding to `proven`.
    pub fn new(wanted: Wanted, list: ListDevices, proven: Proven) -> Self {
        Self { wanted, list: Some(list), proven, worked: Arc::default() }
    }

    /// Looks, and adds what was found. Never fails: what does not work is part of the answer.
    pub(super) async fn look(&self, launcher: &Launcher, found: &mut Capabilities) {
        if self.wanted == Wanted::Never {
            return;
        }
        let stand_in = wanted(STAND_IN).is_some_and(|name| name == EncoderFamily::Openh264.as_str());
        let (nvidia, va) = (nvidia_is_visible(), va_is_visible());
        if nvidia && let Some(list) = &self.list {
            let (devices, findings) = list().await;
            found.devices = devices;
            found.findings.extend(findings);
        }
        if self.wanted == Wanted::Expected && !nvidia && !va && !stand_in {
            found.findings.push(CapabilityFinding {
                what: "a GPU is expected (GPU_ENABLED) and no device is visible".into(),
                advice: "give the container a GPU (`--gpus all`, `nvidia.com/gpu`), or set GPU_ENABLED=auto".into(),
            });
        }
        let mut trials = if stand_in { paths::of(EncoderFamily::Openh264) } else { Vec::new() };
        if nvidia || va {
            match installed(launcher).await {
                Ok(there) => {
                    found.findings.extend(nvidia.then(|| paths::missing(&there)).into_iter().flatten());
                    trials.extend(paths::there(nvidia, va, &there.elements));
                }
                Err(failure) => found.findings.push(finding("looking for the elements of devices", &failure)),
            }
        }
        self.try_all(launcher, trials, found).await;
    }

    async fn try_all(&self, launcher: &Launcher, trials: Vec<Trial>, found: &mut Capabilities) {
        let mut attempts: Vec<Attempt> = Vec::new();
        for trial in trials {
            let lost = attempts.iter().find_map(|attempt| attempt.lost(&trial));
            let outcome = match lost {
                Some(failure) => Err(failure),
                None => self.settled(&trial, tried(launcher, &trial).await),
            };
            attempts.push(Attempt { trial, outcome });
        }
        let summary = paths::Summary::of(&attempts);
        self.proven.replace(summary.proof());
        found.findings.extend(summary.findings());
        found.paths.extend(summary.rows());
        let worked = attempts.into_iter().filter_map(|attempt| Some((attempt.trial, attempt.outcome.ok()?)));
        *self.worked.lock().unwrap_or_else(PoisonError::into_inner) = worked.collect();
    }

    /// A device that is busy with our own work refuses one more session; what it could do before it still can.
    fn settled(&self, trial: &Trial, outcome: Result<Tried, Failure>) -> Result<Tried, Failure> {
        let busy =
            |failure: &Failure| matches!(failure.fault(), Some(DeviceFault::SessionLimit | DeviceFault::OutOfMemory));
        let worked = self.worked.lock().unwrap_or_else(PoisonError::into_inner);
        let before = worked.iter().find(|(known, _)| known == trial).map(|(_, tried)| *tried);
        match (outcome, before) {
            (Err(failure), Some(before)) if busy(&failure) => {
                tracing::info!(%failure, "device is busy, what it was seen to do before counts");
                Ok(before)
            }
            (outcome, _) => outcome,
        }
    }
}

/// Whether a device file of NVIDIA's driver is there; whether it works, only a trial can tell.
pub fn nvidia_is_visible() -> bool {
    // The second one is that of the Windows subsystem for Linux.
    ["/dev/nvidiactl", "/dev/dxg"].iter().any(|path| Path::new(path).exists())
}

fn va_is_visible() -> bool {
    let Ok(entries) = std::fs::read_dir("/dev/dri") else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("renderD"))
}

async fn installed(launcher: &Launcher) -> Result<DeviceElements, Failure> {
    run(launcher, &DevicesSpec {}, TRIAL_TIMEOUT).await
}

async fn tried(launcher: &Launcher, trial: &Trial) -> Result<Tried, Failure> {
    run(launcher, &trial.spec(), TRIAL_TIMEOUT).await
}

#[cfg(test)]
mod tests;
