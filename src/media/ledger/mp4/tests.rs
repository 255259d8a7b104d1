use super::super::tests::{read, track};
use super::super::{Kind, Ledger};

fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let size = u32::try_from(content.len() + 8).expect("small");
    [&size.to_be_bytes()[..], kind, content].concat()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// A box of 32-bit numbers, the first of which is its version and flags.
fn table(kind: &[u8; 4], fields: &[u32]) -> Vec<u8> {
    boxed(kind, &words(fields))
}

/// Version 0 of a header with timescale and length.
fn header(kind: &[u8; 4], timescale: u32, length: u32) -> Vec<u8> {
    table(kind, &[0, 0, 0, timescale, length, 0])
}

fn trak(id: u32, handler: &[u8; 4], edits: &[u8], timescale: u32, tables: &[Vec<u8>]) -> Vec<u8> {
    let handler = [&[0; 8][..], handler, &[0; 12]].concat();
    let information = boxed(b"minf", &boxed(b"stbl", &tables.concat()));
    let media = [header(b"mdhd", timescale, 0), boxed(b"hdlr", &handler), information].concat();
    boxed(b"trak", &[&table(b"tkhd", &[0, 0, 0, id, 0, 0])[..], edits, &boxed(b"mdia", &media)].concat())
}

fn movie(parts: &[Vec<u8>]) -> Vec<u8> {
    boxed(b"moov", &[&[header(b"mvhd", 1000, 4000)][..], parts].concat().concat())
}

/// Where the media of the files begin: behind `ftyp` and the header of `mdat`.
const MEDIA: u32 = 24;

fn file(media: usize, moov: &[u8]) -> Vec<u8> {
    [&boxed(b"ftyp", b"isom\0\0\0\0")[..], &boxed(b"mdat", &vec![7; media]), moov].concat()
}

/// Four pictures in two chunks of two, one of 200 ms and three of 100 ms, in the order I P B B.
fn picture_tables() -> Vec<Vec<u8>> {
    vec![
        table(b"stts", &[0, 2, 1, 200, 3, 100]),
        table(b"ctts", &[0, 3, 1, 100, 1, 300, 2, 0]),
        table(b"stsz", &[0, 0, 4, 50, 20, 10, 11]),
        table(b"stsc", &[0, 1, 1, 2, 1]),
        table(b"stco", &[0, 2, MEDIA, MEDIA + 100]),
    ]
}

pub(in crate::media::ledger) fn film() -> Vec<u8> {
    let edits = boxed(b"edts", &table(b"elst", &[0, 2, 40, u32::MAX, 1 << 16, 450, 100, 1 << 16]));
    let sound = [
        table(b"stts", &[0, 1, 3, 1024]),
        table(b"stsz", &[0, 9, 3]),
        table(b"stsc", &[0, 1, 1, 3, 1]),
        table(b"stco", &[0, 1, MEDIA + 200]),
    ];
    let tracks = [trak(1, b"vide", &edits, 1000, &picture_tables()), trak(2, b"soun", &[], 48_000, &sound)];
    file(300, &movie(&tracks))
}

fn with(tables: &[Vec<u8>]) -> Ledger {
    read(&file(300, &movie(&[trak(1, b"vide", &[], 1000, tables)]))).expect("a ledger")
}

/// The tables of the pictures with others in place of those of their kind.
fn instead(tables: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let kinds: Vec<&[u8]> = tables.iter().map(|table| &table[4..8]).collect();
    let kept = picture_tables().into_iter().filter(|table| !kinds.contains(&&table[4..8]));
    kept.chain(tables.to_vec()).collect()
}

#[test]
fn tables_are_read_side_by_side() {
    let ledger = read(&film()).expect("a ledger");
    assert_eq!(ledger.said_ns, Some(4_000_000_000));
    // I at 100, P at 500, B at 300 and 400.
    let mut pictures = track(Kind::Video, 1, 4, 91, (100, 600));
    pictures.shown_ns = Some(450_000_000);
    let sound = track(Kind::Audio, 2, 3, 27, (0, 64));
    assert_eq!(ledger.tracks, [pictures, sound]);
}

#[test]
fn negative_composition_offsets_are_negative_in_both_versions() {
    for version in [0, 1 << 24] {
        let ledger = with(&instead(&[table(b"ctts", &[version, 2, 3, -150i32 as u32, 1, 0])]));
        assert_eq!(ledger.tracks, [track(Kind::Video, 1, 4, 91, (-150, 500))]);
    }
}

#[test]
fn sizes_may_be_compact() {
    for (bits, sizes) in [(4, &[0x51, 0xa2][..]), (8, &[5, 1, 10, 2]), (16, &[0, 5, 0, 1, 0, 10, 0, 2])] {
        let compact = boxed(b"stz2", &[&words(&[0, bits, 4])[..], sizes].concat());
        let mut tables = instead(&[compact]);
        tables.retain(|table| &table[4..8] != b"stsz");
        assert_eq!(with(&tables).tracks, [track(Kind::Video, 1, 4, 18, (100, 600))]);
    }
}

#[test]
fn headers_may_have_64_bits() {
    let moov = movie(&[trak(1, b"vide", &[], 1000, &picture_tables())]);
    let offsets = table(b"co64", &[0, 2, 0, MEDIA + 8, 0, MEDIA + 108]);
    let mut tables = instead(&[offsets]);
    tables.retain(|table| &table[4..8] != b"stco");
    let long = [&words(&[0, 0, 0, 0, 0, 1000, 0, 4000])[..]].concat();
    let media = [boxed(b"mdhd", &[&[1, 0, 0, 0][..], &long[4..]].concat()), boxed(b"hdlr", b"\0\0\0\0\0\0\0\0vide")];
    let media = [media.concat(), boxed(b"minf", &boxed(b"stbl", &tables.concat()))].concat();
    let head = boxed(b"tkhd", &[&[1, 0, 0, 0][..], &words(&[0, 0, 0, 0, 8, 0])].concat());
    let wide =
        boxed(b"moov", &[header(b"mvhd", 1000, 0), boxed(b"trak", &[head, boxed(b"mdia", &media)].concat())].concat());
    let mdat = [&words(&[1])[..], b"mdat", &words(&[0, 316]), &[7; 300]].concat();
    let ledger = read(&[boxed(b"ftyp", b"isom\0\0\0\0"), mdat, wide].concat()).expect("a ledger");
    assert_eq!((ledger.tracks, ledger.said_ns), (vec![track(Kind::Video, 8, 4, 91, (100, 600))], None));
    // Media to the end of the file, with the index in front.
    let open = [&moov[..], &[0; 4], b"mdat", &[7; 800]].concat();
    assert_eq!(read(&open).expect("a ledger").tracks, [track(Kind::Video, 1, 4, 91, (100, 600))]);
}

#[test]
fn what_lies_beyond_the_end_is_absent() {
    // The index is in front, and the file ends within the second sample of the second chunk.
    let index = |from: u32| {
        let offsets = table(b"stco", &[0, 2, from, from + 100]);
        movie(&[trak(1, b"vide", &[], 1000, &instead(&[offsets]))])
    };
    let from = index(0).len() + 8;
    let whole = [index(from as u32), boxed(b"mdat", &[7; 4000])].concat();
    let ledger = read(&whole[..from + 115]).expect("a ledger");
    let mut expected = track(Kind::Video, 1, 3, 80, (100, 600));
    (expected.absent, expected.absent_ns) = (1, 100_000_000);
    assert_eq!(ledger.tracks, [expected]);
}

#[test]
fn samples_without_a_place_are_absent() {
    let mut expected = track(Kind::Video, 1, 2, 70, (100, 600));
    (expected.absent, expected.absent_ns) = (2, 200_000_000);
    assert_eq!(with(&instead(&[table(b"stco", &[0, 2, MEDIA])])).tracks, [expected.clone()]);
    assert_eq!(with(&instead(&[table(b"stsz", &[0, 0, 4, 50, 20])])).tracks, [expected]);
}

#[test]
fn a_number_costs_no_time() {
    let huge = u32::MAX;
    let tables = [
        table(b"stts", &[0, 1, huge, huge / 2]),
        table(b"stsz", &[0, huge, huge]),
        table(b"stsc", &[0, 1, 1, huge, 1]),
        table(b"stco", &[0, 1, MEDIA]),
    ];
    let [track] = &with(&tables).tracks[..] else { panic!("a track") };
    assert_eq!((track.units, track.absent), (0, u64::from(huge)));
}

#[test]
fn empty_samples_are_counted_apart() {
    let [track] = &with(&instead(&[table(b"stsz", &[0, 0, 4, 50, 0, 0, 11])])).tracks[..] else { panic!("a track") };
    assert_eq!((track.units, track.empty, track.bytes), (2, 2, 61));
}

#[test]
fn the_description_of_pcm_says_its_bytes() {
    let entry = [&words(&[36])[..], b"sowt", &[0; 16], &[0, 2, 0, 16], &[0; 8]].concat();
    let tables = [
        boxed(b"stsd", &[&words(&[0, 1])[..], &entry].concat()),
        table(b"stts", &[0, 1, 60, 1]),
        table(b"stsz", &[0, 1, 60]),
        table(b"stsc", &[0, 1, 1, 30, 1]),
        table(b"stco", &[0, 2, MEDIA, MEDIA + 120]),
    ];
    let ledger = read(&file(240, &movie(&[trak(1, b"soun", &[], 1000, &tables)]))).expect("a ledger");
    assert_eq!(ledger.tracks, [track(Kind::Audio, 1, 60, 240, (0, 60))]);
}

#[test]
fn an_edit_without_length_says_none() {
    let edits = boxed(b"edts", &table(b"elst", &[0, 1, 0, 100, 1 << 16]));
    let moov = movie(&[trak(1, b"vide", &edits, 1000, &picture_tables())]);
    assert_eq!(read(&file(300, &moov)).expect("a ledger").tracks[0].shown_ns, None);
}

/// Two fragments of one track, all samples with the size of `trex`, the second one with its own length.
pub(in crate::media::ledger) fn fragmented() -> Vec<u8> {
    let extends = [table(b"mehd", &[0, 9000]), table(b"trex", &[0, 1, 1, 40, 25, 0])].concat();
    let moov = movie(&[boxed(b"mvex", &extends), trak(1, b"vide", &[], 1000, &[table(b"stts", &[0, 0])])]);
    let fragment = |parts: &[Vec<u8>]| boxed(b"moof", &boxed(b"traf", &parts.concat()));
    let first = fragment(&[
        table(b"tfhd", &[0x2_0000, 1]),
        table(b"tfdt", &[0, 5000]),
        // Composition offsets only.
        table(b"trun", &[0x801, 2, 100, 80, 0]),
        table(b"trun", &[0, 1]),
    ]);
    let second = fragment(&[
        table(b"tfhd", &[0x2_0008, 1, 20]),
        // Sizes of their own.
        table(b"trun", &[0x201, 2, 72, 30, 31]),
    ]);
    let media = boxed(b"mdat", &[7; 75]);
    [boxed(b"ftyp", b"iso5\0\0\0\0"), moov, first, media.clone(), second, media].concat()
}

#[test]
fn fragments_take_what_they_do_not_say_from_the_movie() {
    let ledger = read(&fragmented()).expect("a ledger");
    assert_eq!(ledger.said_ns, Some(9_000_000_000));
    // At 5080 and 5040, 5080, then 5120 and 5140.
    assert_eq!(ledger.tracks, [track(Kind::Video, 1, 5, 136, (5040, 5160))]);
}

#[test]
fn the_movie_may_stand_behind_its_fragments() {
    let film = fragmented();
    let place = film.windows(4).position(|name| name == b"moov").expect("an index") - 4;
    let size = u32::from_be_bytes(film[place..place + 4].try_into().expect("four bytes")) as usize;
    let (moov, rest) = (&film[place..place + size], [&film[..place], &film[place + size..]].concat());
    assert_eq!(read(&[&rest[..], moov].concat()), read(&film));
}

#[test]
fn samples_of_a_fragment_that_is_cut_are_absent() {
    let film = fragmented();
    let ledger = read(&film[..film.len() - 30]).expect("a ledger");
    let mut expected = track(Kind::Video, 1, 4, 105, (5040, 5140));
    (expected.absent, expected.absent_ns) = (1, 20_000_000);
    assert_eq!(ledger.tracks, [expected.clone()]);
    // Within the last table of the index.
    let ledger = read(&film[..film.len() - 84]).expect("a ledger");
    (expected.units, expected.bytes, expected.end_ns) = (3, 75, Some(5_120_000_000));
    (expected.absent, expected.absent_ns) = (2, 40_000_000);
    assert_eq!(ledger.tracks, [expected]);
}
