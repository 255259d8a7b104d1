//! What an operator is told to do about a device that fails. Pure.

use actors::domain::failure::{DeviceFault, Failure};
use actors::ports::CapabilityFinding;

/// How to come by NVRTC.
pub(super) const NVRTC: &str = "install NVRTC 12 (libnvrtc12 of Debian's non-free, or cuda-nvrtc-12-N of NVIDIA's \
    repository) and set GST_CUDA_NVRTC_LIBNAME=libnvrtc.so.12; the image has it if built with `--build-arg NVRTC=libnvrtc12`";

/// What to do about a failure that was told with `message`, in one sentence.
pub(super) fn advice(fault: DeviceFault, message: &str) -> &'static str {
    let said = message.to_lowercase();
    if said.contains("nvrtc") || said.contains("couldn't create converter") {
        return NVRTC;
    }
    if said.contains("nv_enc_err_invalid_version") || said.contains("new preset is not supported") {
        return "the driver is too old for the NVENC of GStreamer 1.26, which needs version 450 or newer: update it";
    }
    match fault {
        DeviceFault::SessionLimit => {
            "the driver gives no more encoding sessions: end other programs that encode, or set GPU_SESSIONS lower"
        }
        DeviceFault::OutOfMemory => {
            "the memory of the GPU is full: end other programs on it, or set GPU_SESSIONS lower"
        }
        DeviceFault::DeviceLost => {
            "the GPU does not answer any more: restart the pod, and the machine if that does not help"
        }
        DeviceFault::Hang => "the driver hangs: restart the pod, and update the driver if it happens again",
        DeviceFault::BadOutput => {
            "what it makes is wrong, so it is not used: update the driver, or test the GPU's memory"
        }
        DeviceFault::Other => "the CPU is used instead; `gpu-check` shows each path with its error",
    }
}

/// What an operator is told of a failure.
pub(in crate::process::probe) fn finding(what: &str, failure: &Failure) -> CapabilityFinding {
    let fault = failure.fault().unwrap_or(DeviceFault::Other);
    let advice = advice(fault, &failure.message).into();
    CapabilityFinding { what: format!("{what}: {failure}"), advice }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_names_what_is_missing() {
        let other = |text| advice(DeviceFault::Other, text);
        assert!(other("cudaconvertscale: (Couldn't create converter)").contains("libnvrtc.so.12"));
        assert!(other("nvh264enc: (NvEnc API call failed: 0xf, NV_ENC_ERR_INVALID_VERSION)").contains("450"));
        assert!(advice(DeviceFault::SessionLimit, "").contains("GPU_SESSIONS"));
        assert!(advice(DeviceFault::DeviceLost, "").contains("restart the pod"));
    }
}
