//! Decoded pictures as frames of GStreamer, where it can be without copying: the planes stay in the memory of the decoder until the
//! last reader has let go of them.

use std::ffi::CStr;

use actors::domain::failure::Failure;
use ffmpeg_the_third::format::Pixel;
use ffmpeg_the_third::frame::side_data::Type;
use ffmpeg_the_third::{ffi, frame};
use gstreamer as gst;
use gstreamer_video::video_frame::VideoBufferExt as _;
use gstreamer_video::{
    VideoBufferFlags, VideoCaptionMeta, VideoCaptionType, VideoColorMatrix, VideoColorPrimaries, VideoColorRange,
    VideoColorimetry, VideoFormat, VideoFormatInfo, VideoFrameFlags, VideoMeta, VideoTransferFunction,
};

/// Formats of pixels, by the names of libav and those of GStreamer. What is not here is refused by its name.
const FORMATS: [(&str, &str); 52] = [
    ("yuv420p", "I420"),
    ("yuvj420p", "I420"),
    ("yuv422p", "Y42B"),
    ("yuvj422p", "Y42B"),
    ("yuv444p", "Y444"),
    ("yuvj444p", "Y444"),
    ("yuv411p", "Y41B"),
    ("yuv410p", "YUV9"),
    ("nv12", "NV12"),
    ("nv21", "NV21"),
    ("yuyv422", "YUY2"),
    ("uyvy422", "UYVY"),
    ("yuv420p10le", "I420_10LE"),
    ("yuv422p10le", "I422_10LE"),
    ("yuv444p10le", "Y444_10LE"),
    ("yuv420p12le", "I420_12LE"),
    ("yuv422p12le", "I422_12LE"),
    ("yuv444p12le", "Y444_12LE"),
    ("yuv444p16le", "Y444_16LE"),
    ("p010le", "P010_10LE"),
    ("gray", "GRAY8"),
    ("gray10le", "GRAY10_LE16"),
    ("gray16le", "GRAY16_LE"),
    ("gray16be", "GRAY16_BE"),
    ("rgb24", "RGB"),
    ("bgr24", "BGR"),
    ("rgb0", "RGBx"),
    ("bgr0", "BGRx"),
    ("0rgb", "xRGB"),
    ("0bgr", "xBGR"),
    ("rgba", "RGBA"),
    ("bgra", "BGRA"),
    ("argb", "ARGB"),
    ("abgr", "ABGR"),
    ("rgba64le", "RGBA64_LE"),
    ("rgba64be", "RGBA64_BE"),
    ("rgb565le", "RGB16"),
    ("rgb555le", "RGB15"),
    ("pal8", "RGB8P"),
    ("gbrp", "GBR"),
    ("gbrp10le", "GBR_10LE"),
    ("gbrp12le", "GBR_12LE"),
    ("gbrap", "GBRA"),
    ("gbrap10le", "GBRA_10LE"),
    ("gbrap12le", "GBRA_12LE"),
    ("yuva420p", "A420"),
    ("yuva422p", "A422"),
    ("yuva444p", "A444"),
    ("yuva420p10le", "A420_10LE"),
    ("yuva422p10le", "A422_10LE"),
    ("yuva444p10le", "A444_10LE"),
    ("yuva444p12le", "A444_12LE"),
];

/// The most planes that a format of GStreamer has.
const MAX_PLANES: usize = 4;

/// What is the same in all pictures of one form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    format: VideoFormat,
    width: u32,
    height: u32,
    colours: VideoColorimetry,
    chroma_site: Option<&'static str>,
}

/// The name of a format, in libav.
fn name(format: Pixel) -> &'static str {
    // SAFETY: names of formats are static.
    let name = unsafe {
        let name = ffi::av_get_pix_fmt_name(format.into());
        (!name.is_null()).then(|| CStr::from_ptr(name))
    };
    name.and_then(|name| name.to_str().ok()).unwrap_or("?")
}

/// Whether pictures of a format can be frames of GStreamer.
pub fn is_known(format: Pixel) -> bool {
    let name = name(format);
    FORMATS.iter().any(|(known, _)| *known == name)
}

impl Form {
    /// That of a picture.
    ///
    /// # Errors
    /// `permanent` where GStreamer has no such format of pixels.
    pub fn of(picture: &frame::Video) -> Result<Self, Failure> {
        // SAFETY: the picture is alive.
        let raw = unsafe { &*picture.as_ptr() };
        let name = name(picture.format());
        let known = FORMATS.iter().find(|(known, _)| *known == name).and_then(|(_, format)| format.parse().ok());
        let format = known.filter(|format| *format != VideoFormat::Unknown).ok_or_else(|| {
            Failure::permanent(format!(
                "pictures of the format {name} are not read, convert the film to yuv444p or rgb24"
            ))
        })?;
        let range = match (raw.color_range, name.starts_with("yuvj")) {
            (ffi::AVColorRange::JPEG, _) | (_, true) => VideoColorRange::Range0_255,
            (ffi::AVColorRange::MPEG, _) => VideoColorRange::Range16_235,
            _ => VideoColorRange::Unknown,
        };
        let colours = VideoColorimetry::new(
            range,
            VideoColorMatrix::from_iso(raw.colorspace.0),
            VideoTransferFunction::from_iso(raw.color_trc.0),
            VideoColorPrimaries::from_iso(raw.color_primaries.0),
        );
        // The names of the places are older than those of libav.
        let chroma_site = match raw.chroma_location {
            ffi::AVChromaLocation::LEFT => Some("mpeg2"),
            ffi::AVChromaLocation::CENTER => Some("jpeg"),
            ffi::AVChromaLocation::TOPLEFT => Some("dv"),
            ffi::AVChromaLocation::TOP => Some("v-cosited"),
            _ => None,
        };
        Ok(Self { format, width: picture.width(), height: picture.height(), colours, chroma_site })
    }

    /// As caps; what is not known of colours is left out.
    pub fn caps(&self) -> gst::Caps {
        let side = |side: u32| i32::try_from(side).unwrap_or(i32::MAX);
        // Red, green and blue are what they are.
        let known = !VideoFormatInfo::from_format(self.format).is_rgb()
            && (self.colours.range() != VideoColorRange::Unknown
                || self.colours.matrix() != VideoColorMatrix::Unknown
                || self.colours.transfer() != VideoTransferFunction::Unknown
                || self.colours.primaries() != VideoColorPrimaries::Unknown);
        gst::Caps::builder("video/x-raw")
            .field("format", self.format.to_str())
            .field("width", side(self.width))
            .field("height", side(self.height))
            .field("pixel-aspect-ratio", gst::Fraction::new(1, 1))
            .field_if_some("chroma-site", self.chroma_site)
            .field_if_some("colorimetry", known.then(|| self.colours.to_string()))
            .build()
    }

    /// A picture of this form as a buffer, with the time `at`.
    ///
    /// # Errors
    /// `retryable` where there is no memory.
    pub fn buffer(&self, picture: &frame::Video, at: Option<gst::ClockTime>) -> Result<gst::Buffer, Failure> {
        let full = || Failure::retryable("there is no memory for a picture");
        let mut buffer = gst::Buffer::new();
        let fields = buffer.get_mut().ok_or_else(full)?;
        let (mut offsets, mut strides, mut size) = (Vec::new(), Vec::new(), 0);
        for place in 0..MAX_PLANES {
            let Some((memory, stride)) = plane(picture, place) else { break };
            offsets.push(size);
            strides.push(stride);
            size += memory.size();
            fields.append_memory(memory);
        }
        let flags = VideoFrameFlags::empty();
        VideoMeta::add_full(fields, flags, self.format, self.width, self.height, &offsets, &strides)
            .map_err(|_| full())?;
        fields.set_pts(at);
        if picture.is_corrupt() {
            fields.set_flags(gst::BufferFlags::CORRUPTED);
        }
        if picture.is_interlaced() {
            fields.set_video_flags(VideoBufferFlags::INTERLACED);
        }
        if picture.is_top_first() {
            fields.set_video_flags(VideoBufferFlags::TFF);
        }
        if let Some(captions) = picture.side_data(Type::A53CC) {
            VideoCaptionMeta::add(fields, VideoCaptionType::Cea708Raw, captions.data());
        }
        Ok(buffer)
    }
}

/// A plane of a picture and the distance of its rows; `None` where it has no more planes.
fn plane(picture: &frame::Video, place: usize) -> Option<(gst::Memory, i32)> {
    // SAFETY: the picture is alive, and its descriptor static.
    let (raw, described) = unsafe {
        let raw = &*picture.as_ptr();
        (raw, ffi::av_pix_fmt_desc_get(picture.format().into()).as_ref()?)
    };
    let (data, line) = (*raw.data.get(place)?, *raw.linesize.get(place)?);
    if data.is_null() {
        return None;
    }
    let has_palette = described.flags & ffi::AV_PIX_FMT_FLAG_PAL as u64 != 0;
    if has_palette && place == 1 {
        // SAFETY: a palette has 256 colours of four bytes.
        let palette = unsafe { std::slice::from_raw_parts(data, 1024) };
        return Some((gst::Memory::from_slice(palette.to_vec()), 4));
    }
    let number = i32::try_from(place).ok()?;
    // SAFETY: the call computes with numbers.
    let row_bytes = unsafe { ffi::av_image_get_linesize(picture.format().into(), raw.width, number) };
    let row_bytes = usize::try_from(row_bytes).ok().filter(|bytes| *bytes > 0)?;
    let shrinks = (place == 1 || place == 2) && described.nb_components > 2;
    let height = usize::try_from(raw.height).ok()?;
    let height = if shrinks { height.div_ceil(1 << described.log2_chroma_h) } else { height };
    match usize::try_from(line).ok().filter(|stride| *stride >= row_bytes) {
        Some(stride) => {
            let length = stride * height.checked_sub(1)? + row_bytes;
            Some((gst::Memory::from_slice(Plane::new(picture, number, data, length)?), line))
        }
        // The rows are stored from the bottom to the top.
        None => {
            let row = |y: usize| {
                // SAFETY: the decoder filled so many rows, each of which begins `line` bytes behind the one above.
                unsafe { std::slice::from_raw_parts(data.offset(line as isize * y as isize), row_bytes) }
            };
            let bytes: Vec<u8> = (0..height).flat_map(row).copied().collect();
            Some((gst::Memory::from_slice(bytes), i32::try_from(row_bytes).ok()?))
        }
    }
}

/// A plane in the memory of its decoder.
struct Plane {
    data: *const u8,
    length: usize,
    owner: *mut ffi::AVBufferRef,
}

impl Plane {
    fn new(picture: &frame::Video, number: i32, data: *const u8, length: usize) -> Option<Self> {
        // SAFETY: the picture is alive, and the reference that is taken keeps the memory of the plane alive.
        let owner = unsafe {
            let owner = ffi::av_frame_get_plane_buffer(picture.as_ptr(), number);
            if owner.is_null() {
                return None;
            }
            ffi::av_buffer_ref(owner)
        };
        (!owner.is_null()).then_some(Self { data, length, owner })
    }
}

// SAFETY: the memory is only read, and references to it are counted atomically.
unsafe impl Send for Plane {}

impl AsRef<[u8]> for Plane {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the decoder filled so many bytes, which live as long as the reference.
        unsafe { std::slice::from_raw_parts(self.data, self.length) }
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        // SAFETY: the reference is this one's own.
        unsafe { ffi::av_buffer_unref(&mut self.owner) };
    }
}
