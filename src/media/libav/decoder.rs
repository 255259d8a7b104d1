//! Decodes a track with libavcodec, on one thread. Times go through it in nanoseconds; what is skipped of sound is cut off.

use actors::domain::failure::Failure;
use ffmpeg_the_third::codec::{Context, decoder::Opened};
use ffmpeg_the_third::{self as av, Packet as Raw, ffi, frame};

use super::packet::Packet;
use super::track::Track;

/// A decoder.
pub struct Decoder {
    opened: Opened,
    complaints: u64,
}

impl Decoder {
    /// For the packets of a track.
    ///
    /// # Errors
    /// `permanent` where there is none, or it does not take the configuration of the track.
    pub fn new(track: &Track) -> Result<Self, Failure> {
        let failed =
            |error: av::Error| Failure::permanent(format!("{} cannot be decoded: {error}", track.codec_name()));
        let codec = av::decoder::find(track.codec).ok_or_else(|| failed(av::Error::DecoderNotFound))?;
        let mut context = Context::from_parameters(track.parameters().clone()).map_err(failed)?;
        // SAFETY: the context is not open yet.
        unsafe {
            let raw = &mut *context.as_mut_ptr();
            raw.pkt_timebase = ffi::AVRational { num: 1, den: 1_000_000_000 };
            raw.thread_count = 1;
            // A cropping rectangle is applied to the pixel; otherwise its left side is rounded, and the picture is shifted.
            raw.flags |= ffi::AV_CODEC_FLAG_UNALIGNED as libc::c_int;
        }
        let opened = context.decoder().open_as(codec).map_err(failed)?;
        Ok(Self { opened, complaints: 0 })
    }

    /// Gives it a packet. A packet that it does not take is counted and left out.
    pub fn send(&mut self, packet: &Packet) {
        let mut raw: Raw = packet.raw().clone();
        raw.set_pts(packet.pts);
        raw.set_dts(packet.dts);
        raw.set_duration(packet.duration.and_then(|duration| i64::try_from(duration).ok()).unwrap_or(0));
        self.complaints += u64::from(self.opened.send_packet(&raw).is_err());
    }

    /// There are no more packets.
    pub fn end(&mut self) {
        // It can only say that it was told before.
        let _ = self.opened.send_eof();
    }

    /// The next picture that is decoded.
    pub fn picture(&mut self) -> Option<frame::Video> {
        let mut picture = frame::Video::empty();
        self.receive(&mut picture).then_some(picture)
    }

    /// The next block of samples that is decoded.
    pub fn sound(&mut self) -> Option<frame::Audio> {
        let mut sound = frame::Audio::empty();
        self.receive(&mut sound).then_some(sound)
    }

    /// How many packets it did not take.
    pub const fn complaints(&self) -> u64 {
        self.complaints
    }

    fn receive(&mut self, frame: &mut frame::Frame) -> bool {
        loop {
            match self.opened.receive_frame(frame) {
                Ok(()) => return true,
                Err(av::Error::Eof | av::Error::Other { errno: libc::EAGAIN }) => return false,
                Err(_) if self.complaints > 1_000_000 => return false,
                Err(_) => self.complaints += 1,
            }
        }
    }
}

/// When a frame is shown, in nanoseconds.
pub fn time_ns(frame: &frame::Frame) -> Option<i64> {
    frame.pts().or_else(|| frame.timestamp())
}
