//! Cuts an input into chunk sources and an audio source, without decoding it.
//!
//! * [`boxes`]: whether an MP4 file is whole; [`conservation`]: whether all that is there was read
//! * [`parsed`]: from packets to access units
//! * [`unit`]: what an edit list hides
//! * [`access`], [`cutter`], [`cadence`], [`video`]: the video track
//! * [`sound`]: the audio track; [`aes3`]: what its packets say in MPEG-TS
//!
//! Everything runs on one thread; memory holds eight bytes for each frame of a chunk source, and some packets.

mod access;
mod aes3;
mod boxes;
mod cadence;
mod conservation;
mod cutter;
mod parsed;
mod sound;
mod unit;
mod video;

use actors::domain::failure::Failure;
use actors::domain::plan::{Account, AudioFacts, SourceFacts, VideoFacts};
use ffmpeg_the_third::codec::Id;

use crate::media::carry_out::CarryOut;
use crate::media::ledger;
use crate::media::libav::Reader;
use crate::media::libav::caps;
use crate::media::libav::choice::{self, Choice};
use crate::media::libav::described;
use crate::media::libav::film::Film;
use crate::media::libav::packet::Packet;
use crate::process::Progress;
use crate::protocol::SplitSpec;
use boxes::Boxes;
use conservation::{Given, Named, NotGiven};
use parsed::{Item, Parsed};
use sound::AudioTrack;
use unit::{Pictures, Sounds};
use video::VideoTrack;

/// An input that ends so much earlier than it says is truncated: more than this, and more than this part of its length.
const TRUNCATED: (u64, u64) = (1_000_000_000, 50);
/// The same for Matroska, whose structure says whether the file is whole: players have made short films whose header says more.
const TRUNCATED_MATROSKA: (u64, u64) = (5_000_000_000, 10);
/// Progress is told each time that so much media was read, in nanoseconds.
const PROGRESS_NS: u64 = 1_000_000_000;
/// Containers whose header says how long the film is, whatever there is of it.
const WITH_LENGTH: [&str; 3] = ["matroska,webm", "flv", "avi"];

impl CarryOut for SplitSpec {
    /// Cuts the input. `progress` gets the media time that was read.
    ///
    /// # Errors
    /// `permanent` where the input is at fault, with a sentence that says what was found; `retryable` where the disk is.
    fn carry_out(&self, progress: Progress<'_>) -> Result<SourceFacts, Failure> {
        cut(self, progress).map_err(|failure| failure.context(self.input.display()))
    }
}

fn cut(spec: &SplitSpec, progress: Progress<'_>) -> Result<SourceFacts, Failure> {
    let boxes = check_file(spec)?;
    let reader = Reader::open(&spec.input)?;
    let choice = Choice::new(reader.tracks(), spec.audio)?;
    let container = reader.container();
    let said_ns = reader.said_ns().filter(|_| WITH_LENGTH.contains(&container.as_str()) && spec.max_damage < 1.0);
    let slack = if container == "matroska,webm" { TRUNCATED_MATROSKA } else { TRUNCATED };
    let mut splitter = Splitter::new(spec, reader, choice)?;
    splitter.run(progress)?;
    if let Some(failure) = truncation(said_ns, slack, splitter.first_ns, splitter.end_ns) {
        return Err(failure);
    }
    if let Some(Boxes { cut: Some(cut), .. }) = boxes.as_ref().filter(|_| spec.max_damage < 1.0) {
        return Err(Failure::permanent(format!(
            "the file ends inside its `{cut}` box; it is truncated, upload it again"
        )));
    }
    let accounts = splitter.account(spec)?;
    splitter.finish(accounts)
}

/// The finding that a file ends much earlier than its header says. Some headers count from zero, wherever the media begins.
fn truncation(said_ns: Option<u64>, (least, part): (u64, u64), first_ns: i64, end_ns: i64) -> Option<Failure> {
    let said = said_ns?;
    let found = u64::try_from(end_ns.max(end_ns.saturating_add(first_ns))).unwrap_or(0);
    if said.saturating_sub(found) <= least.max(said / part) {
        return None;
    }
    // Tenths of a second are enough for a reader.
    let (said, end) = (said as f64 / 1e9, found as f64 / 1e9);
    Some(Failure::permanent(format!(
        "the file says {said:.1} s but ends at {end:.1} s; it is truncated, upload it again"
    )))
}

/// Looks at the file before anything is parsed; gives the boxes of an MP4 file.
fn check_file(spec: &SplitSpec) -> Result<Option<Boxes>, Failure> {
    use std::io::ErrorKind;
    let mut file = std::fs::File::open(&spec.input).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::PermissionDenied => Failure::permanent(format!("cannot be read: {error}")),
        _ => Failure::retryable(format!("cannot be read: {error}")),
    })?;
    let unreadable = |error: std::io::Error| Failure::retryable(format!("cannot be read: {error}"));
    let facts = file.metadata().map_err(unreadable)?;
    if !facts.is_file() {
        return Err(Failure::permanent("is not a file"));
    }
    if facts.len() == 0 {
        return Err(Failure::permanent("the file is empty, upload it again"));
    }
    if spec.max_damage < 1.0 && boxes::is_cut_matroska(&mut file).map_err(unreadable)? {
        return Err(Failure::permanent("the file ends before its segment does; it is truncated, upload it again"));
    }
    let boxes = Boxes::read(&mut file).map_err(unreadable)?;
    match &boxes {
        Some(boxes) if !boxes.has_index => Err(Failure::permanent(
            "the file is an MP4 file without its index (the `moov` box); it is truncated, upload it again",
        )),
        _ => Ok(boxes),
    }
}

/// Takes the packets of the tracks that are used, and cuts them.
struct Splitter {
    film: Film,
    video: Picture,
    audio: Option<Sound>,
    first_ns: i64,
    end_ns: i64,
    // Of each track of the file.
    given: Vec<Given>,
}

struct Picture {
    index: usize,
    parsed: Parsed,
    pictures: Pictures,
    track: VideoTrack,
    decoding_order: bool,
}

struct Sound {
    index: usize,
    sounds: Sounds,
    track: AudioTrack,
}

impl Splitter {
    fn new(spec: &SplitSpec, reader: Reader, choice: Choice) -> Result<Self, Failure> {
        let duration_ns = reader.guessed_ns();
        let (index, form) = choice.video;
        let used: Vec<_> = std::iter::once(index).chain(choice.audio.as_ref().map(|(index, _)| *index)).collect();
        let film = Film::new(reader, &used)?;
        let decoding_order = film.is_in_decoding_order(index);
        let parsed = Parsed::new(&form)?;
        let mut caps = form.caps;
        // Parameter sets are in the units that the parsers of these give.
        let in_band = matches!(film.tracks()[index].codec, Id::H264 | Id::HEVC);
        described::describe(caps.make_mut(), &film.tracks()[index], in_band);
        let mut track = VideoTrack::new(&spec.directory, caps, duration_ns, spec.chunk_seconds, decoding_order);
        if spec.from_start {
            track.decode_from_start();
        }
        let pictures = Pictures::new(track.is_in_decoding_order());
        let video = Picture { index, parsed, pictures, track, decoding_order };
        let codec = |index: usize| film.tracks()[index].codec;
        let audio = choice.audio.map(|(index, form)| {
            let track = AudioTrack::new(&spec.directory, form.caps.clone())?;
            Ok(Sound { index, sounds: Sounds::new(form.caps, codec(index)), track })
        });
        let first_ns = film.zero_ns();
        let given = vec![Given::default(); film.tracks().len()];
        Ok(Self { given, film, video, audio: audio.transpose()?, first_ns, end_ns: 0 })
    }

    fn run(&mut self, progress: Progress<'_>) -> Result<(), Failure> {
        let mut told = 0;
        while let Some(mut packet) = self.film.packet()? {
            if packet.is_encrypted() {
                return Err(Failure::permanent(choice::ENCRYPTED));
            }
            let given = &mut self.given[packet.track];
            given.units += 1;
            given.bytes += packet.bytes().len() as u64;
            match packet.heard(&self.film.tracks()[packet.track]) {
                Some(heard) if !packet.hidden => given.show(heard),
                _ => given.hidden += u64::from(packet.hidden),
            }
            if packet.track == self.video.index {
                self.video.push(&packet, &self.film, &mut self.end_ns)?;
            } else if let Some(sound) = self.audio.as_mut().filter(|sound| sound.index == packet.track) {
                let unit = sound.sounds.unit(&mut packet, &self.film.tracks()[sound.index]);
                self.end_ns = self.end_ns.max(unit.heard.1);
                sound.track.push(&unit)?;
            }
            let media_ns = u64::try_from(self.end_ns).unwrap_or(0);
            if media_ns >= told + PROGRESS_NS {
                told = media_ns;
                progress(media_ns);
            }
        }
        self.video.parsed.end();
        self.video.drain(&mut self.end_ns)
    }

    /// Compares what was read with what is there; gives what became of the pictures and of the sound.
    fn account(&self, spec: &SplitSpec) -> Result<(Account, Option<Account>), Failure> {
        let unreadable = |error: std::io::Error| Failure::retryable(format!("cannot be read: {error}"));
        let file = std::fs::File::open(&spec.input).map_err(unreadable)?;
        let ledger = ledger::read(&file).map_err(unreadable)?;
        let account = |index: usize, kind: ledger::Kind| {
            let tracks = self.film.tracks();
            let place = tracks[..index].iter().filter(|track| track.is_like(&tracks[index])).count();
            let (named, given) = (Named { id: tracks[index].id, kind, place }, self.given[index]);
            let compare = |ledger| conservation::compare(ledger, named, given, spec.max_damage);
            let not_given = ledger.as_ref().map_or(Ok(NotGiven::default()), compare);
            not_given.map(|not_given| given.account(not_given))
        };
        let audio = self.audio.as_ref().map(|sound| account(sound.index, ledger::Kind::Audio)).transpose()?;
        Ok((account(self.video.index, ledger::Kind::Video)?, audio))
    }

    fn finish(self, (of_video, of_audio): (Account, Option<Account>)) -> Result<SourceFacts, Failure> {
        let orientation = self.film.tracks()[self.video.index].orientation;
        let audio = self.audio.map(|sound| sound.track.finish()).transpose()?.flatten();
        let video = VideoFacts { account: Some(of_video), ..self.video.track.finish(orientation)? };
        Ok(SourceFacts { video, audio: audio.map(|audio| AudioFacts { account: of_audio, ..audio }) })
    }
}

impl Picture {
    fn push(&mut self, packet: &Packet, film: &Film, end_ns: &mut i64) -> Result<(), Failure> {
        if let Some(configuration) = packet.new_configuration()
            && let Some(form) = caps::changed(&film.tracks()[self.index], configuration)
        {
            self.parsed.change(&form)?;
        }
        let time = if self.decoding_order { packet.dts } else { packet.pts };
        let alpha = packet.alpha(film.tracks()[self.index].codec);
        if self.pictures.enter(packet, alpha, time) {
            // What the parser holds belongs to the edit before.
            self.parsed.drain()?;
            self.drain(end_ns)?;
            self.track.begin_edit();
        }
        self.parsed.push(unit::to_buffer(packet, time))?;
        self.drain(end_ns)
    }

    fn drain(&mut self, end_ns: &mut i64) -> Result<(), Failure> {
        while let Some(item) = self.parsed.take() {
            match item {
                Item::Caps(caps) => self.track.set_caps(caps),
                Item::Unit(buffer) => {
                    let unit = self.pictures.unit(buffer);
                    if !unit.hidden {
                        *end_ns = (*end_ns).max(unit.heard.1);
                    }
                    self.track.push(&unit)?;
                }
            }
        }
        Ok(())
    }
}
