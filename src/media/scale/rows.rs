//! The arithmetic of a row, in whole numbers only: the vector code gives what the plain code gives, to the bit.

use super::taps::Taps;

/// Bits behind the point of what [`Rows::blend`] gives: with the overshoot of the filter it fits 16 bits.
const FRACTION: u32 = 6;
const BLEND_SHIFT: u32 = 14 - FRACTION;
const FILTER_SHIFT: u32 = 14 + FRACTION;
/// The taps of [`Rows::filter`] come in blocks of so many.
pub const BLOCK: usize = 8;

/// How this processor computes rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// On every processor.
    Plain,
    /// With AVX2; only [`Rows::detect`] may make this.
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

impl Rows {
    /// The fastest way that this processor has.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            return Self::Avx2;
        }
        Self::Plain
    }

    /// One row out of several: the sum of each sample of `rows` times the weight of its row. There are as many weights as
    /// rows, an even number, and all rows are as long as `out`.
    pub fn blend(self, rows: &[&[u8]], weights: &[i16], out: &mut [i16]) {
        assert!(
            rows.len() == weights.len()
                && rows.len().is_multiple_of(2)
                && rows.iter().all(|row| row.len() == out.len())
        );
        match self {
            Self::Plain => blend(rows, weights, out),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the processor has AVX2, and the lengths were compared above.
            Self::Avx2 => unsafe { avx2::blend(rows, weights, out) },
        }
    }

    /// A row of the new width out of what [`Self::blend`] gave. `row` is as long as the taps reach, their number a multiple
    /// of [`BLOCK`].
    pub fn filter(self, row: &[i16], taps: &Taps, out: &mut [u8]) {
        assert!(taps.count().is_multiple_of(BLOCK) && taps.starts().len() == out.len() && taps.end() <= row.len());
        match self {
            Self::Plain => filter(row, taps, out),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the processor has AVX2, and the lengths were compared above.
            Self::Avx2 => unsafe { avx2::filter(row, taps, out) },
        }
    }
}

/// [`Rows::blend`] on every processor, in pieces that stay in registers.
fn blend(rows: &[&[u8]], weights: &[i16], out: &mut [i16]) {
    const PIECE: usize = 32;
    for (n, out) in out.chunks_mut(PIECE).enumerate() {
        let mut sums = [1 << (BLEND_SHIFT - 1); PIECE];
        for (row, weight) in rows.iter().zip(weights) {
            for (sum, sample) in sums.iter_mut().zip(&row[n * PIECE..]) {
                *sum += i32::from(*sample) * i32::from(*weight);
            }
        }
        out.iter_mut().zip(sums).for_each(|(out, sum)| *out = (sum >> BLEND_SHIFT) as i16);
    }
}

/// [`Rows::filter`] on every processor.
fn filter(row: &[i16], taps: &Taps, out: &mut [u8]) {
    for (x, out) in out.iter_mut().enumerate() {
        let samples = row[taps.starts()[x] as usize..].as_chunks::<BLOCK>().0;
        let weights = taps.of(x).as_chunks::<BLOCK>().0;
        let mut sum = 1 << (FILTER_SHIFT - 1);
        for (samples, weights) in samples.iter().zip(weights) {
            sum += samples.iter().zip(weights).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum::<i32>();
        }
        *out = (sum >> FILTER_SHIFT).clamp(0, 255) as u8;
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use crate::media::scale::rows::{BLEND_SHIFT, BLOCK, FILTER_SHIFT, Taps};

    /// Samples of one step of [`blend`].
    const WIDE: usize = 32;
    /// Samples of one step of [`filter`].
    const NARROW: usize = 8;

    /// Where the steps of `step` samples begin that cover `length` samples, at least `step`; the last two may overlap.
    fn steps(length: usize, step: usize) -> impl Iterator<Item = usize> {
        (0..length.div_ceil(step)).map(move |n| (n * step).min(length - step))
    }

    /// [`super::Rows::blend`], 32 samples at a time.
    ///
    /// # Safety
    /// AVX2; an even number of rows, as many weights, all rows as long as `out`.
    #[target_feature(enable = "avx2")]
    pub unsafe fn blend(rows: &[&[u8]], weights: &[i16], out: &mut [i16]) {
        if out.len() < WIDE {
            return super::blend(rows, weights, out);
        }
        for x in steps(out.len(), WIDE) {
            // SAFETY: `x + WIDE` is at most the length of each row and of `out`.
            unsafe { blend_step(rows, weights, x, out.as_mut_ptr().add(x)) };
        }
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    unsafe fn blend_step(rows: &[&[u8]], weights: &[i16], x: usize, out: *mut i16) {
        let mut sums = [_mm256_set1_epi32(1 << (BLEND_SHIFT - 1)); 4];
        for (rows, weights) in rows.as_chunks::<2>().0.iter().zip(weights.as_chunks::<2>().0) {
            // SAFETY: two weights of 16 bits.
            let weights = _mm256_set1_epi32(unsafe { weights.as_ptr().cast::<i32>().read_unaligned() });
            for half in 0..2 {
                // SAFETY: the caller has `WIDE` samples from `x` on in each row.
                let (a, b) = unsafe { (load(rows[0], x + 16 * half), load(rows[1], x + 16 * half)) };
                let (low, high) = (_mm256_unpacklo_epi16(a, b), _mm256_unpackhi_epi16(a, b));
                sums[2 * half] = _mm256_add_epi32(sums[2 * half], _mm256_madd_epi16(low, weights));
                sums[2 * half + 1] = _mm256_add_epi32(sums[2 * half + 1], _mm256_madd_epi16(high, weights));
            }
        }
        for half in 0..2 {
            let low = _mm256_srai_epi32::<{ BLEND_SHIFT as i32 }>(sums[2 * half]);
            let high = _mm256_srai_epi32::<{ BLEND_SHIFT as i32 }>(sums[2 * half + 1]);
            // SAFETY: the caller has room for `WIDE` samples.
            unsafe { _mm256_storeu_si256(out.add(16 * half).cast(), _mm256_packs_epi32(low, high)) };
        }
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    unsafe fn load(row: &[u8], x: usize) -> __m256i {
        // SAFETY: the caller has 16 samples from `x` on.
        _mm256_cvtepu8_epi16(unsafe { _mm_loadu_si128(row.as_ptr().add(x).cast()) })
    }

    /// [`super::Rows::filter`], eight samples at a time.
    ///
    /// # Safety
    /// AVX2; a multiple of `BLOCK` taps for each of `out`, all of them inside of `row`.
    #[target_feature(enable = "avx2")]
    pub unsafe fn filter(row: &[i16], taps: &Taps, out: &mut [u8]) {
        if out.len() < NARROW {
            return super::filter(row, taps, out);
        }
        for x in steps(out.len(), NARROW) {
            // SAFETY: `x + NARROW` is at most the length of `out`. The number of taps is said where it is the usual one,
            // so that the compiler needs no loop over them.
            let eight = unsafe {
                if taps.count() == BLOCK { eight(row, taps, BLOCK, x) } else { eight(row, taps, taps.count(), x) }
            };
            // SAFETY: as above.
            unsafe { _mm_storel_epi64(out.as_mut_ptr().add(x).cast(), eight) };
        }
    }

    /// Eight samples from `x` on.
    #[target_feature(enable = "avx2")]
    #[inline]
    unsafe fn eight(row: &[i16], taps: &Taps, count: usize, x: usize) -> __m128i {
        // SAFETY: the caller has weights for `x + 7`.
        let (first, second) = unsafe { (four(row, taps, count, x), four(row, taps, count, x + 4)) };
        let sums = _mm256_add_epi32(_mm256_hadd_epi32(first, second), _mm256_set1_epi32(1 << (FILTER_SHIFT - 1)));
        // Sums of neighbours lie in different halves.
        let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
        let sums = _mm256_permutevar8x32_epi32(_mm256_srai_epi32::<{ FILTER_SHIFT as i32 }>(sums), order);
        let words = _mm_packs_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
        _mm_packus_epi16(words, words)
    }

    /// Two sums of the products for each of the four samples from `x` on, in the order 0, 2, 1, 3.
    #[target_feature(enable = "avx2")]
    #[inline]
    unsafe fn four(row: &[i16], taps: &Taps, count: usize, x: usize) -> __m256i {
        // SAFETY: the caller has weights for `x + 3`.
        unsafe { _mm256_hadd_epi32(two(row, taps, count, x), two(row, taps, count, x + 2)) }
    }

    /// Four sums of the products for sample `x`, and four for the one after it.
    #[target_feature(enable = "avx2")]
    #[inline]
    unsafe fn two(row: &[i16], taps: &Taps, count: usize, x: usize) -> __m256i {
        let mut sums = _mm256_setzero_si256();
        for block in (0..count).step_by(BLOCK) {
            // SAFETY: the caller has weights for `x + 1`, and samples for all of them.
            let products = unsafe {
                let starts = taps.starts().as_ptr().add(x);
                let (a, b) = (*starts as usize + block, *starts.add(1) as usize + block);
                let weights = taps.weights().as_ptr().add(x * count + block);
                let samples = _mm256_loadu2_m128i(row.as_ptr().add(b).cast(), row.as_ptr().add(a).cast());
                let weights = _mm256_loadu2_m128i(weights.add(count).cast(), weights.cast());
                _mm256_madd_epi16(samples, weights)
            };
            sums = _mm256_add_epi32(sums, products);
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn noise(seed: u64, length: usize) -> impl Iterator<Item = u64> {
        (0..length as u64).map(move |n| (seed ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29) >> 20)
    }

    proptest! {
        #[test]
        fn every_processor_blends_rows_to_the_same_bits(
            length in 1usize..200, pairs in 1usize..9, seed: u64, extreme: bool
        ) {
            let sample = |value: u64| if extreme { (value as u8 & 1) * 255 } else { value as u8 };
            let rows: Vec<Vec<u8>> =
                (0..pairs as u64 * 2).map(|n| noise(seed.wrapping_add(n << 32), length).map(sample).collect()).collect();
            let rows: Vec<&[u8]> = rows.iter().map(Vec::as_slice).collect();
            // Whole filters, down to a weight far below zero.
            let taps = Taps::new(pairs, 1 + seed as usize % 7, 2 * pairs);
            prop_assume!(taps.count() == rows.len());
            for sample in 0..taps.starts().len() {
                let (mut plain, mut fast) = (vec![0; length], vec![0; length]);
                Rows::Plain.blend(&rows, taps.of(sample), &mut plain);
                Rows::detect().blend(&rows, taps.of(sample), &mut fast);
                prop_assert_eq!(plain, fast);
            }
        }

        #[test]
        fn every_processor_filters_a_row_to_the_same_bits(source in 1usize..300, target in 1usize..200, seed: u64) {
            let taps = Taps::new(source, target, BLOCK);
            // More than blending gives at its worst.
            let row: Vec<i16> = noise(seed, taps.end().max(source)).map(|value| (value % 27_000) as i16 - 5_000).collect();
            let (mut plain, mut fast) = (vec![0; target], vec![0; target]);
            Rows::Plain.filter(&row, &taps, &mut plain);
            Rows::detect().filter(&row, &taps, &mut fast);
            prop_assert_eq!(plain, fast);
        }
    }

    #[test]
    #[should_panic = "assertion failed"]
    fn a_row_that_is_too_short_is_refused() {
        Rows::detect().filter(&[0; 63], &Taps::new(64, 32, BLOCK), &mut [0; 32]);
    }
}
