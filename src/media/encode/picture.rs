//! From decoded frames to the pictures of a rendition: deinterlaced, upright, scaled to square pixels. What a picture
//! looks like depends on its own frame only, so that a cut between chunks changes nothing.

use actors::failure::Failure;
use actors::geometry::Orientation;
use actors::plan::{VideoFacts, VideoRendition};
use gstreamer::prelude::*;
use gstreamer::{self as gst, glib};
use gstreamer_video::{
    VideoColorMatrix, VideoColorPrimaries, VideoColorRange, VideoColorimetry, VideoInfo, VideoTransferFunction,
};

use super::encoder::raw_format;
use super::scale::PlanarScale;
use crate::media::pipeline::Pipeline;

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
    let info = VideoInfo::from_caps(frames).ok().filter(VideoInfo::is_yuv)?;
    let usual = info.colorimetry();
    let said = frames.structure(0).and_then(|frames| frames.get::<String>("colorimetry").ok());
    let Some(said) = said.and_then(|said| said.parse::<VideoColorimetry>().ok()) else {
        return Some(usual.to_string());
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
    rendition: VideoRendition,
}

impl Scaler {
    /// Adds a scaler to the pipeline.
    ///
    /// # Errors
    /// `permanent` where GStreamer lacks an element.
    pub fn new(pipeline: &Pipeline, rendition: &VideoRendition) -> Result<Self, Failure> {
        let scale = pipeline.add("videoconvertscale")?;
        // The cubic with the sharpness that other transcoders use.
        scale.set_property_from_str("method", "catrom");
        // The plan rounds the sides to even numbers; that is no reason for black lines.
        scale.set_property("add-borders", false);
        scale.set_property("qos", false);
        let form = pipeline.add("capsfilter")?;
        pipeline.link(&[&scale, &form])?;
        let scale = if rendition.bit_depth > 8 { scale } else { Self::planar(pipeline, scale, rendition)? };
        Ok(Self { scale, form, rendition: rendition.clone() })
    }

    /// Scales the usual frames in front of `scale`, which then has nothing to do.
    fn planar(pipeline: &Pipeline, scale: gst::Element, rendition: &VideoRendition) -> Result<gst::Element, Failure> {
        let planar = PlanarScale::new(rendition.width, rendition.height).upcast();
        pipeline.put(&planar)?;
        pipeline.link(&[&planar, &scale])?;
        Ok(planar)
    }

    /// Asks for the pictures of the rendition made from frames of these caps: their colours stay what they are. Left to
    /// itself the scaler would give a small picture the colours of standard definition television.
    pub fn set_caps(form: &gst::Element, rendition: &VideoRendition, frames: &gst::Caps) {
        let mut caps = gst::Caps::builder("video/x-raw")
            .field("format", raw_format(rendition))
            .field("width", i32::try_from(rendition.width).unwrap_or(i32::MAX))
            .field("height", i32::try_from(rendition.height).unwrap_or(i32::MAX))
            .field("pixel-aspect-ratio", gst::Fraction::new(1, 1));
        if let Ok(colours) = frames.structure(0).map_or(Ok(None), |frames| frames.get_optional::<String>("colorimetry"))
        {
            caps = caps.field_if_some("colorimetry", colours);
        }
        form.set_property("caps", caps.build());
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

    /// What [`Self::set_caps`] needs to know, for another thread.
    pub fn target(&self) -> (glib::WeakRef<gst::Element>, VideoRendition) {
        (self.form.downgrade(), self.rendition.clone())
    }
}
