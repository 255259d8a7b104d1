//! The ledger of the source against what the outside judge's demuxer hands over.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gstreamer_worker::media::ledger::{self, Kind, Ledger, TrackLedger};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

use super::sources::{PICTURE, TONE, make, remux};
use crate::support::media::{judge, number, text};

/// H.264 with B-frames.
const H264: &str = "-c:v libx264 -preset veryfast -g 50 -bf 3";
/// Times in Matroska and FLV are milliseconds.
const EXACTLY: f64 = 0.001;

/// What a demuxer gave of a track.
#[derive(Debug, PartialEq)]
struct Given {
    kind: Kind,
    packets: u64,
    bytes: u64,
    /// When the first one is shown.
    first: f64,
}

/// What the judge's demuxer gives of pictures and sound: as it stands in the file, without parsers and edit lists.
fn given(path: &Path) -> Vec<Given> {
    let raw: &[&str] = match path.extension().and_then(|extension| extension.to_str()) {
        Some("mp4" | "mov") => &["-ignore_editlist", "1"],
        Some("ts" | "avi") => &["-fflags", "+noparse+nofillin"],
        _ => &[],
    };
    let all = ["-map", "0:v?", "-map", "0:a?", "-c", "copy", "-copyts", "-copyinkf", "-f", "framecrc", "-"];
    let (list, _) = judge(&[raw, &["-v", "error", "-i", text(path)], &all].concat());
    let list = String::from_utf8(list).expect("text");
    let fields = |name: &str| -> Vec<String> {
        let lines = list.lines().filter_map(|line| line.strip_prefix(name)?.split_once(": "));
        lines.map(|(_, value)| value.to_owned()).collect()
    };
    let packets = |track: usize| {
        let lines = list.lines().filter_map(move |line| line.strip_prefix(&format!("{track},")));
        lines.map(|line| line.split(',').map(|field| field.trim().to_owned()).collect::<Vec<_>>())
    };
    let tracks = fields("#media_type ").into_iter().zip(fields("#tb ")).enumerate();
    let tracks = tracks.map(|(track, (kind, base))| {
        let (ticks, seconds) = base.split_once('/').expect("a time base");
        let first = packets(track).filter_map(|packet| packet[1].parse::<f64>().ok()).fold(f64::MAX, f64::min);
        Given {
            kind: if kind == "video" { Kind::Video } else { Kind::Audio },
            // Some demuxers give empty ones too.
            packets: packets(track).filter(|packet| packet[3] != "0").count() as u64,
            bytes: packets(track).map(|packet| number(&packet[3]) as u64).sum(),
            first: first * number(ticks) / number(seconds),
        }
    });
    tracks.collect()
}

fn read(path: &Path) -> Ledger {
    let file = File::open(path).expect("a file");
    ledger::read(&file).expect("readable").unwrap_or_else(|| panic!("{} has no ledger", path.display()))
}

/// Pictures, then sound, as the judge is asked for them.
fn tracks(ledger: &Ledger) -> Vec<&TrackLedger> {
    let of = |kind: Kind| ledger.tracks.iter().filter(move |track| track.kind == kind);
    of(Kind::Video).chain(of(Kind::Audio)).collect()
}

/// Checks that a whole file has in its ledger what the judge's demuxer gives; `units` says which tracks have as many.
fn check(path: &Path, has_units: impl Fn(Kind) -> bool) -> Ledger {
    let (found, given) = (read(path), given(path));
    let counted = tracks(&found);
    assert_eq!(counted.len(), given.len(), "{}: {found:?} {given:?}", path.display());
    for (track, given) in counted.iter().zip(&given) {
        let name = format!("{} {track:?} {given:?}", path.display());
        assert_eq!((track.kind, track.bytes), (given.kind, given.bytes), "{name}");
        assert!(!has_units(track.kind) || track.units == given.packets, "{name}");
        let first = track.first_ns.expect("a time") as f64 / 1e9;
        assert!((first - given.first).abs() <= EXACTLY, "{name}");
        assert_eq!((track.absent, track.absent_ns, track.broken), (0, 0, 0), "{name}");
        assert!(track.bytes > 0 && track.end_ns > track.first_ns, "{name}");
    }
    assert_eq!(found.broken, 0, "{}", path.display());
    found
}

const ALL: fn(Kind) -> bool = |_| true;

/// A film of 8 s with B-frames and AAC.
fn film(directory: &Path) -> PathBuf {
    make(directory, "film.mp4", &format!("{PICTURE} {TONE} {H264} -c:a aac"))
}

#[test]
fn mp4_of_each_form_has_the_samples_that_are_demuxed() {
    let directory = tempfile::tempdir().expect("a directory");
    let film = film(directory.path());
    let whole = check(&film, ALL);
    assert_eq!(whole.tracks[0].shown_ns, Some(8_000_000_000));
    assert_eq!(whole.said_ns, Some(8_000_000_000));
    for (name, options) in [
        ("front", "-movflags faststart"),
        ("unedited", "-use_editlist 0"),
        ("negative", "-movflags negative_cts_offsets"),
        ("late", "-output_ts_offset 3600"),
        ("fragments", "-movflags empty_moov+frag_keyframe+default_base_moof"),
        ("after", "-movflags frag_keyframe"),
        ("offsets", "-movflags empty_moov+frag_keyframe+omit_tfhd_offset"),
        ("apart", "-movflags empty_moov+frag_keyframe+separate_moof"),
        ("single", "-movflags empty_moov+frag_every_frame+default_base_moof"),
        ("dash", "-movflags dash+frag_keyframe"),
        ("quicktime", "-f mov"),
    ] {
        let remuxed = check(&remux(directory.path(), &format!("{name}.mp4"), &film, options), ALL);
        for (track, same) in remuxed.tracks.iter().zip(&whole.tracks) {
            assert_eq!((track.units, track.bytes), (same.units, same.bytes), "{name}");
        }
    }
}

#[test]
fn an_edit_list_shows_less_than_there_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let film = film(directory.path());
    let cut = check(&make(directory.path(), "cut.mp4", &format!("-ss 3 -i {} -c copy -t 2", text(&film))), ALL);
    let pictures = &cut.tracks[0];
    let there = pictures.end_ns.zip(pictures.first_ns).map(|(end, first)| (end - first) as u64);
    assert!(pictures.shown_ns < there, "{pictures:?}");
}

#[test]
fn uncompressed_sound_has_the_bytes_that_are_demuxed() {
    let directory = tempfile::tempdir().expect("a directory");
    for codec in ["pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_f32be", "pcm_u8", "pcm_alaw", "adpcm_ima_qt"] {
        let options = format!("{TONE} -ac 2 -c:a {codec}");
        let ledger = check(&make(directory.path(), &format!("{codec}.mov"), &options), |_| false);
        if codec.starts_with("pcm") {
            assert_eq!(ledger.tracks[0].units, 8 * 48_000, "{codec}");
        }
    }
    check(&make(directory.path(), "pcm.mp4", &format!("{TONE} -c:a pcm_s24le")), |_| false);
}

#[test]
fn matroska_has_the_frames_that_are_demuxed() {
    let directory = tempfile::tempdir().expect("a directory");
    let film = film(directory.path());
    for (name, options) in [("usual", ""), ("live", "-live 1"), ("short", "-cluster_time_limit 300")] {
        check(&remux(directory.path(), &format!("{name}.mkv"), &film, options), ALL);
    }
    for codec in ["libopus", "ac3", "libvorbis", "flac", "pcm_s16le", "libmp3lame"] {
        let options = format!("{PICTURE} {TONE} {H264} -c:a {codec}");
        check(&make(directory.path(), &format!("{codec}.mkv"), &options), ALL);
    }
    let vp8 = format!("{PICTURE} {TONE} -c:v libvpx -deadline realtime -cpu-used 8 -c:a libvorbis -f webm");
    check(&make(directory.path(), "usual.webm", &vp8), ALL);
    check(&make(directory.path(), "live.webm", &format!("{vp8} -live 1")), ALL);
}

#[test]
fn transport_streams_have_the_pes_packets_that_are_demuxed() {
    let directory = tempfile::tempdir().expect("a directory");
    let film = film(directory.path());
    for (name, options) in [
        ("usual", ""),
        // Several frames in a PES packet, and nearly one in each.
        ("long", "-pes_payload_size 8000"),
        ("short", "-pes_payload_size 200"),
        ("stuffed", "-muxrate 4M"),
    ] {
        check(&remux(directory.path(), &format!("{name}.ts"), &film, options), ALL);
    }
    for codecs in [
        "-c:v mpeg2video -bf 2 -c:a mp2",
        "-c:v libx264 -c:a ac3 -mpegts_flags system_b",
        "-c:v libx264 -c:a eac3 -mpegts_m2ts_mode 1",
        "-c:v libx264 -c:a libopus",
    ] {
        check(&make(directory.path(), "other.ts", &format!("{PICTURE} {TONE} {codecs}")), ALL);
    }
}

#[test]
fn time_goes_on_where_the_clock_of_a_transport_stream_wraps() {
    let directory = tempfile::tempdir().expect("a directory");
    // The clock has 2^33 / 90000 = 95443.7 s.
    let options = "-output_ts_offset 95440 -mpegts_copyts 1";
    let found = read(&remux(directory.path(), "wrap.ts", &film(directory.path()), options));
    for track in tracks(&found) {
        let length = track.end_ns.zip(track.first_ns).map(|(end, first)| (end - first) as f64 / 1e9);
        assert!(length.is_some_and(|length| (length - 8.0).abs() < 0.2), "{track:?}");
    }
}

#[test]
fn flash_video_has_the_tags_that_are_demuxed() {
    let directory = tempfile::tempdir().expect("a directory");
    let film = film(directory.path());
    let ledger = check(&remux(directory.path(), "film.flv", &film, ""), ALL);
    assert!(ledger.said_ns.is_some_and(|said| said.abs_diff(8_080_000_000) < 10_000_000), "{ledger:?}");
    check(&remux(directory.path(), "several.flv", &film, "-map 0:v -map 0:v -map 0:a -map 0:a"), ALL);
    let hevc = format!("{PICTURE} {TONE} -c:v libx265 -preset ultrafast -x265-params log-level=none -c:a libopus");
    check(&make(directory.path(), "hevc.flv", &hevc), ALL);
    check(&make(directory.path(), "old.flv", &format!("{PICTURE} {TONE} -c:v flv1 -ar 44100 -c:a libmp3lame")), ALL);
}

#[test]
fn avi_has_the_chunks_that_are_demuxed() {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, codecs) in [
        ("cbr", "-c:v mpeg4 -c:a libmp3lame"),
        ("vbr", "-c:v mpeg4 -c:a libmp3lame -q:a 4"),
        ("pcm", "-c:v mjpeg -c:a pcm_s16le -ac 2"),
    ] {
        let ledger =
            check(&make(directory.path(), &format!("{name}.avi"), &format!("{PICTURE} {TONE} {codecs}")), |kind| {
                kind == Kind::Video || name != "pcm"
            });
        assert!(ledger.said_ns.is_some_and(|said| said.abs_diff(8_000_000_000) < 50_000_000), "{ledger:?}");
    }
}

#[test]
fn an_upload_that_is_cut_lacks_what_is_absent() {
    let directory = tempfile::tempdir().expect("a directory");
    let film = film(directory.path());
    let codecs = [
        ("front.mp4", "-c copy -movflags faststart"),
        ("film.mkv", "-c copy"),
        ("film.flv", "-c copy -an"),
        ("film.avi", "-c:v mpeg4 -an"),
    ];
    for (name, options) in codecs {
        let path = make(directory.path(), name, &format!("-i {} {options}", text(&film)));
        let whole = read(&path);
        let bytes = fs::read(&path).expect("a file");
        fs::write(&path, &bytes[..bytes.len() * 6 / 10]).expect("shorter");
        let (cut, given) = (read(&path), given(&path));
        for ((track, same), given) in cut.tracks.iter().zip(&whole.tracks).zip(&given) {
            let name = format!("{name} {track:?} {given:?}");
            // The demuxer may give the beginning of one more.
            assert!((track.units..=track.units + 1).contains(&given.packets), "{name}");
            assert!(track.units < same.units && track.bytes <= given.bytes, "{name}");
            // Matroska and FLV speak of nothing but the one in which they end.
            if name.starts_with("front") || name.starts_with("film.avi") {
                assert_eq!(track.units + track.empty + track.absent, same.units + same.empty, "{name}");
            }
        }
        assert!(cut.tracks.iter().any(|track| track.absent > 0), "{name}: {cut:?}");
        assert_eq!(cut.said_ns, whole.said_ns);
    }
}

#[test]
fn no_damage_stops_or_delays() {
    let directory = tempfile::tempdir().expect("a directory");
    let film = film(directory.path());
    let options = [
        ("a.mp4", ""),
        ("b.mp4", "-movflags empty_moov+frag_keyframe"),
        ("c.mkv", ""),
        ("d.ts", ""),
        ("e.flv", ""),
        ("f.avi", ""),
    ];
    let films = options.map(|(name, options)| fs::read(remux(directory.path(), name, &film, options)).expect("a file"));
    let changes = proptest::collection::vec((any::<Index>(), any::<[u8; 3]>()), 0..30);
    let damage = (0..films.len(), changes, proptest::option::of(any::<Index>()));
    let path = directory.path().join("damaged");
    let run = TestRunner::new(Config { cases: 300, ..Config::default() }).run(&damage, |(film, changes, kept)| {
        let mut bytes = films[film].clone();
        for (place, change) in changes {
            let place = place.index(bytes.len() - change.len());
            bytes[place..place + change.len()].copy_from_slice(&change);
        }
        bytes.truncate(kept.map_or(bytes.len(), |kept| kept.index(bytes.len())));
        fs::write(&path, &bytes).expect("written");
        let started = Instant::now();
        ledger::read(&File::open(&path).expect("a file")).expect("readable");
        prop_assert!(started.elapsed() < Duration::from_secs(2));
        Ok(())
    });
    run.expect("whatever is damaged");
}
