use super::super::tests::{read, track};
use super::super::{Kind, Ledger};

fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let size = u32::try_from(content.len()).expect("small");
    let padding = &[0][..content.len() % 2];
    [name, &size.to_le_bytes()[..], content, padding].concat()
}

fn list(name: &[u8; 4], kind: &[u8; 4], parts: &[Vec<u8>]) -> Vec<u8> {
    chunk(name, &[&kind[..], &parts.concat()].concat())
}

/// A stream with scale, rate, length and bytes of a tick, and the bytes of a block of its sound.
fn stream(kind: &[u8; 4], scale: u32, rate: u32, length: u32, tick: u32, block: u16) -> Vec<u8> {
    let numbers = [scale, rate, 0, length, 0, 0, tick];
    let header = [&kind[..], &[0; 16], &numbers.map(u32::to_le_bytes).concat(), &[0; 8]].concat();
    let format = [&[0; 12][..], &block.to_le_bytes(), &[0; 4]].concat();
    list(b"LIST", b"strl", &[chunk(b"strh", &header), chunk(b"strf", &format)])
}

/// Pictures of 40 ms, MP3 of 24 ms, PCM of 8 kHz.
fn head() -> Vec<u8> {
    let streams = [
        chunk(b"avih", &[0; 56]),
        stream(b"vids", 1, 25, 100, 0, 0),
        stream(b"auds", 1152, 48_000, 90, 0, 1152),
        stream(b"auds", 1, 8000, 4000, 2, 2),
    ];
    list(b"LIST", b"hdrl", &streams)
}

fn media() -> Vec<Vec<u8>> {
    vec![
        chunk(b"00dc", &[7; 41]),
        list(b"LIST", b"rec ", &[chunk(b"01wb", &[7; 1000]), chunk(b"02wb", &[7; 160])]),
        chunk(b"00pc", &[7; 20]),
        chunk(b"00dc", &[]),
        chunk(b"ix00", &[7; 20]),
        chunk(b"01wb", &[7; 1200]),
    ]
}

pub(in crate::media::ledger) fn film() -> Vec<u8> {
    let more = list(b"LIST", b"movi", &[chunk(b"00db", &[7; 9])]);
    [
        list(
            b"RIFF",
            b"AVI ",
            &[head(), chunk(b"JUNK", &[0; 12]), list(b"LIST", b"movi", &media()), chunk(b"idx1", &[0; 64])],
        ),
        list(b"RIFF", b"AVIX", &[more]),
    ]
    .concat()
}

fn with(media: &[Vec<u8>]) -> Ledger {
    read(&list(b"RIFF", b"AVI ", &[head(), list(b"LIST", b"movi", media)])).expect("a ledger")
}

#[test]
fn chunks_are_counted_in_all_lists() {
    let ledger = read(&film()).expect("a ledger");
    let mut pictures = track(Kind::Video, 0, 2, 50, (0, 120));
    pictures.empty = 1;
    // The second chunk has more than a block.
    let sounds = [track(Kind::Audio, 1, 2, 2200, (0, 72)), track(Kind::Audio, 2, 1, 160, (0, 10))];
    assert_eq!(ledger.tracks, [&[pictures][..], &sounds].concat());
    assert_eq!((ledger.said_ns, ledger.broken), (Some(4_000_000_000), 0));
}

#[test]
fn a_length_that_was_never_filled_in_is_none() {
    let head = list(b"LIST", b"hdrl", &[stream(b"vids", 1, 25, 1 << 30, 0, 0)]);
    let film = [&b"RIFF\0\0\0\0AVI "[..], &head, b"LIST\0\0\0\0movi", &media().concat()].concat();
    let ledger = read(&film).expect("a ledger");
    assert_eq!((ledger.said_ns, ledger.tracks[0].units, ledger.tracks[0].absent), (None, 1, 0));
}

#[test]
fn chunks_are_found_again() {
    let mut media = media();
    media.insert(3, vec![0xee; 101]);
    let ledger = with(&media);
    assert_eq!((ledger.tracks[0].units, ledger.tracks[1].units, ledger.broken), (1, 2, 1));
    media[3] = b"00dc\xff\xff\xff\x7f".to_vec();
    assert_eq!(with(&media).tracks[0].units, 1);
    assert_eq!(with(&media).broken, 1);
    // Without the byte that makes the place of the next one even.
    media[3] = [&b"00dc\x03\0\0\0"[..], &[7; 3]].concat();
    assert_eq!((with(&media).tracks[0].units, with(&media).tracks[0].empty, with(&media).broken), (2, 1, 0));
}

#[test]
fn what_is_cut_is_absent() {
    let whole = list(b"RIFF", b"AVI ", &[head(), list(b"LIST", b"movi", &media())]);
    let ledger = read(&whole[..whole.len() - 100]).expect("a ledger");
    let absent: Vec<_> = ledger.tracks.iter().map(|track| (track.units, track.absent, track.absent_ns)).collect();
    // 98 pictures, 89 blocks in as many chunks, and 3920 samples in chunks of 80.
    assert_eq!(absent, [(1, 98, 3_920_000_000), (1, 89, 2_136_000_000), (1, 49, 490_000_000)]);
    assert_eq!(ledger.broken, 0);
}

#[test]
fn only_what_is_in_the_lists_is_damage() {
    let whole = list(b"RIFF", b"AVI ", &[head(), list(b"LIST", b"movi", &media())]);
    assert_eq!(read(&[&whole[..], &[0; 64]].concat()), read(&whole));
    let mut lost = whole.clone();
    let end = lost.len();
    lost[end - 1400..].fill(0);
    assert_eq!(read(&lost).expect("a ledger").broken, 1);
}
