//! What the texts of elements, NVENC, CUDA and drivers mean. Pure. The texts are those of GStreamer 1.22's plugins and of
//! the headers of NVIDIA; where a text is unknown the answer is [`DeviceFault::Other`], never a guess.

use actors::failure::DeviceFault;

/// Texts in lower case, and what they mean. The first that occurs counts: the limit of sessions shows itself as a lack
/// of memory where a session is opened.
const MEANINGS: [(&[&str], DeviceFault); 5] = [
    (
        &[
            "failed to open encode session",
            "openencodesession",
            "failed to create nvenc encoder session",
            "nv_enc_err_incompatible_client_key",
            "incompatible client key",
            "too many sessions",
        ],
        DeviceFault::SessionLimit,
    ),
    (
        &[
            "cuda_error_no_device",
            "no cuda-capable device",
            "nv_enc_err_device_not_exist",
            "nv_enc_err_no_encode_device",
            "cuda_error_device_unavailable",
            "cuda_error_launch_failed",
            "unspecified launch failure",
            "cuda_error_illegal_address",
            "illegal memory access",
            "cuda_error_ecc_uncorrectable",
            "uncorrectable ecc",
            "cuda_error_context_is_destroyed",
            "cuda_error_system_not_ready",
            "cuda_error_unknown",
            "gpu is lost",
            "fallen off the bus",
            "device lost",
        ],
        DeviceFault::DeviceLost,
    ),
    (
        &[
            "out of memory",
            "out_of_memory",
            "could not allocate",
            "failed to allocate",
            "cannot allocate memory",
            "cumemalloc",
        ],
        DeviceFault::OutOfMemory,
    ),
    (&["nothing moved", "stalled", "timed out", "time out", "deadline"], DeviceFault::Hang),
    (&["did not begin the chunk", "is not what the cpu", "without its times"], DeviceFault::BadOutput),
];

/// What a failure means that was told with `message` while the driver logged `lines`.
pub fn fault(message: &str, lines: &[&str]) -> DeviceFault {
    let texts: Vec<String> = std::iter::once(message).chain(lines.iter().copied()).map(str::to_lowercase).collect();
    let occurs = |words: &[&str]| texts.iter().any(|text| words.iter().any(|word| text.contains(word)));
    let found = MEANINGS.iter().find(|(words, _)| occurs(words));
    found.map_or(DeviceFault::Other, |(_, fault)| *fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_drivers_say_is_understood() {
        let cases = [
            (
                "nvh264enc: Could not initialize supporting library (Failed to open encode session)",
                DeviceFault::SessionLimit,
            ),
            ("NvEncOpenEncodeSessionEx failed: NV_ENC_ERR_OUT_OF_MEMORY", DeviceFault::SessionLimit),
            ("CUDA call failed: CUDA_ERROR_OUT_OF_MEMORY, out of memory", DeviceFault::OutOfMemory),
            ("cuMemAllocPitch failed", DeviceFault::OutOfMemory),
            ("CUDA call failed: CUDA_ERROR_LAUNCH_FAILED, unspecified launch failure", DeviceFault::DeviceLost),
            ("GPU is lost.  Reboot the system to recover this GPU", DeviceFault::DeviceLost),
            ("nothing moved in the pipeline for 60 s", DeviceFault::Hang),
            ("Selected preset not supported", DeviceFault::Other),
            ("", DeviceFault::Other),
        ];
        for (text, expected) in cases {
            assert_eq!(fault(text, &[]), expected, "{text}");
            assert_eq!(fault("it failed", &[text]), expected, "{text}");
        }
    }
}
