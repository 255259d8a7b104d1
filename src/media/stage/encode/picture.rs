//! From decoded frames to the pictures of a rendition: deinterlaced, upright, scaled to square pixels. What a picture
//! looks like depends on its own frame only, so that a cut between chunks changes nothing.

use actors::domain::failure::Failure;
use actors::domain::geometry::Orientation;
use actors::domain::plan::VideoFacts;
use gstreamer::prelude::*;
use gstreamer::{self as gst, glib};
use gstreamer_video::{
    VideoColorMatrix, VideoColorPrimaries, VideoColorRange, VideoColorimetry, VideoInfo, VideoTransferFunction,
};

use super::layout::Branch;
use crate::media::encoder::family::Memory;
use crate::media::pipeline::Pipeline;
use crate::media::scale::PlanarScale;

/// Adds what all renditions share behind `tail`; gives the element that the frames come out of.
///
/// # Errors
/// `permanent` where GStreamer lacks an element.
pub fn upright(pipeline: &Pipeline, tail: gst::Element, facts: &VideoFacts) -> Result<gst::Element, Failure> {
    let mut tail = tail;
    if facts.interlaced {
        let deinterlace = pipeline.add("deinterlace")?;
        // Missing lines are made from those of the same field: the other methods look at neighbours.
        deinterlace.set_property_from_str("method", "linear");
        deinterlace.set_property_from_str("fields", "top");
        pipeline.link(&[&tail, &deinterlace])?;
        tail = deinterlace;
    }
    if facts.orientation != Orientation::Rotate0 {
        let convert = pipeline.add("videoconvert")?;
        let flip = pipeline.add("videoflip")?;
        flip.set_property_from_str("video-direction", direction(facts.orientation));
        pipeline.link(&[&tail, &convert, &flip])?;
        tail = flip;
    }
    Ok(tail)
}

const fn direction(orientation: Orientation) -> &'static str {
    match orientation {
        Orientation::Rotate0 => "identity",
        Orientation::Rotate90 => "90r",
        Orientation::Rotate180 => "180",
        Orientation::Rotate270 => "90l",
        Orientation::FlipRotate0 => "horiz",
        // Mirrored left to right and then turned: a reflection about a diagonal.
        Orientation::FlipRotate90 => "ur-ll",
        Orientation::FlipRotate180 => "vert",
        Orientation::FlipRotate270 => "ul-lr",
    }
}

/// The colours of frames of these caps, all of them said: what the source leaves open is what is usual at its size.
/// Otherwise each element would guess for itself, and forget the range of a source that says nothing else.
pub fn colours(frames: &gst::Caps) -> Option<String> {
    let info = VideoInfo::from_caps(frames).ok().filter(|info| !info.is_rgb())?;
    let said = frames.structure(0).and_then(|frames| frames.get::<String>("colorimetry").ok());
    let Some(said) = said.and_then(|said| said.parse::<VideoColorimetry>().ok()) else {
        return Some(info.colorimetry().to_string());
    };
    let usual = if said.matrix() == VideoColorMatrix::Unknown {
        // Grey frames would otherwise keep a matrix that nothing can be computed with.
        let mut silent = frames.copy();
        silent.make_mut().iter_mut().for_each(|frames| frames.remove_field("colorimetry"));
        VideoInfo::from_caps(&silent).ok()?.colorimetry()
    } else {
        info.colorimetry()
    };
    let range = if said.range() == VideoColorRange::Unknown { usual.range() } else { said.range() };
    let matrix = match said.matrix() {
        VideoColorMatrix::Unknown | VideoColorMatrix::Rgb => usual.matrix(),
        matrix => matrix,
    };
    let transfer = if said.transfer() == VideoTransferFunction::Unknown { usual.transfer() } else { said.transfer() };
    let primaries = if said.primaries() == VideoColorPrimaries::Unknown { usual.primaries() } else { said.primaries() };
    Some(VideoColorimetry::new(range, matrix, transfer, primaries).to_string())
}

/// Scales and converts for one rendition.
pub struct Scaler {
    /// Where frames go in.
    pub scale: gst::Element,
    /// Where pictures come out.
    pub form: gst::Element,
    target: Target,
}

/// The pictures of a rendition.
#[derive(Clone, Debug)]
pub struct Target {
    form: glib::WeakRef<gst::Element>,
    memory: Memory,
    format: &'static str,
    size: (u32, u32),
}

impl Target {
    /// Asks for the pictures of the rendition made from frames of these caps: their colours stay what they are. Left to
    /// itself the scaler would give a small picture the colours of standard definition television.
    pub fn set_caps(&self, frames: &gst::Caps) {
        let Some(form) = self.form.upgrade() else { return };
        let side = |side| i32::try_from(side).unwrap_or(i32::MAX);
        let mut caps = in_memory(self.memory)
            .field("format", self.format)
            .field("width", side(self.size.0))
            .field("height", side(self.size.1))
            .field("pixel-aspect-ratio", gst::Fraction::new(1, 1));
        if let Ok(colours) = frames.structure(0).map_or(Ok(None), |frames| frames.get_optional::<String>("colorimetry"))
        {
            caps = caps.field_if_some("colorimetry", colours);
        }
        form.set_property("caps", caps.build());
    }
}

/// Raw video in a memory.
pub fn in_memory(memory: Memory) -> gst::caps::Builder<gst::caps::HasFeatures> {
    match memory {
        Memory::System => gst::Caps::builder("video/x-raw").features(["memory:SystemMemory"]),
        Memory::Cuda => gst::Caps::builder("video/x-raw").features(["memory:CUDAMemory"]),
    }
}

impl Scaler {
    /// Adds a scaler to the pipeline.
    ///
    /// # Errors
    /// `permanent` where GStreamer lacks an element.
    pub fn new(pipeline: &Pipeline, branch: &Branch) -> Result<Self, Failure> {
        let scale = match branch.scaled_in {
            Memory::System => {
                let scale = pipeline.add("videoconvertscale")?;
                // The cubic with the sharpness that other transcoders use.
                scale.set_property_from_str("method", "catrom");
                scale.set_property("qos", false);
                scale
            }
            Memory::Cuda => pipeline.add("cudaconvertscale")?,
        };
        // The plan rounds the sides to even numbers; that is no reason for black lines.
        scale.set_property("add-borders", false);
        let form = pipeline.add("capsfilter")?;
        pipeline.link(&[&scale, &form])?;
        let planar = branch.scaled_in == Memory::System && branch.format != "I420_10LE" && branch.format != "P010_10LE";
        let scale = if planar { Self::planar(pipeline, scale, branch.size)? } else { scale };
        let (memory, format, size) = (branch.scaled_in, branch.format, branch.size);
        let target = Target { form: form.downgrade(), memory, format, size };
        Ok(Self { scale, form, target })
    }

    /// Scales the usual frames in front of `scale`, which then has nothing to do.
    fn planar(pipeline: &Pipeline, scale: gst::Element, size: (u32, u32)) -> Result<gst::Element, Failure> {
        let planar = PlanarScale::new(size.0, size.1).upcast();
        pipeline.put(&planar)?;
        pipeline.link(&[&planar, &scale])?;
        Ok(planar)
    }

    /// Where frames come at no constant rate, says to what follows that they come at `average`: x265 knows constant rates
    /// only, and its rate control needs one. The times of the frames stay.
    pub fn at_a_rate(&self, average: gst::Fraction) {
        let Some(pad) = self.form.static_pad("src") else { return };
        pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
            if let Some(gst::PadProbeData::Event(event)) = &mut info.data
                && let gst::EventView::Caps(caps) = event.view()
            {
                let said = caps.structure().and_then(|caps| caps.get::<gst::Fraction>("framerate").ok());
                if said.is_none_or(|said| said.numer() == 0) {
                    let mut caps = caps.caps_owned();
                    caps.make_mut().set("framerate", average);
                    *event = gst::event::Caps::new(&caps);
                }
            }
            gst::PadProbeReturn::Ok
        });
    }

    /// What the pictures are to be, for another thread.
    pub fn target(&self) -> Target {
        self.target.clone()
    }
}
