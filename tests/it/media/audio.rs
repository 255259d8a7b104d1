//! The audio stage: what is heard, and when, measured on the samples that an outside judge decodes.

use std::f64::consts::TAU;
use std::path::{Path, PathBuf};

use actors::domain::failure::FailureClass;
use actors::domain::job::AudioCodec;
use actors::domain::part::{AudioStats, MediaStats, VideoStats};
use actors::domain::plan::{AudioFacts, AudioPlan, AudioRendition};
use gstreamer as gst;
use gstreamer_worker::media;
use gstreamer_worker::media::gdp::{GdpReader, GdpWriter, to_file_time};
use gstreamer_worker::protocol::{EncodeAudioSpec, PartSource};

use super::parts::{audio_source, encode_audio};
use crate::support::media::{judge, text};

/// Sampling rates by their index in AAC.
const RATES: [u32; 9] = [0, 0, 0, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000];

/// PCM that is made sample by sample.
struct Pcm {
    rate: u32,
    channels: u32,
    mask: u64,
    /// Samples for each channel.
    samples: u64,
    /// Time of the first sample.
    start_ns: i64,
    /// The value of a sample of a channel, -1 to 1.
    sound: fn(u64, u32, u32) -> f64,
    /// Time of a block, from the right one and its number; `None` leaves the block out.
    time: fn(i64, u64) -> Option<i64>,
}

/// Samples of a block.
const BLOCK: u64 = 1000;

/// Noise that is the same each time, and never the same again: its place can be found to the sample.
fn noise(n: u64, rate: u32, _: u32) -> f64 {
    let t = n as f64 / f64::from(rate);
    // Swept tones below 6 kHz, which no encoder takes away.
    0.25 * ((TAU * (300.0 * t + 900.0 * t * t)).sin() + (TAU * (2000.0 * t - 150.0 * t * t)).sin())
}

impl Pcm {
    fn new(rate: u32, channels: u32) -> Self {
        let mask = [0, 0, 0x3, 0x7, 0x33, 0x37, 0x3f, 0x70f, 0xc3f][channels as usize];
        let samples = u64::from(rate) * 3;
        Self { rate, channels, mask, samples, start_ns: 0, sound: noise, time: |time, _| Some(time) }
    }

    fn write(&self, directory: &Path) -> (PathBuf, AudioFacts) {
        media::init().expect("GStreamer");
        let mut caps = gst::Caps::builder("audio/x-raw")
            .field("format", "S16LE")
            .field("layout", "interleaved")
            .field("rate", self.rate as i32)
            .field("channels", self.channels as i32);
        if self.channels > 1 {
            caps = caps.field("channel-mask", gst::Bitmask::new(self.mask));
        }
        let caps = caps.build();
        let path = directory.join("audio.gdp");
        let mut writer = GdpWriter::source(&path, &caps).expect("a source");
        for block in 0..self.samples.div_ceil(BLOCK) {
            let range = block * BLOCK..((block + 1) * BLOCK).min(self.samples);
            let right = self.start_ns + (range.start * 1_000_000_000 / u64::from(self.rate)) as i64;
            let Some(time) = (self.time)(right, block) else { continue };
            let value = |n, channel| ((self.sound)(n, self.rate, channel) * 32_000.0) as i16;
            let bytes = range.flat_map(|n| (0..self.channels).flat_map(move |c| value(n, c).to_le_bytes()));
            let mut buffer = gst::Buffer::from_slice(bytes.collect::<Vec<u8>>());
            buffer.get_mut().expect("the only owner").set_pts(to_file_time(time));
            writer.write(buffer).expect("it is written");
        }
        writer.finish().expect("it ends");
        let end_ns = self.start_ns + (self.samples * 1_000_000_000 / u64::from(self.rate)) as i64;
        let facts = AudioFacts {
            source: "audio.gdp".into(),
            caps: caps.to_string(),
            sample_rate: self.rate,
            channels: self.channels,
            start_ns: self.start_ns.max(0) as u64,
            end_ns: end_ns as u64,
            account: None,
        };
        (path, facts)
    }
}

fn rendition(rate: u32, channels: u32) -> AudioRendition {
    let bitrate = (u64::from(channels) * 96_000).try_into().expect("a bitrate");
    AudioRendition { codec: AudioCodec::Aac, bitrate, sample_rate: rate, channels }
}

/// Encodes to one rendition.
fn encoded(directory: &Path, (source, facts): (PathBuf, AudioFacts), rendition: AudioRendition) -> PartSource {
    let plan = AudioPlan { facts, renditions: vec![rendition] };
    encode_audio(directory, &source, &plan).expect("audio").remove(0)
}

/// How many samples of a part are heard.
fn samples_of(part: &PartSource) -> u64 {
    match part.part.media {
        MediaStats::Audio(AudioStats { samples, .. }) => samples,
        MediaStats::Video(VideoStats { .. }) => panic!("sound"),
    }
}

/// What is heard of a part: its samples, interleaved, without the priming.
fn heard(part: &PartSource, rate: u32, channels: u32) -> Vec<f64> {
    let adts = part.path.with_extension("aac");
    let mut reader = GdpReader::open(&part.path).expect("a part");
    let mut stream = Vec::new();
    while let Some(sample) = reader.next().expect("a packet") {
        let packet = sample.buffer().expect("a buffer").map_readable().expect("bytes").to_vec();
        let index = RATES.iter().position(|known| *known == rate).expect("a rate") as u32;
        let length = packet.len() as u32 + 7;
        stream.extend([0xff, 0xf1, (0x40 | index << 2 | channels >> 2) as u8]);
        stream.extend([
            ((channels & 3) << 6 | length >> 11) as u8,
            (length >> 3) as u8,
            (length << 5) as u8 | 0x1f,
            0xfc,
        ]);
        stream.extend(packet);
    }
    std::fs::write(&adts, stream).expect("written");
    let (pcm, log) = judge(&["-v", "warning", "-f", "aac", "-i", text(&adts), "-f", "s16le", "-"]);
    assert_eq!(
        log.replace("Estimating duration from bitrate, this may be inaccurate", "").matches("rror").count(),
        0,
        "{log}"
    );
    let all = pcm.chunks_exact(2).map(|s| f64::from(i16::from_le_bytes([s[0], s[1]])) / 32_000.0);
    let MediaStats::Audio(AudioStats { samples, priming, .. }) = part.part.media else { panic!("sound") };
    let (skip, take) = (u64::from(priming) * u64::from(channels), samples * u64::from(channels));
    all.skip(skip as usize).take(take as usize).collect()
}

/// How many samples later than in `sound` things are heard, looked at around `at`, and how well they fit (1 is the same).
fn lag(heard: &[f64], at: usize, sound: impl Fn(u64) -> f64) -> (i64, f64) {
    const WINDOW: i64 = 2000;
    let fit = |lag: i64| {
        let pairs = (0..WINDOW).map(|n| (heard[(at as i64 + n + lag) as usize], sound(at as u64 + n as u64)));
        let (mut both, mut one, mut two) = (0.0, 1e-9, 1e-9);
        pairs.for_each(|(a, b)| {
            both += a * b;
            one += a * a;
            two += b * b;
        });
        both / f64::sqrt(one * two)
    };
    (-300..=300).map(|lag| (lag, fit(lag))).max_by(|a, b| a.1.total_cmp(&b.1)).expect("a best fit")
}

fn assert_in_place(heard: &[f64], at: usize, sound: impl Fn(u64) -> f64) {
    let (lag, fit) = lag(heard, at, sound);
    assert!(lag == 0 && fit > 0.97, "at sample {at} it is {lag} samples late, with a fit of {fit}");
}

#[test]
fn every_sample_is_heard_where_it_was_from_mono_to_seven_channels() {
    for (rate, channels, made) in [(48_000, 1, 1), (44_100, 2, 2), (48_000, 3, 3), (22_050, 5, 5), (48_000, 6, 6)] {
        let directory = tempfile::tempdir().expect("a directory");
        let pcm = Pcm { samples: u64::from(rate) * 3 + 321, ..Pcm::new(rate, channels) };
        let part = encoded(directory.path(), pcm.write(directory.path()), rendition(rate, made));
        assert_eq!(samples_of(&part), pcm.samples, "{channels} channels");
        let all = heard(&part, rate, made);
        assert_eq!(all.len() as u64, pcm.samples * u64::from(made));
        let first: Vec<_> = all.chunks_exact(made as usize).map(|frame| frame[0]).collect();
        for place in [400, rate as usize, pcm.samples as usize - 3000] {
            assert_in_place(&first, place, |n| noise(n, rate, 0));
        }
    }
}

#[test]
fn channels_keep_their_places() {
    // Each channel plays in a second of its own; the LFE low enough for it.
    let sound = |n: u64, rate: u32, channel: u32| {
        let tone = f64::sin(TAU * 80.0 * n as f64 / f64::from(rate));
        if n / u64::from(rate) == u64::from(channel) { 0.5 * tone } else { 0.0 }
    };
    for mask in [0x3f, 0] {
        let directory = tempfile::tempdir().expect("a directory");
        let pcm = Pcm { sound, samples: 48_000 * 6, mask, ..Pcm::new(48_000, 6) };
        let part = encoded(directory.path(), pcm.write(directory.path()), rendition(48_000, 6));
        let all = heard(&part, 48_000, 6);
        for second in 0..6 {
            let frames = all.chunks_exact(6).skip(48_000 * second + 10_000).take(20_000);
            let energy: Vec<f64> = (0..6).map(|c| frames.clone().map(|frame| frame[c] * frame[c]).sum()).collect();
            let loudest = (0..6).max_by(|a, b| energy[*a].total_cmp(&energy[*b])).expect("a channel");
            assert_eq!(loudest, second, "mask {mask}: {energy:?}");
            assert!(energy.iter().sum::<f64>() < energy[second] * 1.1, "mask {mask}: {energy:?}");
        }
    }
}

#[test]
fn more_channels_and_other_rates_are_mixed_and_resampled_in_place() {
    for (rate, channels, to_rate, to_channels) in
        [(96_000, 2, 48_000, 2), (48_000, 8, 48_000, 6), (48_000, 4, 48_000, 4)]
    {
        let directory = tempfile::tempdir().expect("a directory");
        let pcm = Pcm::new(rate, channels);
        let part = encoded(directory.path(), pcm.write(directory.path()), rendition(to_rate, to_channels));
        assert_eq!(samples_of(&part), u64::from(to_rate) * 3);
        let all = heard(&part, to_rate, to_channels);
        let first: Vec<_> = all.chunks_exact(to_channels as usize).map(|frame| frame[0]).collect();
        for place in [4000, 48_000, 140_000] {
            assert_in_place(&first, place, |n| noise(n * u64::from(rate) / u64::from(to_rate), rate, 0));
        }
    }
}

#[test]
fn what_is_not_heard_is_cut_to_the_sample() {
    let directory = tempfile::tempdir().expect("a directory");
    // The source begins 100 ms before the presentation and ends 200 ms after what is heard.
    let pcm = Pcm { start_ns: -100_000_000, ..Pcm::new(48_000, 2) };
    let (source, mut facts) = pcm.write(directory.path());
    facts.end_ns -= 200_000_000;
    let part = encoded(directory.path(), (source, facts), rendition(48_000, 2));
    assert_eq!(samples_of(&part), 48_000 * 27 / 10);
    let left: Vec<_> = heard(&part, 48_000, 2).chunks_exact(2).map(|frame| frame[0]).collect();
    for place in [400, 100_000] {
        assert_in_place(&left, place, |n| noise(n + 4800, 48_000, 0));
    }
}

#[test]
fn a_gap_is_silence_and_what_follows_is_in_time() {
    let directory = tempfile::tempdir().expect("a directory");
    let pcm = Pcm { time: |time, block| (!(40..70).contains(&block)).then_some(time), ..Pcm::new(48_000, 1) };
    let part = encoded(directory.path(), pcm.write(directory.path()), rendition(48_000, 1));
    assert_eq!(samples_of(&part), pcm.samples);
    let all = heard(&part, 48_000, 1);
    assert!(all[42_000..68_000].iter().all(|sample| sample.abs() < 0.01), "the gap is silent");
    assert_in_place(&all, 20_000, |n| noise(n, 48_000, 0));
    assert_in_place(&all, 100_000, |n| noise(n, 48_000, 0));
}

#[test]
fn times_rounded_to_milliseconds_cut_nothing_and_an_overlap_is_dropped() {
    let directory = tempfile::tempdir().expect("a directory");
    let rounded = Pcm { time: |time, _| Some(time / 1_000_000 * 1_000_000), ..Pcm::new(44_100, 1) };
    let part = encoded(directory.path(), rounded.write(directory.path()), rendition(44_100, 1));
    let all = heard(&part, 44_100, 1);
    for place in [400, 60_000, 120_000] {
        assert_in_place(&all, place, |n| noise(n, 44_100, 0));
    }
    // From block 60 on everything comes 250 ms early: so much of it is dropped, and the end is silent.
    let early =
        Pcm { time: |time, block| Some(if block < 60 { time } else { time - 250_000_000 }), ..Pcm::new(48_000, 1) };
    let part = encoded(directory.path(), early.write(directory.path()), rendition(48_000, 1));
    let all = heard(&part, 48_000, 1);
    assert_eq!(all.len(), 144_000);
    assert_in_place(&all, 40_000, |n| noise(n, 48_000, 0));
    assert_in_place(&all, 100_000, |n| noise(n + 12_000, 48_000, 0));
    assert!(all[134_000..].iter().all(|sample| sample.abs() < 0.01), "the end is silent");
}

#[test]
fn all_usual_codecs_are_decoded_for_their_whole_length() {
    let tone =
        "audiotestsrc num-buffers=30 samplesperbuffer=4800 freq=440 ! audio/x-raw,rate=48000,channels=2 ! audioconvert";
    for chain in [
        "avenc_aac ! aacparse",
        "lamemp3enc ! mpegaudioparse",
        "avenc_ac3 ! ac3parse",
        "opusenc ! opusparse",
        "vorbisenc ! vorbisparse",
        "flacenc ! flacparse ! audio/x-flac,framed=true",
        "audio/x-raw,format=S24LE",
        "avenc_alac",
        "mulawenc",
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        let (source, facts) = timed_source(directory.path(), &format!("{tone} ! {chain}"));
        let rate = if RATES.contains(&facts.sample_rate) { facts.sample_rate } else { 48_000 };
        let part = encoded(directory.path(), (source, facts), rendition(rate, 2));
        let all = heard(&part, rate, 2);
        let seconds = all.len() as f64 / 2.0 / f64::from(rate);
        assert!((2.9..3.1).contains(&seconds), "{chain}: {seconds} s");
        // The tone fills nearly all of it.
        let loud = all.chunks_exact(960).filter(|block| block.iter().any(|sample| sample.abs() > 0.2)).count();
        assert!(loud * 960 > all.len() * 95 / 100, "{chain}: {loud} blocks are loud");
    }
}

/// Vorbis packets come without a duration; what is left of the source is all the same.
fn timed_source(directory: &Path, description: &str) -> (PathBuf, AudioFacts) {
    let (path, mut facts) = audio_source(directory, description, 0);
    facts.end_ns = 3_000_000_000;
    (path, facts)
}

#[test]
fn the_same_source_gives_the_same_bytes_in_as_many_renditions_as_asked() {
    let directory = tempfile::tempdir().expect("a directory");
    let (source, facts) = Pcm::new(48_000, 2).write(directory.path());
    let renditions = vec![rendition(48_000, 2), rendition(48_000, 1)];
    let plan = AudioPlan { facts, renditions };
    let one = encode_audio(directory.path(), &source, &plan).expect("audio");
    let two = encode_audio(directory.path(), &source, &plan).expect("audio");
    assert_eq!(
        one.iter().map(|part| &part.part).collect::<Vec<_>>(),
        two.iter().map(|part| &part.part).collect::<Vec<_>>()
    );
    assert_eq!(one.len(), 2);
    assert!(one[0].part.file.sha256 != one[1].part.file.sha256);
    assert_eq!(one[0].part.media, MediaStats::Audio(AudioStats { packets: 142, samples: 144_000, priming: 1024 }));
}

#[test]
fn progress_is_told_and_grows() {
    let directory = tempfile::tempdir().expect("a directory");
    let pcm = Pcm { samples: 48_000 * 40, sound: |n, _, _| f64::from((n % 100) as u32) / 200.0, ..Pcm::new(48_000, 1) };
    let (source, facts) = pcm.write(directory.path());
    let renditions = vec![rendition(48_000, 1), rendition(48_000, 2)];
    let targets = vec![directory.path().join("a"), directory.path().join("b")];
    let spec = EncodeAudioSpec { source, plan: AudioPlan { facts, renditions }, targets };
    let told = std::cell::RefCell::new(Vec::new());
    media::run(&spec, &|media_ns| told.borrow_mut().push(media_ns)).expect("audio");
    let told = told.into_inner();
    assert!(told.windows(2).all(|pair| pair[0] <= pair[1]), "{told:?}");
    assert!(told.last().is_some_and(|last| *last == 40_000_000_000), "{told:?}");
}

#[test]
fn damaged_packets_become_silence_and_a_track_of_them_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let description =
        "audiotestsrc num-buffers=30 samplesperbuffer=4800 ! audio/x-raw,rate=48000,channels=2 ! avenc_aac ! aacparse";
    let (source, facts) = timed_source(directory.path(), description);
    let damage = |which: fn(usize) -> bool| {
        let path = directory.path().join("damaged.gdp");
        let mut reader = GdpReader::open(&source).expect("a source");
        let mut writer = None;
        let mut number = 0;
        while let Some(sample) = reader.next().expect("a packet") {
            let mut buffer = sample.buffer_owned().expect("a buffer");
            if which(number) {
                let mut broken = gst::Buffer::from_slice(vec![0xa5; buffer.size()]);
                broken.get_mut().expect("the only owner").set_pts(buffer.pts());
                buffer = broken;
            }
            let caps = sample.caps_owned().expect("caps");
            writer
                .get_or_insert_with(|| GdpWriter::source(&path, &caps).expect("a file"))
                .write(buffer)
                .expect("written");
            number += 1;
        }
        writer.expect("packets").finish().expect("it ends");
        path
    };
    let part = encoded(directory.path(), (damage(|n| n > 40 && n % 5 == 0), facts.clone()), rendition(48_000, 2));
    assert_eq!(samples_of(&part), 144_000);
    let plan = AudioPlan { facts, renditions: vec![rendition(48_000, 2)] };
    let failure = encode_audio(directory.path(), &damage(|_| true), &plan).expect_err("nothing can be decoded");
    assert_eq!(failure.class, FailureClass::Permanent, "{failure}");
}
