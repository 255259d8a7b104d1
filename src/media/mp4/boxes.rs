//! Bytes of boxes. All numbers are big-endian; a size is written once its content is known.

/// Appends a box.
pub fn atom(out: &mut Vec<u8>, name: &[u8; 4], body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(name);
    body(out);
    // Only indexes are made this way: 4 bytes a sample are far from 4 GiB.
    let size = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&size.to_be_bytes());
}

/// Appends a box with version and flags (24 bits).
pub fn full_atom(out: &mut Vec<u8>, name: &[u8; 4], version: u8, flags: u32, body: impl FnOnce(&mut Vec<u8>)) {
    atom(out, name, |out| {
        out.put32(u32::from(version) << 24 | flags & 0x00ff_ffff);
        body(out);
    });
}

/// Numbers of a box.
pub trait Put {
    /// 16 bits.
    fn put16(&mut self, value: u16);
    /// 32 bits.
    fn put32(&mut self, value: u32);
    /// 64 bits where `wide`, else 32; a value that does not fit becomes the largest one.
    fn put(&mut self, value: u64, wide: bool);
    /// Reserved bytes.
    fn zeros(&mut self, count: usize);
}

impl Put for Vec<u8> {
    fn put16(&mut self, value: u16) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put(&mut self, value: u64, wide: bool) {
        if wide {
            self.extend_from_slice(&value.to_be_bytes());
        } else {
            self.put32(u32::try_from(value).unwrap_or(u32::MAX));
        }
    }

    fn zeros(&mut self, count: usize) {
        self.resize(self.len() + count, 0);
    }
}
