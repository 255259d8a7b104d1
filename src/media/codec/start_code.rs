//! The one scanner of start codes (`00 00 01`), which MPEG video of all ages has: for access units in byte-stream form.
//! Must never know what a code stands for.

/// The positions right behind the start codes.
pub fn start_codes(unit: &[u8]) -> impl Iterator<Item = usize> {
    let mut at = 2;
    std::iter::from_fn(move || {
        while let Some(&byte) = unit.get(at) {
            // Slices are nearly random bytes: most steps are three bytes long.
            match byte {
                1 if unit[at - 1] == 0 && unit[at - 2] == 0 => {
                    at += 3;
                    return Some(at - 2);
                }
                0 => at += 1,
                _ => at += 3,
            }
        }
        None
    })
}

/// The byte behind each start code, with its position.
pub fn codes(unit: &[u8]) -> impl Iterator<Item = (u8, usize)> {
    start_codes(unit).filter_map(|at| unit.get(at).map(|code| (*code, at)))
}

/// The NAL units of an access unit, without start codes and padding.
pub fn nal_units(unit: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut starts = start_codes(unit).peekable();
    std::iter::from_fn(move || {
        let start = starts.next()?;
        let end = starts.peek().map_or(unit.len(), |next| next - 3);
        let nal = &unit[start..end];
        // A NAL unit never ends in a zero: what is there belongs to the next start code, or pads.
        let length = nal.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        Some(&nal[..length])
    })
    .filter(|nal| !nal.is_empty())
}

/// An access unit with one NAL unit more in front of its first one for which `before` holds; at its end without one.
pub fn inserted(unit: &[u8], nal: &[u8], before: impl Fn(u8) -> bool) -> Vec<u8> {
    let at = codes(unit).find(|(code, _)| before(*code)).map_or(unit.len(), |(_, at)| at - 3);
    // A start code of four bytes is not divided.
    let at = if at > 0 && at < unit.len() && unit[at - 1] == 0 { at - 1 } else { at };
    let mut out = Vec::with_capacity(unit.len() + nal.len() + 4);
    out.extend_from_slice(&unit[..at]);
    put(nal, &mut out);
    out.extend_from_slice(&unit[at..]);
    out
}

/// Appends a NAL unit behind a start code.
pub fn put(nal: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&[0, 0, 0, 1]);
    out.extend_from_slice(nal);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stream(nals: &[&[u8]]) -> Vec<u8> {
        let codes: [&[u8]; 2] = [&[0, 0, 0, 1], &[0, 0, 1]];
        nals.iter().enumerate().flat_map(|(i, nal)| [codes[i % 2], nal].concat()).collect()
    }

    #[test]
    fn start_codes_of_both_lengths_and_padding_are_no_part_of_a_nal_unit() {
        let nals: [&[u8]; 4] = [&[0x09, 0xf0], &[0x67, 1, 2], &[0x68, 3], &[0x65, 9, 0, 0, 3, 1]];
        let bytes = [&stream(&nals)[..], &[0, 0, 0]].concat();
        assert_eq!(nal_units(&bytes).collect::<Vec<_>>(), nals);
    }

    #[test]
    fn a_nal_unit_is_inserted_in_front_of_the_one_that_is_looked_for() {
        let (first, slice, new): (&[u8], &[u8], &[u8]) = (&[0x67, 1], &[0x65, 9], &[0x06, 5]);
        let unit = inserted(&stream(&[first, slice]), new, |code| code == 0x65);
        assert_eq!(nal_units(&unit).collect::<Vec<_>>(), [first, new, slice]);
        let unit = inserted(&stream(&[first]), new, |code| code == 0x65);
        assert_eq!(nal_units(&unit).collect::<Vec<_>>(), [first, new]);
    }

    #[test]
    fn an_access_unit_without_a_start_code_has_no_nal_unit() {
        assert_eq!(nal_units(&[]).count(), 0);
        assert_eq!(nal_units(&[0, 0]).count(), 0);
        assert_eq!(nal_units(&[1, 2, 3, 4]).count(), 0);
        assert_eq!(nal_units(&[0, 0, 1]).count(), 0);
    }

    proptest! {
        #[test]
        fn nal_units_come_back_from_a_byte_stream(
            nals in proptest::collection::vec(proptest::collection::vec(2u8..=255, 1..40), 0..12),
        ) {
            let slices: Vec<&[u8]> = nals.iter().map(Vec::as_slice).collect();
            let bytes = stream(&slices);
            prop_assert_eq!(nal_units(&bytes).collect::<Vec<_>>(), slices);
        }

        #[test]
        fn every_start_code_is_found_and_nothing_else(bytes in proptest::collection::vec(0u8..4, 0..200)) {
            let right: Vec<usize> = (3..=bytes.len()).filter(|&at| bytes[at - 3..at] == [0, 0, 1]).collect();
            prop_assert_eq!(start_codes(&bytes).collect::<Vec<_>>(), right);
        }
    }
}
