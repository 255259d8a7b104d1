//! The samples of one component of a picture, in any format of whole numbers up to 16 bits: planar or packed, of either byte order.

use ffmpeg_the_third::{ffi, frame};

/// Where the samples of a component lie.
#[derive(Clone, Copy)]
pub struct Component {
    data: *mut u8,
    stride: isize,
    step: usize,
    wide: bool,
    big_endian: bool,
    shift: u32,
    /// Bits of a sample.
    pub depth: u32,
    /// Of x and y, by which there are fewer samples than pixels, as powers of two.
    pub shrunk: (u32, u32),
    /// Samples of a row, and rows.
    pub size: (usize, usize),
}

impl Component {
    /// All components of a picture, alpha last; `None` where its format has none that can be read like this: palettes, floating
    /// point, less than a byte, and what a device holds.
    pub fn all(picture: &frame::Video) -> Option<Vec<Self>> {
        // SAFETY: the picture is alive, and its descriptor static.
        let (raw, described) =
            unsafe { (&*picture.as_ptr(), ffi::av_pix_fmt_desc_get(picture.format().into()).as_ref()?) };
        let has = |flag: libc::c_int| described.flags & flag as u64 != 0;
        let unknown = [
            ffi::AV_PIX_FMT_FLAG_PAL,
            ffi::AV_PIX_FMT_FLAG_FLOAT,
            ffi::AV_PIX_FMT_FLAG_BITSTREAM,
            ffi::AV_PIX_FMT_FLAG_HWACCEL,
            ffi::AV_PIX_FMT_FLAG_BAYER,
        ];
        if unknown.into_iter().any(has) || raw.width < 1 || raw.height < 1 {
            return None;
        }
        let chroma =
            |number: usize| !has(ffi::AV_PIX_FMT_FLAG_RGB) && described.nb_components > 2 && (1..3).contains(&number);
        let component = |number: usize| {
            let part = &described.comp[number];
            let plane = usize::try_from(part.plane).ok()?;
            let data = *raw.data.get(plane)?;
            let (shift, depth) = (u32::try_from(part.shift).ok()?, u32::try_from(part.depth).ok()?);
            let shrunk = match chroma(number) {
                true => (u32::from(described.log2_chroma_w), u32::from(described.log2_chroma_h)),
                false => (0, 0),
            };
            let side = |side: i32, by: u32| usize::try_from(side).unwrap_or(0).div_ceil(1 << by);
            (!data.is_null() && (1..=16).contains(&depth)).then_some(Self {
                data: data.wrapping_add(usize::try_from(part.offset).ok()?),
                stride: raw.linesize[plane] as isize,
                step: usize::try_from(part.step).ok()?,
                wide: depth + shift > 8,
                big_endian: has(ffi::AV_PIX_FMT_FLAG_BE),
                shift,
                depth,
                shrunk,
                size: (side(raw.width, shrunk.0), side(raw.height, shrunk.1)),
            })
        };
        (0..usize::from(described.nb_components)).map(component).collect()
    }

    /// The largest sample.
    pub const fn whole(self) -> u32 {
        (1 << self.depth) - 1
    }

    /// A sample; beyond the last one of a row or column it is that one.
    ///
    /// # Safety
    /// The picture is alive.
    pub unsafe fn get(self, x: usize, y: usize) -> u32 {
        // SAFETY: the decoder filled the rows of the picture.
        unsafe {
            let at = self.at(x.min(self.size.0 - 1), y.min(self.size.1 - 1));
            self.read(at) >> self.shift & self.whole()
        }
    }

    /// Replaces a sample.
    ///
    /// # Safety
    /// The picture is alive, it has that sample, and nobody else looks at it.
    pub unsafe fn set(self, x: usize, y: usize, value: u32) {
        // SAFETY: as above.
        unsafe {
            let at = self.at(x, y);
            // Packed formats have other components in the same bytes.
            let others = self.read(at) & !(self.whole() << self.shift);
            let value = others | value.min(self.whole()) << self.shift;
            match (self.wide, self.big_endian) {
                (false, _) => *at = value as u8,
                (true, false) => at.cast::<[u8; 2]>().write((value as u16).to_le_bytes()),
                (true, true) => at.cast::<[u8; 2]>().write((value as u16).to_be_bytes()),
            }
        }
    }

    /// # Safety
    /// The picture has that sample.
    unsafe fn at(self, x: usize, y: usize) -> *mut u8 {
        // SAFETY: the decoder filled the rows of the picture.
        unsafe { self.data.offset(self.stride * y as isize).add(x * self.step) }
    }

    /// # Safety
    /// There is a sample.
    unsafe fn read(self, at: *const u8) -> u32 {
        // SAFETY: as above.
        unsafe {
            match (self.wide, self.big_endian) {
                (false, _) => u32::from(*at),
                (true, false) => u32::from(u16::from_le_bytes(at.cast::<[u8; 2]>().read())),
                (true, true) => u32::from(u16::from_be_bytes(at.cast::<[u8; 2]>().read())),
            }
        }
    }
}
