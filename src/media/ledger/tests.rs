//! Damage in all containers.

use std::io::Write as _;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{Container, Kind, Ledger, TrackLedger};

/// For files of some kilobytes.
const QUICKLY: Duration = Duration::from_secs(2);

/// The ledger of a file with these bytes.
pub(super) fn read(bytes: &[u8]) -> Option<Ledger> {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(bytes).expect("written");
    super::read(&file).expect("readable")
}

/// A track with so many units of together so many bytes, shown at these milliseconds.
pub(super) fn track(kind: Kind, id: u64, units: u64, bytes: u64, shown_ms: (i64, i64)) -> TrackLedger {
    let mut track = TrackLedger::new(kind, id);
    track.count(units, bytes);
    track.shown(shown_ms.0 * 1_000_000, shown_ms.1 * 1_000_000);
    track
}

fn films() -> [(Container, Vec<u8>); 6] {
    [
        (Container::Mp4, super::mp4::tests::film()),
        (Container::Mp4, super::mp4::tests::fragmented()),
        (Container::Matroska, super::matroska::tests::film()),
        (Container::MpegTs, super::mpegts::tests::film()),
        (Container::Flv, super::flv::tests::film()),
        (Container::Avi, super::avi::tests::film()),
    ]
}

#[test]
fn each_container_is_known_by_its_beginning() {
    for (container, film) in films() {
        let ledger = read(&film).expect("a ledger");
        assert_eq!(ledger.container, container);
        assert!(ledger.tracks.iter().all(|track| track.units > 0 && track.absent == 0), "{ledger:?}");
    }
    for other in [&b""[..], b"G", b"RIFF\0\0\0\0WAVEfmt ", b"\x1a\x45\xdf", &[0x47; 187], &[0; 4000]] {
        assert_eq!(read(other), None);
    }
}

#[test]
fn the_position_of_the_file_stays() {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(&films()[0].1).expect("written");
    std::io::Seek::rewind(&mut file).expect("a file");
    super::read(&file).expect("readable");
    assert_eq!(std::io::Seek::stream_position(&mut file).expect("a file"), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn no_damage_stops_or_delays(
        film in 0..films().len(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        kept in any::<prop::sample::Index>(),
        is_cut: bool,
    ) {
        let mut bytes = films()[film].1.clone();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        bytes.truncate(if is_cut { kept.index(bytes.len()) } else { bytes.len() });
        let started = Instant::now();
        read(&bytes);
        prop_assert!(started.elapsed() < QUICKLY);
    }

    #[test]
    fn nothing_whole_is_lost_with_the_end(film in 0..films().len(), kept in any::<prop::sample::Index>()) {
        let whole = films()[film].1.clone();
        let cut = read(&whole[..kept.index(whole.len())]);
        let whole = read(&whole).expect("a ledger");
        for track in cut.map(|cut| cut.tracks).unwrap_or_default() {
            let same = whole.tracks.iter().find(|same| (same.kind, same.id) == (track.kind, track.id));
            prop_assert!(same.is_none_or(|same| track.units <= same.units && track.bytes <= same.bytes));
        }
    }

    #[test]
    fn any_bytes_behind_a_beginning_can_be_read(
        film in 0..films().len(),
        from in 0usize..300,
        noise in proptest::collection::vec(any::<u8>(), 0..3000),
    ) {
        let mut bytes = films()[film].1.clone();
        bytes.truncate(from);
        bytes.extend(noise);
        read(&bytes);
    }
}
