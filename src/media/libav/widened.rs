//! Pictures of formats that GStreamer has not, in one that it has and that holds as much as anything here is made of: twelve bits
//! and all chroma.

use ffmpeg_the_third::format::Pixel;
use ffmpeg_the_third::{color, ffi, frame};

use super::component::Component;

/// The picture in another format; `None` where nothing here reads its own.
pub fn widened(picture: &frame::Video) -> Option<frame::Video> {
    // SAFETY: the descriptor is static.
    let described = unsafe { ffi::av_pix_fmt_desc_get(picture.format().into()).as_ref()? };
    let has = |flag: libc::c_int| described.flags & flag as u64 != 0;
    let rgb = has(ffi::AV_PIX_FMT_FLAG_RGB);
    if has(ffi::AV_PIX_FMT_FLAG_XYZ) {
        return None;
    }
    let mut components = Component::all(picture)?;
    if has(ffi::AV_PIX_FMT_FLAG_ALPHA) {
        components.pop();
    }
    let format = match (components.len(), rgb) {
        (1, false) => Pixel::GRAY16LE,
        (3, false) => Pixel::YUV444P12LE,
        (3, true) => Pixel::GBRP12LE,
        _ => return None,
    };
    let mut made = frame::Video::new(format, picture.width(), picture.height());
    // SAFETY: both are alive. Times, colours and flags go along.
    if unsafe { ffi::av_frame_copy_props(made.as_mut_ptr(), picture.as_ptr()) } < 0 {
        return None;
    }
    // Where all values have a meaning the largest one stays the largest.
    let full = rgb || picture.color_range() == color::Range::JPEG;
    for (number, (from, to)) in components.into_iter().zip(Component::all(&made)?).enumerate() {
        let stretched = full && (rgb || number == 0);
        for y in 0..to.size.1 {
            for x in 0..to.size.0 {
                // SAFETY: both have that pixel, and nobody else knows the new picture.
                unsafe {
                    let value = from.get(x >> from.shrunk.0, y >> from.shrunk.1);
                    let value = match stretched {
                        true => (value * to.whole() + from.whole() / 2) / from.whole(),
                        false => value << to.depth >> from.depth,
                    };
                    to.set(x, y, value);
                }
            }
        }
    }
    Some(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corner(format: Pixel, bytes: &[(usize, &[u8])]) -> Vec<u32> {
        let mut picture = frame::Video::new(format, 4, 4);
        for (plane, first) in bytes {
            picture.data_mut(*plane)[..first.len()].copy_from_slice(first);
        }
        let made = widened(&picture).expect("a picture");
        // SAFETY: the picture is alive.
        Component::all(&made).expect("components").iter().map(|part| unsafe { part.get(0, 0) }).collect()
    }

    #[test]
    fn the_largest_red_stays_the_largest_and_video_levels_keep_their_places() {
        assert_eq!(corner(Pixel::RGB48BE, &[(0, &[0xff, 0xff, 0x80, 0, 0, 0])]), [4095, 2048, 0]);
        assert_eq!(corner(Pixel::YUV440P, &[(0, &[235]), (1, &[128]), (2, &[16])]), [235 << 4, 128 << 4, 16 << 4]);
        assert_eq!(corner(Pixel::YUV420P16LE, &[(0, &[0, 235]), (1, &[0, 128]), (2, &[0, 16])]), [3760, 2048, 256]);
        assert_eq!(corner(Pixel::YA8, &[(0, &[16, 255])]), [16 << 8]);
    }

    #[test]
    fn what_has_no_such_samples_is_not_read() {
        assert!(widened(&frame::Video::new(Pixel::MonoBlack, 8, 8)).is_none());
    }
}
