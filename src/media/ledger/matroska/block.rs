//! The frames of a block (RFC 9559, 10).

use std::io;

use super::super::reader::Reader;
use super::element::varint;

/// What the header of a block says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub track: u64,
    /// In ticks, from that of the cluster.
    pub time: i16,
    /// Frames that are not empty; none at all where the lace does not fit into the block.
    pub frames: u64,
    pub bytes: u64,
    pub empty: u64,
}

impl Block {
    /// The block from the position of the reader to `end`; `None` where there is none. Reads the header.
    pub fn read(reader: &mut Reader<'_>, end: u64) -> io::Result<Option<Self>> {
        // A byte of each, at least.
        if end.saturating_sub(reader.at()) < 4 {
            return Ok(None);
        }
        let Some((track, _)) = varint(reader)? else { return Ok(None) };
        let [high, low, flags] = reader.array()?;
        let mut block = Self { track, time: i16::from_be_bytes([high, low]), frames: 0, bytes: 0, empty: 0 };
        let lacing = flags & 6;
        if lacing == 0 {
            if let Some(size) = end.checked_sub(reader.at()) {
                block.count(size);
            }
            return Ok(Some(block));
        }
        let mut lace = Lace { reader, end };
        let Some(others) = lace.byte()? else { return Ok(Some(block)) };
        let sizes = match lacing {
            2 => lace.xiph(others)?,
            6 => lace.ebml(others)?,
            _ => lace.fixed(others),
        };
        sizes.into_iter().flatten().for_each(|size| block.count(size));
        Ok(Some(block))
    }

    const fn count(&mut self, size: u64) {
        if size == 0 {
            self.empty += 1;
        } else {
            self.frames += 1;
            self.bytes += size;
        }
    }
}

/// The sizes of frames: of all but the last one, which has the rest. `None` where they do not fit.
struct Lace<'a, 'b> {
    reader: &'a mut Reader<'b>,
    end: u64,
}

impl Lace<'_, '_> {
    fn byte(&mut self) -> io::Result<Option<u8>> {
        if self.reader.at() >= self.end {
            return Ok(None);
        }
        let [byte] = self.reader.array()?;
        Ok(Some(byte))
    }

    fn rest(&self, mut sizes: Vec<u64>) -> Option<Vec<u64>> {
        let held = self.end.checked_sub(self.reader.at())?;
        let taken = sizes.iter().try_fold(0u64, |all, size| all.checked_add(*size))?;
        sizes.push(held.checked_sub(taken)?);
        Some(sizes)
    }

    fn xiph(&mut self, others: u8) -> io::Result<Option<Vec<u64>>> {
        let mut sizes = Vec::new();
        for _ in 0..others {
            let mut size = 0;
            loop {
                let Some(byte) = self.byte()? else { return Ok(None) };
                size += u64::from(byte);
                if byte != 255 {
                    break;
                }
            }
            sizes.push(size);
        }
        Ok(self.rest(sizes))
    }

    fn ebml(&mut self, others: u8) -> io::Result<Option<Vec<u64>>> {
        let mut sizes: Vec<u64> = Vec::new();
        for _ in 0..others {
            if self.reader.at() >= self.end {
                return Ok(None);
            }
            let Some((value, bits)) = varint(self.reader)? else { return Ok(None) };
            // The first one, then differences, from which half of their range is subtracted.
            let size = match sizes.last() {
                None => Some(value),
                Some(last) => last.checked_add(value).and_then(|size| size.checked_sub((1 << (bits - 1)) - 1)),
            };
            let Some(size) = size else { return Ok(None) };
            sizes.push(size);
        }
        Ok(self.rest(sizes))
    }

    fn fixed(&self, others: u8) -> Option<Vec<u64>> {
        let frames = u64::from(others) + 1;
        let held = self.end.checked_sub(self.reader.at())?;
        held.is_multiple_of(frames).then(|| vec![held / frames; usize::from(others) + 1])
    }
}
