//! How many samples a packet of Vorbis has, which only its decoder's configuration tells.

use ffmpeg_the_third::ffi;

/// The lengths of the packets of one track, in their order: each one depends on the one before.
pub(super) struct Lengths(*mut ffi::AVVorbisParseContext);

// SAFETY: the context is this one's own and has no thread.
unsafe impl Send for Lengths {}

impl Lengths {
    /// For a track with this configuration; `None` where it cannot be understood.
    pub fn new(configuration: &[u8]) -> Option<Self> {
        let size = i32::try_from(configuration.len()).ok()?;
        // SAFETY: the call reads so many bytes, and gives null where they are wrong.
        let context = unsafe { ffi::av_vorbis_parse_init(configuration.as_ptr(), size) };
        (!context.is_null()).then_some(Self(context))
    }

    /// Samples of the next packet.
    pub fn samples(&mut self, packet: &[u8]) -> Option<u64> {
        let size = i32::try_from(packet.len()).ok()?;
        // SAFETY: the call reads so many bytes.
        let samples = unsafe { ffi::av_vorbis_parse_frame(self.0, packet.as_ptr(), size) };
        u64::try_from(samples).ok().filter(|samples| *samples > 0)
    }
}

impl Drop for Lengths {
    fn drop(&mut self) {
        // SAFETY: it is this one's own, and not used any more.
        unsafe { ffi::av_vorbis_parse_free(&mut self.0) };
    }
}
