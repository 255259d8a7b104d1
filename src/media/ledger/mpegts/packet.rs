//! The packets of a transport stream.

pub(super) const PACKET_BYTES: usize = 188;

/// The fields of a packet that count here (2.4.3).
pub(super) struct Packet<'a> {
    pub begins: bool,
    /// Marked as wrong by whoever received it.
    pub is_wrong: bool,
    pub counter: u8,
    pub is_discontinuous: bool,
    pub payload: Option<&'a [u8]>,
}

impl<'a> Packet<'a> {
    /// `None` where the adaptation field is longer than the packet.
    pub fn of(bytes: &'a [u8; PACKET_BYTES]) -> Option<Self> {
        let (adaptation, payload) = (bytes[3] & 0x20 != 0, bytes[3] & 0x10 != 0);
        let length = if adaptation { 1 + usize::from(bytes[4]) } else { 0 };
        let payload = if payload { Some(bytes.get(4 + length..)?) } else { None };
        Some(Self {
            begins: bytes[1] & 0x40 != 0,
            is_wrong: bytes[1] & 0x80 != 0,
            counter: bytes[3] & 0x0f,
            is_discontinuous: length > 1 && bytes[5] & 0x80 != 0,
            payload,
        })
    }
}
