//! Pictures with an alpha channel, laid over black: what is made of them has none. Alpha is taken as straight, which is what
//! containers of films have.

use ffmpeg_the_third::{color, ffi, frame};

use super::component::Component;

/// Lays a picture over black, where its format has an alpha channel.
pub fn over_black(picture: &mut frame::Video) {
    // SAFETY: the picture is alive, and its descriptor static.
    let Some(described) = (unsafe { ffi::av_pix_fmt_desc_get(picture.format().into()).as_ref() }) else { return };
    let has = |flag: libc::c_int| described.flags & flag as u64 != 0;
    if !has(ffi::AV_PIX_FMT_FLAG_ALPHA) || has(ffi::AV_PIX_FMT_FLAG_PAL) {
        return;
    }
    // SAFETY: the picture is alive; where its decoder looks at its memory as well it gets a copy.
    if unsafe { ffi::av_frame_make_writable(picture.as_mut_ptr()) } < 0 {
        return;
    }
    let Some(mut components) = Component::all(picture) else { return };
    let Some(alpha) = components.pop() else { return };
    lay_all(components, alpha, has(ffi::AV_PIX_FMT_FLAG_RGB), picture.color_range() == color::Range::JPEG);
}

/// Lays a picture of luma and chroma over black, whose alpha channel is the luma of another picture of the same size.
pub fn over_black_by(picture: &mut frame::Video, alpha: &frame::Video) {
    // SAFETY: the picture is alive; where its decoder looks at its memory as well it gets a copy.
    if (picture.width(), picture.height()) != (alpha.width(), alpha.height())
        || unsafe { ffi::av_frame_make_writable(picture.as_mut_ptr()) } < 0
    {
        return;
    }
    let (components, alpha) = (Component::all(picture), Component::all(alpha).and_then(|all| all.first().copied()));
    if let (Some(components), Some(alpha)) = (components, alpha) {
        lay_all(components, alpha, false, picture.color_range() == color::Range::JPEG);
    }
}

fn lay_all(components: Vec<Component>, alpha: Component, rgb: bool, full: bool) {
    let full = full || rgb;
    for (number, component) in components.into_iter().enumerate() {
        let black = match number {
            0 if !full => 16 << component.depth >> 8,
            1 | 2 if !rgb => 128 << component.depth >> 8,
            _ => 0,
        };
        lay(component, alpha, black);
    }
}

fn lay(component: Component, alpha: Component, black: i64) {
    let whole = i64::from(alpha.whole());
    for y in 0..component.size.1 {
        for x in 0..component.size.0 {
            // SAFETY: a sample is that of a pixel of the picture, which belongs to nobody else.
            unsafe {
                let opaque = i64::from(alpha.get(x << component.shrunk.0, y << component.shrunk.1));
                if opaque < whole {
                    let above = i64::from(component.get(x, y)) - black;
                    let laid = black + (above * opaque + above.signum() * whole / 2) / whole;
                    component.set(x, y, u32::try_from(laid).unwrap_or(0));
                }
            }
        }
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
        // The first byte of each, which has the upper bits.
        assert_eq!(laid(Pixel::GBRAP12BE, &[(0, 0x0f), (1, 0x0f), (2, 0x0f), (3, 0)]), [0, 0, 0, 0]);
        assert_eq!(laid(Pixel::YA8, &[(0, 0)]), [16]);
        assert_eq!(laid(Pixel::GBRAP, &[(0, 200), (1, 100), (2, 0), (3, 0)]), [0, 0, 0, 0]);
    }

    #[test]
    fn pictures_without_an_alpha_channel_are_left_alone() {
        assert_eq!(laid(Pixel::YUV420P, &[(0, 235), (1, 90), (2, 240)]), [235, 90, 240]);
    }
}
