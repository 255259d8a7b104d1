//! Small pictures to compare with: the mean colours of the fields of a grid, in RGB as the tags of the picture say it is to be
//! understood, so that a wrong matrix or range shows as another colour. Reads samples by itself, and not as those who make pictures do
//! ([`super::component`]), with whom it would be wrong together.

use actors::domain::geometry::Orientation;
use ffmpeg_the_third::{color, ffi, format, frame};

/// Fields from left to right and from top to bottom.
pub const SIDE: usize = 32;
/// High definition begins here: what says nothing of its matrix has that of BT.709 from here on, else that of BT.601.
const HD_LINES: u32 = 577;

/// The fields of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thumbnail {
    /// Row by row.
    fields: Vec<[u8; 3]>,
    /// How many fields of a row and of a column differ: less than all in a picture that has fewer samples. A power of two.
    detail: usize,
}

/// How the samples of a picture are laid out and what they mean.
struct Form {
    matrix: Matrix,
    full: bool,
    rgb: bool,
    depth: i32,
}

/// Weights of red and blue in luma (ISO/IEC 23091-2, table 4).
type Matrix = (f64, f64);

impl Thumbnail {
    /// That of a picture; `None` where its format has no samples that can be averaged: floating point, or less than a byte.
    pub fn of(picture: &frame::Video) -> Option<Self> {
        // SAFETY: the picture is alive, and its descriptor static.
        let (raw, described) = unsafe {
            let raw = &*picture.as_ptr();
            (raw, ffi::av_pix_fmt_desc_get(picture.format().into()).as_ref()?)
        };
        let has = |flag: libc::c_int| described.flags & flag as u64 != 0;
        let unknown = [
            ffi::AV_PIX_FMT_FLAG_BITSTREAM,
            ffi::AV_PIX_FMT_FLAG_HWACCEL,
            ffi::AV_PIX_FMT_FLAG_BAYER,
            ffi::AV_PIX_FMT_FLAG_FLOAT,
        ];
        if unknown.into_iter().any(has) {
            return None;
        }
        let (width, height) = (usize::try_from(raw.width).ok()?, usize::try_from(raw.height).ok()?);
        if has(ffi::AV_PIX_FMT_FLAG_PAL) {
            return Self::of_palette(raw, (width, height));
        }
        let (rgb, big_endian) = (has(ffi::AV_PIX_FMT_FLAG_RGB), has(ffi::AV_PIX_FMT_FLAG_BE));
        let (mut planes, mut detail) = (Vec::new(), SIDE);
        let components = if described.nb_components < 3 { 1 } else { 3 };
        for (number, part) in described.comp.iter().enumerate().take(components) {
            let chroma = !rgb && number > 0;
            let shrunk = |side: usize, by: u8| if chroma { side.div_ceil(1 << by) } else { side };
            let size = (shrunk(width, described.log2_chroma_w), shrunk(height, described.log2_chroma_h));
            detail = detail.min(detail_of(size)?);
            let (step, offset, wide) = (part.step as usize, part.offset as usize, part.depth + part.shift > 8);
            let row = (size.0.checked_sub(1)?) * step + offset + 1 + usize::from(wide);
            let (bytes, stride) = rows(raw, usize::try_from(part.plane).ok()?, row, size.1)?;
            let mask = (1u32 << part.depth) - 1;
            if step == 1 && part.depth == 8 && size.0.min(size.1) >= SIDE {
                planes.push(means_of_bytes(size, bytes, stride));
                continue;
            }
            planes.push(means(size, |x, y| {
                let at = y * stride + offset + x * step;
                let value = match (wide, big_endian) {
                    (false, _) => u32::from(bytes[at]),
                    (true, false) => u32::from(u16::from_le_bytes([bytes[at], bytes[at + 1]])),
                    (true, true) => u32::from(u16::from_be_bytes([bytes[at], bytes[at + 1]])),
                };
                (value >> part.shift & mask) as f32
            }));
        }
        let form = Form::of(picture, rgb, described.comp[0].depth);
        let field = |at: usize| {
            let neutral = f64::from(1u32 << (form.depth - 1));
            let sample = |number: usize| planes.get(number).map_or(neutral, |plane| plane[at]);
            form.colour([sample(0), sample(1), sample(2)])
        };
        Some(Self { fields: (0..SIDE * SIDE).map(field).collect(), detail })
    }

    /// That of a picture whose bytes are places in a list of colours, which is its second plane.
    fn of_palette(raw: &ffi::AVFrame, size: (usize, usize)) -> Option<Self> {
        let detail = detail_of(size)?;
        let (bytes, stride) = rows(raw, 0, size.0, size.1)?;
        // SAFETY: a picture with a palette has 256 colours of four bytes there.
        let colours = unsafe {
            let palette = raw.data[1].cast::<u32>();
            (!palette.is_null()).then(|| std::slice::from_raw_parts(palette, 256))?
        };
        // Alpha, red, green, blue, in the order of the machine.
        let [red, green, blue] = [16, 8, 0]
            .map(|shift| means(size, |x, y| (colours[usize::from(bytes[y * stride + x])] >> shift & 0xff) as f32));
        let fields = (0..SIDE * SIDE).map(|at| [&red, &green, &blue].map(|plane| plane[at].round() as u8));
        Some(Self { fields: fields.collect(), detail })
    }
}

/// How many fields of a row and of a column a plane of this size can tell; `None` where it has no samples.
fn detail_of((width, height): (usize, usize)) -> Option<usize> {
    width.min(height).min(SIDE).checked_ilog2().map(|power| 1 << power)
}

/// The bytes of a plane with so many rows of so many bytes that count, and the distance of its rows.
fn rows(raw: &ffi::AVFrame, plane: usize, row_bytes: usize, height: usize) -> Option<(&[u8], usize)> {
    let stride = usize::try_from(*raw.linesize.get(plane)?).ok().filter(|stride| *stride >= row_bytes)?;
    let data = *raw.data.get(plane)?;
    let length = stride * height.checked_sub(1)? + row_bytes;
    // SAFETY: the decoder filled so many rows of so many bytes.
    (!data.is_null()).then(|| (unsafe { std::slice::from_raw_parts(data, length) }, stride))
}

/// The means of samples in each field of the grid. One on the border of two fields counts for both, with its shares.
fn means((width, height): (usize, usize), sample: impl Fn(usize, usize) -> f32) -> Vec<f64> {
    // Where there are fewer samples than fields, each one stands for a square of them.
    let times = SIDE.div_ceil(width.min(height));
    let (width, height) = (width * times, height * times);
    let columns: Vec<_> = (0..width).map(|x| share(x, width)).collect();
    let mut sums = vec![0.0f64; SIDE * SIDE];
    let mut row = [0.0f32; SIDE + 1];
    for y in 0..height {
        row.fill(0.0);
        for (x, (field, first)) in columns.iter().enumerate() {
            let value = sample(x / times, y / times);
            row[*field] += value * first;
            row[*field + 1] += value * (1.0 - first);
        }
        add_row(&mut sums, &row, share(y, height));
    }
    let area = (width * height) as f64 / (SIDE * SIDE) as f64;
    sums.iter_mut().for_each(|sum| *sum /= area);
    sums
}

/// The same of a plane of bytes that is as large as the grid at least, for whole fields at once.
fn means_of_bytes((width, height): (usize, usize), bytes: &[u8], stride: usize) -> Vec<f64> {
    let mut columns = vec![(0, 0, 0.0); SIDE];
    for x in 0..width {
        let (field, first) = share(x, width);
        let (begin, end, border) = &mut columns[field];
        if *end == 0 {
            *begin = x;
        }
        *end = x + usize::from(first == 1.0);
        *border = if first == 1.0 { 0.0 } else { first };
    }
    let mut sums = vec![0.0f64; SIDE * SIDE];
    let mut row = [0.0f32; SIDE + 1];
    for y in 0..height {
        row.fill(0.0);
        let samples = &bytes[y * stride..y * stride + width];
        for (field, &(begin, end, border)) in columns.iter().enumerate() {
            row[field] += samples[begin..end].iter().map(|byte| u32::from(*byte)).sum::<u32>() as f32;
            if border > 0.0 {
                let value = f32::from(samples[end]);
                row[field] += value * border;
                row[field + 1] += value * (1.0 - border);
            }
        }
        add_row(&mut sums, &row, share(y, height));
    }
    let area = (width * height) as f64 / (SIDE * SIDE) as f64;
    sums.iter_mut().for_each(|sum| *sum /= area);
    sums
}

/// Adds the sums of a row to those of the fields that it lies in.
fn add_row(sums: &mut [f64], row: &[f32; SIDE + 1], (field, first): (usize, f32)) {
    for (column, sum) in row[..SIDE].iter().enumerate() {
        sums[field * SIDE + column] += f64::from(sum * first);
        if field + 1 < SIDE {
            sums[(field + 1) * SIDE + column] += f64::from(sum * (1.0 - first));
        }
    }
}

/// The field in which a sample begins, and the share of it that lies there.
fn share(at: usize, of: usize) -> (usize, f32) {
    let (begin, end) = (at * SIDE, (at + 1) * SIDE);
    let field = begin / of;
    let border = (field + 1) * of;
    (field, if end <= border { 1.0 } else { (border - begin) as f32 / SIDE as f32 })
}

impl Form {
    fn of(picture: &frame::Video, rgb: bool, depth: i32) -> Self {
        const BT601: Matrix = (0.299, 0.114);
        const BT709: Matrix = (0.2126, 0.0722);
        let matrix = match picture.color_space() {
            color::Space::BT709 => BT709,
            color::Space::BT2020NCL | color::Space::BT2020CL => (0.2627, 0.0593),
            color::Space::BT470BG | color::Space::SMPTE170M => BT601,
            color::Space::SMPTE240M => (0.212, 0.087),
            color::Space::FCC => (0.3, 0.11),
            _ if picture.height() >= HD_LINES => BT709,
            _ => BT601,
        };
        use format::Pixel::{YUVJ411P, YUVJ420P, YUVJ422P, YUVJ440P, YUVJ444P};
        let always = [YUVJ411P, YUVJ420P, YUVJ422P, YUVJ440P, YUVJ444P].contains(&picture.format());
        let full = always || picture.color_range() == color::Range::JPEG;
        Self { matrix, full, rgb, depth }
    }

    /// Red, green and blue of a mean; the formula is linear, so that it may come after the mean.
    fn colour(&self, [first, second, third]: [f64; 3]) -> [u8; 3] {
        let whole = f64::from((1u32 << self.depth) - 1);
        let byte = |value: f64| (value * 255.0).round().clamp(0.0, 255.0) as u8;
        if self.rgb {
            return [first, second, third].map(|value| byte(value / whole));
        }
        let unit = f64::from(1u32 << (self.depth - 8));
        let (luma, blue, red) = match self.full {
            true => (first / whole, (second - 128.0 * unit) / whole, (third - 128.0 * unit) / whole),
            false => (
                (first - 16.0 * unit) / (219.0 * unit),
                (second - 128.0 * unit) / (224.0 * unit),
                (third - 128.0 * unit) / (224.0 * unit),
            ),
        };
        let (of_red, of_blue) = self.matrix;
        let r = luma + 2.0 * (1.0 - of_red) * red;
        let b = luma + 2.0 * (1.0 - of_blue) * blue;
        let g = (luma - of_red * r - of_blue * b) / (1.0 - of_red - of_blue);
        [byte(r), byte(g), byte(b)]
    }
}

/// How much two thumbnails differ: means of the colours, of 255.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// Over all fields.
    pub mean: f64,
    /// Over the tenth of the fields that differ most.
    pub worst: f64,
    /// Fields of a row and of a column that were compared.
    pub detail: usize,
}

impl Thumbnail {
    /// The picture turned.
    pub fn turned(&self, orientation: Orientation) -> Self {
        use Orientation::{
            FlipRotate0, FlipRotate90, FlipRotate180, FlipRotate270, Rotate0, Rotate90, Rotate180, Rotate270,
        };
        let last = SIDE - 1;
        let from = |x: usize, y: usize| match orientation {
            Rotate0 => (x, y),
            Rotate90 => (y, last - x),
            Rotate180 => (last - x, last - y),
            Rotate270 => (last - y, x),
            FlipRotate0 => (last - x, y),
            FlipRotate90 => (last - y, last - x),
            FlipRotate180 => (x, last - y),
            FlipRotate270 => (y, x),
        };
        let field = |at: usize| {
            let (x, y) = from(at % SIDE, at / SIDE);
            self.fields[y * SIDE + x]
        };
        Self { fields: (0..SIDE * SIDE).map(field).collect(), detail: self.detail }
    }

    /// How much it differs from another one, in the detail that both have.
    pub fn difference(&self, other: &Self) -> Difference {
        let detail = self.detail.min(other.detail);
        let field = |(one, other): (&[f64; 3], &[f64; 3])| {
            one.iter().zip(other).map(|(one, other)| (one - other).abs()).sum::<f64>() / 3.0
        };
        let (one, other) = (self.blocks(detail), other.blocks(detail));
        let mut fields: Vec<f64> = one.iter().zip(&other).map(field).collect();
        fields.sort_unstable_by(|one, other| other.total_cmp(one));
        let mean = |fields: &[f64]| fields.iter().sum::<f64>() / fields.len().max(1) as f64;
        Difference { mean: mean(&fields), worst: mean(&fields[..fields.len().div_ceil(10)]), detail }
    }

    /// The means of blocks of fields, so many in a row and in a column.
    fn blocks(&self, detail: usize) -> Vec<[f64; 3]> {
        let step = SIDE / detail;
        let mut blocks = vec![[0.0; 3]; detail * detail];
        for (at, field) in self.fields.iter().enumerate() {
            let block = &mut blocks[at / SIDE / step * detail + at % SIDE / step];
            for (sum, colour) in block.iter_mut().zip(field) {
                *sum += f64::from(*colour) / (step * step) as f64;
            }
        }
        blocks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Another colour in each field.
    fn picture() -> Thumbnail {
        let fields = (0..SIDE * SIDE).map(|at| [(at % SIDE * 8) as u8, (at / SIDE * 8) as u8, 7]).collect();
        Thumbnail { fields, detail: SIDE }
    }

    #[test]
    fn turning_is_clockwise_and_mirrors_come_first() {
        let (picture, last) = (picture(), SIDE - 1);
        let at = |picture: &Thumbnail, x: usize, y: usize| picture.fields[y * SIDE + x];
        // What is in the upper left corner of the picture is in the upper right one of the picture turned clockwise.
        assert_eq!(at(&picture.turned(Orientation::Rotate90), last, 0), at(&picture, 0, 0));
        assert_eq!(at(&picture.turned(Orientation::Rotate270), 0, last), at(&picture, 0, 0));
        let mirrored = picture.turned(Orientation::FlipRotate0);
        assert_eq!(mirrored.turned(Orientation::Rotate90), picture.turned(Orientation::FlipRotate90));
        assert_eq!(mirrored.turned(Orientation::Rotate180), picture.turned(Orientation::FlipRotate180));
        assert_eq!(mirrored.turned(Orientation::Rotate270), picture.turned(Orientation::FlipRotate270));
    }

    #[test]
    fn the_mean_of_a_slope_is_a_slope_whatever_the_size() {
        for (width, height) in [(32, 32), (33, 50), (160, 90), (1000, 77), (16, 16), (8, 40)] {
            let fields = means((width, height), |x, _| (x as f32 + 0.5) * 255.0 / width as f32);
            for (at, mean) in fields.iter().enumerate() {
                let right = ((at % SIDE) as f64 + 0.5) * 255.0 / SIDE as f64;
                // Where there are fewer samples than fields, the middle of one may be half a sample away.
                let slack = if width.min(height) < SIDE { 127.5 / width as f64 + 0.1 } else { 0.6 };
                assert!((mean - right).abs() < slack, "{width}x{height}: {mean} in field {at}, not {right}");
            }
        }
    }

    #[test]
    fn the_fields_of_a_plane_of_bytes_are_the_means_of_its_samples() {
        for (width, height) in [(32, 32), (33, 50), (160, 90), (1000, 77), (1920, 40)] {
            let stride = width + 5;
            let bytes: Vec<u8> = (0..stride * height).map(|at| (at * at / 7 + at) as u8).collect();
            let slow = means((width, height), |x, y| f32::from(bytes[y * stride + x]));
            let fast = means_of_bytes((width, height), &bytes, stride);
            for (at, (slow, fast)) in slow.iter().zip(&fast).enumerate() {
                assert!((slow - fast).abs() < 0.01, "{width}x{height}: {fast} in field {at}, not {slow}");
            }
        }
    }

    #[test]
    fn a_picture_with_few_samples_is_compared_in_the_detail_that_it_has() {
        let slope = |side: usize| {
            let plane = means((side, side), |x, _| (x as f32 + 0.5) * 255.0 / side as f32);
            let fields = plane.iter().map(|mean| [mean.round() as u8; 3]).collect();
            Thumbnail { fields, detail: detail_of((side, side)).expect("samples") }
        };
        assert_eq!([1, 8, 9, 31, 32, 1000].map(|side| detail_of((side, 2000))), [1, 8, 8, 16, 32, 32].map(Some));
        assert!(slope(320).difference(&slope(8)).worst < 1.0);
        let mut other = slope(8);
        other.fields.reverse();
        assert!(slope(320).difference(&other).mean > 50.0);
    }

    #[test]
    fn a_sample_on_a_border_counts_for_both_fields() {
        assert_eq!((share(0, 32), share(31, 32)), ((0, 1.0), (31, 1.0)));
        // Three samples for two fields, sixteen times.
        assert_eq!([share(0, 48), share(1, 48), share(2, 48)], [(0, 1.0), (0, 0.5), (1, 1.0)]);
        for of in [1, 7, 31, 33, 100, 1920] {
            let sum: f32 = (0..of).map(|at| share(at, of).1).sum();
            assert!(share(of - 1, of).0 < SIDE && sum > 0.0);
        }
    }

    #[test]
    fn a_broken_tenth_shows_in_the_worst_and_hardly_in_the_mean() {
        let right = picture();
        let mut broken = right.clone();
        broken.fields[..SIDE * SIDE / 10].fill([255, 0, 255]);
        let found = right.difference(&broken);
        assert!(found.worst > 90.0 && found.mean < found.worst / 9.0, "{found:?}");
        assert_eq!(right.difference(&right), Difference { mean: 0.0, worst: 0.0, detail: SIDE });
    }
}
