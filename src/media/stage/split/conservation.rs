//! Whether the demuxer gave what the container says there is: media that is there may be hidden or damaged, and must not
//! vanish. The account is that of [`crate::media::ledger`], which shares nothing with the demuxer.

use actors::domain::failure::Failure;
use actors::domain::plan::Account;

use crate::media::ledger::{Container, Kind, Ledger, TrackLedger};

/// Parsers leave out what is in front of the first frame and behind the last one.
const CUT_UNITS: u64 = 2;

/// Lengths agree within this: edit lists are rounded to ticks of the movie, and some are a frame longer than their media.
const SLACK_NS: u64 = 1_000_000_000;

/// A packet has so many samples of uncompressed sound at least, each of which is a unit of the tables.
const PCM_PACKET: u64 = 50;

/// What was read of a track.
#[derive(Clone, Copy, Debug, Default)]
pub struct Given {
    /// Packets.
    pub units: u64,
    /// Those of them of which nothing is shown.
    pub hidden: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the first one begins that is shown, and when the last one ends.
    pub shown: Option<(i64, i64)>,
}

impl Given {
    /// What became of the packets, beside those that were not given.
    pub const fn account(&self, NotGiven { hidden, lost }: NotGiven) -> Account {
        Account { shown: self.units - self.hidden, hidden: self.hidden + hidden, lost }
    }

    /// A packet that is shown in this time.
    pub fn show(&mut self, (from, to): (i64, i64)) {
        self.shown = Some(self.shown.map_or((from, to), |(first, last)| (first.min(from), last.max(to))));
    }
}

/// A track of the file, as both call it.
#[derive(Clone, Copy, Debug)]
pub struct Named {
    /// Number in the container (`track_ID`, PID).
    pub id: u64,
    /// What it holds.
    pub kind: Kind,
    /// How many of its kind stand in front of it.
    pub place: usize,
}

/// Units that the container has and the demuxer did not give.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotGiven {
    /// An edit list hides them.
    pub hidden: u64,
    /// They are damaged or missing.
    pub lost: u64,
}

/// Compares what was `given` of a track with what a file says; gives what was not given.
///
/// # Errors
/// `permanent` where more is missing than may be damaged, as a share.
pub fn compare(ledger: &Ledger, track: Named, given: Given, max_damage: f64) -> Result<NotGiven, Failure> {
    let Some(said) = find(ledger, track) else { return Ok(NotGiven::default()) };
    tracing::info!(
        ?track,
        units = said.units,
        absent = said.absent,
        broken = said.broken,
        given = given.units,
        "ledger"
    );
    let (what, there, found, slack) = match ledger.container {
        // An edit list leaves samples out or shows them twice; as far as there is media for it, all of it is shown.
        Container::Mp4 if said.shown_ns.is_some() => {
            let media = said.first_ns.zip(said.end_ns).map_or(0, |(first, end)| end.abs_diff(first));
            let shown = given.shown.map_or(0, |(first, last)| last.abs_diff(first));
            ("ns", said.shown_ns.unwrap_or(0).min(media), shown, SLACK_NS)
        }
        // Sound without compression is read in packets of many samples.
        Container::Mp4 if said.units > given.units.saturating_mul(PCM_PACKET) => return Ok(NotGiven::default()),
        Container::Mp4 | Container::Matroska | Container::Flv | Container::Avi => {
            ("units", said.units, given.units, CUT_UNITS)
        }
        // A packet of a transport stream may hold many frames, and a frame may need many: the bytes are the same.
        Container::MpegTs => ("bytes", said.bytes, given.bytes, said.bytes / said.units.max(1) * CUT_UNITS),
    };
    let lost = there.saturating_sub(found);
    if lost <= slack || lost as f64 <= there as f64 * max_damage {
        return Ok(not_given(ledger.container, said, given.units, (if lost > slack { lost } else { 0 }, there)));
    }
    let name = match track.kind {
        Kind::Video => "video",
        Kind::Audio => "audio",
        Kind::Other => "other",
    };
    Err(Failure::permanent(format!(
        "the {name} track has {there} {what}, and {found} of them can be read; the file is damaged, upload it again, or allow \
         more (input.max_damage)"
    )))
}

/// Units that are hidden and lost, where so much of what is there is lost, in the measure of [`compare`].
fn not_given(container: Container, said: &TrackLedger, given: u64, (lost, there): (u64, u64)) -> NotGiven {
    let missing = said.units.saturating_sub(given);
    let share =
        || u64::try_from(u128::from(lost) * u128::from(said.units) / u128::from(there.max(1))).unwrap_or(missing);
    match container {
        Container::MpegTs => NotGiven { hidden: 0, lost: share() },
        Container::Mp4 if said.units > given.saturating_mul(PCM_PACKET) => NotGiven { hidden: 0, lost: said.absent },
        // The list says how much is shown: what is missing beyond that it hides.
        Container::Mp4 if said.shown_ns.is_some() => {
            let damaged = share().min(missing);
            NotGiven { hidden: missing - damaged, lost: damaged + said.absent }
        }
        Container::Mp4 | Container::Matroska | Container::Flv | Container::Avi => {
            NotGiven { hidden: 0, lost: missing + said.absent }
        }
    }
}

fn find(ledger: &Ledger, track: Named) -> Option<&TrackLedger> {
    match ledger.container {
        Container::Mp4 | Container::MpegTs => ledger.tracks.iter().find(|said| said.id == track.id),
        _ => ledger.tracks.iter().filter(|said| said.kind == track.kind).nth(track.place),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIDEO: Named = Named { id: 7, kind: Kind::Video, place: 0 };

    fn said(container: Container, shown_ns: Option<u64>) -> Ledger {
        let track = |kind, id, units| TrackLedger {
            kind,
            id,
            units,
            bytes: units * 1000,
            empty: 0,
            absent: 0,
            absent_ns: 0,
            first_ns: Some(80_000_000),
            end_ns: Some(40_080_000_000),
            shown_ns,
            broken: 0,
        };
        let tracks = vec![track(Kind::Audio, 3, 5000), track(Kind::Video, 7, 1000)];
        Ledger { container, tracks, said_ns: None, broken: 0 }
    }

    fn all(NotGiven { hidden, lost }: NotGiven) -> u64 {
        hidden + lost
    }

    fn given(units: u64) -> Given {
        let end = i64::try_from(units).expect("few") * 40_000_000;
        Given { units, hidden: 0, bytes: units * 1000, shown: Some((0, end)) }
    }

    #[test]
    fn a_demuxer_that_loses_more_than_may_be_damaged_is_found_in_every_container() {
        let lists = [None, Some(40_000_000_000)];
        for (container, shown_ns) in [Container::Matroska, Container::Flv, Container::Avi, Container::MpegTs]
            .map(|container| (container, None))
            .into_iter()
            .chain(lists.map(|list| (Container::Mp4, list)))
        {
            let ledger = said(container, shown_ns);
            assert_eq!(compare(&ledger, VIDEO, given(1000), 0.0), Ok(NotGiven::default()), "{container:?}");
            assert_eq!(compare(&ledger, VIDEO, given(990), 0.02).map(all), Ok(10), "{container:?}");
            let failure = compare(&ledger, VIDEO, given(900), 0.02).expect_err("a tenth is lost");
            assert!(failure.message.contains("the video track has"), "{container:?}: {failure}");
            assert_eq!(compare(&ledger, VIDEO, given(900), 1.0).map(all), Ok(100), "{container:?}");
        }
    }

    #[test]
    fn what_an_edit_list_does_not_show_is_hidden_and_not_lost() {
        let ledger = said(Container::Mp4, Some(20_000_000_000));
        assert_eq!(compare(&ledger, VIDEO, given(500), 0.0), Ok(NotGiven { hidden: 500, lost: 0 }));
        // A tenth of what it shows is not there.
        assert_eq!(compare(&ledger, VIDEO, given(450), 1.0).map(|found| found.lost > 0), Ok(true));
        let account = Given { hidden: 20, ..given(500) }.account(NotGiven { hidden: 500, lost: 3 });
        assert_eq!(account, Account { shown: 480, hidden: 520, lost: 3 });
    }

    #[test]
    fn an_edit_that_is_longer_than_its_media_is_no_loss_and_neither_are_packets_of_many_samples() {
        assert_eq!(
            compare(&said(Container::Mp4, Some(90_000_000_000)), VIDEO, given(1000), 0.0),
            Ok(NotGiven::default())
        );
        let sound = Named { id: 3, kind: Kind::Audio, place: 0 };
        assert_eq!(compare(&said(Container::Mp4, None), sound, given(5), 0.0), Ok(NotGiven::default()));
        assert!(compare(&said(Container::Matroska, None), sound, given(5), 0.0).is_err());
    }
}
