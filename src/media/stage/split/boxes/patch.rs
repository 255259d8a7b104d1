//! Changes to a file that only its demuxer sees.

use gstreamer as gst;

/// Bytes to be put in place of those of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
}

impl Patch {
    /// Changes a buffer that was read from `offset` of the file.
    pub fn apply(&self, offset: u64, buffer: &mut gst::Buffer) {
        let (start, end) = (self.offset.max(offset), self.end().min(offset + buffer.size() as u64));
        if start >= end {
            return;
        }
        let (from, to) = ((start - self.offset) as usize, (end - self.offset) as usize);
        if buffer.make_mut().copy_from_slice((start - offset) as usize, &self.bytes[from..to]).is_err() {
            tracing::warn!("the length of the movie cannot be patched, the end of the audio can be missing");
        }
    }

    fn end(&self) -> u64 {
        self.offset + self.bytes.len() as u64
    }
}
