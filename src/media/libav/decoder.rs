//! Decodes a track with libavcodec, on one thread unless more are asked for. Times go through it in nanoseconds; what is skipped of sound is cut off.

use std::collections::VecDeque;

use actors::domain::failure::Failure;
use ffmpeg_the_third::codec::{Context, Parameters, decoder::Opened};
use ffmpeg_the_third::packet::Flags;
use ffmpeg_the_third::picture::Type;
use ffmpeg_the_third::{self as av, Packet as Raw, ffi, frame};

use super::alpha::{over_black, over_black_by};
use super::order::Order;
use super::packet::Packet;
use super::track::Track;

/// A decoder.
pub struct Decoder {
    opened: Opened,
    complaints: u64,
    // Where times are those of decoding.
    order: Option<Order>,
    // Of an alpha channel that is coded apart.
    parameters: Parameters,
    alpha: Option<Box<Alpha>>,
}

/// Alpha channels wait for their pictures: so many of them.
const MAX_ALPHA: usize = 64;

/// An alpha channel that is coded apart, as the luma of a track of its own.
struct Alpha {
    decoder: Decoder,
    waiting: VecDeque<frame::Video>,
}

impl Decoder {
    /// For the packets of a track.
    ///
    /// # Errors
    /// `permanent` where there is none, or it does not take the configuration of the track.
    pub fn new(track: &Track) -> Result<Self, Failure> {
        Self::open(track.parameters().clone(), 1)
    }

    /// For units of which a decoder has to know this, on so many threads.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn open(parameters: Parameters, threads: i32) -> Result<Self, Failure> {
        let id = parameters.id();
        let failed = |error: av::Error| Failure::permanent(format!("{} cannot be decoded: {error}", id.name()));
        let codec = av::decoder::find(id).ok_or_else(|| failed(av::Error::DecoderNotFound))?;
        let mut context = Context::from_parameters(parameters.clone()).map_err(failed)?;
        // SAFETY: the context is not open yet.
        unsafe {
            let raw = &mut *context.as_mut_ptr();
            raw.pkt_timebase = ffi::AVRational { num: 1, den: 1_000_000_000 };
            raw.thread_count = threads;
            // A cropping rectangle is applied to the pixel; otherwise its left side is rounded, and the picture is shifted.
            raw.flags |= ffi::AV_CODEC_FLAG_UNALIGNED as libc::c_int;
        }
        let opened = context.decoder().open_as(codec).map_err(failed)?;
        Ok(Self { opened, complaints: 0, order: None, parameters, alpha: None })
    }

    /// Whether the units have no other times than those of decoding ([`super::film::Film::is_in_decoding_order`]).
    pub fn in_decoding_order(self, is: bool) -> Self {
        Self { order: is.then(Order::default), ..self }
    }

    /// Gives it a packet. A packet that it does not take is counted and left out.
    pub fn send(&mut self, packet: &Packet) {
        let mut raw: Raw = packet.raw().clone();
        raw.set_pts(packet.pts);
        raw.set_dts(packet.dts);
        if let Some(order) = &mut self.order {
            let time = packet.dts.or(packet.pts);
            raw.set_pts(time);
            time.into_iter().for_each(|time| order.enter(time));
        }
        if let Some(alpha) = packet.alpha(self.parameters.id()) {
            self.send_alpha(alpha, raw.pts());
        }
        raw.set_duration(packet.duration.and_then(|duration| i64::try_from(duration).ok()).unwrap_or(0));
        self.complaints += u64::from(self.opened.send_packet(&raw).is_err());
    }

    /// Gives it a unit with a time in nanoseconds, which may be a random access point.
    pub fn send_unit(&mut self, bytes: &[u8], time: Option<i64>, key: bool) {
        if bytes.is_empty() {
            // Would be the end.
            return;
        }
        let mut raw = Raw::copy(bytes);
        raw.set_pts(time);
        if let Some(order) = &mut self.order {
            time.into_iter().for_each(|time| order.enter(time));
        }
        if key {
            raw.set_flags(Flags::KEY);
        }
        self.complaints += u64::from(self.opened.send_packet(&raw).is_err());
    }

    /// Gives it the alpha channel of a unit with this time, which is coded apart.
    pub fn send_alpha(&mut self, bytes: &[u8], time: Option<i64>) {
        if self.alpha.is_none() {
            let decoder = Self::open(self.parameters.clone(), 1).ok();
            self.alpha = decoder.map(|decoder| Box::new(Alpha { decoder, waiting: VecDeque::new() }));
        }
        if let Some(alpha) = &mut self.alpha {
            alpha.decoder.send_unit(bytes, time, false);
            while let Some(picture) = alpha.decoder.picture() {
                alpha.waiting.push_back(picture);
            }
            let surplus = alpha.waiting.len().saturating_sub(MAX_ALPHA);
            alpha.waiting.drain(..surplus);
        }
    }

    /// There are no more packets.
    pub fn end(&mut self) {
        // It can only say that it was told before.
        let _ = self.opened.send_eof();
    }

    /// The next picture that is decoded, over black where it is transparent.
    pub fn picture(&mut self) -> Option<frame::Video> {
        let mut picture = frame::Video::empty();
        if !self.receive(&mut picture) {
            return None;
        }
        over_black(&mut picture);
        if let Some(Alpha { waiting, .. }) = self.alpha.as_deref_mut()
            && let Some(place) = waiting.iter().position(|alpha| alpha.pts() == picture.pts())
            && let Some(alpha) = waiting.drain(..=place).next_back()
        {
            over_black_by(&mut picture, &alpha);
        }
        if let (Some(order), Some(own)) = (&mut self.order, picture.pts()) {
            let time = order.leave(own, picture.kind() == Type::B);
            picture.set_pts(time);
        }
        Some(picture)
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
