use super::super::tests::read;
use super::super::{Kind, Ledger};
use super::packet::PACKET_BYTES;
use super::section::checksum;

const PROGRAM: u16 = 0x1000;
const PICTURES: u16 = 0x100;
const SOUND: u16 = 0x101;

/// Packets of all PIDs, each with its own continuity counter.
#[derive(Default)]
struct Muxer {
    bytes: Vec<u8>,
    counters: std::collections::HashMap<u16, u8>,
}

impl Muxer {
    /// One packet; what its payload leaves is an adaptation field.
    fn packet(&mut self, pid: u16, begins: bool, payload: &[u8]) {
        let counter = self.counters.entry(pid).or_default();
        let [high, low] = pid.to_be_bytes();
        let fill = PACKET_BYTES - 4 - payload.len();
        let form = if fill > 0 { 0x30 } else { 0x10 };
        self.bytes.extend([0x47, high | u8::from(begins) << 6, low, form | *counter]);
        *counter = (*counter + 1) & 15;
        if fill > 0 {
            self.bytes.push(fill as u8 - 1);
        }
        if fill > 1 {
            self.bytes.push(0);
            self.bytes.resize(self.bytes.len() + fill - 2, 0xff);
        }
        self.bytes.extend(payload);
    }

    fn packets(&mut self, pid: u16, unit: &[u8], of: usize) {
        for (number, payload) in unit.chunks(of).enumerate() {
            self.packet(pid, number == 0, payload);
        }
    }

    fn section(&mut self, pid: u16, table: u8, content: &[u8]) {
        let [high, low] = (content.len() as u16 + 9).to_be_bytes();
        // Identifier, version with "applies now", its number and the last one.
        let mut section = [&[table, 0xb0 | high, low, 0, 1, 0xc1, 0, 0][..], content].concat();
        section.extend(checksum(&section).to_be_bytes());
        self.packets(pid, &[&[0][..], &section].concat(), 184);
    }

    fn tables(&mut self, streams: &[u8]) {
        let [high, low] = PROGRAM.to_be_bytes();
        // The network, the program, another one.
        self.section(0, 0, &[0, 0, 0xe0, 0x10, 0, 1, 0xe0 | high, low, 0, 2, 0xff, 0xff]);
        self.section(PROGRAM, 2, &[&[0xe1, 0, 0xf0, 0][..], streams].concat());
    }

    fn unit(&mut self, pid: u16, ticks: u64, bytes: usize) {
        self.packets(pid, &[&pes(ticks)[..], &vec![7; bytes]].concat(), 184);
    }
}

/// The header of a PES packet of unknown length, with stuffing in it.
fn pes(ticks: u64) -> Vec<u8> {
    let stamp = [
        0x21 | (ticks >> 29 & 0x0e) as u8,
        (ticks >> 22) as u8,
        1 | (ticks >> 14) as u8 & 0xfe,
        (ticks >> 7) as u8,
        1 | (ticks << 1) as u8,
    ];
    [&[0, 0, 1, 0xe0, 0, 0, 0x80, 0x80, 8][..], &stamp, &[0xff; 3]].concat()
}

fn begun() -> Muxer {
    let mut muxer = Muxer::default();
    muxer.tables(&[0x1b, 0xe1, 0, 0xf0, 0, 0x0f, 0xe1, 1, 0xf0, 0]);
    muxer
}

/// Ten pictures of 300 bytes, 40 ms each, and five sounds of 100 bytes.
pub(in crate::media::ledger) fn film() -> Vec<u8> {
    let mut muxer = begun();
    for number in 0..10 {
        muxer.unit(PICTURES, 90_000 + number * 3600, 300);
        if number % 2 == 0 {
            muxer.unit(SOUND, 90_000 + number * 3600, 100);
        }
    }
    muxer.bytes
}

/// Units, bytes and broken places of the first track of these packets.
fn counted(bytes: &[u8]) -> (u64, u64, u64) {
    let track = &read(bytes).expect("a ledger").tracks[0];
    (track.units, track.bytes, track.broken)
}

fn check(ledger: &Ledger) {
    let [pictures, sound] = &ledger.tracks[..] else { panic!("two tracks: {ledger:?}") };
    assert_eq!((pictures.kind, pictures.id, sound.kind, sound.id), (Kind::Video, 256, Kind::Audio, 257));
    assert_eq!((pictures.units, pictures.bytes, sound.units, sound.bytes), (10, 3000, 5, 500));
    assert_eq!((pictures.first_ns, pictures.end_ns), (Some(1_000_000_000), Some(1_360_000_000)));
    assert_eq!((pictures.broken, sound.broken, ledger.broken), (0, 0, 0));
}

#[test]
fn packets_may_have_something_around_them() {
    let packets = film();
    let packets = || packets.chunks(PACKET_BYTES);
    check(&read(&film()).expect("a ledger"));
    check(&read(&packets().flat_map(|packet| [&[1, 2, 3, 4], packet].concat()).collect::<Vec<_>>()).expect("a ledger"));
    check(&read(&packets().flat_map(|packet| [packet, &[9; 16]].concat()).collect::<Vec<_>>()).expect("a ledger"));
    check(&read(&[&[0x47, 1, 2][..], &film()].concat()).expect("a ledger"));
}

#[test]
fn tables_may_be_longer_than_a_packet() {
    let descriptor = [&[0x52, 250][..], &[7; 250]].concat();
    let mut muxer = Muxer::default();
    let stream =
        |kind: u8, pid: u16| [&[kind, 0xe0 | (pid >> 8) as u8, pid as u8, 0xf0, 252][..], &descriptor].concat();
    muxer.tables(&[stream(0x1b, PICTURES), stream(0x0f, SOUND)].concat());
    muxer.unit(PICTURES, 0, 50);
    let ledger = read(&muxer.bytes).expect("a ledger");
    assert_eq!(ledger.tracks.iter().map(|track| track.units).collect::<Vec<_>>(), [1, 0]);
}

#[test]
fn headers_may_be_longer_than_a_packet() {
    let mut muxer = begun();
    for number in 0..4 {
        muxer.packets(PICTURES, &[&pes(number * 3600)[..], &[7; 20]].concat(), 5);
    }
    assert_eq!(counted(&muxer.bytes), (4, 80, 0));
}

#[test]
fn what_is_missing_is_counted_and_what_comes_twice_is_not() {
    let film = film();
    let packets: Vec<&[u8]> = film.chunks(PACKET_BYTES).collect();
    let is_second = |packet: &[u8]| packet[1..3] == [1, 0];
    let place = packets.iter().position(|packet| is_second(packet)).expect("the end of a picture");
    let twice = [&packets[..=place], &packets[place..]].concat().concat();
    assert_eq!(counted(&twice), (10, 3000, 0));
    let thrice = [&packets[..=place], &[packets[place]], &packets[place..]].concat().concat();
    assert_eq!(counted(&thrice).2, 1);
    let missing = [&packets[..place], &packets[place + 1..]].concat().concat();
    let (units, bytes, broken) = counted(&missing);
    assert!(units == 10 && bytes < 3000 && broken == 1);
}

#[test]
fn a_discontinuity_that_is_said_is_none() {
    let mut muxer = begun();
    muxer.unit(PICTURES, 0, 100);
    muxer.counters.insert(PICTURES, 9);
    let place = muxer.bytes.len();
    muxer.unit(PICTURES, 3600, 100);
    assert_eq!(counted(&muxer.bytes), (2, 200, 1));
    muxer.bytes[place + 5] = 0x80;
    assert_eq!(counted(&muxer.bytes), (2, 200, 0));
    // Whoever received it says that it is wrong.
    muxer.bytes[place + 1] |= 0x80;
    assert_eq!(counted(&muxer.bytes), (2, 200, 1));
}

#[test]
fn packets_are_found_again() {
    let mut film = film();
    let place = PACKET_BYTES * 12;
    film.splice(place..place, [0x55; 50]);
    let ledger = read(&film).expect("a ledger");
    assert_eq!((ledger.tracks[0].units, ledger.tracks[0].bytes, ledger.broken), (10, 3000, 1));
    film.truncate(place + 100);
    assert_eq!(read(&film).expect("a ledger").broken, 0);
}

#[test]
fn padding_and_sections_are_no_media() {
    let mut muxer = Muxer::default();
    muxer.tables(&[0x1b, 0xe1, 0, 0xf0, 0, 0x05, 0xe1, 1, 0xf0, 0]);
    muxer.unit(PICTURES, 0, 50);
    muxer.packet(PICTURES, true, &[0, 0, 1, 0xbe, 0, 9, 7, 7, 7]);
    muxer.section(SOUND, 0xc0, &[7; 20]);
    let ledger = read(&muxer.bytes).expect("a ledger");
    let counted: Vec<_> = ledger.tracks.iter().map(|track| (track.units, track.bytes, track.broken)).collect();
    assert_eq!(counted, [(1, 50, 0), (0, 0, 0)]);
}

#[test]
fn a_table_that_is_damaged_is_not_believed() {
    let mut film = film();
    film[PACKET_BYTES - 6] ^= 1;
    assert_eq!(read(&film).expect("a ledger").tracks, []);
    // It comes again.
    assert_eq!(read(&[film, self::film()].concat()).expect("a ledger").tracks[0].units, 10);
}

#[test]
fn an_hour_that_was_cut_out_is_closed() {
    let mut muxer = begun();
    for ticks in [0, 3600, 7200, 3600 * 90_000, 3600 * 90_000 + 3600] {
        muxer.unit(PICTURES, ticks, 50);
    }
    assert_eq!(read(&muxer.bytes).expect("a ledger").tracks[0].end_ns, Some(160_000_000));
}
