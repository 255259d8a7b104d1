//! Finds out which encoders of the CPU really work here, and in which version: each of them encodes a few frames, and says in
//! them what it is. That an element is registered says little; a library can be missing, a licence too. Devices are looked
//! at more closely, by [`super::trial`]; here only their elements are looked up.

use std::collections::BTreeMap;
use std::ffi::{CString, c_int, c_void};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actors::domain::failure::Failure;
use actors::domain::plan::{EncoderFamily, EncoderVersions, GSTREAMER};
use gstreamer as gst;
use gstreamer::prelude::*;

use super::carry_out::CarryOut;
use super::device;
use super::encoder::family::{Family, Version};
use super::encoder::{self, avenc_aac};
use super::pipeline::Pipeline;
use crate::process::Progress;
use crate::protocol::{DeviceElements, DevicesSpec, ProbeSpec, Probed};

/// Frames or blocks of samples that each encoder is given.
const BUFFERS: i32 = 5;
/// The most that is looked at of what an encoder made. Each says what it is in front of its first picture or block.
const MAX_LOOK: usize = 64 * 1024;
/// The version of an encoder that works and does not say what it is.
const UNKNOWN: &str = "unknown";
/// What those of NVIDIA load from its driver.
const OF_DRIVER: [&str; 3] = ["libcuda.so.1", "libnvcuvid.so.1", "libnvidia-encode.so.1"];
/// Names NVRTC for GStreamer, which otherwise asks for [`NVRTC`]. It is part of CUDA and not of the driver.
const NVRTC_VARIABLE: &str = "GST_CUDA_NVRTC_LIBNAME";
/// The name that only CUDA's packages for developers have.
const NVRTC: &str = "libnvrtc.so";

impl CarryOut for ProbeSpec {
    fn carry_out(&self, _: Progress<'_>) -> Result<Probed, Failure> {
        Ok(run())
    }
}

impl CarryOut for DevicesSpec {
    fn carry_out(&self, _: Progress<'_>) -> Result<DeviceElements, Failure> {
        Ok(devices())
    }
}

/// Tries every encoder of the CPU that a plan can ask for. Never fails: what does not work is part of the answer.
fn run() -> Probed {
    let picture = |format| {
        gst::Caps::builder("video/x-raw")
            .field("format", format)
            .field("width", 320)
            .field("height", 180)
            .field("framerate", gst::Fraction::new(25, 1))
            .build()
    };
    let sound = gst::Caps::builder("audio/x-raw").field("rate", 48_000).field("channels", 2).build();
    let (mut elements, mut versions) = (BTreeMap::new(), of_plugins());
    for (family, coder) in encoder::of_cpu() {
        let known = encoder::of(family);
        let made = encodes(coder.element, &["videotestsrc"], &picture(known.format(coder.bit_depth)));
        if let Ok(made) = &made {
            versions.set(family.as_str(), &version(known, made));
        }
        elements.insert(coder.name(), reason(made));
    }
    let made = encodes(avenc_aac::ELEMENT, &["audiotestsrc", "audioconvert"], &sound);
    if let Ok(made) = &made {
        versions.set(avenc_aac::ELEMENT, &avenc_aac::version(made).unwrap_or_else(|| UNKNOWN.into()));
    }
    elements.insert(avenc_aac::ELEMENT.to_owned(), reason(made));
    Probed { elements, versions }
}

/// What an encoder says of itself in what it made.
fn version(family: &Family, made: &[u8]) -> String {
    let found = match family.version {
        Version::Asked(read) => read(made),
        Version::Plugin | Version::Driver => None,
    };
    found.unwrap_or_else(|| UNKNOWN.into())
}

/// GStreamer's version, and those of plugins.
fn of_plugins() -> EncoderVersions {
    let (major, minor, micro, nano) = gst::version();
    let nano = if nano > 0 { format!(".{nano}") } else { String::new() };
    let mut versions = EncoderVersions::default();
    versions.set(GSTREAMER, &format!("{major}.{minor}.{micro}{nano}"));
    let by_plugin = |family: &EncoderFamily| matches!(encoder::of(*family).version, Version::Plugin);
    for family in EncoderFamily::all().filter(by_plugin) {
        if let Some(plugin) = gst::Registry::get().find_plugin(family.as_str()) {
            versions.set(family.as_str(), &plugin.version());
        }
    }
    versions
}

/// Which elements of devices are registered, which libraries of NVIDIA's driver cannot be loaded, and which NVRTC can.
fn devices() -> DeviceElements {
    device::wake();
    let there = elements_of_devices().into_iter().filter(|name| gst::ElementFactory::find(name).is_some());
    let missing = OF_DRIVER.iter().filter(|name| load(name).is_none());
    DeviceElements {
        elements: there.map(str::to_owned).collect(),
        missing_libraries: missing.map(ToString::to_string).collect(),
        nvrtc: nvrtc(),
    }
}

/// What pipelines on hardware are made of.
fn elements_of_devices() -> Vec<&'static str> {
    let hardware = EncoderFamily::all().map(encoder::of).filter(|family| family.is_hardware);
    hardware.flat_map(Family::elements).collect()
}

/// The major version of NVRTC, looked for as GStreamer does.
fn nvrtc() -> Option<u32> {
    let named = std::env::var(NVRTC_VARIABLE).ok();
    let library = named.and_then(|name| load(&name)).or_else(|| load(NVRTC))?;
    // SAFETY: the library is loaded and is never unloaded; the name ends with a zero.
    let version = unsafe { libc::dlsym(library.as_ptr(), c"nvrtcVersion".as_ptr()) };
    if version.is_null() {
        return None;
    }
    type Version = unsafe extern "C" fn(*mut c_int, *mut c_int) -> c_int;
    // SAFETY: NVRTC declares a function of this name so, in every version that GStreamer can use.
    let version: Version = unsafe { std::mem::transmute(version) };
    let (mut major, mut minor) = (0, 0);
    // SAFETY: both places are valid for the call.
    let status = unsafe { version(&raw mut major, &raw mut minor) };
    u32::try_from(major).ok().filter(|_| status == 0)
}

fn load(library: &str) -> Option<NonNull<c_void>> {
    let name = CString::new(library).ok()?;
    // SAFETY: the name ends with a zero; the library is meant to be loaded by processes like this one, which ends soon.
    NonNull::new(unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_LAZY | libc::RTLD_LOCAL) })
}

fn reason<T>(tried: Result<T, Failure>) -> Option<String> {
    tried.err().map(|failure| failure.message)
}

/// Encodes a little; the beginning of what came out.
fn encodes(encoder: &str, source: &[&str], caps: &gst::Caps) -> Result<Vec<u8>, Failure> {
    let pipeline = Pipeline::new("probe");
    let mut chain = source.iter().map(|factory| pipeline.add(factory)).collect::<Result<Vec<_>, _>>()?;
    chain[0].set_property("num-buffers", BUFFERS);
    let form = pipeline.add("capsfilter")?;
    form.set_property("caps", caps);
    let sink = pipeline.add("fakesink")?;
    sink.set_property("sync", false);
    let encoder = pipeline.add(encoder)?;
    chain.extend([form, encoder, sink.clone()]);
    pipeline.link(&chain.iter().collect::<Vec<_>>())?;
    let made = keep(&sink);
    pipeline.start()?;
    pipeline.wait(&|| lock(&made).len() as u64, &mut || true, &mut |_| {})?;
    // Its thread holds on to what was kept.
    drop(pipeline);
    let made = std::mem::take(&mut *lock(&made));
    if made.is_empty() { Err(Failure::permanent("it took frames and gave nothing")) } else { Ok(made) }
}

/// Keeps the beginning of what reaches a sink.
fn keep(sink: &gst::Element) -> Arc<Mutex<Vec<u8>>> {
    let made = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&made);
    if let Some(pad) = sink.static_pad("sink") {
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            if let Some(map) = info.buffer().and_then(|buffer| buffer.map_readable().ok()) {
                let mut kept = lock(&kept);
                let room = MAX_LOOK.saturating_sub(kept.len());
                kept.extend(map.iter().take(room));
            }
            gst::PadProbeReturn::Ok
        });
    }
    made
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoder_that_a_plan_can_ask_for_works_here() {
        crate::media::pipeline::init().expect("GStreamer");
        let Probed { elements, versions } = run();
        assert_eq!(
            elements.keys().collect::<Vec<_>>(),
            ["avenc_aac", "svtav1enc", "svtav1enc, 10 bits", "x264enc", "x265enc", "x265enc, 10 bits"]
        );
        assert!(elements.values().all(Option::is_none), "{elements:?}");
        let named: Vec<_> = versions.iter().filter(|(_, version)| *version != UNKNOWN).map(|(name, _)| name).collect();
        for name in ["avenc_aac", "gstreamer", "svtav1", "x264", "x265"] {
            assert!(named.contains(&name), "{versions}");
        }
    }

    #[test]
    fn a_machine_without_a_gpu_has_no_element_of_one() {
        crate::media::pipeline::init().expect("GStreamer");
        let DeviceElements { elements, missing_libraries, .. } = devices();
        assert!(elements.iter().all(|name| elements_of_devices().contains(&name.as_str())));
        assert_eq!(elements.iter().any(|name| name.starts_with("nv")), missing_libraries.is_empty());
    }

    #[test]
    fn an_encoder_that_is_not_there_is_named_in_the_reason() {
        crate::media::pipeline::init().expect("GStreamer");
        let caps = gst::Caps::builder("video/x-raw").build();
        let failure = encodes("no264enc", &["videotestsrc"], &caps).map(drop).expect_err("no such element");
        assert!(failure.message.contains("no264enc"), "{failure}");
        // An encoder that cannot take the frames is found out too.
        let caps = gst::Caps::builder("video/x-raw").field("format", "YVYU").build();
        encodes("x264enc", &["videotestsrc"], &caps).expect_err("no such format");
    }
}
