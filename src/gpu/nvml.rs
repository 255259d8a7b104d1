//! The calls to NVML. Blocks; for the thread of the monitor alone.

use actors::ports::{CapabilityFinding, Device, GpuReading};
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device as NvmlDevice, Nvml};

use super::inventory::Inventory;

/// The library, once it could be loaded. Where it could not, each question tries again: a driver can come later.
#[derive(Default)]
pub(super) struct Library(Option<Nvml>);

impl Library {
    fn get(&mut self) -> Result<&Nvml, NvmlError> {
        if self.0.is_none() {
            self.0 = Some(Nvml::init()?);
        }
        self.0.as_ref().ok_or(NvmlError::Uninitialized)
    }

    /// What the GPUs do. One that does not answer is left out.
    pub(super) fn read(&mut self) -> Vec<GpuReading> {
        let Ok(nvml) = self.get() else { return Vec::new() };
        let count = nvml.device_count().unwrap_or(0);
        (0..count).filter_map(|index| reading(index, &nvml.device_by_index(index).ok()?).ok()).collect()
    }

    /// What there is.
    pub(super) fn list(&mut self) -> Inventory {
        match self.get().and_then(inventory) {
            Ok(inventory) => inventory,
            Err(error) => Inventory { devices: Vec::new(), findings: vec![finding(&error)] },
        }
    }
}

fn inventory(nvml: &Nvml) -> Result<Inventory, NvmlError> {
    let driver = nvml.sys_driver_version()?;
    let mut found = Inventory::default();
    for index in 0..nvml.device_count()? {
        match nvml.device_by_index(index).and_then(|device| described(index, &device, &driver)) {
            Ok(device) => found.devices.push(device),
            Err(error) => {
                found.devices.push(Device {
                    index,
                    name: "unknown".into(),
                    driver: driver.clone(),
                    memory_bytes: 0,
                    max_sessions: None,
                    lost: Some(error.to_string()),
                });
                found.findings.push(finding(&error));
            }
        }
    }
    Ok(found)
}

fn described(index: u32, device: &NvmlDevice, driver: &str) -> Result<Device, NvmlError> {
    let memory_bytes = device.memory_info()?.total;
    Ok(Device {
        index,
        name: device.name()?,
        driver: driver.to_owned(),
        memory_bytes,
        // NVML does not say it, and it changed with drivers: what a session that is refused says, counts.
        max_sessions: None,
        lost: None,
    })
}

fn reading(index: u32, device: &NvmlDevice) -> Result<GpuReading, NvmlError> {
    let share = |percent: u32| f64::from(percent.min(100)) / 100.0;
    let memory = device.memory_info()?;
    Ok(GpuReading {
        index,
        // GPUs without an encoder or decoder do not know the question.
        encoder: device.encoder_utilization().map_or(0.0, |use_of| share(use_of.utilization)),
        decoder: device.decoder_utilization().map_or(0.0, |use_of| share(use_of.utilization)),
        compute: device.utilization_rates().map_or(0.0, |use_of| share(use_of.gpu)),
        memory_used_bytes: memory.used,
        memory_total_bytes: memory.total,
    })
}

/// What an error means, and what to do.
fn finding(error: &NvmlError) -> CapabilityFinding {
    let advice = match error {
        NvmlError::LibloadingError(_) | NvmlError::LibraryNotFound => {
            "install NVIDIA's driver, or give the container its libraries (NVIDIA Container Toolkit, \
             NVIDIA_DRIVER_CAPABILITIES=video,compute,utility)"
        }
        NvmlError::DriverNotLoaded => {
            "load the kernel module of the driver on the machine (`nvidia-smi` shows whether it is)"
        }
        NvmlError::LibRmVersionMismatch => {
            "library and kernel module are of different versions, as after an update: restart the machine"
        }
        NvmlError::NoPermission => "let this user read /dev/nvidiactl and /dev/nvidia0",
        NvmlError::GpuLost => "the GPU fell off the bus: restart the machine",
        _ => "run `nvidia-smi` on the machine, it says more",
    };
    CapabilityFinding { what: format!("NVML: {error}"), advice: advice.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_that_an_operator_can_do_something_about_says_what() {
        for (error, word) in [
            (NvmlError::LibraryNotFound, "driver"),
            (NvmlError::DriverNotLoaded, "kernel module"),
            (NvmlError::LibRmVersionMismatch, "restart"),
            (NvmlError::GpuLost, "restart"),
            (NvmlError::Unknown, "nvidia-smi"),
        ] {
            let finding = finding(&error);
            assert!(finding.advice.contains(word), "{finding:?}");
        }
    }
}
