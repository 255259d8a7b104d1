//! Scales one plane of 8-bit samples: first down the columns, row by row, then along the new row.

use super::rows::{BLOCK, Rows};
use super::taps::Taps;

/// Samples in memory, row after row at a distance of `stride` bytes.
#[derive(Clone, Copy, Debug)]
pub struct Plane<'a> {
    /// All of them.
    pub samples: &'a [u8],
    /// Bytes from row to row.
    pub stride: usize,
}

/// Scales planes of one size to another.
#[derive(Debug)]
pub struct PlaneScaler {
    source: (usize, usize),
    target: (usize, usize),
    across: Taps,
    down: Taps,
    rows: Rows,
    row: Vec<i16>,
}

impl PlaneScaler {
    /// From planes of `source` samples, width and height, to planes of `target` samples. No side is empty.
    pub fn new(source: (usize, usize), target: (usize, usize)) -> Self {
        Self::with(Rows::detect(), source, target)
    }

    fn with(rows: Rows, source: (usize, usize), target: (usize, usize)) -> Self {
        let across = Taps::new(source.0, target.0, BLOCK);
        let down = Taps::new(source.1, target.1, 2);
        // What is behind a short row has no weight.
        let row = vec![0; source.0.max(across.end())];
        Self { source, target, across, down, rows, row }
    }

    /// Scales `from` into `into`, whose rows are `stride` bytes apart. Both hold all of their rows.
    pub fn scale(&mut self, from: Plane<'_>, into: &mut [u8], stride: usize) {
        let (width, height) = self.source;
        let mut rows = Vec::with_capacity(self.down.count());
        for (y, out) in into.chunks_mut(stride).take(self.target.1).enumerate() {
            let start = self.down.starts()[y] as usize;
            rows.clear();
            rows.extend(
                (start..start + self.down.count()).map(|y| &from.samples[y.min(height - 1) * from.stride..][..width]),
            );
            self.rows.blend(&rows, self.down.of(y), &mut self.row[..width]);
            self.rows.filter(&self.row, &self.across, &mut out[..self.target.0]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes of ladders, odd ones, smaller and larger ones than the source, and the smallest.
    const SIZES: [((usize, usize), (usize, usize)); 12] = [
        ((1920, 1080), (1280, 720)),
        ((1920, 1080), (854, 480)),
        ((1920, 1080), (640, 360)),
        ((960, 540), (427, 240)),
        ((853, 481), (426, 241)),
        ((320, 180), (1280, 720)),
        ((97, 61), (211, 133)),
        ((640, 360), (640, 180)),
        ((640, 360), (320, 360)),
        ((7, 5), (40, 40)),
        ((3840, 16), (16, 16)),
        ((1, 1), (9, 9)),
    ];

    fn picture(size: (usize, usize), stride: usize, sample: impl Fn(f64, f64) -> f64) -> Vec<u8> {
        let at = |n: usize, side: usize| (n as f64 + 0.5) / side as f64;
        let rows = (0..size.1).flat_map(|y| (0..stride).map(move |x| (x, y)));
        // What is behind a row must not be seen.
        rows.map(|(x, y)| if x < size.0 { sample(at(x, size.0), at(y, size.1)).round() as u8 } else { 77 }).collect()
    }

    fn scaled(rows: Rows, from: (usize, usize), into: (usize, usize), sample: impl Fn(f64, f64) -> f64) -> Vec<u8> {
        let (stride, target) = (from.0 + 5, into.0 + 3);
        let source = picture(from, stride, sample);
        let mut made = vec![99; target * into.1];
        PlaneScaler::with(rows, from, into).scale(Plane { samples: &source, stride }, &mut made, target);
        assert!(made.chunks(target).all(|row| row[into.0..] == [99; 3]), "nothing is written behind a row");
        made.chunks(target).flat_map(|row| &row[..into.0]).copied().collect()
    }

    #[test]
    fn every_processor_makes_the_same_picture() {
        let sample = |x: f64, y: f64| ((x * 7919.0 + y * 104_729.0).sin() * 1e4).rem_euclid(255.0);
        for (from, into) in SIZES {
            let plain = scaled(Rows::Plain, from, into, sample);
            assert!(plain == scaled(Rows::detect(), from, into, sample), "{from:?} to {into:?}");
        }
    }

    #[test]
    fn a_picture_of_one_colour_stays_so() {
        for (from, into) in SIZES {
            for colour in [0, 1, 16, 128, 235, 254, 255] {
                let made = scaled(Rows::detect(), from, into, |_, _| f64::from(colour));
                assert!(made.iter().all(|sample| i32::from(*sample) == colour), "{from:?} to {into:?}: {colour}");
            }
        }
    }

    #[test]
    fn a_slope_stays_where_it_is() {
        for (from, into) in SIZES.into_iter().filter(|(from, _)| from.0.min(from.1) >= 60) {
            let slope = |x: f64, y: f64| 20.0 + 110.0 * x + 90.0 * y;
            let (made, ideal) = (scaled(Rows::detect(), from, into, slope), picture(into, into.0, slope));
            // At the edges the picture is continued flat.
            let inner = |at: &usize| {
                let (x, y) = (at % into.0, at / into.0);
                let edge = |side: usize, small: usize| 2 + 2 * side.div_ceil(small);
                let (across, down) = (edge(into.0, from.0), edge(into.1, from.1));
                (across..into.0 - across).contains(&x) && (down..into.1 - down).contains(&y)
            };
            let worst = (0..made.len()).filter(inner).map(|at| made[at].abs_diff(ideal[at])).max();
            assert!(worst.is_some_and(|worst| worst <= 1), "{from:?} to {into:?}: {worst:?}");
        }
    }

    #[test]
    fn edges_of_black_and_white_are_clamped() {
        let bars = |x: f64, _: f64| if ((x * 20.0) as u32).is_multiple_of(2) { 0.0 } else { 255.0 };
        let made = scaled(Rows::detect(), (320, 180), (1280, 720), bars);
        assert!(made.chunks(1280).all(|row| row[..48] == [0; 48] && row[80..112] == [255; 32]));
    }

    #[test]
    fn the_same_size_gives_the_same_picture() {
        let sample = |x: f64, y: f64| ((x * 31.0 + y * 17.0) * 64.0).rem_euclid(255.0);
        assert!(scaled(Rows::detect(), (97, 61), (97, 61), sample) == picture((97, 61), 97, sample));
    }
}
