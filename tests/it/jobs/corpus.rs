//! Films of seeded combinations of container, codecs, rate of frames, edits and start, made by the judge: what comes out agrees
//! with the judge's own decode of what went in, in frames, times, pictures and sound. `FILES=` of them, from `SEED=` on.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::support::media::{frame_times, judge, luma_psnr, number, text};
use crate::support::transcode::Bench;

/// So many in `make test`; `make corpus` makes more.
const FILES: u64 = 50;
/// Times agree within this: the tick of Matroska and of FLV is a millisecond, rounded once in the source and once here.
const TICK: f64 = 0.0016;
/// Pictures agree by so many dB of luma.
const PSNR: f64 = 30.0;
/// Sounds agree within so many dB, in each second...
const LEVEL: f64 = 1.0;
/// ...and so many seconds.
const OFFSET: f64 = 0.001;
/// Blocks of samples follow one another where their times are nearer than this, in seconds.
const GAP: f64 = 0.01;
/// The place of the channel that has low frequencies only.
const LFE: usize = 3;
/// Samples per second at which sounds are compared.
const SOUND_RATE: usize = 8000;

const H264: &str = "libx264 -preset veryfast -crf 12 -pix_fmt yuv420p";
const HEVC: &str = "libx265 -preset ultrafast -crf 10 -pix_fmt yuv420p -x265-params log-level=none";
const VP9: &str = "libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 4M -pix_fmt yuv420p";
const VP8: &str = "libvpx -deadline realtime -cpu-used 8 -b:v 4M -auto-alt-ref 0";
const AV1: &str = "libsvtav1 -preset 12 -crf 20 -pix_fmt yuv420p";
const MPEG2: &str = "mpeg2video -q:v 2";
const MPEG4: &str = "mpeg4 -q:v 2";
const MJPEG: &str = "mjpeg -q:v 2 -pix_fmt yuvj420p";
const AAC: &str = "aac -b:a 192k";
const MP3: &str = "libmp3lame -b:a 192k";
const OPUS: &str = "libopus -b:a 192k";
const VORBIS: &str = "libvorbis -q:a 6";
const AC3: &str = "ac3 -b:a 384k";
const FLAC: &str = "flac -sample_fmt s16";
const PCM: &str = "pcm_s16le";

/// A container, its extension, the codecs that it holds, and whether frames may be shown at any time.
struct Container {
    extension: &'static str,
    video: &'static [&'static str],
    audio: &'static [&'static str],
    options: &'static str,
    free: bool,
}

const CONTAINERS: &[Container] = &[
    Container {
        extension: "mp4",
        video: &[H264, HEVC, AV1, MPEG4],
        audio: &[AAC, MP3, AC3, OPUS],
        options: "",
        free: true,
    },
    Container {
        extension: "mp4",
        video: &[H264, HEVC, AV1],
        audio: &[AAC, OPUS],
        options: "-movflags frag_keyframe+empty_moov+default_base_moof",
        free: true,
    },
    Container {
        extension: "mov",
        video: &[H264, HEVC, MJPEG, "prores_ks -profile:v 1", "qtrle"],
        audio: &[AAC, PCM, "pcm_s24le", "alac"],
        options: "",
        free: true,
    },
    Container {
        extension: "mkv",
        video: &[H264, HEVC, VP8, VP9, AV1, MPEG2, MPEG4, MJPEG, "ffv1 -level 3", "libtheora -q:v 9"],
        audio: &[AAC, MP3, OPUS, VORBIS, AC3, FLAC, PCM, "eac3 -b:a 384k"],
        options: "",
        free: true,
    },
    Container { extension: "webm", video: &[VP8, VP9, AV1], audio: &[OPUS, VORBIS], options: "", free: true },
    Container {
        extension: "ts",
        video: &[H264, HEVC, MPEG2],
        audio: &[AAC, "mp2 -b:a 192k", MP3, AC3],
        options: "",
        free: false,
    },
    Container { extension: "flv", video: &[H264, "flv -q:v 2"], audio: &[AAC, MP3], options: "", free: false },
    Container { extension: "avi", video: &[MPEG4, MJPEG], audio: &[MP3, AC3, PCM], options: "-bf 0", free: false },
    Container {
        extension: "mpg",
        video: &[MPEG2],
        audio: &["mp2 -b:a 192k", AC3],
        options: "-maxrate 9M -bufsize 2M",
        free: false,
    },
    Container { extension: "ogv", video: &["libtheora -q:v 9"], audio: &[VORBIS, FLAC], options: "", free: false },
    Container { extension: "wmv", video: &["wmv2 -q:v 2"], audio: &["wmav2 -b:a 128k"], options: "", free: false },
];

/// Choices that follow from a seed, the same everywhere (xorshift, Marsaglia 2003).
struct Choices(u64);

impl Choices {
    fn new(seed: u64) -> Self {
        let mut choices = Self((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        (0..8).for_each(|_| _ = choices.next());
        choices
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Once in so many times.
    fn one_of(&mut self, times: u64) -> bool {
        self.next().is_multiple_of(times)
    }

    fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[usize::try_from(self.next() % list.len() as u64).expect("a place")]
    }
}

/// A film.
struct Recipe {
    extension: &'static str,
    /// Options of the judge that make it.
    make: String,
    /// Options of the judge that make it of the first one without encoding again: an edit that begins within a group of pictures.
    cut: Option<String>,
    /// Channels of its sound; 0 where it has none.
    channels: usize,
}

impl Recipe {
    fn new(seed: u64) -> Self {
        let mut choices = Choices::new(seed);
        let container = choices.of(CONTAINERS);
        let video = *choices.of(container.video);
        let sound = !choices.one_of(8);
        let audio = *choices.of(container.audio);
        let rates: &[&str] = match container.extension {
            "mpg" => &["25", "30000/1001", "24"],
            _ => &["24", "25", "30000/1001", "24000/1001", "50", "12"],
        };
        let rate = choices.of(rates);
        let uneven = container.free && choices.one_of(4);
        let filter =
            if uneven { "-vf select='gt(mod(n*n,7),1)' -fps_mode passthrough" } else { "-fps_mode passthrough" };
        let gop = choices.of(&[1, 6, 12, 25, 250]);
        let reordered = if video == H264 || video == MPEG2 { *choices.of(&["", "-bf 0", "-bf 2"]) } else { "" };
        let open = if video == H264 && choices.one_of(4) { "-x264-params open-gop=1" } else { "" };
        let late = if container.extension == "avi" { &"0" } else { choices.of(&["0", "0", "0", "0.3", "1.01"]) };
        let channels = match audio {
            MP3 | VORBIS | "mp2 -b:a 192k" | "wmav2 -b:a 128k" => *choices.of(&[1, 2]),
            _ => *choices.of(&[1, 2, 2, 6]),
        };
        let hertz: &[u32] = match (audio, container.extension) {
            (OPUS | "eac3 -b:a 384k", _) | (_, "mpg") => &[48_000],
            (_, "wmv") => &[48_000, 44_100],
            (MP3, "flv") => &[44_100, 22_050],
            _ => &[48_000, 48_000, 44_100, 32_000],
        };
        let hertz = choices.of(hertz);
        let start = match container.extension {
            "mp4" | "mov" | "mkv" | "webm" | "ts" => {
                *choices.of(&["", "", "-output_ts_offset 3600", "-output_ts_offset 0.7"])
            }
            _ => "",
        };
        let codecs = if sound {
            let tones =
                (0..channels).map(|n| format!("0.3*sin({}*2*PI*t)*lt(mod(t*1.7+0.1*{n},1),0.4)", 440 + 110 * n));
            let tones: Vec<_> = tones.collect();
            format!(
                "-itsoffset {late} -f lavfi -i aevalsrc={}:s={hertz}:d=3 -c:a {audio} -strict -2",
                tones.join("|").replace(',', "\\,")
            )
        } else {
            "-an".into()
        };
        // Inputs come first.
        let (inputs, sounds) = codecs
            .split_once(" -c:a ")
            .map_or(("", "-an".to_owned()), |(inputs, rest)| (inputs, format!("-c:a {rest}")));
        let make = format!(
            "-f lavfi -i testsrc2=size=320x192:rate={rate}:duration=3 {inputs} {filter} -c:v {video} -g {gop} {reordered} {open} \
             {sounds} {} {start}",
            container.options
        );
        let edits = ["mp4", "mov"].contains(&container.extension) && container.options.is_empty();
        // Of ALAC the judge itself loses packets behind an edit.
        let edits = edits && audio != "alac";
        let cut = (edits && choices.one_of(3)).then(|| format!("-ss {} ", choices.of(&["0.5", "0.77", "1.3"])));
        Self { extension: container.extension, make, cut, channels: if sound { channels } else { 0 } }
    }

    fn write(&self, directory: &Path) -> PathBuf {
        let run = |input: &[&str], options: &str, name: &str| {
            let path = directory.join(name);
            let options: Vec<&str> = options.split_whitespace().collect();
            judge(&[&["-v", "error", "-y"][..], input, &options, &[text(&path)]].concat());
            path
        };
        let film = run(&[], &self.make, &format!("film.{}", self.extension));
        match &self.cut {
            Some(cut) => {
                let place: Vec<&str> = cut.split_whitespace().collect();
                run(&[&place[..], &["-i", text(&film)]].concat(), "-c copy", &format!("cut.{}", self.extension))
            }
            None => film,
        }
    }
}

/// Sound of a file from its first frame on, all channels together but the LFE, with silence where there is none. They are put together
/// here: the judge would mix AC-3 by the levels that its stream names, and stretch what follows a block with a rounded time.
fn sound(path: &Path, first_frame: f64, channels: usize) -> Vec<f64> {
    let decode = ["-map", "0:a:0", "-af", "ashowinfo", "-f", "f32le", "-"];
    let (pcm, log) = judge(&[&["-copyts", "-i", text(path)][..], &decode].concat());
    let sample = |bytes: &[u8]| f64::from(f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
    let heard = |(channel, bytes)| if channel == LFE { 0.0 } else { sample(bytes) };
    let mut mixed = pcm.chunks_exact(4 * channels).map(|all| all.chunks_exact(4).enumerate().map(heard).sum::<f64>());
    let field = |line: &str, name: &str| line.split_once(name).map(|(_, rest)| number(rest));
    let (mut samples, mut hertz) = (Vec::new(), SOUND_RATE as f64);
    for line in log.lines() {
        let Some((at, count)) = field(line, " pts_time:").zip(field(line, " nb_samples:")) else { continue };
        hertz = field(line, " rate:").expect("a rate");
        let place = (at - first_frame) * hertz;
        if samples.is_empty() || (place - samples.len() as f64).abs() > GAP * hertz {
            samples.resize(place.max(0.0).round() as usize, 0.0);
        }
        // What is heard before the first frame.
        let early = if samples.is_empty() { (-place).max(0.0).round() as usize } else { 0 };
        samples.extend(mixed.by_ref().take(count as usize).skip(early));
    }
    let each = hertz / SOUND_RATE as f64;
    let mean = |number: usize| {
        let (from, to) = ((number as f64 * each) as usize, ((number + 1) as f64 * each) as usize);
        samples[from..to].iter().sum::<f64>() / (to - from) as f64
    };
    (0..(samples.len() as f64 / each) as usize).map(mean).collect()
}

/// What is wrong with the sound of an output.
fn compare_sound(made: &[f64], source: &[f64]) -> Option<String> {
    let seconds = |samples: usize| samples as f64 / SOUND_RATE as f64;
    if made.len().abs_diff(source.len()) > SOUND_RATE / 20 {
        return Some(format!("its sound lasts {:.3} s, not {:.3} s", seconds(made.len()), seconds(source.len())));
    }
    let reach = SOUND_RATE / 20;
    let energy = |list: &[f64]| list.iter().map(|sample| sample * sample).sum::<f64>();
    let score = |lag: usize| -> f64 { made.iter().skip(lag).zip(source.iter().skip(reach)).map(|(a, b)| a * b).sum() };
    let best = (0..=2 * reach).max_by(|a, b| score(*a).total_cmp(&score(*b))).expect("a lag");
    let late = (best as f64 - reach as f64) / SOUND_RATE as f64;
    if late.abs() > OFFSET {
        return Some(format!("its sound is {:.2} ms late", late * 1000.0));
    }
    // An end of some samples is no second.
    let seconds =
        made.chunks(SOUND_RATE).zip(source.chunks(SOUND_RATE)).filter(|(made, _)| made.len() > SOUND_RATE / 2);
    seconds.enumerate().find_map(|(second, (made, source))| {
        let (made, source) = (energy(made), energy(source));
        let decibels = 10.0 * ((made + 1e-3) / (source + 1e-3)).log10();
        (decibels.abs() > LEVEL).then(|| format!("its sound is {decibels:.1} dB louder in second {second}"))
    })
}

/// What is wrong with an output.
fn compare(made: &Path, source: &Path, channels: usize) -> Option<String> {
    let (found, right) = (frame_times(made), frame_times(source));
    if found.len() != right.len() {
        return Some(format!("it has {} frames, not {}", found.len(), right.len()));
    }
    for (number, (found_at, right_at)) in found.iter().zip(&right).enumerate() {
        let (found_at, right_at) = (found_at - found[0], right_at - right[0]);
        if (found_at - right_at).abs() > TICK {
            return Some(format!("frame {number} is shown at {found_at:.4} s, not {right_at:.4} s"));
        }
    }
    let psnr = luma_psnr(made, source, 320, 192);
    if let Some((number, worst)) = psnr.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1))
        && *worst < PSNR
    {
        return Some(format!("frame {number} has {worst:.1} dB"));
    }
    let heard = |path: &Path, first: f64| sound(path, first, channels);
    (channels > 0).then(|| compare_sound(&heard(made, found[0]), &heard(source, right[0]))).flatten()
}

fn what_is_wrong(seed: u64) -> Option<String> {
    let (recipe, bench) = (Recipe::new(seed), Bench::new());
    let source = recipe.write(bench.root());
    let made = bench.path("made.mp4");
    // Some, many, or one.
    let chunk_seconds = [1, 2, 600][seed as usize % 3].to_string();
    let options = ["--crf", "12", "--preset", "veryfast", "--chunk-seconds", &chunk_seconds, "--audio-bitrate", "384k"];
    let output = bench.run(&[&[text(&source), text(&made)][..], &options].concat());
    let wrong = if output.status.success() {
        compare(&made, &source, recipe.channels)
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Some(said.lines().last().unwrap_or_default().to_owned())
    };
    wrong.map(|wrong| format!("{seed}: {wrong}\n    of {} {}", recipe.make, recipe.cut.unwrap_or_default()))
}

#[test]
fn every_film_of_the_corpus_comes_out_as_the_judge_shows_it() {
    let number = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().expect("a number"));
    let first = number("SEED").unwrap_or(0);
    let (next, last) = (AtomicU64::new(first), first + number("FILES").unwrap_or(FILES));
    let some = || -> Vec<String> {
        let seeds = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed)).take_while(|seed| *seed < last);
        seeds.filter_map(what_is_wrong).inspect(|wrong| eprintln!("{wrong}")).collect()
    };
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let workers = [scope.spawn(some), scope.spawn(some)];
        workers.into_iter().flat_map(|worker| worker.join().expect("a film could not be made")).collect()
    });
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}
