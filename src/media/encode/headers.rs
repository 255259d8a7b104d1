//! Takes out of x265's key frames what does not belong there. `x265enc` puts its headers in front of the first frame,
//! which has them already; and the SEI that x265 describes itself with ends, in version 3.5, with what the memory held
//! before: other bytes each time, and none of anybody's business.

/// Prefix SEI message.
const SEI: u8 = 39;
/// Video, sequence and picture parameter set.
const PARAMETER_SETS: std::ops::RangeInclusive<u8> = 32..=34;
/// Payload type of a SEI message: user data without registration.
const USER_DATA: u8 = 5;

/// An access unit in byte-stream form with each parameter set once and without user data.
pub fn tidy(unit: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    for nal in nals(unit) {
        let kind = nal.first().map_or(0, |byte| byte >> 1 & 0x3f);
        let is_user_data = kind == SEI && nal.get(2) == Some(&USER_DATA);
        let is_repeated = PARAMETER_SETS.contains(&kind) && kept.contains(&nal);
        if !is_user_data && !is_repeated {
            kept.push(nal);
        }
    }
    let mut tidied = Vec::with_capacity(unit.len());
    for nal in kept {
        tidied.extend_from_slice(&[0, 0, 0, 1]);
        tidied.extend_from_slice(nal);
    }
    tidied
}

/// The NAL units of an access unit, without start codes and the zeros around them.
fn nals(unit: &[u8]) -> Vec<&[u8]> {
    let starts: Vec<usize> = unit.windows(3).enumerate().filter(|(_, w)| *w == [0, 0, 1]).map(|(at, _)| at).collect();
    let ends = starts.iter().skip(1).copied().chain([unit.len()]);
    let bodies = starts.iter().zip(ends).map(|(start, end)| &unit[start + 3..end]);
    // A NAL unit never ends with a zero.
    bodies.map(|body| &body[..body.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const VPS: [u8; 4] = [32 << 1, 1, 0x0c, 0xff];
    const SPS: [u8; 4] = [33 << 1, 1, 0x01, 0x20];
    const PPS: [u8; 4] = [34 << 1, 1, 0xc0, 0x73];
    const IDR: [u8; 5] = [19 << 1, 1, 0xaf, 0, 0x80];

    fn unit(nals: &[&[u8]]) -> Vec<u8> {
        nals.iter().flat_map(|nal| [&[0, 0, 0, 1][..], nal].concat()).collect()
    }

    #[test]
    fn parameter_sets_stay_once_and_user_data_goes() {
        let user_data = [39 << 1, 1, 5, 0xff, 0x20, 0x80];
        let timing = [39 << 1, 1, 1, 2, 0x80];
        let doubled = unit(&[&VPS, &SPS, &PPS, &user_data, &VPS, &SPS, &PPS, &user_data, &timing, &IDR]);
        assert_eq!(tidy(&doubled), unit(&[&VPS, &SPS, &PPS, &timing, &IDR]));
        assert_eq!(tidy(&unit(&[&VPS, &SPS, &PPS, &IDR])), unit(&[&VPS, &SPS, &PPS, &IDR]));
    }

    #[test]
    fn short_start_codes_and_zeros_between_units_are_understood() {
        let bytes = [&[0, 0, 1][..], &VPS, &[0, 0, 0, 0, 1], &VPS, &[0, 0, 1], &IDR].concat();
        assert_eq!(tidy(&bytes), unit(&[&VPS, &IDR]));
        assert!(tidy(&[]).is_empty());
    }

    #[test]
    fn slices_are_never_dropped_though_they_are_alike() {
        assert_eq!(tidy(&unit(&[&IDR, &IDR])), unit(&[&IDR, &IDR]));
    }
}
