//! The size of a rendition's picture: aspect ratio kept, even, square pixels, not larger than the source unless asked.

use serde::{Deserialize, Serialize};

use crate::domain::job::VideoSpec;

/// A picture size in square pixels, both even.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Size {
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
}

/// How the decoded picture has to be turned to stand upright, as the container says (GStreamer's `image-orientation`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Orientation {
    /// As it is.
    #[default]
    Rotate0,
    /// Clockwise by 90 degrees.
    Rotate90,
    /// By 180 degrees.
    Rotate180,
    /// Clockwise by 270 degrees.
    Rotate270,
    /// Mirrored left to right.
    FlipRotate0,
    /// Mirrored, then 90 degrees.
    FlipRotate90,
    /// Mirrored, then 180 degrees.
    FlipRotate180,
    /// Mirrored, then 270 degrees.
    FlipRotate270,
}

impl Orientation {
    /// Whether width and height change places.
    pub const fn swaps_sides(self) -> bool {
        matches!(self, Self::Rotate90 | Self::Rotate270 | Self::FlipRotate90 | Self::FlipRotate270)
    }
}

/// Size of the source as it is shown: pixel aspect ratio applied by stretching the width, then the orientation.
pub fn display_size(width: u32, height: u32, pixel_aspect: (u32, u32), orientation: Orientation) -> Size {
    let (num, den) = pixel_aspect;
    let width = if num == 0 || den == 0 {
        u64::from(width)
    } else {
        round_div(u64::from(width) * u64::from(num), u64::from(den))
    };
    let width = u32::try_from(width).unwrap_or(u32::MAX);
    if orientation.swaps_sides() { Size { width: height, height: width } } else { Size { width, height } }
}

/// Size of the rendition that `asked` describes for a source shown at `source`.
///
/// One side given: the other follows. Both given: the largest picture that fits into the box. None: the source's size.
pub fn rendition_size(source: Size, asked: &VideoSpec) -> Size {
    let (sw, sh) = (u64::from(source.width.max(1)), u64::from(source.height.max(1)));
    let mut box_w = asked.width.map(|d| u64::from(d.pixels()));
    let mut box_h = asked.height.map(|d| u64::from(d.pixels()));
    if !asked.upscale {
        box_w = box_w.map(|w| w.min(sw));
        box_h = box_h.map(|h| h.min(sh));
    }
    // The side that follows goes to the nearest even number, but not out of the box.
    let follow = |side: u64, num: u64, den: u64, limit: Option<u64>| {
        let nearest = round_div(side * num, 2 * den) * 2;
        even(limit.map_or(nearest, |limit| nearest.min(limit)))
    };
    let by_width = |w: u64| (even(w), follow(w, sh, sw, box_h));
    let by_height = |h: u64| (follow(h, sw, sh, box_w), even(h));
    let (width, height) = match (box_w, box_h) {
        (None, None) => (even(sw), even(sh)),
        (Some(w), None) => by_width(w),
        (None, Some(h)) => by_height(h),
        // The side that binds is the one whose scale is smaller: w / sw <= h / sh.
        (Some(w), Some(h)) if w * sh <= h * sw => by_width(w),
        (Some(_), Some(h)) => by_height(h),
    };
    Size { width, height }
}

fn round_div(num: u64, den: u64) -> u64 {
    (num + den / 2) / den
}

/// The nearest even number not above `value` + 1, at least 2: subsampled chroma needs even sides.
fn even(value: u64) -> u32 {
    u32::try_from(value.max(2) / 2 * 2).unwrap_or(u32::MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn asked(width: Option<u64>, height: Option<u64>, upscale: bool) -> VideoSpec {
        let side = |v: Option<u64>| v.map(|v| v.try_into().expect("a valid side"));
        VideoSpec {
            codec: crate::domain::job::VideoCodec::H264,
            width: side(width),
            height: side(height),
            bitrate: None,
            crf: None,
            preset: crate::domain::job::Preset::Fast,
            upscale,
        }
    }

    #[test]
    fn full_hd_to_720_lines_is_1280_wide() {
        let of_full_hd = |height| rendition_size(Size { width: 1920, height: 1080 }, &asked(None, Some(height), false));
        assert_eq!(of_full_hd(720), Size { width: 1280, height: 720 });
        assert_eq!(of_full_hd(480), Size { width: 854, height: 480 });
    }

    #[test]
    fn a_cinemascope_film_fits_into_the_box_without_losing_its_shape() {
        let size = rendition_size(Size { width: 1920, height: 804 }, &asked(Some(1280), Some(720), false));
        assert_eq!(size, Size { width: 1280, height: 536 });
    }

    #[test]
    fn a_small_source_is_not_made_larger_unless_asked() {
        let source = Size { width: 640, height: 360 };
        assert_eq!(rendition_size(source, &asked(Some(1280), Some(720), false)), source);
        assert_eq!(rendition_size(source, &asked(Some(1280), None, true)), Size { width: 1280, height: 720 });
    }

    #[test]
    fn anamorphic_and_turned_sources_are_measured_as_shown() {
        assert_eq!(display_size(720, 576, (64, 45), Orientation::Rotate0), Size { width: 1024, height: 576 });
        assert_eq!(display_size(1920, 1080, (1, 1), Orientation::Rotate90), Size { width: 1080, height: 1920 });
    }

    proptest! {
        #[test]
        fn sides_are_even_inside_the_box_and_keep_the_shape(
            sw in 16u32..8192, sh in 16u32..8192,
            w in proptest::option::of(8u64..4096), h in proptest::option::of(8u64..4096), upscale: bool,
        ) {
            let (w, h) = (w.map(|w| w * 2), h.map(|h| h * 2));
            let source = Size { width: sw, height: sh };
            let size = rendition_size(source, &asked(w, h, upscale));
            prop_assert!(size.width.is_multiple_of(2) && size.height.is_multiple_of(2) && size.width >= 2 && size.height >= 2);
            if let Some(w) = w { prop_assert!(u64::from(size.width) <= w); }
            if let Some(h) = h { prop_assert!(u64::from(size.height) <= h.max(2)); }
            if !upscale { prop_assert!(size.width <= sw + 1 && size.height <= sh + 1); }
            // Rounding to even moves each side by less than two pixels.
            let ideal = f64::from(size.width) * f64::from(sh) / f64::from(sw);
            let slack = 2.0 + 2.0 * f64::from(sh) / f64::from(sw);
            prop_assert!((ideal - f64::from(size.height)).abs() <= slack, "{size:?} of {source:?}");
        }
    }
}
