//! What an operator is told to do about a device that fails. Pure.

use actors::failure::DeviceFault;

/// What to do about a failure that was told with `message`, in one sentence.
pub fn advice(fault: DeviceFault, message: &str) -> &'static str {
    let said = message.to_lowercase();
    if said.contains("nvrtc") || said.contains("couldn't create converter") {
        return "install NVRTC (libnvrtc.so, package cuda-nvrtc) for the CUDA version of the driver; GStreamer 1.22 compiles \
                its scaler with it";
    }
    if said.contains("preset not supported") || said.contains("knows no preset") {
        return "GStreamer 1.22 asks for presets that NVIDIA drivers dropped with version 550: use a driver up to 545, or \
                a GStreamer from 1.24 on";
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_names_what_is_missing() {
        let other = |text| advice(DeviceFault::Other, text);
        assert!(other("could not load NVRTC library").contains("libnvrtc.so"));
        assert!(other("nvh264enc: (Selected preset not supported)").contains("550"));
        assert!(advice(DeviceFault::SessionLimit, "").contains("GPU_SESSIONS"));
        assert!(advice(DeviceFault::DeviceLost, "").contains("restart the pod"));
    }
}
