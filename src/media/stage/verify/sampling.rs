//! Which pictures of the input are looked at: random access points that are such in the output as well, because both decode
//! there at once; and whole groups of pictures, as many as the cost allows, in which a missing reference or a false access
//! point shows. Sound is decoded whole. Where that finds a difference, all pictures are decoded from the first one on, because an
//! access point may be one by its container alone.

use std::collections::BTreeSet;
use std::path::Path;

use actors::domain::failure::Failure;
use actors::domain::geometry::Orientation;

use super::file::{decoder, open};
use super::levels::Levels;
use super::listing::Listing;
use crate::media::libav::decoder::{Decoder, time_ns};
use crate::media::libav::film::Film;
use crate::media::libav::packet::Packet;
use crate::media::libav::thumbnail::Thumbnail;
use crate::process::Progress;

/// So many samples of luma are decoded of any film, 24 pictures in high definition: they cost nothing beside what else a job costs.
const FREE: f64 = 24.0 * PIXELS;
/// Those of a picture in high definition.
const PIXELS: f64 = 1920.0 * 1080.0;
/// And this share of the others, in the input and again in the output: decoding a film costs about a seventh of encoding it.
const SHARE: f64 = 0.05;
/// Distance of random access points that are looked at.
const KEYS_NS: i64 = 2_000_000_000;
/// Distance of other pictures in high definition that are looked at; of smaller ones there are more.
const PICTURES_NS: f64 = 400e6;
/// A random access point of the output is near one of the input: three frames of 24 a second.
const NEAR_NS: i64 = 125_000_000;

/// More packets than pictures can be out of order.
const REORDERED: usize = 64;

/// What the input shows.
pub struct Input {
    /// All its frames.
    pub listing: Listing,
    /// Some pictures, with their times from the first frame on.
    pub pictures: Vec<(i64, Thumbnail)>,
    /// Its sound.
    pub levels: Option<Levels>,
}

/// Reads the input of an output with these frames; where there is a look `before`, decodes all of it, and looks there again.
///
/// # Errors
/// As those of opening and reading it.
pub fn read(
    path: &Path,
    audio: bool,
    output: &Listing,
    before: Option<&Input>,
    progress: Progress<'_>,
) -> Result<Input, Failure> {
    let (mut film, choice) = open(path, audio)?;
    let video = choice.video.0;
    let mut listing = Listing::new(&film, video);
    let mut sampler = Sampler::new(&film, video, output)?;
    if let Some(before) = before {
        sampler.credit = f64::INFINITY;
        sampler.again = before.pictures.iter().map(|(time, _)| time + before.listing.first_ns).collect();
    }
    let mut sound = None;
    if let Some((index, _)) = choice.audio {
        sound = Some((index, Decoder::new(&film.tracks()[index])?, Levels::default()));
    }
    let mut told = 0;
    while let Some(packet) = film.packet()? {
        if packet.track == video {
            listing.note(&packet);
            // The first picture is among the first packets, in whatever order.
            let first = (listing.times.len() < REORDERED).then(|| listing.times.iter().min().copied()).flatten();
            sampler.take(&packet, first);
            let media_ns = packet.pts.and_then(|time| u64::try_from(time).ok()).unwrap_or(0);
            if media_ns > told + 1_000_000_000 {
                told = media_ns;
                progress(media_ns);
            }
        } else if let Some((_, decoder, levels)) = &mut sound {
            decoder.send(&packet);
            levels.take_all(decoder);
        }
    }
    sampler.decoder.end();
    sampler.drain();
    let levels = sound.map(|(_, mut decoder, mut levels)| {
        decoder.end();
        levels.take_all(&mut decoder);
        levels
    });
    listing.finish_like(output);
    let first = listing.first_ns;
    let pictures = sampler.pictures.into_iter().map(|(time, picture)| (time - first, picture));
    let pictures = pictures.filter(|(time, _)| *time >= 0).collect();
    Ok(Input { pictures, levels: levels.map(|levels| levels.from(first)), listing })
}

struct Sampler<'a> {
    decoder: Decoder,
    output: &'a Listing,
    orientation: Orientation,
    // Pictures that may still be decoded.
    credit: f64,
    free: f64,
    distance_ns: i64,
    again: BTreeSet<i64>,
    begun: bool,
    mode: Mode,
    begins: i64,
    first: i64,
    sampled: Option<i64>,
    pictures: Vec<(i64, Thumbnail)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Nothing,
    KeyOnly,
    Whole,
}

impl<'a> Sampler<'a> {
    fn new(film: &Film, index: usize, output: &'a Listing) -> Result<Self, Failure> {
        let track = &film.tracks()[index];
        let (width, height) = (track.parameters().width(), track.parameters().height());
        let pixels = (f64::from(width) * f64::from(height)).max(1.0);
        let free = FREE / pixels;
        Ok(Self {
            decoder: decoder(track)?.in_decoding_order(film.is_in_decoding_order(index)),
            output,
            orientation: track.orientation,
            credit: free,
            free,
            // Rounded down: no distance is none.
            distance_ns: (PICTURES_NS * (pixels / PIXELS).min(1.0)) as i64,
            again: BTreeSet::new(),
            begun: false,
            mode: Mode::Nothing,
            begins: i64::MIN,
            first: 0,
            sampled: None,
            pictures: Vec::new(),
        })
    }

    fn take(&mut self, packet: &Packet, first: Option<i64>) {
        self.first = first.unwrap_or(self.first);
        self.credit += SHARE;
        let time = packet.pts.or(packet.dts).unwrap_or(0);
        if !self.begun {
            self.begun = true;
            // A recording that begins in the middle of a group may have no access point at all.
            self.mode = Mode::Whole;
        }
        if packet.key {
            let before = self.mode;
            self.mode = self.mode_from(time);
            // What is shown before a picture that is decoded without the ones in front of it is not to be had.
            self.begins = if before == Mode::Whole { i64::MIN } else { time };
        }
        let wanted = match self.mode {
            Mode::Nothing => false,
            Mode::KeyOnly => time == self.begins && packet.key,
            Mode::Whole => time >= self.begins,
        };
        if !wanted {
            return;
        }
        self.credit -= 1.0;
        if self.mode == Mode::Whole && self.credit < 0.0 {
            self.mode = Mode::Nothing;
        }
        self.decoder.send(packet);
        self.drain();
    }

    fn mode_from(&self, time: i64) -> Mode {
        let from_first = time - self.first;
        let near = |key: &i64| (-NEAR_NS..=NEAR_NS).contains(&(from_first - key));
        let at = self.output.keys.partition_point(|key| *key < from_first - NEAR_NS);
        let shared = self.output.keys.get(at).is_some_and(near);
        match self.sampled {
            _ if self.credit > self.free / 3.0 => Mode::Whole,
            Some(sampled) if time - sampled < KEYS_NS => Mode::Nothing,
            _ if shared => Mode::KeyOnly,
            _ => Mode::Nothing,
        }
    }

    fn drain(&mut self) {
        while let Some(picture) = self.decoder.picture() {
            let Some(time) = time_ns(&picture) else { continue };
            let far = |sampled: i64| time - sampled >= self.distance_ns || time < sampled;
            let due = self.sampled.is_none_or(far) || self.again.contains(&time);
            if (due || self.mode == Mode::KeyOnly)
                && !picture.is_corrupt()
                && let Some(small) = Thumbnail::of(&picture)
            {
                self.sampled = Some(time);
                self.pictures.push((time, small.turned(self.orientation)));
            }
        }
    }
}
