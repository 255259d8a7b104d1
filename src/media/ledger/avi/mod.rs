//! AVI (Microsoft, AVI RIFF File Reference; OpenDML AVI File Format Extensions 1.02): the headers of all chunks.
//!
//! Chunks are taken as they come, whatever the sizes of the lists around them say, which are wrong in files that were not
//! finished. Where something is no chunk, the next one of a stream is looked for. Nothing but their order gives the times.

mod stream;
#[cfg(test)]
pub(super) mod tests;

use std::io;

use super::reader::{Reader, little, to_end};
use super::{Container, Ledger, MAX_TRACKS};
use stream::{FORMAT_BYTES, HEADER_BYTES, Stream};

pub(super) fn read(mut reader: Reader<'_>) -> io::Result<Option<Ledger>> {
    let begins = matches!(reader.array(), Ok([b'R', b'I', b'F', b'F', _, _, _, _, b'A', b'V', b'I', b' ' | 0x19]));
    if !begins {
        return Ok(None);
    }
    reader.seek(0);
    let mut walk = Walk { reader, streams: Vec::new(), said_end: 0, broken: 0 };
    to_end(walk.chunks())?;
    let is_cut = walk.said_end > walk.reader.end();
    let Walk { streams, broken, .. } = walk;
    let said_ns = streams.iter().filter_map(Stream::said_ns).max();
    let tracks = streams.into_iter().map(|stream| stream.ledger(is_cut)).collect();
    Ok(Some(Ledger { container: Container::Avi, tracks, said_ns, broken }))
}

struct Walk<'a> {
    reader: Reader<'a>,
    streams: Vec<Stream>,
    // Behind all lists and chunks, as far as their sizes are known.
    said_end: u64,
    broken: u64,
}

/// Where a chunk is.
#[derive(Clone, Copy)]
struct Chunk {
    name: [u8; 4],
    body: u64,
    size: u64,
}

impl Walk<'_> {
    fn chunks(&mut self) -> io::Result<()> {
        loop {
            let start = self.reader.at();
            let chunk = Chunk::of(start, self.reader.array()?);
            if [b"RIFF", b"LIST"].contains(&&chunk.name) {
                self.list(&chunk)?;
            } else if chunk.has_name() && chunk.end() <= self.reader.end() {
                self.chunk(&chunk)?;
                self.reader.seek(chunk.end());
                if chunk.size & 1 == 1 {
                    self.padding()?;
                }
            } else if !self.resynchronise(start, &chunk)? {
                return Ok(());
            }
        }
    }

    fn list(&mut self, list: &Chunk) -> io::Result<()> {
        let kind = self.reader.array()?;
        match &kind {
            b"AVI " | b"AVIX" | b"AVI\x19" | b"hdrl" | b"strl" | b"odml" | b"movi" | b"rec " => {
                // Writers put all ones there, or zero, until they know it.
                if list.size != u64::from(u32::MAX) {
                    self.said_end = self.said_end.max(list.end());
                }
                if &kind == b"strl" && self.streams.len() < MAX_TRACKS {
                    self.streams.push(Stream::new(self.streams.len() as u64));
                }
            }
            _ => self.reader.seek(list.end() + (list.size & 1)),
        }
        Ok(())
    }

    fn chunk(&mut self, chunk: &Chunk) -> io::Result<()> {
        match &chunk.name {
            b"strh" if chunk.size >= HEADER_BYTES as u64 => {
                let header = self.reader.array::<HEADER_BYTES>()?;
                if let Some(stream) = self.streams.last_mut() {
                    stream.header(&header);
                }
            }
            b"strf" if chunk.size >= FORMAT_BYTES as u64 => {
                let format = self.reader.array::<FORMAT_BYTES>()?;
                if let Some(stream) = self.streams.last_mut() {
                    stream.format(&format);
                }
            }
            _ => {
                if let Some(stream) = chunk.stream().and_then(|stream| self.streams.get_mut(stream)) {
                    stream.count(chunk.size);
                }
            }
        }
        Ok(())
    }

    /// Passes the byte that makes the place of the next chunk even; some writers do without.
    fn padding(&mut self) -> io::Result<()> {
        let place = self.reader.at();
        let next = Chunk::of(place, self.reader.array()?);
        let is_missing = next.is_media(self.streams.len(), self.reader.end());
        self.reader.seek(place + u64::from(!is_missing));
        Ok(())
    }

    /// Goes to the next chunk of a stream behind `start`, where `chunk` is none or reaches too far. Whether there is one.
    fn resynchronise(&mut self, start: u64, chunk: &Chunk) -> io::Result<bool> {
        let streams = self.streams.len();
        let end = self.reader.end();
        self.reader.seek(start + 1);
        let found = self.reader.find(|header| Chunk::of(start, *header).is_media(streams, end))?;
        // Something else may follow the lists.
        self.broken += u64::from(found || !chunk.has_name() && start < self.said_end);
        if !found && chunk.has_name() {
            self.said_end = self.said_end.max(chunk.end());
            if let Some(stream) = chunk.stream().and_then(|stream| self.streams.get_mut(stream)) {
                stream.lack();
            }
        }
        Ok(found)
    }
}

impl Chunk {
    fn of(start: u64, header: [u8; 8]) -> Self {
        let [name @ .., a, b, c, d] = header;
        Self { name, body: start + 8, size: little(&[a, b, c, d]) }
    }

    const fn end(&self) -> u64 {
        self.body + self.size
    }

    /// Whether it is one of so many streams in a file that ends there.
    fn is_media(&self, streams: usize, file_end: u64) -> bool {
        self.stream().is_some_and(|stream| stream < streams) && self.end() <= file_end
    }

    fn has_name(&self) -> bool {
        self.name.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ')
    }

    /// The stream whose media it has: two digits, and what it is (`dc`, `db`, `wb`, `tx` and others; `pc` is a palette).
    fn stream(&self) -> Option<usize> {
        let [tens @ b'0'..=b'9', ones @ b'0'..=b'9', kind @ ..] = self.name else { return None };
        let is_media = kind.iter().all(u8::is_ascii_alphabetic) && kind != *b"pc";
        is_media.then(|| usize::from(tens - b'0') * 10 + usize::from(ones - b'0'))
    }
}
