//! Devices that fail: what went wrong, in one word. Where a device takes part in a stage it is
//! the first suspect: the CPU tries the same work again and then knows better.
//!
//! * [`words`]: from what elements and drivers say to a [`DeviceFault`]
//! * [`stand_in`]: a device that fails when a test wants it

mod stand_in;
mod words;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use actors::domain::failure::{DeviceFault, Failure, FailureClass};
use gstreamer as gst;

pub use stand_in::StandIn;

/// Lines that are kept of what the elements of devices log.
const KEPT_LINES: usize = 40;
/// The log categories of these elements, and the level from which they are heard.
const HEARD: &str = "nv*:WARNING,cuda*:WARNING,va*:WARNING";
/// Says what older drivers lack, which is no reason for anything.
const LOADER: &str = "cudaloader";

/// Loads the plugin of NVIDIA's elements where the registry lacks some of them. The registry is a cache: it may have been
/// made where there was no GPU, such as when an image was built, or before NVRTC was installed, without which there is no
/// scaler. Call it in stage processes only.
pub fn wake() {
    if ["nvh264dec", "nvh264enc", "cudaconvertscale"].iter().any(|name| gst::ElementFactory::find(name).is_none()) {
        // Where there is no driver it has nothing to register, which is seen when an element is asked for.
        let _ = gst::Plugin::load_by_name("nvcodec");
    }
}

/// Listens to what the elements of devices log: their errors on the bus often say only that something failed.
pub struct Ear {
    lines: Arc<Mutex<VecDeque<String>>>,
    function: Option<gst::log::DebugLogFunction>,
}

impl Ear {
    /// Listens from now on.
    pub fn open() -> Self {
        let lines = Arc::new(Mutex::new(VecDeque::new()));
        let kept = Arc::clone(&lines);
        gst::log::set_threshold_from_string(HEARD, false);
        let function = gst::log::add_log_function(move |category, level, _, _, _, _, message| {
            let name = category.name();
            let is_device = ["nv", "cuda", "va"].iter().any(|start| name.starts_with(start));
            if is_device && name != LOADER && level <= gst::DebugLevel::Warning {
                let mut lines = kept.lock().unwrap_or_else(PoisonError::into_inner);
                if lines.len() == KEPT_LINES {
                    lines.pop_front();
                }
                lines.extend(message.get().map(|text| text.to_string()));
            }
        });
        Self { lines, function: Some(function) }
    }

    /// The failure of a stage in which a device takes part.
    pub fn judge(&self, failure: Failure) -> Failure {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        judge(failure, &lines.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        if let Some(function) = self.function.take() {
            gst::log::remove_log_function(function);
        }
    }
}

/// Whose fault `failure` is where a device takes part that logged `lines`. Storages and damaged sources stay what they
/// are; the rest is put on the device.
fn judge(failure: Failure, lines: &[&str]) -> Failure {
    let said = words::fault(&failure.message, lines);
    let fault = match (failure.class, failure.fault) {
        (FailureClass::Interrupted, _) => return failure,
        (FailureClass::Retryable, _) if said != DeviceFault::Hang => return failure,
        (FailureClass::Device, Some(fault)) => fault,
        (FailureClass::Retryable | FailureClass::Permanent | FailureClass::Device, _) => said,
    };
    let mut message = failure.message;
    if let Some(line) = lines.last().filter(|line| !message.contains(**line)) {
        message = format!("{message}; the driver said: {line}");
    }
    Failure::device_fault(fault, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_device_may_have_done_is_put_on_it_and_the_rest_is_not() {
        let judged = |failure| judge(failure, &[]);
        let refused = judged(Failure::permanent("nvh264enc: not negotiated"));
        assert_eq!((refused.class, refused.fault()), (FailureClass::Device, Some(DeviceFault::Other)));
        let hung = judged(Failure::retryable("nothing moved in the pipeline for 60 s"));
        assert_eq!(hung.fault(), Some(DeviceFault::Hang));
        let disk = Failure::retryable("writing part.gdp: broken");
        assert_eq!(judged(disk.clone()), disk);
        let full = Failure::interrupted("no space left for part.gdp, free some");
        assert_eq!(judged(full.clone()), full);
        let known = Failure::device_fault(DeviceFault::BadOutput, "it gave 3 frames of 4");
        assert_eq!(judged(known).fault(), Some(DeviceFault::BadOutput));
    }

    #[test]
    fn the_log_of_the_driver_says_what_the_bus_does_not() {
        let lines = ["NvEncOpenEncodeSessionEx failed, ret=10"];
        let failure = judge(Failure::device("nvh264enc: Could not initialize supporting library"), &lines);
        assert_eq!(failure.fault(), Some(DeviceFault::SessionLimit));
        assert!(failure.message.ends_with("the driver said: NvEncOpenEncodeSessionEx failed, ret=10"), "{failure}");
    }
}
