//! The sample tables of a track (ISO/IEC 14496-12, 8.6.1, 8.7), read side by side. Equal samples are counted in one step,
//! so that the work is that of the tables and not of the numbers in them.

use std::io::{self, ErrorKind};

use super::super::Kind;
use super::super::reader::{Reader, big, to_end};
use super::boxes::{Boxes, Header};
use super::sound;
use super::track::{Run, Track, words};

/// Lengths of samples that are meant as negative: writers correct their times with small ones.
const NEGATIVE_FROM: u32 = u32::MAX - 480_000;

/// Counts the samples of `track`.
pub(super) fn read(track: &mut Track, reader: &mut Reader<'_>, tables: &Header) -> io::Result<()> {
    let (mut times, mut delays, mut sizes) = (None, None, None);
    let (mut groups, mut places, mut described) = (None, None, None);
    let mut boxes = Boxes::of(tables);
    while let Some(found) = boxes.next(reader)? {
        let content = found.content(reader);
        match &found.kind {
            b"stts" => times = Some(Runs::open(content)?),
            b"ctts" => delays = Some(Runs::open(content)?),
            b"stsz" => sizes = Some(Sizes::open(content)?),
            b"stz2" => sizes = Some(Sizes::open_compact(content)?),
            b"stsc" => groups = Some(content),
            b"stco" => places = Some((content, 4)),
            b"co64" => places = Some((content, 8)),
            b"stsd" => described = Some(content),
            _ => {}
        }
    }
    let (Some(sizes), Some(times)) = (sizes, times) else { return Ok(()) };
    let pcm = track.ledger.kind == Kind::Audio && times.value == 1 && sizes.equal.is_some();
    let pcm = described.filter(|_| pcm).map(sound::sample_bytes).transpose()?.flatten();
    let mut walk = Walk { track, times, delays, sizes, pcm, left: 0, decode: 0, file_end: reader.end() };
    walk.left = walk.sizes.count;
    if let (Some(groups), Some((places, width))) = (groups, places) {
        to_end(walk.chunks(&mut Chunks::open(groups, places, width)?))?;
    }
    walk.lost()
}

struct Walk<'a, 'b> {
    track: &'b mut Track,
    times: Runs<'a>,
    delays: Option<Runs<'a>>,
    sizes: Sizes<'a>,
    // Bytes of so many PCM samples, where they are known.
    pcm: Option<(u64, u64)>,
    // Samples that have not been counted.
    left: u64,
    decode: i64,
    file_end: u64,
}

impl Walk<'_, '_> {
    fn chunks(&mut self, chunks: &mut Chunks<'_>) -> io::Result<()> {
        while self.left > 0 {
            let (mut place, samples) = chunks.next()?;
            let mut samples = samples.min(self.left);
            while samples > 0 {
                let (run, bytes) = match (self.sizes.equal, self.pcm) {
                    (None, _) => (1, self.sizes.next()?),
                    (Some(_), Some((bytes, samples_of))) => {
                        let run = self.together(samples);
                        let bytes = u128::from(run) * u128::from(bytes) / u128::from(samples_of);
                        (run, u64::try_from(bytes).unwrap_or(u64::MAX))
                    }
                    (Some(size), None) => {
                        let run = self.together(samples);
                        (run, run.saturating_mul(size))
                    }
                };
                self.count(run, bytes, Some(place))?;
                place = place.saturating_add(bytes);
                samples -= run;
            }
        }
        Ok(())
    }

    /// The rest has a time and no place: the other tables end before.
    fn lost(&mut self) -> io::Result<()> {
        while self.left > 0 {
            let run = self.together(self.left);
            self.count(run, 0, None)?;
        }
        Ok(())
    }

    /// How many of the next `limit` samples are alike, at least 1.
    fn together(&self, limit: u64) -> u64 {
        let delays = self.delays.as_ref().map_or(u64::MAX, |delays| delays.left);
        limit.min(self.times.left).min(delays).max(1)
    }

    fn count(&mut self, count: u64, bytes: u64, place: Option<u64>) -> io::Result<()> {
        let step = match self.times.value {
            value @ NEGATIVE_FROM.. => i64::from(value as i32),
            value => i64::from(value),
        };
        // Signed in both versions of the table: QuickTime writes negative ones in version 0.
        let delay = self.delays.as_ref().map_or(0, |delays| i64::from(delays.value as i32));
        let start = self.decode.saturating_add(delay);
        self.track.count(Run { count, bytes, place, start, step }, self.file_end);
        let ticks = i64::try_from(i128::from(count) * i128::from(step)).unwrap_or(i64::MAX);
        self.decode = self.decode.saturating_add(ticks);
        self.track.next_decode = self.decode;
        self.left -= count;
        self.times.pass(count, |value| value)?;
        // What is beyond the table has no delay, and lasts as long as what is before it.
        self.delays.as_mut().map_or(Ok(()), |delays| delays.pass(count, |_| 0))
    }
}

/// A table of counts and values: `stts` or `ctts`.
struct Runs<'a> {
    content: Reader<'a>,
    entries: u32,
    /// Samples that have the value; never 0.
    left: u64,
    value: u32,
}

impl<'a> Runs<'a> {
    fn open(mut content: Reader<'a>) -> io::Result<Self> {
        let [_, _, _, _, entries @ ..] = content.array::<8>()?;
        let mut runs = Self { content, entries: u32::from_be_bytes(entries), left: 0, value: 0 };
        runs.pass(0, |_| 0)?;
        Ok(runs)
    }

    /// Goes on by `count`, at most `left`, samples; `beyond` makes the value of those that the table lacks from its last.
    fn pass(&mut self, count: u64, beyond: impl Fn(u32) -> u32) -> io::Result<()> {
        self.left -= count;
        while self.left == 0 {
            let entry = if self.entries == 0 { None } else { next::<8>(&mut self.content)? };
            self.entries = self.entries.saturating_sub(1);
            (self.left, self.value) = match entry {
                Some(entry) => {
                    let [left, value] = words::<8, 2>(&entry);
                    (u64::from(left), value)
                }
                None => (u64::MAX, beyond(self.value)),
            };
        }
        Ok(())
    }
}

/// The table of sizes: `stsz` or `stz2`.
struct Sizes<'a> {
    content: Reader<'a>,
    /// Of all samples.
    equal: Option<u64>,
    count: u64,
    bits: u8,
    // The second half of a byte.
    half: Option<u8>,
}

impl<'a> Sizes<'a> {
    fn open(mut content: Reader<'a>) -> io::Result<Self> {
        let fields = content.array::<12>()?;
        let equal = Some(big(&fields[4..8])).filter(|size| *size > 0);
        Ok(Self { content, equal, count: big(&fields[8..]), bits: 32, half: None })
    }

    fn open_compact(mut content: Reader<'a>) -> io::Result<Self> {
        let fields = content.array::<12>()?;
        Ok(Self { content, equal: None, count: big(&fields[8..]), bits: fields[7], half: None })
    }

    fn next(&mut self) -> io::Result<u64> {
        Ok(match self.bits {
            4 => match self.half.take() {
                Some(half) => u64::from(half),
                None => {
                    let [both] = self.content.array()?;
                    self.half = Some(both & 15);
                    u64::from(both >> 4)
                }
            },
            8 => big(&self.content.array::<1>()?),
            16 => big(&self.content.array::<2>()?),
            32 => big(&self.content.array::<4>()?),
            _ => return Err(ErrorKind::UnexpectedEof.into()),
        })
    }
}

/// Where chunks lie and how many samples they have: `stco` or `co64`, and `stsc`.
struct Chunks<'a> {
    groups: Reader<'a>,
    groups_left: u32,
    // From which chunk on (the first is 1) chunks have so many samples.
    coming: Option<(u64, u64)>,
    samples: u64,
    places: Reader<'a>,
    places_left: u32,
    width: usize,
    number: u64,
}

impl<'a> Chunks<'a> {
    fn open(mut groups: Reader<'a>, mut places: Reader<'a>, width: usize) -> io::Result<Self> {
        let [_, _, _, _, groups_left @ ..] = groups.array::<8>()?;
        let [_, _, _, _, places_left @ ..] = places.array::<8>()?;
        let (groups_left, places_left) = (u32::from_be_bytes(groups_left), u32::from_be_bytes(places_left));
        let mut chunks = Self { groups, groups_left, coming: None, samples: 0, places, places_left, width, number: 0 };
        chunks.coming = chunks.group()?;
        Ok(chunks)
    }

    /// Place and samples of the next one.
    fn next(&mut self) -> io::Result<(u64, u64)> {
        if self.places_left == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.places_left -= 1;
        self.number += 1;
        while let Some((_, samples)) = self.coming.filter(|(first, _)| *first <= self.number) {
            self.samples = samples;
            self.coming = self.group()?;
        }
        let place = if self.width == 8 { big(&self.places.array::<8>()?) } else { big(&self.places.array::<4>()?) };
        Ok((place, self.samples))
    }

    fn group(&mut self) -> io::Result<Option<(u64, u64)>> {
        if self.groups_left == 0 {
            return Ok(None);
        }
        self.groups_left -= 1;
        // The third number says which description is theirs.
        Ok(next::<12>(&mut self.groups)?.map(|entry| (big(&entry[..4]), big(&entry[4..8]))))
    }
}

/// The next entry of a table, unless it ends.
fn next<const N: usize>(content: &mut Reader<'_>) -> io::Result<Option<[u8; N]>> {
    match content.array() {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
        entry => entry.map(Some),
    }
}
