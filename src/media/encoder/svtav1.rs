//! SVT-AV1, the family of the CPU for AV1: constant quality. It gives the same bytes with any number of threads and with any
//! vector code (seen with 1, 2 and 6 of its levels of parallelism and with C, SSE4.1 and AVX-512 of version 2.3).

use std::ffi::{CStr, c_char};

use actors::domain::job::{Preset, Rate, VideoCodec};
use actors::domain::plan::VideoRendition;

use super::family::{Coder, Family, KeyFrames, Memory, Version};
use super::settings::{Settings, needed};

/// Names of the library, of which GStreamer's plugin has loaded one.
const LIBRARIES: [&CStr; 3] = [c"libSvtAv1Enc.so.2", c"libSvtAv1Enc.so.3", c"libSvtAv1Enc.so"];
/// What the library writes to standard error: errors only. It otherwise describes itself for each chunk.
const LOG: (&CStr, &CStr) = (c"SVT_LOG", c"1");

/// The family.
pub const SVTAV1: Family = Family {
    package: "gstreamer1.0-plugins-bad",
    encodes: &[Coder::new(VideoCodec::Av1, 8, "svtav1enc"), Coder::new(VideoCodec::Av1, 10, "svtav1enc")],
    decodes: &[],
    scaler: None,
    further: &[],
    is_hardware: false,
    memory: Memory::System,
    formats: ("I420", "I420_10LE"),
    settings,
    key_frames: KeyFrames::AsTheyAre,
    version: Version::Asked(|_| version()),
    prepare: Some(silence),
};

fn settings(element: &'static str, rendition: &VideoRendition, rate: Rate) -> Settings {
    let mut properties = vec![
        needed("preset", preset(rendition.preset)),
        // Frames between two key frames; all of them are closed.
        needed("intra-period-length", rendition.keyframe_interval.saturating_sub(1)),
        needed("intra-refresh-type", "IDR"),
        // An encoder of the pool has one core.
        needed("parameters-string", "lp=1"),
    ];
    match rate {
        Rate::Crf(crf) => properties.push(needed("crf", crf.value())),
        // No job asks for one.
        Rate::Bitrate(bits) => properties.push(needed("target-bitrate", bits.kbit_per_second())),
    }
    Settings { element, properties, profiles: &[], needs_rate: true, reorders: false }
}

/// Its scale goes from 13, fast, to 0; what is below 3 pays for research only. From 11 on SVT-AV1 2.3 shows wrong pictures: of a bar that
/// moves over 160x96 pixels a third was gone in one of 50, with 10 none differs from its source by more than others do.
const fn preset(preset: Preset) -> u32 {
    match preset {
        Preset::Ultrafast | Preset::Superfast | Preset::Veryfast => 10,
        Preset::Faster => 9,
        Preset::Fast => 8,
        Preset::Medium => 7,
        Preset::Slow => 6,
        Preset::Slower => 5,
        Preset::Veryslow => 4,
    }
}

fn silence() {
    // SAFETY: both texts end with a zero; called before a thread of the pipeline runs that could read the environment.
    unsafe { libc::setenv(LOG.0.as_ptr(), LOG.1.as_ptr(), 0) };
}

/// As `v2.3.0`; its stream does not say it.
fn version() -> Option<String> {
    let loaded = |name: &CStr| {
        // SAFETY: the name ends with a zero; nothing is loaded that was not.
        let library = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD) };
        (!library.is_null()).then_some(library)
    };
    let library = LIBRARIES.into_iter().find_map(loaded)?;
    // SAFETY: the library is loaded and stays so, because its handle is never closed; the name ends with a zero.
    let function = unsafe { libc::dlsym(library, c"svt_av1_get_version".as_ptr()) };
    if function.is_null() {
        return None;
    }
    // SAFETY: the library declares a function of this name so, in all these versions.
    let function: unsafe extern "C" fn() -> *const c_char = unsafe { std::mem::transmute(function) };
    // SAFETY: it gives a text that is part of the library, or nothing.
    let text = unsafe { function() };
    if text.is_null() {
        return None;
    }
    // SAFETY: it is no null pointer, and its text ends with a zero.
    Some(unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}
