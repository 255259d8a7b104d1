//! Bytes of a file by their place. What is skipped is not read.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// Read at a place that was jumped to: a header, and little of the payload behind it.
const JUMPED_BYTES: usize = 4 * 1024;
/// Read where the last read ended.
const FOLLOWED_BYTES: usize = 64 * 1024;

/// Reads a range of a file. Its end is [`io::ErrorKind::UnexpectedEof`], which [`to_end`] takes for what it is.
pub(super) struct Reader<'a> {
    file: &'a File,
    at: u64,
    end: u64,
    buffer: Vec<u8>,
    // Place of its first byte.
    buffer_at: u64,
}

impl<'a> Reader<'a> {
    /// For the whole of `file`, whose own position is left alone.
    pub fn new(file: &'a File) -> io::Result<Self> {
        Ok(Self { file, at: 0, end: file.metadata()?.len(), buffer: Vec::new(), buffer_at: 0 })
    }

    /// For what lies from `from` to `to`, with a position of its own.
    pub fn part(&self, from: u64, to: u64) -> Self {
        Self { at: from, end: to.min(self.end), buffer: Vec::new(), ..*self }
    }

    pub const fn at(&self) -> u64 {
        self.at
    }

    pub const fn end(&self) -> u64 {
        self.end
    }

    pub const fn seek(&mut self, to: u64) {
        self.at = to;
    }

    /// The next bytes, all of them or none.
    pub fn read(&mut self, out: &mut [u8]) -> io::Result<()> {
        if self.end.saturating_sub(self.at) < out.len() as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut filled = 0;
        while filled < out.len() {
            let found = self.available(1)?;
            let count = found.len().min(out.len() - filled);
            out[filled..filled + count].copy_from_slice(&found[..count]);
            filled += count;
            self.at += count as u64;
        }
        Ok(())
    }

    pub fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.read(&mut bytes)?;
        Ok(bytes)
    }

    /// Goes to the next place whose `N` bytes are `wanted`, this one included; whether there is one.
    pub fn find<const N: usize>(&mut self, wanted: impl Fn(&[u8; N]) -> bool) -> io::Result<bool> {
        loop {
            let found = match self.available(N) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
                found => found?,
            };
            let windows = found.windows(N);
            let count = windows.len() as u64;
            let place = windows.into_iter().position(|window| window.try_into().is_ok_and(&wanted));
            self.at += place.map_or(count, |place| place as u64);
            if place.is_some() {
                return Ok(true);
            }
        }
    }

    /// What the buffer holds from here on, at least `count` bytes.
    fn available(&mut self, count: usize) -> io::Result<&[u8]> {
        let held = self.buffer.len();
        let place = self.at.checked_sub(self.buffer_at).and_then(|place| usize::try_from(place).ok());
        if let Some(place) = place.filter(|place| place.saturating_add(count) <= held) {
            return Ok(&self.buffer[place..]);
        }
        let wanted = if place.is_some_and(|place| place <= held) { FOLLOWED_BYTES } else { JUMPED_BYTES };
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        self.buffer.resize(wanted.min(left), 0);
        self.buffer_at = self.at;
        let mut filled = 0;
        while filled < self.buffer.len() {
            match self.file.read_at(&mut self.buffer[filled..], self.at + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.buffer.clear();
                    return Err(error);
                }
            }
        }
        self.buffer.truncate(filled);
        if filled < count { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(&self.buffer) }
    }
}

/// The end of the file is the end of what is read.
pub(super) fn to_end(read: io::Result<()>) -> io::Result<()> {
    read.or_else(|error| if error.kind() == io::ErrorKind::UnexpectedEof { Ok(()) } else { Err(error) })
}

/// A number of at most 8 bytes, the most significant one first.
pub(super) fn big(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |all, byte| all << 8 | u64::from(*byte))
}

/// A number of at most 8 bytes, the least significant one first.
pub(super) fn little(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("written");
        file
    }

    #[test]
    fn what_is_looked_for_is_found_across_the_ends_of_the_buffer() {
        let mut bytes = vec![0; 3 * FOLLOWED_BYTES];
        let places = [5, JUMPED_BYTES - 2, JUMPED_BYTES + FOLLOWED_BYTES - 3, 3 * FOLLOWED_BYTES - 4];
        for place in places {
            bytes[place..place + 4].copy_from_slice(b"here");
        }
        let file = file(&bytes);
        let mut reader = Reader::new(&file).expect("a reader");
        for place in places {
            assert!(reader.find(|bytes| bytes == b"here").expect("readable"));
            assert_eq!(reader.at(), place as u64);
            reader.seek(place as u64 + 1);
        }
        assert!(!reader.find(|bytes| bytes == b"here").expect("readable"));
    }

    #[test]
    fn nothing_beyond_a_part_is_read() {
        let file = file(b"0123456789");
        let reader = Reader::new(&file).expect("a reader");
        let mut part = reader.part(2, 5);
        assert_eq!(part.array().expect("three bytes"), *b"234");
        part.seek(3);
        assert_eq!(part.array::<3>().map_err(|error| error.kind()), Err(io::ErrorKind::UnexpectedEof));
        assert_eq!(part.at(), 3);
        assert!(!part.find(|bytes| bytes == b"5").expect("readable"));
        assert_eq!(reader.part(8, u64::MAX).end(), 10);
        part.seek(u64::MAX);
        assert!(part.array::<1>().is_err() && !part.find(|_: &[u8; 1]| true).expect("readable"));
    }

    #[test]
    fn a_file_that_was_shortened_ends() {
        let file = file(&[7; 100]);
        let mut reader = Reader::new(&file).expect("a reader");
        file.set_len(10).expect("shorter");
        assert!(reader.array::<11>().is_err());
    }
}
