//! Which channel has which sound, and how loud: films whose channels have tones of their own go through all stages, and
//! the judge's samples of what was made are measured.

use std::f64::consts::TAU;
use std::path::{Path, PathBuf};

use actors::domain::job::{Container, JobSpec};

use super::sources::make;
use super::whole::carry_out;
use crate::support::media::{judge, text};

/// Samples per second of all films here, which last one.
const RATE: usize = 48_000;
/// How loud each tone is.
const LOUD: f64 = 0.3;
/// What no ear takes for a tone beside one of [`LOUD`].
const SILENT: f64 = LOUD / 30.0;

/// Two packets of the codec with the longest ones.
const PACKETS: usize = 2 * 1536;

/// A name of ffmpeg's, and the channels in their order.
type Layout = (&'static str, &'static [&'static str]);

const MONO: Layout = ("mono", &["FC"]);
const STEREO: Layout = ("stereo", &["FL", "FR"]);
const THREE: Layout = ("3.0", &["FL", "FR", "FC"]);
const FOUR: Layout = ("4.0", &["FL", "FR", "FC", "BC"]);
const FIVE: Layout = ("5.0", &["FL", "FR", "FC", "BL", "BR"]);
const SIX: Layout = ("5.1", &["FL", "FR", "FC", "LFE", "BL", "BR"]);
const SIX_SIDE: Layout = ("5.1(side)", &["FL", "FR", "FC", "LFE", "SL", "SR"]);
const SEVEN: Layout = ("6.1", &["FL", "FR", "FC", "LFE", "BC", "SL", "SR"]);
const EIGHT: Layout = ("7.1", &["FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"]);

/// The tone of a channel, in whole periods a second; that of an LFE is low enough for it.
fn tone(channel: &str) -> usize {
    let known = ["LFE", "FL", "FR", "FC", "BL", "BR", "BC", "SL", "SR"];
    let place = known.iter().position(|name| *name == channel).expect("a channel");
    if place == 0 { 60 } else { 200 + 100 * place }
}

/// Bench for films of one second that have the same small picture.
struct Films {
    directory: tempfile::TempDir,
    picture: PathBuf,
}

impl Films {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let picture = "-f lavfi -i testsrc2=s=128x72:r=25:d=1 -c:v libx264 -preset ultrafast -pix_fmt yuv420p";
        let picture = make(directory.path(), "picture.mp4", picture);
        Self { directory, picture }
    }

    /// A film with tones in these channels: `loud` says how loud each is.
    fn film(&self, name: &str, layout: Layout, codec: &str, loud: impl Fn(&str) -> f64) -> PathBuf {
        let tones: Vec<String> =
            layout.1.iter().map(|channel| format!("{}*sin({}*PI*t)", loud(channel), 2 * tone(channel))).collect();
        let sound = format!("-f lavfi -i aevalsrc={}:c={}:s={RATE}:d=1", tones.join("|"), layout.0);
        let options = format!("-i {} {sound} -map 0:v -map 1:a -c:v copy -strict -2 {codec}", text(&self.picture));
        make(self.directory.path(), name, &options)
    }

    /// What is heard of a film once it went through all stages, one channel after another.
    fn heard(&self, film: &Path, layout: Layout) -> Vec<Vec<f64>> {
        let bits = 96_000 * layout.1.len().min(6);
        let job = format!(
            r#"{{"job_id": "levels", "input": {{"uri": "file:///in"}}, "outputs": [{{"uri": "file:///out", "container": "mp4",
                "video": {{"codec": "h264", "preset": "ultrafast"}}, "audio": {{"bitrate": {bits}}}}}]}}"#
        );
        let job = JobSpec::parse(job.as_bytes()).expect("a job");
        let directory = tempfile::tempdir().expect("a directory");
        let (_, [(made, _)]) = carry_out(film, directory.path(), job, [(Container::Mp4, "out.mp4")]);
        samples(&made)
    }
}

/// The judge's samples of each channel of a file.
fn samples(path: &Path) -> Vec<Vec<f64>> {
    let (pcm, log) = judge(&["-i", text(path), "-map", "0:a:0", "-f", "f32le", "-"]);
    let line = log.lines().find(|line| line.contains("Audio: pcm_f32le")).expect("what was decoded");
    let layout = line.split(", ").nth(2).expect("a layout");
    let channels = [MONO, STEREO, THREE, FOUR, FIVE, SIX, SIX_SIDE].into_iter().find(|known| known.0 == layout);
    let channels = channels.unwrap_or_else(|| panic!("{line}")).1.len();
    let all: Vec<f64> = pcm.chunks_exact(4).map(|s| f64::from(f32::from_le_bytes([s[0], s[1], s[2], s[3]]))).collect();
    (0..channels).map(|channel| all.iter().skip(channel).step_by(channels).copied().collect()).collect()
}

/// How loud a tone is in the middle of the samples of a channel.
fn level(samples: &[f64], frequency: usize) -> f64 {
    let middle = &samples[RATE / 4..RATE * 3 / 4];
    let part = |wave: fn(f64) -> f64| -> f64 {
        let turn = TAU * frequency as f64 / RATE as f64;
        middle.iter().enumerate().map(|(n, sample)| sample * wave(n as f64 * turn)).sum()
    };
    2.0 * part(f64::sin).hypot(part(f64::cos)) / middle.len() as f64
}

/// Every sample is there. Where nothing says how many of the last packet are meant, there are whole packets.
fn assert_length(samples: &[f64], name: &str) {
    let told = ["pcm", "flac", "alac", "aac"].iter().any(|codec| name.starts_with(codec)) && !name.contains(" in ts");
    let more = if told { 0 } else { PACKETS };
    assert!((RATE..=RATE + more).contains(&samples.len()), "{name}: {} samples", samples.len());
}

/// Each channel has the tone that it had, as loud as `loud` says, and no other one; every sample is there.
fn assert_kept(heard: &[Vec<f64>], layout: Layout, loud: impl Fn(&str) -> f64, name: &str) {
    assert_eq!(heard.len(), layout.1.len(), "{name}");
    for (samples, place) in heard.iter().zip(layout.1) {
        assert_length(samples, name);
        for channel in layout.1 {
            let (found, right) = (level(samples, tone(channel)), if channel == place { loud(channel) } else { 0.0 });
            let slack = if right > 0.0 { right / 10.0 } else { SILENT };
            assert!((found - right).abs() < slack, "{name}: the tone of {channel} is {found} in {place}, not {right}");
        }
    }
}

/// More channels than AAC is made of: those in front and the LFE have their own tones, and nothing is silent or on the other side.
fn assert_mixed(heard: &[Vec<f64>], layout: Layout, name: &str) {
    assert_eq!(heard.len(), SIX.1.len(), "{name}");
    for (samples, place) in heard.iter().zip(SIX.1) {
        assert_length(samples, name);
        let levels: Vec<f64> = layout.1.iter().map(|channel| level(samples, tone(channel))).collect();
        let loudest = (0..levels.len()).max_by(|a, b| levels[*a].total_cmp(&levels[*b])).expect("a channel");
        let own = if layout.1.contains(place) { place } else { &"BC" };
        assert_eq!(&layout.1[loudest], own, "{name}: {levels:?} in {place}");
        for (channel, found) in layout.1.iter().zip(&levels) {
            let across =
                |side: char, other: char| channel.ends_with(side) && place.ends_with(other) && channel.len() == 2;
            assert!(
                *found < SILENT || !(across('L', 'R') || across('R', 'L')),
                "{name}: {channel} is {found} in {place}"
            );
        }
    }
    for channel in layout.1 {
        let loudest = heard.iter().map(|samples| level(samples, tone(channel))).fold(0.0, f64::max);
        assert!(loudest > LOUD / 6.0, "{name}: {channel} is {loudest} at most");
    }
}

fn check(films: &Films, container: &str, layout: Layout, codec: &str) {
    let name = format!("{codec} in {container}, {}", layout.0);
    let film = films.film(&format!("tones.{container}"), layout, &format!("-c:a {codec}"), |_| LOUD);
    let heard = films.heard(&film, layout);
    if layout.1.len() > SIX.1.len() {
        assert_mixed(&heard, layout, &name);
    } else {
        // An encoder of the judge may not keep a level: that of DTS makes an LFE a third as loud.
        let made = samples(&film);
        let loud = |channel: &str| {
            let place = layout.1.iter().position(|other| *other == channel).expect("a channel");
            level(&made[place], tone(channel))
        };
        assert_kept(&heard, layout, loud, &name);
    }
}

/// Checks each codec with a layout, and each layout with a codec.
fn check_all(films: &Films, container: &str, codecs: &[&str], layouts: &[Layout]) {
    let pairs = codecs.iter().cycle().zip(layouts.iter().cycle()).take(codecs.len().max(layouts.len()));
    pairs.for_each(|(codec, layout)| check(films, container, *layout, codec));
}

#[test]
fn uncompressed_sound_of_every_depth_and_number_of_channels_is_kept() {
    let films = Films::new();
    let all = [STEREO, SIX, MONO, SIX_SIDE, FIVE, EIGHT, THREE, SEVEN, FOUR];
    let quicktime = [
        "pcm_s24le",
        "pcm_s16be",
        "pcm_f32le",
        "pcm_s24be",
        "pcm_s32le",
        "pcm_s16le",
        "pcm_f64le",
        "pcm_s32be",
        "pcm_f32be",
        "pcm_f64be",
        "pcm_u8",
    ];
    check_all(&films, "mov", &quicktime, &all);
    check_all(&films, "avi", &["pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le", "pcm_u8"], &all);
    // Matroska does not say where the channels are: only numbers with a usual place for each.
    let plain = [SIX, STEREO, EIGHT, MONO, FIVE];
    check_all(
        &films,
        "mkv",
        &["pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le", "pcm_u8"],
        &plain,
    );
}

#[test]
fn channels_of_every_codec_are_kept() {
    let films = Films::new();
    for (container, codec, layouts) in [
        ("mp4", "aac -b:a 576k", &[MONO, STEREO, THREE, FOUR, FIVE, SIX, EIGHT][..]),
        ("ts", "ac3 -b:a 640k", &[STEREO, SIX_SIDE]),
        ("mp4", "eac3 -b:a 640k", &[SIX_SIDE]),
        ("mkv", "flac", &[STEREO, SIX, SEVEN, EIGHT]),
        ("mkv", "libopus -b:a 512k -mapping_family 1", &[STEREO, SIX, EIGHT]),
        ("mkv", "libvorbis -q 8", &[STEREO, SIX, EIGHT]),
        ("mov", "alac", &[STEREO, SIX]),
        ("ts", "libmp3lame -b:a 320k", &[MONO, STEREO]),
        ("mkv", "dca -b:a 1500k", &[STEREO, SIX_SIDE]),
        ("ts", "s302m", &[STEREO, SIX]),
    ] {
        layouts.iter().for_each(|layout| check(&films, container, *layout, codec));
    }
}

#[test]
fn a_silent_side_stays_silent_and_equal_sides_stay_equal() {
    let films = Films::new();
    for (container, codec) in [("mp4", "aac -b:a 96k"), ("ts", "aac -b:a 192k"), ("mov", "pcm_s16le")] {
        for (left, right) in [(LOUD, 0.0), (0.0, LOUD), (LOUD, LOUD), (0.5, 0.05)] {
            let loud = |channel: &str| if channel == "FL" { left } else { right };
            let film = films.film(&format!("sides.{container}"), STEREO, &format!("-c:a {codec}"), loud);
            let name = format!("{codec} in {container}, {left} and {right}");
            assert_kept(&films.heard(&film, STEREO), STEREO, loud, &name);
        }
    }
}
