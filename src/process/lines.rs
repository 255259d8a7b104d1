//! Lines out of a stream of bytes, with a bound on each.

/// Cuts a stream into lines. A line that is longer than the bound is cut off there.
#[derive(Debug)]
pub(super) struct Lines {
    line: Vec<u8>,
    max: usize,
    overlong: bool,
}

impl Lines {
    /// Lines of at most `max` bytes.
    pub(super) fn bounded(max: usize) -> Self {
        Self { line: Vec::new(), max, overlong: false }
    }

    /// Takes the next bytes of the stream, and calls `on_line` with each line that ends in them.
    pub(super) fn push(&mut self, bytes: &[u8], mut on_line: impl FnMut(&[u8])) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = piece.strip_suffix(b"\n").map_or((piece, false), |text| (text, true));
            let room = self.max - self.line.len();
            self.overlong |= text.len() > room;
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            if ends {
                on_line(&self.line);
                self.line.clear();
            }
        }
    }

    /// Whether any line was longer than the bound, also one that has not ended.
    pub(super) fn was_overlong(&self) -> bool {
        self.overlong
    }

    /// What follows the last end of a line.
    pub(super) fn rest(&self) -> &[u8] {
        &self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_without_end_takes_no_more_than_the_bound() {
        let mut lines = Lines::bounded(10);
        for _ in 0..1000 {
            lines.push(&[b'x'; 1000], |_| panic!("no line"));
        }
        assert!(lines.was_overlong());
        assert_eq!(lines.rest().len(), 10);
        let mut seen = Vec::new();
        lines.push(b"\nok\n", |line| seen.push(line.to_vec()));
        assert_eq!(seen, [b"xxxxxxxxxx".to_vec(), b"ok".to_vec()]);
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_how_the_bytes_arrive(text in "[ab\n]{0,200}", cuts in proptest::collection::vec(1usize..20, 0..50)) {
            let mut lines = Lines::bounded(1000);
            let mut seen = Vec::new();
            let mut rest = text.as_bytes();
            for cut in cuts.into_iter().chain([usize::MAX]) {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                lines.push(now, |line| seen.push(line.to_vec()));
                rest = later;
            }
            let mut expected: Vec<_> = text.as_bytes().split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
            prop_assert_eq!(lines.rest(), expected.pop().unwrap_or_default());
            prop_assert_eq!(seen, expected);
        }
    }
}
