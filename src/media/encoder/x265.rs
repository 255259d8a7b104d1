//! x265, the family of the CPU for H.265: one thread, so that the bytes are the same on every machine.

use actors::domain::job::{Rate, VideoCodec};
use actors::domain::plan::VideoRendition;

use super::family::{Coder, Family, KeyFrames, Memory, Version};
use super::said::between;
use super::settings::{Settings, needed};

/// The family. `x265enc` puts its headers in front of the first frame, which has them already; and the SEI that x265
/// describes itself with ends, in version 3.5, with what the memory held before: other bytes each time, and none of
/// anybody's business. Both are taken out of its key frames.
pub const X265: Family = Family {
    package: "gstreamer1.0-plugins-bad",
    encodes: &[Coder::new(VideoCodec::H265, 8, "x265enc"), Coder::new(VideoCodec::H265, 10, "x265enc")],
    decodes: &[],
    scaler: None,
    further: &[],
    is_hardware: false,
    memory: Memory::System,
    formats: ("I420", "I420_10LE"),
    settings,
    key_frames: KeyFrames::Tidied,
    version: Version::Asked(version),
    prepare: Some(settle_memory),
};

fn settings(element: &'static str, rendition: &VideoRendition, rate: Rate) -> Settings {
    // One thread: more of them give other bytes from machine to machine. The information SEI stays on and is taken out
    // later: without it `x265enc` of GStreamer 1.22 writes memory of others in its place, in about one of
    // 100 encodes; that 1.26 never does was not seen.
    let mut options = "pools=none:frame-threads=1:open-gop=0:repeat-headers=1".to_owned();
    let mut properties = vec![
        needed("speed-preset", rendition.preset.as_str()),
        needed("key-int-max", i32::try_from(rendition.keyframe_interval).unwrap_or(i32::MAX)),
    ];
    match rate {
        Rate::Bitrate(bits) => properties.push(needed("bitrate", bits.kbit_per_second())),
        Rate::Crf(crf) => options.push_str(&format!(":crf={}", crf.value())),
    }
    properties.push(needed("option-string", options));
    Settings { element, properties, profiles: &[], needs_rate: true, reorders: true }
}

/// Makes what the encoder finds in new memory the same every time.
///
/// x265 3.5 reads memory that it never wrote: in a process that had used the memory before, one encode in a hundred gave
/// other bytes. From here on `malloc` of glibc gives zeros, as it does for memory that nobody had. That costs no measurable
/// time and some 100 MB of memory at 1080p, so that processes without x265 do without it.
fn settle_memory() {
    // The low byte is what freed memory is filled with, its complement what new memory is.
    const FREED: std::ffi::c_int = 0xff;
    // SAFETY: changes a setting of the allocator, which takes it at any time and from any thread.
    unsafe { libc::mallopt(libc::M_PERTURB, FREED) };
}

/// As `215 4.1+1-1d117be`: number of the interface and version. What follows says how it was compiled.
fn version(made: &[u8]) -> Option<String> {
    let build = between(made, b"x265 (build ", b")")?;
    let version = between(made, format!("x265 (build {build}) - ").as_bytes(), b":")?;
    Some(format!("{build} {version}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_version_is_read_out_of_a_sei_message() {
        let sei =
            b"\x4e\x01\x05x265 (build 215) - 4.1+1-1d117be:[Linux][GCC 14.2.0][64 bit] 8bit+10bit - H.265/HEVC codec";
        assert_eq!(version(sei).as_deref(), Some("215 4.1+1-1d117be"));
        assert_eq!(version(b"x265 (build 215"), None);
    }
}
