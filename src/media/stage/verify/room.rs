//! How much the pictures of an output may differ from those of its input, by the quality that was asked for: an encoder that is
//! given few bits shows little, and what it shows is no mistake of the one who called it.

use actors::domain::job::Rate;
use ffmpeg_the_third::codec::Id;

use super::listing::Listing;

/// Bits of a frame for each line of a square of its size, from which on pictures are near their source. With `ultrafast` the worst
/// of all pictures of a film differed by 3.8 of 255 at 35, 5.6 at 17, 17 at 8.7 and 28 at 4.3; most differ by a half or less.
const ENOUGH: f64 = 40.0;
/// Below this the quantisers of x264 and x265 are at their ends, and pictures stand still or are lost: by 68 and more.
const TOO_FEW: f64 = 2.0;
/// By how much a picture differs for each step of the quantiser of luma: measured up to 0.28 at `crf` 28, 0.21 at 35, 0.16 at 45.
const OF_STEP: f64 = 0.3;
/// A `crf` of AV1 in the scale of the others: with SVT-AV1 the film differed by 3.1 at 55 and 5.1 at 63, its end.
const OF_AV1: f64 = 32.0 / 63.0;
/// What `1.0` is, in the same measure.
const MEAN: f64 = super::looking::MEAN;

/// The factor for the limits of [`looking`](super::looking), from 1 on; `None` where pictures tell nothing.
pub fn of(rate: Rate, output: &Listing) -> Option<f64> {
    let room = match rate {
        Rate::Crf(crf) => {
            let crf = f64::from(crf.value()) * if output.codec == Some(Id::AV1) { OF_AV1 } else { 1.0 };
            // ITU-T H.264, 8.5.9: it is 1 at 4 and doubles with every six.
            2f64.powf((crf - 4.0) / 6.0) * OF_STEP / MEAN
        }
        Rate::Bitrate(rate) => {
            let (frames, side) = (output.times.len() as f64, (output.pixels as f64).sqrt());
            let seconds = output.length_ns() as f64 / 1e9;
            let bits = rate.bits_per_second() as f64 * seconds / frames / side;
            if bits < TOO_FEW {
                return None;
            }
            ENOUGH / bits
        }
    };
    Some(room.max(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(rate: Rate, (width, height): (u64, u64)) -> Option<f64> {
        let times = (0..240).map(|frame| frame * 1_000_000_000 / 24).collect();
        of(rate, &Listing { times, pixels: width * height, ..Listing::default() })
    }

    #[test]
    fn few_bits_and_high_quantisers_give_room_and_usual_ones_none() {
        let bitrate = |kilobits: u64, size| room(Rate::Bitrate((kilobits * 1000).try_into().expect("a rate")), size);
        let crf = |crf: u64| room(Rate::Crf(crf.try_into().expect("a crf")), (1920, 1080)).expect("it tells");
        assert_eq!([crf(0), crf(23), crf(27)], [1.0; 3]);
        assert!(crf(40) > 4.0 && crf(40) < 4.5 && crf(51) > 14.0 && crf(51) < 16.0);
        let av1 = |crf: u64| {
            let listing = Listing { codec: Some(Id::AV1), ..Listing::default() };
            of(Rate::Crf(crf.try_into().expect("a crf")), &listing).expect("it tells")
        };
        assert!(av1(50) == 1.0 && av1(63) > 1.5 && av1(63) < 2.0);
        assert_eq!(bitrate(1500, (1920, 1080)), Some(1.0));
        assert_eq!(bitrate(250, (320, 180)), Some(1.0));
        assert!(bitrate(100, (854, 480)).is_some_and(|room| room > 6.0 && room < 6.5));
        assert_eq!(bitrate(20, (854, 480)), None);
    }
}
