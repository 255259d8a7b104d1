//! What a container says of a track.

use actors::domain::geometry::Orientation;
use ffmpeg_the_third::codec::{Id, Parameters};
use ffmpeg_the_third::format::stream::{Disposition, Stream};
use ffmpeg_the_third::media::Type;
use ffmpeg_the_third::{self as av, ffi};

/// Lengths that containers round are off by less than this.
const ROUNDED_NS: u64 = 1_500_000;

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

    /// Whether pictures may be shown in another order than they are decoded.
    pub fn reorders(&self) -> bool {
        self.raw().video_delay > 0
    }

    /// The four characters by which the container names the codec.
    pub fn tag(&self) -> [u8; 4] {
        self.raw().codec_tag.to_le_bytes()
    }

    /// Channels of a sound track.
    pub fn channels(&self) -> i32 {
        self.raw().ch_layout.nb_channels
    }

    /// The places of the channels, as GStreamer's mask; `None` where they are unknown or it has none for them.
    pub fn channel_mask(&self) -> Option<u64> {
        let layout = &self.raw().ch_layout;
        // SAFETY: a layout of the native order holds its mask in the union.
        let mask = (layout.order == ffi::AVChannelOrder::NATIVE).then_some(unsafe { layout.u.mask })?;
        to_gstreamer(mask)
    }

    /// Samples at the beginning of the track that only start its decoder.
    pub fn priming(&self) -> u64 {
        u64::from(self.parameters.initial_padding())
    }

    /// How long a packet of sound lasts, in nanoseconds, where that follows from its bytes: containers that count in
    /// milliseconds round it. Otherwise what the container `said`.
    pub(super) fn exact_ns(&self, bytes: &[u8], said: Option<u64>) -> Option<u64> {
        let rate = u64::from(self.parameters.sample_rate());
        if self.kind != Kind::Audio || rate == 0 {
            return said;
        }
        let samples = match self.codec {
            Id::FLAC => flac_samples(bytes),
            Id::DTS => dts_samples(bytes),
            Id::ALAC => alac_samples(bytes, self.configuration()),
            _ => {
                let size = i32::try_from(bytes.len()).unwrap_or(0);
                // SAFETY: the parameters are owned; the call only reads them.
                let samples = unsafe { ffi::av_get_audio_frame_duration2(self.parameters.as_ptr().cast_mut(), size) };
                u64::try_from(samples).ok().filter(|samples| *samples > 0)
            }
        };
        samples.map_or(said, |samples| self.near(samples, said))
    }

    /// How long so many samples last, in nanoseconds; what the container `said` where it is far from that, which is no rounding.
    pub(super) fn near(&self, samples: u64, said: Option<u64>) -> Option<u64> {
        let exact = samples * 1_000_000_000 / u64::from(self.parameters.sample_rate().max(1));
        Some(exact).filter(|exact| said.is_none_or(|said| said.abs_diff(*exact) < ROUNDED_NS)).or(said)
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

/// The mask of WAVE, which libav has, as GStreamer's: up to the rear centre both are the same, then GStreamer has a second
/// LFE in front of the sides. Places above and beyond are not in the films that are read.
const fn to_gstreamer(mask: u64) -> Option<u64> {
    const SAME: u64 = 0x1ff;
    const SIDES: u64 = 0x600;
    if mask & !(SAME | SIDES) == 0 { Some(mask & SAME | (mask & SIDES) << 1) } else { None }
}

/// Samples in a core frame of DTS (ETSI TS 102 114, 5.4.1): blocks of 32.
fn dts_samples(frame: &[u8]) -> Option<u64> {
    let &[0x7f, 0xfe, 0x80, 0x01, high, low, ..] = frame else { return None };
    Some((u64::from(high & 1) << 6 | u64::from(low >> 2)) * 32 + 32)
}

/// Samples in a packet of ALAC (its reference decoder, `ALACDecoder.cpp`): in the packet where they are not those of the
/// configuration, which may be in a box.
fn alac_samples(packet: &[u8], configuration: &[u8]) -> Option<u64> {
    // Three bits of kind and four of instance; twelve that are nothing; whether there is a number, behind three more bits.
    let head = u64::from_be_bytes(*packet.first_chunk()?);
    if head >> 44 & 1 == 1 {
        return Some(head >> 9 & 0xffff_ffff);
    }
    let at = if configuration.get(4..8) == Some(b"alac") { 12 } else { 0 };
    configuration.get(at..)?.first_chunk().map(|samples| u64::from(u32::from_be_bytes(*samples)))
}

/// Samples in a frame of FLAC (RFC 9639, 9.1).
fn flac_samples(frame: &[u8]) -> Option<u64> {
    let &[0xff, second, sizes, _, ref number @ ..] = frame else { return None };
    if second & 0xfc != 0xf8 {
        return None;
    }
    // Behind the number of the frame, which is coded as UTF-8 codes characters.
    let width = number.first().map_or(1, |first| (first.leading_ones() as usize).max(1));
    let rest = number.get(width..)?;
    Some(match sizes >> 4 {
        1 => 192,
        code @ 2..=5 => 576 << (code - 2),
        6 => u64::from(*rest.first()?) + 1,
        7 => (u64::from(*rest.first()?) << 8 | u64::from(*rest.get(1)?)) + 1,
        code @ 8..=15 => 256 << (code - 8),
        _ => return None,
    })
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
    fn a_frame_of_flac_says_how_many_samples_it_has() {
        assert_eq!(flac_samples(&[0xff, 0xf8, 0xc9, 0x18, 0x00]), Some(4096));
        assert_eq!(flac_samples(&[0xff, 0xf8, 0x59, 0x18, 0x00]), Some(4608));
        assert_eq!(flac_samples(&[0xff, 0xf8, 0x79, 0x18, 0x0a, 0x07, 0x7f]), Some(1920));
        assert_eq!(flac_samples(&[0xff, 0xf8, 0x69, 0x18, 0xc2, 0x80, 0x5f]), Some(96));
        for broken in [&[][..], &[0xff, 0xf8, 0x79], &[0xff, 0xf8, 0x79, 0x18, 0x0a], &[0xff, 0xf1, 0x50, 0x80, 0]] {
            assert_eq!(flac_samples(broken), None);
        }
    }

    #[test]
    fn a_frame_of_dts_says_how_many_samples_it_has() {
        assert_eq!(dts_samples(&[0x7f, 0xfe, 0x80, 0x01, 0xfc, 0x3c, 0x7d]), Some(512));
        assert_eq!(dts_samples(&[0x7f, 0xfe, 0x80, 0x01]), None);
        let whole = [&b"\0\0\0\x24alac\0\0\0\0"[..], &4096u32.to_be_bytes()].concat();
        // The last packet of a film, and one in its middle.
        let last = [0, 0, 0x10, 0, 0, 0x0e, 0, 0];
        assert_eq!(alac_samples(&last, &whole), Some(1792));
        assert_eq!(alac_samples(&[0x20, 0, 0, 0, 0, 0, 0, 0], &whole), Some(4096));
        assert_eq!(alac_samples(&[0x20, 0, 0, 0, 0, 0, 0, 0], &whole[12..]), Some(4096));
        assert_eq!(alac_samples(&[0x20], &whole), None);
    }

    #[test]
    fn sides_are_one_bit_higher_in_the_mask_of_gstreamer() {
        assert_eq!(to_gstreamer(0x3f), Some(0x3f));
        assert_eq!(to_gstreamer(0x60f), Some(0xc0f));
        assert_eq!(to_gstreamer(0x63f), Some(0xc3f));
        assert_eq!(to_gstreamer(0x1_0000), None);
    }

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
