//! What the texts of elements, NVENC, CUDA and drivers mean. Pure. The texts are those of GStreamer 1.26's plugins and of
//! the headers of NVIDIA; where a text is unknown the answer is [`DeviceFault::Other`], never a guess.

use actors::domain::failure::DeviceFault;

/// Texts in lower case, and what they mean. The first that occurs counts: the limit of sessions shows itself as a lack
/// of memory where a session is opened, and the plugin then says that there is no device, whatever the reason was.
const MEANINGS: [(&[&str], DeviceFault); 7] = [
    (&["nv_enc_err_invalid_version"], DeviceFault::Other),
    (&["nv_enc_err_device_not_exist", "nv_enc_err_no_encode_device"], DeviceFault::DeviceLost),
    (
        &[
            "failed to open session",
            "openencodesession",
            "couldn't create encoder session",
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
            "failed to create cuda context",
            "couldn't create cuda context",
            "failed to push context",
            "failed to push cuda context",
            "couldn't push context",
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
            "couldn't allocate",
            "failed to allocate",
            "cannot allocate memory",
        ],
        DeviceFault::OutOfMemory,
    ),
    (&["nothing moved", "stalled", "timed out", "time out", "deadline", "gpu is keep busy"], DeviceFault::Hang),
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
            ("nvh264enc: Could not encode stream. (Failed to open session)", DeviceFault::SessionLimit),
            ("NvEncOpenEncodeSessionEx failed", DeviceFault::SessionLimit),
            ("NvEnc API call failed: 0x15, NV_ENC_ERR_INCOMPATIBLE_CLIENT_KEY", DeviceFault::SessionLimit),
            ("Failed to init encoder, status: NV_ENC_ERR_OUT_OF_MEMORY (10)", DeviceFault::OutOfMemory),
            ("CUDA call failed: CUDA_ERROR_OUT_OF_MEMORY, out of memory", DeviceFault::OutOfMemory),
            ("Couldn't allocate output buffer", DeviceFault::OutOfMemory),
            ("CUDA call failed: CUDA_ERROR_LAUNCH_FAILED, unspecified launch failure", DeviceFault::DeviceLost),
            ("failed to create CUDA context", DeviceFault::DeviceLost),
            // Older drivers lack it, and do without.
            ("Failed to load 'cuMemAllocAsync', 'cuMemAllocAsync': undefined symbol", DeviceFault::Other),
            ("GPU is lost.  Reboot the system to recover this GPU", DeviceFault::DeviceLost),
            ("GPU is keep busy, give up", DeviceFault::Hang),
            ("nothing moved in the pipeline for 60 s", DeviceFault::Hang),
            ("Failed to init encoder, status: NV_ENC_ERR_UNSUPPORTED_PARAM (12)", DeviceFault::Other),
            ("", DeviceFault::Other),
        ];
        for (text, expected) in cases {
            assert_eq!(fault(text, &[]), expected, "{text}");
            assert_eq!(fault("it failed", &[text]), expected, "{text}");
        }
        // All that is said of a session that is refused.
        let refused = |status| {
            let lines = [
                &format!("NvEnc API call failed: {status}"),
                "NvEncOpenEncodeSessionEx failed",
                "CUDA call failed: CUDA_ERROR_NO_DEVICE, no CUDA-capable device is detected",
                "Couldn't create encoder session",
            ];
            fault("nvh264enc: Could not encode stream. (Failed to open session)", &lines)
        };
        assert_eq!(refused("0xa, NV_ENC_ERR_OUT_OF_MEMORY"), DeviceFault::SessionLimit);
        assert_eq!(refused("0x1, NV_ENC_ERR_NO_ENCODE_DEVICE"), DeviceFault::DeviceLost);
        assert_eq!(refused("0xf, NV_ENC_ERR_INVALID_VERSION"), DeviceFault::Other);
    }
}
