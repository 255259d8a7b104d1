//! The filter along one side of a picture: which samples make one of the new ones, and with what weights. A cubic (R. Keys,
//! "Cubic convolution interpolation for digital image processing", 1981), as wide as the distance of the new samples where
//! there are fewer of them.

/// Weights are fractions of this.
pub const ONE: i32 = 1 << 14;

/// Where the samples of one side come from. What [`Taps::new`] made nobody changes: vector code relies on it.
#[derive(Debug)]
pub struct Taps {
    count: usize,
    end: usize,
    starts: Vec<u32>,
    weights: Vec<i16>,
}

impl Taps {
    /// From `source` samples to `target` samples over the same length, both at least one; `count` is a multiple of
    /// `multiple`, filled up with weights of zero. Samples beyond an edge are those at the edge.
    ///
    /// Only basic operations of IEEE numbers are used, so that the weights are the same everywhere.
    pub fn new(source: usize, target: usize, multiple: usize) -> Self {
        let ratio = source as f64 / target as f64;
        let stretch = ratio.max(1.0);
        let reach = 2.0 * stretch;
        let near = (2.0 * reach).ceil() as usize;
        let count = near.next_multiple_of(multiple);
        let mut taps = Self { count, end: 0, starts: Vec::new(), weights: Vec::new() };
        for sample in 0..target {
            let centre = (sample as f64 + 0.5) * ratio - 0.5;
            let first = (centre - reach).floor() as isize + 1;
            let start = first.clamp(0, source.saturating_sub(count) as isize);
            let mut weights = vec![0.0; count];
            for at in first..first + near as isize {
                let inside = at.clamp(0, source as isize - 1);
                weights[(inside - start) as usize] += cubic((at as f64 - centre).abs() / stretch);
            }
            taps.end = taps.end.max(start as usize + count);
            taps.starts.push(start as u32);
            taps.weights.extend(whole(&weights));
        }
        taps
    }

    /// Samples that make one new sample.
    pub fn count(&self) -> usize {
        self.count
    }

    /// All of them lie in front of this.
    pub fn end(&self) -> usize {
        self.end
    }

    /// The first of them, for each new sample.
    pub fn starts(&self) -> &[u32] {
        &self.starts
    }

    /// [`Self::count`] weights for each new sample, whose sum is [`ONE`].
    pub fn weights(&self) -> &[i16] {
        &self.weights
    }

    /// The weights of a new sample.
    pub fn of(&self, sample: usize) -> &[i16] {
        &self.weights[sample * self.count..][..self.count]
    }
}

/// Slope of the cubic at distance 1: the sharpness that other transcoders have; that of Catmull and Rom has -0.5.
const SLOPE: f64 = -0.6;

/// The cubic at a distance.
fn cubic(distance: f64) -> f64 {
    if distance < 1.0 {
        ((SLOPE + 2.0) * distance - (SLOPE + 3.0)) * distance * distance + 1.0
    } else if distance < 2.0 {
        (((distance - 5.0) * distance + 8.0) * distance - 4.0) * SLOPE
    } else {
        0.0
    }
}

/// The weights in whole numbers: their sums up to each of them are rounded, so that the last sum is [`ONE`].
fn whole(weights: &[f64]) -> impl Iterator<Item = i16> {
    let all = weights.iter().sum::<f64>();
    weights.iter().scan((0.0, 0), move |(sum, before), weight| {
        *sum += weight;
        let rounded = (*sum / all * f64::from(ONE)).round() as i32;
        // No weight is more than ONE and a little.
        Some((rounded - std::mem::replace(before, rounded)) as i16)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn weights_sum_up_to_one_and_lie_inside_of_the_picture(source in 1usize..5000, target in 1usize..3000) {
            for multiple in [2, 8] {
                let taps = Taps::new(source, target, multiple);
                prop_assert_eq!(taps.count() % multiple, 0);
                prop_assert_eq!((taps.starts().len(), taps.weights().len()), (target, target * taps.count()));
                for sample in 0..target {
                    let start = taps.starts()[sample] as usize;
                    prop_assert!(start + taps.count() <= taps.end());
                    prop_assert_eq!(taps.of(sample).iter().map(|weight| i32::from(*weight)).sum::<i32>(), ONE);
                    let behind = taps.of(sample).iter().skip(source.saturating_sub(start));
                    prop_assert!(behind.into_iter().all(|weight| *weight == 0), "behind the last sample");
                    prop_assert!(taps.end() <= source.max(taps.count()));
                }
            }
        }

        #[test]
        fn the_filter_is_the_same_from_both_sides(source in 1usize..400, target in 1usize..400) {
            let taps = Taps::new(source, target, 2);
            let spread = |sample: usize| {
                let mut all = vec![0i16; source.max(taps.end())];
                all[taps.starts()[sample] as usize..][..taps.count()].copy_from_slice(taps.of(sample));
                all.truncate(source);
                all
            };
            for sample in 0..target {
                let mirrored: Vec<i16> = spread(target - 1 - sample).into_iter().rev().collect();
                // Rounding goes from left to right.
                prop_assert!(spread(sample).iter().zip(mirrored).all(|(a, b)| (a - b).abs() <= 2));
            }
        }
    }

    #[test]
    fn the_same_size_takes_each_sample_as_it_is() {
        let taps = Taps::new(50, 50, 8);
        for sample in 0..50 {
            let start = taps.starts()[sample] as usize;
            let weights = taps.of(sample);
            assert!((0..8).all(|tap| i32::from(weights[tap]) == if start + tap == sample { ONE } else { 0 }));
        }
    }
}
