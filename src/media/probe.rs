//! Finds out which encoders of the CPU really work here: each of them encodes a few frames. That an element is registered
//! says little; a library can be missing, a licence too. Devices are looked at more closely, by [`super::trial`]; here only
//! their elements are looked up.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actors::failure::Failure;
use gstreamer as gst;
use gstreamer::prelude::*;

use super::device;
use super::pipeline::Pipeline;
use crate::stage::protocol::StageResult;

/// Frames or blocks of samples that each encoder is given.
const BUFFERS: i32 = 5;
/// The encoder of AAC.
const AAC: &str = "avenc_aac";
/// The encoders of pictures, with the format that they are given and the name of the row.
const VIDEO: [(&str, &str, &str); 3] =
    [("x264enc", "I420", "x264enc"), ("x265enc", "I420", "x265enc"), ("x265enc", "I420_10LE", "x265enc, 10 bits")];
/// Elements that pipelines on devices are made of.
const OF_DEVICES: [&str; 9] = [
    "nvh264enc",
    "nvh265enc",
    "nvh264dec",
    "nvh265dec",
    "cudaconvertscale",
    "cudaupload",
    "cudadownload",
    "vah264enc",
    "vah265enc",
];
/// What those of NVIDIA load from its driver.
const OF_DRIVER: [&str; 3] = ["libcuda.so.1", "libnvcuvid.so.1", "libnvidia-encode.so.1"];

/// Tries every encoder of the CPU that a plan can ask for. Never fails: what does not work is part of the answer.
pub fn run() -> StageResult {
    let picture = |format| {
        gst::Caps::builder("video/x-raw")
            .field("format", format)
            .field("width", 320)
            .field("height", 180)
            .field("framerate", gst::Fraction::new(25, 1))
            .build()
    };
    let sound = gst::Caps::builder("audio/x-raw").field("rate", 48_000).field("channels", 2).build();
    let mut elements = BTreeMap::new();
    for (element, format, name) in VIDEO {
        elements.insert(name.to_owned(), reason(encodes(element, &["videotestsrc"], &picture(format))));
    }
    elements.insert(AAC.to_owned(), reason(encodes(AAC, &["audiotestsrc", "audioconvert"], &sound)));
    StageResult::Probe { elements }
}

/// Which elements of devices are registered, and which libraries of NVIDIA's driver cannot be loaded.
pub fn devices() -> StageResult {
    device::wake();
    let there = OF_DEVICES.iter().filter(|name| gst::ElementFactory::find(name).is_some());
    let missing = OF_DRIVER.iter().filter(|name| !loads(name));
    StageResult::Devices {
        elements: there.map(ToString::to_string).collect(),
        missing_libraries: missing.map(ToString::to_string).collect(),
    }
}

fn loads(library: &str) -> bool {
    let Ok(name) = CString::new(library) else { return false };
    // SAFETY: the name ends with a zero; the library is meant to be loaded by processes like this one, which ends soon.
    !unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_LAZY | libc::RTLD_LOCAL) }.is_null()
}

fn reason(tried: Result<(), Failure>) -> Option<String> {
    tried.err().map(|failure| failure.message)
}

fn encodes(encoder: &str, source: &[&str], caps: &gst::Caps) -> Result<(), Failure> {
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
    let arrived = count(&sink);
    pipeline.start()?;
    pipeline.wait(&|| arrived.load(Ordering::Relaxed), &mut || true, &mut |_| {})?;
    match arrived.load(Ordering::Relaxed) {
        0 => Err(Failure::permanent("it took frames and gave nothing")),
        _ => Ok(()),
    }
}

/// Counts what reaches a sink.
fn count(sink: &gst::Element) -> Arc<AtomicU64> {
    let arrived = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&arrived);
    if let Some(pad) = sink.static_pad("sink") {
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            counter.fetch_add(1, Ordering::Relaxed);
            gst::PadProbeReturn::Ok
        });
    }
    arrived
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoder_that_a_plan_can_ask_for_works_here() {
        crate::media::init().expect("GStreamer");
        let StageResult::Probe { elements } = run() else { panic!("not the result of a probe") };
        assert_eq!(elements.keys().collect::<Vec<_>>(), ["avenc_aac", "x264enc", "x265enc", "x265enc, 10 bits"]);
        assert!(elements.values().all(Option::is_none), "{elements:?}");
    }

    #[test]
    fn a_machine_without_a_gpu_has_no_element_of_one() {
        crate::media::init().expect("GStreamer");
        let StageResult::Devices { elements, missing_libraries } = devices() else { panic!("not the devices") };
        assert!(elements.iter().all(|name| OF_DEVICES.contains(&name.as_str())));
        assert_eq!(elements.iter().any(|name| name.starts_with("nv")), missing_libraries.is_empty());
    }

    #[test]
    fn an_encoder_that_is_not_there_is_named_in_the_reason() {
        crate::media::init().expect("GStreamer");
        let caps = gst::Caps::builder("video/x-raw").build();
        let failure = encodes("no264enc", &["videotestsrc"], &caps).expect_err("no such element");
        assert!(failure.message.contains("no264enc"), "{failure}");
        // An encoder that cannot take the frames is found out too.
        let caps = gst::Caps::builder("video/x-raw").field("format", "RGB").build();
        encodes("x264enc", &["videotestsrc"], &caps).expect_err("no such format");
    }
}
