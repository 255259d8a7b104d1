//! A compressed frame or packet on the presentation timeline. What an edit list hides is needed for decoding only.

use std::collections::VecDeque;

use ffmpeg_the_third::codec::Id;
use gstreamer as gst;

use super::aes3::length_ns;
use crate::media::gdp::{presentation_ns, to_file_time};
use crate::media::libav::packet::Packet;
use crate::media::libav::track::Track;

/// A compressed frame or packet with its times in nanoseconds.
#[derive(Debug)]
pub struct Unit {
    /// Presentation time. That of a hidden unit is the one that it would have, which another unit may have as well.
    pub time: i64,
    /// Whether the time was in the stream, or is a guess.
    pub timed: bool,
    /// Decoding time.
    pub dts: Option<i64>,
    /// Length, where it is known.
    pub duration: Option<u64>,
    /// Whether nothing of it is shown.
    pub hidden: bool,
    /// The part of it that is shown.
    pub heard: (i64, i64),
    /// Its bytes.
    pub buffer: gst::Buffer,
    /// Its alpha channel, where that is coded apart.
    pub alpha: Option<Vec<u8>>,
}

impl Unit {
    /// The same with other bytes.
    pub fn with_bytes(&self, bytes: Vec<u8>) -> Self {
        let mut buffer = gst::Buffer::from_slice(bytes);
        // A new buffer has one owner, and its metadata can always be written.
        let _ = self.buffer.copy_into(buffer.make_mut(), gst::BUFFER_COPY_METADATA, ..);
        Self { buffer, alpha: None, ..*self }
    }
}

/// A packet for a parser, with its time in the file of a source.
pub fn to_buffer(packet: &Packet, time: Option<i64>) -> gst::Buffer {
    let mut buffer = gst::Buffer::from_slice(packet.bytes().to_vec());
    let fields = buffer.make_mut();
    fields.set_pts(time.map(to_file_time));
    fields.set_duration(packet.duration.map(gst::ClockTime::from_nseconds));
    if !packet.key {
        fields.set_flags(gst::BufferFlags::DELTA_UNIT);
    }
    buffer
}

/// Makes units of what a parser gives.
#[derive(Debug, Default)]
pub struct Pictures {
    in_decoding_order: bool,
    next: i64,
    // Packets that went into the parser and have not come out.
    inside: VecDeque<Inside>,
    latest: i64,
    hides: bool,
}

/// What a parser does not give back.
#[derive(Debug)]
struct Inside {
    time: Option<i64>,
    hidden: bool,
    alpha: Option<Vec<u8>>,
}

/// Packets that a parser holds back, and more.
const MAX_INSIDE: usize = 64;

impl Pictures {
    /// None yet. Where their times are those of decoding the decoder finds out when they are shown.
    pub fn new(in_decoding_order: bool) -> Self {
        Self { in_decoding_order, ..Self::default() }
    }

    /// A packet goes into the parser. Says whether another edit begins with it: the film goes back to a random access point.
    pub fn enter(&mut self, packet: &Packet, alpha: Option<&[u8]>, time: Option<i64>) -> bool {
        let begins = packet.key && (packet.hidden || self.hides) && time.is_some_and(|time| time < self.latest);
        self.hides = packet.hidden || self.hides && !begins;
        self.latest = match time {
            Some(time) if begins => time,
            Some(time) => self.latest.max(time),
            None => self.latest,
        };
        if self.inside.len() == MAX_INSIDE {
            self.inside.pop_front();
        }
        self.inside.push_back(Inside { time, hidden: packet.hidden, alpha: alpha.map(<[u8]>::to_vec) });
        begins
    }

    /// The next unit.
    pub fn unit(&mut self, buffer: gst::Buffer) -> Unit {
        let time = buffer.pts().map(presentation_ns);
        let known = self.inside.iter().position(|inside| inside.time == time);
        let known = known.and_then(|known| self.inside.drain(..=known).next_back());
        let (hidden, alpha) = known.map_or((false, None), |known| (known.hidden, known.alpha));
        let duration = buffer.duration().map(gst::ClockTime::nseconds);
        let dts = time.filter(|_| self.in_decoding_order);
        // A random access point is decoded when it is shown, or all would be late.
        let reordered = dts.is_some() && buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        let (timed, time) = (time.is_some() && !reordered, time.unwrap_or(self.next));
        let end = time.saturating_add_unsigned(duration.unwrap_or(0));
        let hidden = hidden || time < 0;
        if !hidden {
            self.next = end;
        }
        Unit { time, timed, dts, duration, hidden, heard: (time, end), buffer, alpha }
    }
}

/// Makes units of packets of sound.
#[derive(Debug)]
pub struct Sounds {
    caps: gst::Caps,
    next: i64,
    // Packets at the beginning whose samples are the delay of the encoder, where no container says so.
    priming: u32,
}

/// The delay of an encoder of Windows Media Audio in packets: libavcodec, `wmadec.c`.
const WMA_PRIMING: u32 = 2;

impl Sounds {
    /// Packets of this form.
    pub fn new(caps: gst::Caps, codec: Id) -> Self {
        let priming = if matches!(codec, Id::WMAV1 | Id::WMAV2) { WMA_PRIMING } else { 0 };
        Self { caps, next: 0, priming }
    }

    /// The next one.
    pub fn unit(&mut self, packet: &mut Packet, track: &Track) -> Unit {
        packet.duration = packet.duration.or_else(|| length_ns(packet.bytes(), &self.caps));
        let packet = &*packet;
        let time = packet.pts.or(packet.dts);
        let (timed, time) = (time.is_some(), time.unwrap_or(self.next));
        let end = time.saturating_add_unsigned(packet.duration.unwrap_or(0));
        self.next = end;
        let (from, to) = match self.priming {
            0 => packet.heard(track).unwrap_or((time, end)),
            _ => (end, end),
        };
        self.priming = self.priming.saturating_sub(1);
        let buffer = to_buffer(packet, packet.pts);
        let hidden = packet.hidden || to <= from.max(0) && packet.duration.is_some();
        Unit {
            time,
            timed,
            dts: packet.dts,
            duration: packet.duration,
            hidden,
            heard: (from.max(0), to),
            buffer,
            alpha: None,
        }
    }
}
