//! The headers of boxes (ISO/IEC 14496-12, 4.2).

use std::io;

use super::super::reader::{Reader, big};

/// Where a box is.
#[derive(Clone, Copy)]
pub(super) struct Header {
    pub kind: [u8; 4],
    /// First byte of its header.
    pub start: u64,
    /// First byte of its content.
    pub body: u64,
    /// The byte behind it, at most that behind the box around it.
    pub end: u64,
}

/// Goes through the boxes in a box, in their order.
pub(super) struct Boxes {
    at: u64,
    end: u64,
}

impl Header {
    /// A reader of its content.
    pub fn content<'a>(&self, reader: &Reader<'a>) -> Reader<'a> {
        reader.part(self.body, self.end)
    }
}

impl Boxes {
    pub const fn of(outer: &Header) -> Self {
        Self { at: outer.body, end: outer.end }
    }

    /// The next one, until something is none.
    pub fn next(&mut self, reader: &mut Reader<'_>) -> io::Result<Option<Header>> {
        let (start, left) = (self.at, self.end.saturating_sub(self.at));
        if left < 8 {
            return Ok(None);
        }
        reader.seek(start);
        let [a, b, c, d, kind @ ..] = reader.array::<8>()?;
        if !kind.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ' || *byte == 0xa9) {
            return Ok(None);
        }
        let (size, head) = match big(&[a, b, c, d]) {
            // To the end.
            0 => (left, 8),
            1 if left >= 16 => (big(&reader.array::<8>()?), 16),
            size => (size, 8),
        };
        if size < head {
            return Ok(None);
        }
        self.at = start.saturating_add(size);
        Ok(Some(Header { kind, start, body: start + head, end: self.at.min(self.end) }))
    }
}

/// The first box of a kind in a box.
pub(super) fn child(reader: &mut Reader<'_>, outer: &Header, kind: &[u8; 4]) -> io::Result<Option<Header>> {
    let mut boxes = Boxes::of(outer);
    while let Some(found) = boxes.next(reader)? {
        if &found.kind == kind {
            return Ok(Some(found));
        }
    }
    Ok(None)
}
