//! Whether the demuxer gave what the container says there is: media that is there may be hidden or damaged, and must not
//! vanish. The account is that of [`crate::media::ledger`], which shares nothing with the demuxer.

use std::fs::File;
use std::io;

use actors::domain::failure::Failure;

use crate::media::ledger::{self, Container, Kind, Ledger, TrackLedger};
use crate::media::libav::track::Track;

/// Parsers leave out what is in front of the first frame and behind the last one.
const CUT_UNITS: u64 = 2;

/// Lengths agree within this: edit lists are rounded to ticks of the movie, and some are a frame longer than their media.
const SLACK_NS: u64 = 1_000_000_000;

/// What was read of a track.
#[derive(Clone, Copy, Debug, Default)]
pub struct Given {
    /// Packets.
    pub units: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the first one begins that is shown, and when the last one ends.
    pub shown: Option<(i64, i64)>,
}

impl Given {
    /// A packet that is shown in this time.
    pub fn show(&mut self, (from, to): (i64, i64)) {
        self.shown = Some(self.shown.map_or((from, to), |(first, last)| (first.min(from), last.max(to))));
    }
}

/// The account of a file; `None` for containers that have none.
pub struct Account(Option<Ledger>);

impl Account {
    /// Reads a file.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn read(file: &File) -> io::Result<Self> {
        ledger::read(file).map(Self)
    }

    /// Compares what was `given` of `track`, which is the `place`-th of its kind.
    ///
    /// # Errors
    /// `permanent` where more is missing than may be damaged.
    pub fn compare(
        &self,
        track: &Track,
        kind: Kind,
        place: usize,
        given: Given,
        max_damage: f64,
    ) -> Result<(), Failure> {
        let Some(ledger) = &self.0 else { return Ok(()) };
        let Some(said) = find(ledger, track, kind, place) else { return Ok(()) };
        let (there, found) = match ledger.container {
            // An edit list leaves samples out or shows them twice.
            Container::Mp4 if said.shown_ns.is_some() => return self.compare_shown(said, kind, given, max_damage),
            // Sound without compression is read in packets of many samples.
            Container::Mp4 if said.units > given.units * 50 => return Ok(()),
            Container::Mp4 | Container::Matroska | Container::Flv | Container::Avi => (said.units, given.units),
            // A packet of a transport stream may hold many frames, and a frame may need many: the bytes are the same.
            Container::MpegTs => (said.bytes, given.bytes),
        };
        let slack =
            if ledger.container == Container::MpegTs { said.bytes / said.units.max(1) * CUT_UNITS } else { CUT_UNITS };
        let lost = there.saturating_sub(found);
        tracing::info!(
            ?kind,
            units = said.units,
            absent = said.absent,
            broken = said.broken,
            given = given.units,
            "ledger"
        );
        if lost <= slack || lost as f64 <= there as f64 * max_damage {
            return Ok(());
        }
        let unit = if ledger.container == Container::MpegTs { "bytes" } else { "samples" };
        Err(Failure::permanent(format!(
            "the {} track has {there} {unit} and {found} of them can be read; the file is damaged, upload it again, or allow more \
             (input.max_damage)",
            name(kind)
        )))
    }

    /// Compares how long a track is shown with what its edit list says, as far as there is media for it.
    fn compare_shown(&self, said: &TrackLedger, kind: Kind, given: Given, max_damage: f64) -> Result<(), Failure> {
        let media = said.first_ns.zip(said.end_ns).map_or(0, |(first, end)| end.abs_diff(first));
        let there = said.shown_ns.unwrap_or(0).min(media);
        let shown_ns = given.shown.map_or(0, |(first, last)| last.abs_diff(first));
        let lost = there.saturating_sub(shown_ns);
        if lost <= SLACK_NS || lost as f64 <= there as f64 * max_damage {
            return Ok(());
        }
        let seconds = |ns: u64| ns as f64 / 1e9;
        Err(Failure::permanent(format!(
            "the {} track has {:.1} s and {:.1} s of them can be read; the file is damaged, upload it again, or allow more \
             (input.max_damage)",
            name(kind),
            seconds(there),
            seconds(shown_ns),
        )))
    }
}

const fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Video => "video",
        Kind::Audio => "audio",
        Kind::Other => "other",
    }
}

fn find<'a>(ledger: &'a Ledger, track: &Track, kind: Kind, place: usize) -> Option<&'a TrackLedger> {
    let by_id = matches!(ledger.container, Container::Mp4 | Container::MpegTs);
    let mut of_kind = ledger.tracks.iter().filter(|said| said.kind == kind);
    if by_id { ledger.tracks.iter().find(|said| said.id == track.id) } else { of_kind.nth(place) }
}
