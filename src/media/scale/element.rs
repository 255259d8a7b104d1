//! The scaler as an element: planar 4:2:0 frames of 8 bits come out in the size of the rendition, everything else passes
//! as it is.

use std::sync::{LazyLock, Mutex, OnceLock, PoisonError};

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer::subclass::prelude::*;
use gstreamer_base::subclass::BaseTransformMode;
use gstreamer_base::subclass::prelude::*;
use gstreamer_video::subclass::prelude::*;
use gstreamer_video::{VideoFormat, VideoFrameRef, VideoInfo, prelude::*};

use super::plane::{Plane, PlaneScaler};

glib::wrapper! {
    /// Scales what it can. Frames keep their colours, their chroma siting and their times.
    pub struct PlanarScale(ObjectSubclass<imp::PlanarScale>)
        @extends gstreamer_video::VideoFilter, gstreamer_base::BaseTransform, gst::Element, gst::Object;
}

impl PlanarScale {
    /// Makes pictures of `width` times `height` square pixels.
    pub fn new(width: u32, height: u32) -> Self {
        let scale: Self = glib::Object::new();
        let side = |side| i32::try_from(side).unwrap_or(i32::MAX);
        // Nobody has seen the new element.
        let _ = scale.imp().target.set((side(width), side(height)));
        // A late frame is a frame all the same.
        scale.set_property("qos", false);
        scale
    }
}

/// The frames that are scaled.
static SCALED: LazyLock<gst::Caps> = LazyLock::new(|| {
    gst::Caps::builder("video/x-raw").field("format", "I420").field("interlace-mode", "progressive").build()
});

mod imp {
    use crate::media::scale::element::*;

    #[derive(Default)]
    pub struct PlanarScale {
        pub target: OnceLock<(i32, i32)>,
        planes: Mutex<Vec<PlaneScaler>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for PlanarScale {
        const NAME: &'static str = "WorkerPlanarScale";
        type Type = super::PlanarScale;
        type ParentType = gstreamer_video::VideoFilter;
    }

    impl ObjectImpl for PlanarScale {}
    impl GstObjectImpl for PlanarScale {}

    impl ElementImpl for PlanarScale {
        fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
            static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
                let what = "Scales planar 4:2:0 pictures of 8 bits";
                gst::subclass::ElementMetadata::new(
                    "Planar scaler",
                    "Filter/Converter/Video/Scaler",
                    what,
                    "this program",
                )
            });
            Some(&METADATA)
        }

        fn pad_templates() -> &'static [gst::PadTemplate] {
            static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
                let caps = gst::Caps::new_empty_simple("video/x-raw");
                [("sink", gst::PadDirection::Sink), ("src", gst::PadDirection::Src)]
                    .into_iter()
                    .filter_map(|(name, side)| gst::PadTemplate::new(name, side, gst::PadPresence::Always, &caps).ok())
                    .collect()
            });
            &TEMPLATES
        }
    }

    impl BaseTransformImpl for PlanarScale {
        const MODE: BaseTransformMode = BaseTransformMode::NeverInPlace;
        const PASSTHROUGH_ON_SAME_CAPS: bool = true;
        const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

        fn transform_caps(
            &self,
            direction: gst::PadDirection,
            caps: &gst::Caps,
            filter: Option<&gst::Caps>,
        ) -> Option<gst::Caps> {
            let other = match direction {
                gst::PadDirection::Sink => self.made_of(caps),
                _ => made_from(caps),
            };
            Some(filter.map_or_else(
                || other.clone(),
                |filter| filter.intersect_with_mode(&other, gst::CapsIntersectMode::First),
            ))
        }
    }

    impl PlanarScale {
        /// What comes out where `caps` go in.
        fn made_of(&self, caps: &gst::Caps) -> gst::Caps {
            let Some((width, height)) = self.target.get() else { return caps.clone() };
            let mut scaled = caps.intersect(&SCALED);
            for fields in scaled.make_mut().iter_mut() {
                fields.set("width", width);
                fields.set("height", height);
                fields.set("pixel-aspect-ratio", gst::Fraction::new(1, 1));
            }
            if !caps.is_subset(&SCALED) {
                scaled.merge(caps.clone());
            }
            scaled
        }
    }

    impl VideoFilterImpl for PlanarScale {
        fn set_info(
            &self,
            _: &gst::Caps,
            from: &VideoInfo,
            _: &gst::Caps,
            into: &VideoInfo,
        ) -> Result<(), gst::LoggableError> {
            let planes = if from.format() == VideoFormat::I420 { scalers(from, into) } else { Vec::new() };
            *self.planes.lock().unwrap_or_else(PoisonError::into_inner) = planes;
            Ok(())
        }

        fn transform_frame(
            &self,
            from: &VideoFrameRef<&gst::BufferRef>,
            into: &mut VideoFrameRef<&mut gst::BufferRef>,
        ) -> Result<gst::FlowSuccess, gst::FlowError> {
            let mut planes = self.planes.lock().unwrap_or_else(PoisonError::into_inner);
            for (plane, scaler) in (0u32..).zip(planes.iter_mut()) {
                let stride = |strides: &[i32]| {
                    usize::try_from(strides[plane as usize]).map_err(|_| gst::FlowError::NotSupported)
                };
                let (source, target) = (stride(from.plane_stride())?, stride(into.plane_stride())?);
                let samples = from.plane_data(plane).map_err(|_| gst::FlowError::Error)?;
                let made = into.plane_data_mut(plane).map_err(|_| gst::FlowError::Error)?;
                scaler.scale(Plane { samples, stride: source }, made, target);
            }
            Ok(gst::FlowSuccess::Ok)
        }
    }

    /// What goes in where `caps` come out.
    fn made_from(caps: &gst::Caps) -> gst::Caps {
        let mut sources = caps.clone();
        let mut scaled = caps.intersect(&SCALED);
        for fields in scaled.make_mut().iter_mut() {
            fields.set("width", gst::IntRange::new(1, i32::MAX));
            fields.set("height", gst::IntRange::new(1, i32::MAX));
            fields.remove_field("pixel-aspect-ratio");
        }
        sources.merge(scaled);
        sources
    }

    fn scalers(from: &VideoInfo, into: &VideoInfo) -> Vec<PlaneScaler> {
        let size = |info: &VideoInfo, plane: u8| (info.comp_width(plane) as usize, info.comp_height(plane) as usize);
        (0..3).map(|plane| PlaneScaler::new(size(from, plane), size(into, plane))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::pipeline::element;

    /// The first picture of the test source with these caps, and the caps and the picture that became of it.
    fn scaled(caps: &str, width: u32, height: u32) -> ((VideoInfo, gst::Buffer), (gst::Caps, gst::Buffer)) {
        gst::init().expect("GStreamer");
        let [source, form, sink] = ["videotestsrc", "capsfilter", "appsink"].map(|name| element(name).expect(name));
        source.set_property("num-buffers", 1);
        form.set_property_from_str("caps", caps);
        let (before, seen) = std::sync::mpsc::channel();
        let pad = form.static_pad("src").expect("a pad");
        pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
            let info =
                VideoInfo::from_caps(&pad.current_caps().expect("caps")).map(|caps| (caps, info.buffer().cloned()));
            before.send(info.expect("raw video")).expect("somebody who waits");
            gst::PadProbeReturn::Ok
        });
        let pipeline = gst::Pipeline::new();
        let scale = PlanarScale::new(width, height).upcast();
        pipeline.add_many([&source, &form, &scale, &sink]).expect("a pipeline");
        gst::Element::link_many([&source, &form, &scale, &sink]).expect("a row");
        pipeline.set_state(gst::State::Playing).expect("it plays");
        let sink = sink.downcast::<gstreamer_app::AppSink>().expect("a sink");
        let sample = sink.pull_sample().expect("a picture");
        pipeline.set_state(gst::State::Null).expect("it stops");
        let (info, buffer) = seen.recv().expect("a picture");
        (
            (info, buffer.expect("a buffer")),
            (sample.caps_owned().expect("caps"), sample.buffer_owned().expect("a picture")),
        )
    }

    fn bytes(buffer: &gst::Buffer) -> Vec<u8> {
        buffer.map_readable().expect("bytes").to_vec()
    }

    #[test]
    fn planar_pictures_of_odd_sizes_are_scaled_plane_by_plane_and_keep_what_they_are() {
        let colours = "colorimetry=1:3:5:1,chroma-site=mpeg2,pixel-aspect-ratio=4/3,framerate=24/1";
        let caps = format!("video/x-raw,format=I420,interlace-mode=progressive,width=321,height=179,{colours}");
        let ((from, source), (caps, made)) = scaled(&caps, 214, 90);
        let into = VideoInfo::from_caps(&caps).expect("raw video");
        assert_eq!((into.width(), into.height(), into.par()), (214, 90, gst::Fraction::new(1, 1)));
        assert_eq!((into.format(), into.fps()), (VideoFormat::I420, gst::Fraction::new(24, 1)));
        assert_eq!((into.colorimetry(), into.chroma_site()), (from.colorimetry(), from.chroma_site()));
        let (source_bytes, made_bytes) = (bytes(&source), bytes(&made));
        for plane in 0..3usize {
            let size =
                |info: &VideoInfo| (info.comp_width(plane as u8) as usize, info.comp_height(plane as u8) as usize);
            let (stride, target) = (from.stride()[plane] as usize, into.stride()[plane] as usize);
            let mut expected = vec![0; target * size(&into).1];
            let samples = &source_bytes[from.offset()[plane]..];
            PlaneScaler::new(size(&from), size(&into)).scale(Plane { samples, stride }, &mut expected, target);
            let found = made_bytes[into.offset()[plane]..].chunks(target);
            let rows = found.zip(expected.chunks(target)).map(|(a, b)| a[..size(&into).0] == b[..size(&into).0]);
            assert!(rows.take(size(&into).1).all(|same| same), "plane {plane}");
        }
        assert_eq!((made.pts(), made.duration()), (source.pts(), source.duration()));
    }

    #[test]
    fn other_pictures_and_those_of_the_right_size_pass_as_they_are() {
        for caps in [
            "video/x-raw,format=I420_10LE,width=64,height=48",
            "video/x-raw,format=Y42B,width=64,height=48",
            "video/x-raw,format=NV12,width=64,height=48",
            "video/x-raw,format=I420,width=64,height=48,interlace-mode=interleaved",
            "video/x-raw,format=I420,width=32,height=24,interlace-mode=progressive,pixel-aspect-ratio=1/1",
        ] {
            let ((from, source), (made_caps, made)) = scaled(caps, 32, 24);
            assert_eq!(VideoInfo::from_caps(&made_caps).expect("raw video"), from, "{caps}");
            assert!(bytes(&source) == bytes(&made), "{caps}");
        }
    }
}
