use super::super::tests::{read, track};
use super::super::{Kind, Ledger};

const SCRIPT: u8 = 18;
const VIDEO: u8 = 9;
const AUDIO: u8 = 8;

fn tag(kind: u8, ms: u32, content: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = u32::try_from(content.len()).expect("small").to_be_bytes();
    let [high, d, e, f] = ms.to_be_bytes();
    let size = u32::try_from(content.len() + 11).expect("small").to_be_bytes();
    [&[kind, a, b, c, d, e, f, high, 0, 0, 0][..], content, &size].concat()
}

fn with(tags: &[Vec<u8>]) -> Ledger {
    read(&[&b"FLV\x01\x05\0\0\0\x09\0\0\0\0"[..], &tags.concat()].concat()).expect("a ledger")
}

/// A tag with a head and 50 bytes of media.
fn media(kind: u8, ms: u32, head: &[u8]) -> Vec<u8> {
    tag(kind, ms, &[head, &[7; 50]].concat())
}

fn tags() -> Vec<Vec<u8>> {
    let length = [&b"\x02\0\x0aonMetaData\x08\0\0\0\x01\0\x08duration\0"[..], &4.5f64.to_be_bytes()].concat();
    vec![
        tag(SCRIPT, 0, &length),
        media(VIDEO, 0, &[0x17, 0, 0, 0, 0]),
        media(AUDIO, 0, &[0xaf, 0]),
        media(VIDEO, 0, &[0x17, 1, 0, 0, 80]),
        media(AUDIO, 10, &[0xaf, 1]),
        media(VIDEO, 40, &[0x27, 1, 0xff, 0xff, 0xf6]),
        tag(VIDEO, 80, &[0x17, 1, 0, 0, 0]),
        media(AUDIO, 33, &[0xaf, 1]),
        tag(VIDEO, 80, &[0x17, 2, 0, 0, 0]),
    ]
}

pub(in crate::media::ledger) fn film() -> Vec<u8> {
    [&b"FLV\x01\x05\0\0\0\x09\0\0\0\0"[..], &tags().concat()].concat()
}

#[test]
fn tags_with_media_are_counted() {
    let ledger = with(&tags());
    let mut pictures = track(Kind::Video, 0, 2, 100, (30, 80));
    pictures.empty = 1;
    assert_eq!(ledger.tracks, [pictures, track(Kind::Audio, 0, 2, 100, (10, 33))]);
    assert_eq!((ledger.said_ns, ledger.broken), (Some(4_500_000_000), 0));
}

#[test]
fn each_codec_has_its_own_head() {
    for (kind, head, units) in [
        // H.263, VP6 with its cropping, H.265 as it was, a command.
        (VIDEO, &[0x12][..], 1),
        (VIDEO, &[0x14, 0], 1),
        (VIDEO, &[0x1c, 1, 0, 0, 0], 1),
        (VIDEO, &[0x1c, 0, 0, 0, 0], 0),
        (VIDEO, &[0x52], 0),
        // MP3, AAC.
        (AUDIO, &[0x2f], 1),
        (AUDIO, &[0xaf, 0], 0),
        // Enhanced: a configuration, pictures with and without composition time, an end.
        (VIDEO, b"\x90hvc1", 0),
        (VIDEO, b"\x91hvc1\0\0\0", 1),
        (VIDEO, b"\x93hvc1", 1),
        (VIDEO, b"\x91av01", 1),
        (VIDEO, b"\x92hvc1", 0),
        (AUDIO, b"\x90Opus", 0),
        (AUDIO, b"\x91Opus", 1),
        // With a time in nanoseconds in front, of three bytes, and one with 256.
        (AUDIO, b"\x97\x02\0\0\0\x01Opus", 1),
        // One track of many.
        (VIDEO, b"\x96\x03av01\x00", 1),
        (AUDIO, b"\x95\x01Opus\x00", 1),
    ] {
        let ledger = with(&[media(kind, 7, head)]);
        let expected = track(if kind == VIDEO { Kind::Video } else { Kind::Audio }, 0, 1, 50, (7, 7));
        assert_eq!(ledger.tracks, vec![expected; units], "{head:x?}");
    }
}

#[test]
fn a_tag_may_have_media_of_several_tracks() {
    let one_codec = [&b"\x96\x13av01"[..], &[0, 0, 0, 3], &[7; 3], &[1, 0, 0, 4], &[7; 4]].concat();
    let two_codecs = [&b"\x96\x21av01"[..], &[0, 0, 0, 3], &[7; 3], b"avc1", &[1, 0, 0, 7], &[0, 0, 5], &[7; 4]];
    for (content, second) in [(one_codec, 0), (two_codecs.concat(), 5)] {
        let second = track(Kind::Video, 1, 1, 4, (second, second));
        assert_eq!(with(&[tag(VIDEO, 0, &content)]).tracks, [track(Kind::Video, 0, 1, 3, (0, 0)), second]);
    }
}

#[test]
fn times_have_32_bits() {
    let ledger = with(&[media(AUDIO, 1 << 24, &[0x2f]), media(AUDIO, u32::MAX, &[0x2f])]);
    assert_eq!(ledger.tracks, [track(Kind::Audio, 0, 2, 100, (-1, 1 << 24))]);
}

#[test]
fn tags_are_found_again() {
    let mut tags = tags();
    tags.insert(4, vec![0x55; 200]);
    let ledger = with(&tags);
    assert_eq!((ledger.tracks[0].units, ledger.tracks[1].units, ledger.broken), (2, 2, 1));
    // Too long.
    tags[4] = media(AUDIO, 5, &[0xaf, 1]);
    tags[4][1] = 0x7f;
    assert_eq!((with(&tags).tracks[1].units, with(&tags).broken), (2, 1));
}

#[test]
fn sizes_behind_the_tags_are_not_needed() {
    let tags: Vec<_> = tags().into_iter().map(|tag| [&tag[..tag.len() - 4], &[0; 4]].concat()).collect();
    assert_eq!(with(&tags), with(&self::tags()));
}

#[test]
fn a_tag_that_is_cut_is_absent() {
    let film = film();
    // In the last sound.
    let ledger = read(&film[..film.len() - 20 - 5]).expect("a ledger");
    assert_eq!((ledger.tracks[1].units, ledger.tracks[1].absent, ledger.broken), (1, 1, 0));
}

#[test]
fn an_end_that_is_no_tag_is_damage() {
    assert_eq!((with(&[tags(), vec![vec![0; 64]]].concat())).broken, 1);
    // Whole, and yet not credible: another stream, and another size behind it.
    let mut last = media(AUDIO, 0, &[0x2f]);
    (last[10], last[65]) = (1, 0);
    let ledger = with(&[last]);
    assert_eq!((ledger.tracks.len(), ledger.broken), (0, 1));
}
