//! Pictures with an alpha channel, laid over black: what is made of them has none. Alpha is taken as straight, which is what
//! containers of films have.

use ffmpeg_the_third::{color, ffi, frame};

/// Where the samples of a component lie.
#[derive(Clone, Copy)]
struct Samples {
    data: *mut u8,
    stride: isize,
    step: usize,
    wide: bool,
    shift: u32,
    // Of x and y, by which there are fewer samples than pixels.
    shrunk: (u32, u32),
    size: (usize, usize),
}

impl Samples {
    /// That of a pixel.
    ///
    /// # Safety
    /// The pixel is one of the picture, which is alive.
    unsafe fn get(self, x: usize, y: usize) -> u32 {
        // SAFETY: the decoder filled the rows of the picture.
        unsafe {
            let at = self.data.offset(self.stride * y as isize).add(x * self.step);
            let value = if self.wide { u32::from(at.cast::<u16>().read_unaligned()) } else { u32::from(*at) };
            value >> self.shift
        }
    }

    /// # Safety
    /// As of [`Self::get`]; nobody else looks at the picture.
    unsafe fn set(self, x: usize, y: usize, value: u32) {
        // SAFETY: as above.
        unsafe {
            let at = self.data.offset(self.stride * y as isize).add(x * self.step);
            let value = value << self.shift;
            if self.wide { at.cast::<u16>().write_unaligned(value as u16) } else { *at = value as u8 }
        }
    }
}

/// Lays a picture over black, where its format has an alpha channel.
pub fn over_black(picture: &mut frame::Video) {
    // SAFETY: the picture is alive, and its descriptor static.
    let Some(described) = (unsafe { ffi::av_pix_fmt_desc_get(picture.format().into()).as_ref() }) else { return };
    let has = |flag: libc::c_int| described.flags & flag as u64 != 0;
    let unknown = [ffi::AV_PIX_FMT_FLAG_PAL, ffi::AV_PIX_FMT_FLAG_FLOAT, ffi::AV_PIX_FMT_FLAG_BITSTREAM];
    let foreign = has(ffi::AV_PIX_FMT_FLAG_BE) != cfg!(target_endian = "big") && described.comp[0].depth > 8;
    if !has(ffi::AV_PIX_FMT_FLAG_ALPHA) || described.nb_components != 4 || foreign || unknown.into_iter().any(has) {
        return;
    }
    // SAFETY: the picture is alive; where its decoder looks at its memory as well it gets a copy.
    if unsafe { ffi::av_frame_make_writable(picture.as_mut_ptr()) } < 0 {
        return;
    }
    let rgb = has(ffi::AV_PIX_FMT_FLAG_RGB);
    let components = [0, 1, 2, 3].map(|number| samples(picture, described, number, rgb));
    let alpha = components[3];
    let depth = u32::try_from(described.comp[0].depth).unwrap_or(8);
    let whole = (1u32 << depth) - 1;
    let luma = if rgb || picture.color_range() == color::Range::JPEG { 0 } else { 16 << (depth - 8) };
    let chroma = if rgb { 0 } else { 128 << (depth - 8) };
    for (samples, black) in components.into_iter().zip([luma, chroma, chroma]) {
        for y in 0..samples.size.1 {
            for x in 0..samples.size.0 {
                // SAFETY: a sample is that of a pixel of the picture, which belongs to nobody else.
                unsafe {
                    let opaque = i64::from(alpha.get(
                        (x << samples.shrunk.0).min(alpha.size.0 - 1),
                        (y << samples.shrunk.1).min(alpha.size.1 - 1),
                    ));
                    if opaque < i64::from(whole) {
                        let above = i64::from(samples.get(x, y)) - i64::from(black);
                        let laid = i64::from(black)
                            + (above * opaque + above.signum() * i64::from(whole) / 2) / i64::from(whole);
                        samples.set(x, y, u32::try_from(laid).unwrap_or(0).min(whole));
                    }
                }
            }
        }
    }
}

fn samples(picture: &frame::Video, described: &ffi::AVPixFmtDescriptor, number: usize, rgb: bool) -> Samples {
    // SAFETY: the picture is alive.
    let raw = unsafe { &*picture.as_ptr() };
    let part = &described.comp[number];
    let plane = usize::try_from(part.plane).unwrap_or(0);
    let shrinks = !rgb && (number == 1 || number == 2);
    let shrunk =
        if shrinks { (u32::from(described.log2_chroma_w), u32::from(described.log2_chroma_h)) } else { (0, 0) };
    let side = |side: i32, by: u32| usize::try_from(side).unwrap_or(0).div_ceil(1 << by);
    Samples {
        data: raw.data[plane].wrapping_add(usize::try_from(part.offset).unwrap_or(0)),
        stride: raw.linesize[plane] as isize,
        step: usize::try_from(part.step).unwrap_or(1),
        wide: part.depth + part.shift > 8,
        shift: u32::try_from(part.shift).unwrap_or(0),
        shrunk,
        size: (side(raw.width, shrunk.0), side(raw.height, shrunk.1)),
    }
}

#[cfg(test)]
mod tests {
    use ffmpeg_the_third::format::Pixel;

    use super::*;

    fn laid(format: Pixel, fill: &[(usize, u8)]) -> Vec<u8> {
        let mut picture = frame::Video::new(format, 4, 4);
        for (plane, value) in fill {
            picture.data_mut(*plane).fill(*value);
        }
        over_black(&mut picture);
        fill.iter().map(|(plane, _)| picture.data(*plane)[0]).collect()
    }

    #[test]
    fn what_is_transparent_is_black_and_what_is_opaque_is_as_it_was() {
        assert_eq!(laid(Pixel::YUVA420P, &[(0, 235), (1, 90), (2, 240), (3, 255)]), [235, 90, 240, 255]);
        assert_eq!(laid(Pixel::YUVA420P, &[(0, 235), (1, 90), (2, 240), (3, 0)]), [16, 128, 128, 0]);
        assert_eq!(laid(Pixel::YUVA444P, &[(0, 116), (1, 28), (2, 228), (3, 128)]), [66, 78, 178, 128]);
        assert_eq!(laid(Pixel::GBRAP, &[(0, 200), (1, 100), (2, 0), (3, 0)]), [0, 0, 0, 0]);
    }

    #[test]
    fn pictures_without_an_alpha_channel_are_left_alone() {
        assert_eq!(laid(Pixel::YUV420P, &[(0, 235), (1, 90), (2, 240)]), [235, 90, 240]);
    }
}
