use super::super::tests::{read, track};
use super::super::{Kind, Ledger};
use super::element::id;

fn element(id: u32, content: &[u8]) -> Vec<u8> {
    // Sizes of two bytes.
    let size = u16::try_from(content.len()).expect("small") | 0x4000;
    [&name(id)[..], &size.to_be_bytes(), content].concat()
}

fn name(id: u32) -> Vec<u8> {
    id.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect()
}

/// An element of unknown size.
fn open(id: u32, content: &[u8]) -> Vec<u8> {
    [&name(id)[..], &[0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], content].concat()
}

fn number(id: u32, value: u32) -> Vec<u8> {
    element(id, &value.to_be_bytes())
}

fn entry(number_: u32, kind: u32, rest: &[Vec<u8>]) -> Vec<u8> {
    let start = [number(id::TRACK_NUMBER, number_), number(id::TRACK_TYPE, kind)];
    element(id::TRACK_ENTRY, &[&start[..], rest].concat().concat())
}

fn block(track: u8, time: i16, flags: u8, content: &[u8]) -> Vec<u8> {
    [&[0x80 | track][..], &time.to_be_bytes(), &[flags], content].concat()
}

fn simple(track: u8, time: i16, flags: u8, content: &[u8]) -> Vec<u8> {
    element(id::SIMPLE_BLOCK, &block(track, time, flags, content))
}

fn cluster(time: u32, blocks: &[Vec<u8>]) -> Vec<u8> {
    element(id::CLUSTER, &[&[number(id::TIMESTAMP, time)][..], blocks].concat().concat())
}

fn head() -> Vec<u8> {
    element(id::EBML, &element(0x4282, b"matroska"))
}

/// What stands in front of the clusters.
fn beginning() -> Vec<u8> {
    let information = [number(id::TIMESTAMP_SCALE, 1_000_000), element(id::DURATION, &2500f32.to_be_bytes())];
    let tracks =
        [entry(1, 1, &[number(id::DEFAULT_DURATION, 40_000_000)]), entry(2, 2, &[number(id::CODEC_DELAY, 6_000_000)])];
    [element(id::INFO, &information.concat()), element(id::TRACKS, &tracks.concat())].concat()
}

pub(in crate::media::ledger) fn film() -> Vec<u8> {
    let group =
        [element(id::BLOCK, &block(2, 10, 0, &[7; 30])), number(id::BLOCK_DURATION, 20), element(0xfb, &[0x81])];
    let clusters = [
        cluster(1000, &[simple(1, 40, 0x80, &[7; 100]), simple(1, 0, 0, &[7; 50]), simple(2, -6, 0, &[7; 20])]),
        element(0xec, &[0; 30]),
        cluster(1080, &[element(id::BLOCK_GROUP, &group.concat()), simple(1, 0, 0, &[])]),
        // Tags.
        element(0x1254_c367, &[1; 40]),
    ];
    [head(), element(id::SEGMENT, &[beginning(), clusters.concat()].concat())].concat()
}

fn with(clusters: &[Vec<u8>]) -> Ledger {
    read(&[head(), open(id::SEGMENT, &[beginning(), clusters.concat()].concat())].concat()).expect("a ledger")
}

#[test]
fn blocks_are_counted_with_their_times() {
    let ledger = read(&film()).expect("a ledger");
    let mut pictures = track(Kind::Video, 1, 2, 150, (1000, 1120));
    pictures.empty = 1;
    assert_eq!(ledger.tracks, [pictures, track(Kind::Audio, 2, 2, 50, (988, 1104))]);
    assert_eq!((ledger.said_ns, ledger.broken), (Some(2_500_000_000), 0));
}

#[test]
fn each_frame_of_a_lace_counts() {
    for (flags, content, frames, bytes) in [
        // Sizes 300 and 5, the rest is 11.
        (2, [&[2, 255, 45, 5][..], &[7; 316]].concat(), 3, 316),
        // Three of five.
        (4, [&[2][..], &[7; 15]].concat(), 3, 15),
        // Size 300, 295 less, then the rest.
        (6, [&[2, 0x41, 0x2c, 0x5e, 0xd8][..], &[7; 316]].concat(), 3, 316),
        // One alone.
        (6, vec![0, 7, 7], 1, 2),
    ] {
        let mut expected = track(Kind::Video, 1, frames, bytes, (0, 40 * frames as i64));
        expected.broken = 0;
        assert_eq!(with(&[cluster(0, &[simple(1, 0, flags, &content)])]).tracks[0], expected, "{flags}");
    }
}

#[test]
fn a_lace_that_does_not_fit_is_damage() {
    for (flags, content) in [
        (2, &[2, 255, 45, 5, 7, 7][..]),
        (2, &[9, 255, 255]),
        (4, &[2, 7, 7]),
        (6, &[2, 0x41, 0x2c, 0x5e, 0xd8, 7]),
        (6, &[2, 0x81, 0x80, 7, 7]),
        (6, &[2, 0]),
        (2, &[]),
    ] {
        let ledger = with(&[cluster(0, &[simple(1, 0, flags, content), simple(1, 0, 0, &[7])])]);
        assert_eq!((ledger.tracks[0].units, ledger.tracks[0].broken), (1, 1), "{content:?}");
    }
}

#[test]
fn stripped_headers_belong_to_the_frames() {
    let compression = [number(id::CONTENT_COMP_ALGO, 3), element(id::CONTENT_COMP_SETTINGS, b"abcd")].concat();
    let encoding = element(id::CONTENT_ENCODING, &element(id::CONTENT_COMPRESSION, &compression));
    let tracks = element(id::TRACKS, &entry(3, 1, &[element(id::CONTENT_ENCODINGS, &encoding)]));
    let blocks = [simple(3, 0, 4, &[1, 7, 7, 7, 7]), simple(3, 1, 0, &[])];
    let film = [head(), open(id::SEGMENT, &[tracks, cluster(0, &blocks)].concat())].concat();
    assert_eq!(read(&film).expect("a ledger").tracks, [track(Kind::Video, 3, 3, 4 + 3 * 4, (0, 1))]);
}

#[test]
fn sizes_may_be_unknown() {
    let timed = |time: u32, block: Vec<u8>| open(id::CLUSTER, &[number(id::TIMESTAMP, time), block].concat());
    let ledger = with(&[
        timed(0, simple(1, 0, 0, &[7; 9])),
        timed(50, simple(1, 0, 0, &[7; 9])),
        element(0x1c53_bb6b, &[0; 20]),
        timed(90, simple(1, 0, 0, &[7; 9])),
    ]);
    assert_eq!((&ledger.tracks[0], ledger.broken), (&track(Kind::Video, 1, 3, 27, (0, 130)), 0));
}

#[test]
fn tracks_may_be_declared_late() {
    let blocks = cluster(0, &[simple(1, 0, 0, &[7; 9])]);
    let film = [head(), open(id::SEGMENT, &[blocks, beginning()].concat())].concat();
    let [pictures, _] = &read(&film).expect("a ledger").tracks[..] else { panic!("two tracks") };
    assert_eq!(*pictures, track(Kind::Video, 1, 1, 9, (0, 0)));
}

#[test]
fn blocks_of_no_track_are_damage() {
    let ledger = with(&[cluster(0, &[simple(9, 0, 0, &[7; 9]), simple(1, 0, 0, &[7; 9])])]);
    assert_eq!((ledger.tracks.len(), ledger.tracks[0].units, ledger.broken), (2, 1, 1));
}

#[test]
fn damage_ends_at_the_next_cluster() {
    let clusters: Vec<_> =
        (0..3).map(|n| cluster(n * 80, &[simple(1, 0, 0, &[7; 99]), simple(1, 40, 0, &[7; 99])])).collect();
    let whole = clusters.concat();
    // Zeros from the middle of the first block of the second cluster on, into its second one.
    let mut zeros = whole.clone();
    zeros[clusters[0].len() + 60..][..100].fill(0);
    // A block that is far too long, one that reaches out of its cluster, and noise between clusters.
    let (mut long, mut out) = (whole.clone(), whole.clone());
    let size = clusters[0].len() + 6 + 7 + 1;
    long[size..size + 2].copy_from_slice(&0x7f00u16.to_be_bytes());
    out[size..size + 2].copy_from_slice(&(0x4000u16 + 260).to_be_bytes());
    let noise = [&clusters[0][..], &[0x55; 70], &clusters[1], &clusters[2]].concat();
    for (film, units) in [(zeros, 5), (long, 4), (out, 4), (noise, 6)] {
        let ledger = with(&[film]);
        assert_eq!((ledger.tracks[0].units, ledger.broken), (units, 1));
    }
}

#[test]
fn unknown_elements_are_passed_over() {
    let strange = element(0x7b31, &[7; 30]);
    let ledger = with(&[cluster(0, &[strange.clone(), simple(1, 0, 0, &[7; 9]), strange])]);
    assert_eq!((ledger.tracks[0].units, ledger.broken), (1, 0));
}

#[test]
fn a_block_that_is_cut_is_absent() {
    let group = [element(id::BLOCK, &block(1, 0, 0, &[7; 300])), number(id::BLOCK_DURATION, 20)].concat();
    for last in [simple(1, 0, 0, &[7; 300]), element(id::BLOCK_GROUP, &group)] {
        let film = [head(), element(id::SEGMENT, &[beginning(), cluster(0, &[last])].concat())].concat();
        let ledger = read(&film[..film.len() - 100]).expect("a ledger");
        let pictures = &ledger.tracks[0];
        assert_eq!((pictures.units, pictures.absent, pictures.absent_ns), (0, 1, 40_000_000));
        assert_eq!(ledger.broken, 0);
    }
}

#[test]
fn what_follows_the_segment_is_no_damage() {
    assert_eq!(read(&[film(), vec![0; 64]].concat()), read(&film()));
}

#[test]
fn a_block_that_reaches_out_of_the_last_cluster_is_damage() {
    let mut long = simple(1, 0, 0, &[7; 99]);
    long[1..3].copy_from_slice(&(0x4000u16 + 120).to_be_bytes());
    let ledger = with(&[cluster(0, &[long]), vec![0; 64]]);
    assert_eq!((ledger.tracks[0].units, ledger.tracks[0].absent, ledger.broken), (0, 0, 1));
}
