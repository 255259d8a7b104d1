//! Generated clips of every kind of time line, cut into chunks of several lengths.

use crate::support::clip::{self, Clip};
use crate::support::media::{av_offset, judge, text, warnings};
use crate::support::transcode::Bench;

const H264: &str = "videoconvert ! x264enc speed-preset=veryfast bframes=3 key-int-max=25 ! h264parse";
const AAC: &str = "audioconvert ! avenc_aac ! aacparse";
/// A frame of AAC.
const AUDIO_FRAME: f64 = 1024.0 / 48_000.0;

/// Every container and codec that is read, B-frames, open and long GOPs, variable frame rate, no audio, mono to 5.1.
const CLIPS: &[Clip] = &[
    Clip::new("b-frames.mp4", H264, AAC, "mp4mux"),
    Clip::new("moov-first.mp4", H264, AAC, "mp4mux faststart=true"),
    Clip::new("fragmented.mp4", H264, AAC, "mp4mux fragment-duration=1000"),
    Clip::new("movie.mov", H264, "audioconvert ! audio/x-raw,format=S16LE", "qtmux"),
    Clip::new(
        "open-gop.ts",
        "x264enc speed-preset=veryfast bframes=3 key-int-max=25 option-string=open-gop=1 ! h264parse",
        AAC,
        "mpegtsmux",
    ),
    Clip::new(
        "long-gop.mkv",
        "x264enc speed-preset=veryfast key-int-max=1000 ! h264parse",
        "flacenc ! flacparse",
        "matroskamux",
    ),
    Clip {
        variable: true,
        ..Clip::new(
            "variable.mkv",
            "x264enc speed-preset=veryfast key-int-max=25 ! h264parse",
            "audioconvert ! vorbisenc ! vorbisparse",
            "matroskamux",
        )
    },
    Clip {
        variable: true,
        ..Clip::new(
            "variable.mp4",
            "x264enc speed-preset=veryfast bframes=0 key-int-max=25 ! h264parse",
            AAC,
            "mp4mux fragment-duration=1000",
        )
    },
    Clip::new("silent.mp4", H264, "", "mp4mux"),
    Clip::new(
        "hevc-open-gop.mkv",
        "x265enc speed-preset=ultrafast key-int-max=25 option-string=\"open-gop=1:bframes=3\" ! h265parse",
        "audioconvert ! opusenc ! opusparse",
        "matroskamux",
    ),
    Clip {
        channels: 6,
        ..Clip::new("hevc.mp4", "x265enc speed-preset=ultrafast key-int-max=50 ! h265parse", AAC, "mp4mux")
    },
    Clip {
        channels: 6,
        ..Clip::new(
            "mpeg2.ts",
            "mpeg2enc format=3 bufsize=400 bitrate=4000 max-gop-size=15 b-per-refframe=0 ! mpegvideoparse",
            "audioconvert ! avenc_ac3 ! ac3parse",
            "mpegtsmux",
        )
    },
    Clip {
        channels: 1,
        ..Clip::new(
            "mpeg4.avi",
            "avenc_mpeg4 bitrate=4000000 gop-size=25 ! mpeg4videoparse",
            "audioconvert ! lamemp3enc ! mpegaudioparse",
            "avimux",
        )
    },
    Clip {
        frames: 60,
        ..Clip::new("av1.mp4", "av1enc cpu-used=8 target-bitrate=2000 keyframe-max-dist=30 ! av1parse", AAC, "mp4mux")
    },
    Clip::new("flash.flv", "x264enc speed-preset=veryfast key-int-max=25 ! h264parse", AAC, "flvmux"),
    Clip::new(
        "vp8.webm",
        "vp8enc deadline=1 cpu-used=8 target-bitrate=3000000 keyframe-max-dist=30",
        "audioconvert ! vorbisenc ! vorbisparse",
        "webmmux",
    ),
    Clip::new(
        "vp9.webm",
        "vp9enc deadline=1 cpu-used=8 target-bitrate=3000000 keyframe-max-dist=30",
        "audioconvert ! opusenc ! opusparse",
        "webmmux",
    ),
    Clip { fps: (30_000, 1001), ..Clip::new("ntsc.mp4", H264, AAC, "mp4mux") },
];

fn check(made: &std::path::Path, clip: &Clip, source: &std::path::Path) {
    let name = format!("{} from {}", made.display(), clip.name);
    let (seen, expected) = (clip::read(made), clip::read(source));
    let numbers = |frames: &[clip::Seen]| frames.iter().map(|frame| frame.number).collect::<Vec<_>>();
    assert_eq!(numbers(&expected), (0..clip.frames).collect::<Vec<_>>(), "{}", clip.name);
    assert_eq!(numbers(&seen), numbers(&expected), "{name}");
    for (made, source) in seen.iter().zip(&expected) {
        let shift = (made.at - seen[0].at) - (source.at - expected[0].at);
        assert!(shift.abs() < 0.0015, "{name}: {made:?} was {source:?}");
    }
    assert_eq!(warnings(made), "", "{name}");
    if !clip.audio.is_empty() {
        if made.extension().is_some_and(|extension| extension == "mp4") {
            // A transport stream begins with the delay of the encoder, so that there only the sound itself tells.
            let drift = av_offset(made) - av_offset(source);
            assert!(drift.abs() <= AUDIO_FRAME, "{name}: audio is off by {drift} s");
        }
        let (made, source) = (clip::beeps(made), clip::beeps(source));
        assert_eq!(made.len(), source.len(), "{name}");
        for (made, source) in made.iter().zip(&source) {
            // From the first frame, which in a transport stream comes after the first packets of audio.
            let (made, source) = (made - seen[0].at, source - expected[0].at);
            assert!((made - source).abs() <= AUDIO_FRAME, "{name}: a beep at {source} s is heard at {made} s");
        }
    }
}

/// Makes the clip, and of it one output for each of two chunk lengths.
fn every_frame_comes_out_once(clip: &Clip) {
    let bench = Bench::new();
    let source = clip.write(bench.root());
    every_frame_of(&source, clip, &bench);
}

fn every_frame_of(source: &std::path::Path, clip: &Clip, bench: &Bench) {
    for (chunk_seconds, extension) in [("1", "mp4"), ("3", "ts")] {
        let made = bench.path(&format!("made-{chunk_seconds}.{extension}"));
        let target = text(&made);
        let options = ["--height", "180", "--crf", "20", "--preset", "veryfast", "--chunk-seconds", chunk_seconds];
        let args = [&[text(source), target][..], &options].concat();
        // What the image lacks is missed by one kind of film or another.
        if chunk_seconds == "3" {
            bench.transcode_as_in_the_image(&args)
        } else {
            bench.transcode(&args)
        }
        check(&made, clip, source);
    }
}

#[test]
fn every_frame_of_every_clip_comes_out_once_for_every_chunk_length() {
    let failed = CLIPS.iter().filter(|clip| std::panic::catch_unwind(|| every_frame_comes_out_once(clip)).is_err());
    let failed: Vec<_> = failed.map(|clip| clip.name).collect();
    assert!(failed.is_empty(), "see above: {failed:?}");
}

/// GStreamer's own encoder of MPEG-2 gives pictures the times of their decoding.
#[test]
fn every_frame_of_an_mpeg2_stream_with_open_gops_comes_out_once() {
    let bench = Bench::new();
    let clip = Clip::new("b-frames.mp4", H264, AAC, "mp4mux");
    let (plain, source) = (clip.write(bench.root()), bench.path("open-gop-mpeg2.ts"));
    let codecs = ["-c:v", "mpeg2video", "-b:v", "4M", "-bf", "2", "-g", "15", "-c:a", "mp2"];
    judge(&[&["-v", "error", "-i", text(&plain)][..], &codecs, &[text(&source)]].concat());
    every_frame_of(&source, &clip, &bench);
}
