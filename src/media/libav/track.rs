//! What a container says of a track.

use actors::domain::geometry::Orientation;
use ffmpeg_the_third::codec::{Id, Parameters};
use ffmpeg_the_third::format::stream::{Disposition, Stream};
use ffmpeg_the_third::media::Type;
use ffmpeg_the_third::{self as av, ffi};

/// What a track holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Moving pictures.
    Video,
    /// A picture that belongs to a piece of music, or to a film as its cover.
    Cover,
    /// Sound.
    Audio,
    /// Subtitles, data, unknown.
    Other,
}

/// A track.
pub struct Track {
    /// What it holds.
    pub kind: Kind,
    /// Its codec.
    pub codec: Id,
    /// The number that the container has for it (track number, PID).
    pub id: u64,
    /// Units that the index of the container speaks of; 0 where it has none.
    pub indexed: u64,
    /// Whether a key is needed.
    pub encrypted: bool,
    /// How the picture has to be turned.
    pub orientation: Orientation,
    /// Frames per second that the container says or that were found at its beginning.
    pub frame_rate: Option<(i32, i32)>,
    /// Shape of a pixel, of the container before that of the stream.
    pub pixel_aspect: Option<(i32, i32)>,
    parameters: Parameters,
    time_base: (i64, i64),
}

impl Track {
    pub(super) fn new(stream: &Stream<'_>) -> Self {
        let parameters = owned(stream);
        let kind = match parameters.medium() {
            Type::Video if stream.disposition().contains(Disposition::ATTACHED_PIC) => Kind::Cover,
            Type::Video => Kind::Video,
            Type::Audio => Kind::Audio,
            _ => Kind::Other,
        };
        let base = stream.time_base();
        // SAFETY: the stream belongs to an open input.
        let (indexed, rate, aspect) = unsafe {
            let raw = stream.as_ptr().cast_mut();
            let indexed = ffi::avformat_index_get_entries_count(raw);
            (
                indexed,
                (*raw).avg_frame_rate,
                ffi::av_guess_sample_aspect_ratio(std::ptr::null_mut(), raw, std::ptr::null_mut()),
            )
        };
        let positive = |ratio: ffi::AVRational| (ratio.num > 0 && ratio.den > 0).then_some((ratio.num, ratio.den));
        Self {
            kind,
            codec: parameters.id(),
            id: u64::try_from(stream.id()).unwrap_or_default(),
            indexed: u64::try_from(indexed).unwrap_or_default(),
            encrypted: has_side_data(&parameters, ffi::AVPacketSideDataType::ENCRYPTION_INIT_INFO),
            orientation: matrix(&parameters).map_or(Orientation::Rotate0, orientation),
            frame_rate: positive(rate),
            pixel_aspect: positive(aspect),
            parameters,
            time_base: (i64::from(base.numerator()), i64::from(base.denominator()).max(1)),
        }
    }

    /// Whether both hold the same kind of thing: pictures, moving or not, or sound.
    pub fn is_like(&self, other: &Self) -> bool {
        self.parameters.medium() == other.parameters.medium()
    }

    /// Name of the codec, as it is known in the field.
    pub fn codec_name(&self) -> &'static str {
        self.codec.name()
    }

    /// What a decoder has to know.
    pub const fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// A field of the parameters that the crate has no name for.
    fn raw(&self) -> &ffi::AVCodecParameters {
        // SAFETY: the parameters are owned and never null.
        unsafe { &*self.parameters.as_ptr() }
    }

    /// The configuration of the codec (`extradata`), in the form of the container.
    pub fn configuration(&self) -> &[u8] {
        let raw = self.raw();
        match usize::try_from(raw.extradata_size) {
            // SAFETY: libavformat allocated so many bytes.
            Ok(size) if !raw.extradata.is_null() => unsafe { std::slice::from_raw_parts(raw.extradata, size) },
            _ => &[],
        }
    }

    /// The four characters by which the container names the codec.
    pub fn tag(&self) -> [u8; 4] {
        self.raw().codec_tag.to_le_bytes()
    }

    /// Channels of a sound track.
    pub fn channels(&self) -> i32 {
        self.raw().ch_layout.nb_channels
    }

    /// The places of the channels, as the mask that WAVE has; `None` where they are unknown or have no mask.
    pub fn channel_mask(&self) -> Option<u64> {
        let layout = &self.raw().ch_layout;
        // SAFETY: a layout of the native order holds its mask in the union.
        (layout.order == ffi::AVChannelOrder::NATIVE).then(|| unsafe { layout.u.mask })
    }

    /// Samples at the beginning of the track that only start its decoder.
    pub fn priming(&self) -> u64 {
        u64::from(self.parameters.initial_padding())
    }

    /// Name of the format of pixels.
    pub fn pixel_format(&self) -> Option<&'static str> {
        // SAFETY: any number may be asked for; names are static.
        unsafe {
            let format = std::mem::transmute::<i32, ffi::AVPixelFormat>(self.raw().format);
            let name = ffi::av_get_pix_fmt_name(format);
            (!name.is_null()).then(|| std::ffi::CStr::from_ptr(name)).and_then(|name| name.to_str().ok())
        }
    }

    /// Matrix, transfer and primaries of the colours, by the numbers of ISO/IEC 23091-2.
    pub fn colour_codes(&self) -> (u32, u32, u32) {
        let raw = self.raw();
        (raw.color_space.0, raw.color_trc.0, raw.color_primaries.0)
    }

    /// A number of ticks in nanoseconds, rounded to the nearest.
    pub fn ns(&self, ticks: i64) -> i64 {
        let (num, den) = self.time_base;
        let scaled = i128::from(ticks) * i128::from(num) * 1_000_000_000;
        let den = i128::from(den);
        // Files of 292 years do not occur.
        i64::try_from((scaled + den / 2).div_euclid(den)).unwrap_or(i64::MAX)
    }

    /// Whether libavcodec has a decoder for it.
    pub fn has_decoder(&self) -> bool {
        av::decoder::find(self.codec).is_some()
    }
}

fn owned(stream: &Stream<'_>) -> Parameters {
    let mut parameters = Parameters::new();
    // SAFETY: both are allocated.
    unsafe { ffi::avcodec_parameters_copy(parameters.as_mut_ptr(), stream.parameters().as_ptr()) };
    parameters
}

fn side_data(parameters: &Parameters, kind: ffi::AVPacketSideDataType) -> Option<&[u8]> {
    // SAFETY: what is found belongs to the parameters and lives as long as they.
    unsafe {
        let raw = &*parameters.as_ptr();
        let found = ffi::av_packet_side_data_get(raw.coded_side_data, raw.nb_coded_side_data, kind);
        (!found.is_null()).then(|| std::slice::from_raw_parts((*found).data, (*found).size))
    }
}

fn has_side_data(parameters: &Parameters, kind: ffi::AVPacketSideDataType) -> bool {
    side_data(parameters, kind).is_some()
}

/// What becomes of the unit of x, and of that of y, on the way to the screen (ISO/IEC 14496-12, 6.2.2): movie and track.
fn matrix(parameters: &Parameters) -> Option<[i32; 4]> {
    let bytes = side_data(parameters, ffi::AVPacketSideDataType::DISPLAYMATRIX)?.get(..36)?;
    let part = |at: usize| i32::from_ne_bytes([bytes[4 * at], bytes[4 * at + 1], bytes[4 * at + 2], bytes[4 * at + 3]]);
    Some([part(0), part(1), part(3), part(4)])
}

/// A matrix without what it enlarges; other than right angles leave a picture as it is.
fn orientation(parts: [i32; 4]) -> Orientation {
    let largest = parts.iter().fold(0, |largest, part| largest.max(part.unsigned_abs()));
    // A hundredth is far less than an eye sees.
    let sign = |part: i32| if u64::from(part.unsigned_abs()) * 100 < u64::from(largest) { 0 } else { part.signum() };
    match parts.map(sign) {
        [0, 1, -1, 0] => Orientation::Rotate90,
        [-1, 0, 0, -1] => Orientation::Rotate180,
        [0, -1, 1, 0] => Orientation::Rotate270,
        [-1, 0, 0, 1] => Orientation::FlipRotate0,
        [0, -1, -1, 0] => Orientation::FlipRotate90,
        [1, 0, 0, -1] => Orientation::FlipRotate180,
        [0, 1, 1, 0] => Orientation::FlipRotate270,
        _ => Orientation::Rotate0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_that_enlarges_turns_as_it_does_without_and_other_angles_do_not_turn() {
        assert_eq!(orientation([0, 1 << 15, -(1 << 15), 300]), Orientation::Rotate90);
        assert_eq!(orientation([1 << 16, 0, 0, 1 << 16]), Orientation::Rotate0);
        assert_eq!(orientation([-(1 << 18), 0, 0, 1 << 17]), Orientation::FlipRotate0);
        assert_eq!(orientation([1 << 16, 1 << 16, -(1 << 16), 1 << 16]), Orientation::Rotate0);
        assert_eq!(orientation([i32::MIN; 4]), Orientation::Rotate0);
        assert_eq!(orientation([0; 4]), Orientation::Rotate0);
    }
}
