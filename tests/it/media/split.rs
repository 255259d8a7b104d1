//! The split stage on real and generated media: every frame is in exactly one window, and what is decoded from the
//! chunk sources is what the judge decodes from the whole file.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use actors::domain::failure::{Failure, FailureClass};
use actors::domain::geometry::Orientation;
use actors::domain::plan::{ChunkFacts, MAX_WINDOWS_PER_SOURCE, SourceFacts};
use gstreamer_worker::media;
use gstreamer_worker::protocol::SplitSpec;

use super::sources::{Frame, PICTURE, TONE, chunked, judged, make, remux, split, straight};
use crate::support::media::{film, text};

const H264: &str = "-c:v libx264 -preset veryfast -pix_fmt yuv420p -bf 3 -g 40";
const H265: &str = "-c:v libx265 -preset ultrafast -pix_fmt yuv420p -tag:v hvc1";

/// Windows in order, without gap or overlap, and as many frames as they say.
fn check_windows(facts: &SourceFacts, name: &str) {
    let chunks = &facts.video.chunks;
    assert_eq!(chunks[0].window.start_ns, 0, "{name}");
    assert_eq!(chunks[chunks.len() - 1].window.end_ns, facts.video.end_ns, "{name}");
    for pair in chunks.windows(2) {
        assert_eq!(pair[0].window.end_ns, pair[1].window.start_ns, "{name}");
        assert!(pair[0].source <= pair[1].source, "{name}");
    }
    assert!(chunks.iter().all(|chunk| chunk.window.frames > 0), "{name}: {chunks:?}");
}

/// Frames that each window says it has.
fn promised(chunks: &[ChunkFacts]) -> u64 {
    chunks.iter().map(|chunk| u64::from(chunk.window.frames)).sum()
}

/// The same pictures in the same order at the same times, counted from the first one of each.
fn assert_same(ours: &[Frame], theirs: &[Frame], slack_ns: i64, name: &str) {
    let sums = |frames: &[Frame]| frames.iter().map(|(_, sum)| sum.clone()).collect::<Vec<_>>();
    assert_eq!(ours.len(), theirs.len(), "{name}");
    assert_eq!(sums(ours), sums(theirs), "{name}");
    for (our, their) in ours.iter().zip(theirs) {
        let off = (our.0 - ours[0].0) - (their.0 - theirs[0].0);
        assert!(off.abs() <= slack_ns, "{name}: {} ns against {} ns", our.0, their.0);
    }
}

/// Cuts a film in several ways and compares each with what the judge sees.
fn check_every_frame_once(input: &Path, slack_ns: i64) {
    compare(input, &judged(input), slack_ns);
}

fn compare(input: &Path, theirs: &[Frame], slack_ns: i64) {
    let name = input.file_name().and_then(|name| name.to_str()).expect("a name");
    let directory = tempfile::tempdir().expect("a directory");
    for chunk_seconds in [1, 2, 3, 60] {
        let sources = directory.path().join(chunk_seconds.to_string());
        let facts = split(input, &sources, chunk_seconds).unwrap_or_else(|failure| panic!("{name}: {failure}"));
        let name = format!("{name} in chunks of {chunk_seconds} s");
        check_windows(&facts, &name);
        let ours = chunked(&sources, &facts.video.chunks);
        assert_same(&ours, theirs, slack_ns, &name);
        if facts.video.one_frame_per_unit {
            assert_eq!(promised(&facts.video.chunks), theirs.len() as u64, "{name}");
        }
    }
}

#[test]
fn h264_with_b_frames_loses_and_doubles_no_frame_in_any_container() {
    let directory = tempfile::tempdir().expect("a directory");
    let directory = directory.path();
    let mp4 = make(directory, "h264.mp4", &format!("{PICTURE} {TONE} {H264} -c:a aac"));
    check_every_frame_once(&mp4, 1_000);
    for (name, options) in [
        ("fragmented.mp4", "-movflags frag_keyframe+empty_moov"),
        ("index-in-front.mp4", "-movflags faststart"),
        ("h264.mov", ""),
        ("h264.mkv", ""),
        ("h264.ts", ""),
        ("h264.flv", ""),
    ] {
        let slack_ns = if name.ends_with("mkv") || name.ends_with("flv") { 1_000_000 } else { 12_000 };
        check_every_frame_once(&remux(directory, name, &mp4, options), slack_ns);
    }
}

#[test]
fn open_and_long_gops_lose_and_double_no_frame() {
    let directory = tempfile::tempdir().expect("a directory");
    let directory = directory.path();
    let open = "-x265-params open-gop=1:keyint=20:bframes=4:log-level=none";
    let h265 = make(directory, "open.mp4", &format!("{PICTURE} {TONE} {H265} {open} -c:a ac3"));
    check_every_frame_once(&h265, 1_000);
    check_every_frame_once(&remux(directory, "open.mkv", &h265, ""), 1_000_000);
    check_every_frame_once(&remux(directory, "open.ts", &h265, ""), 12_000);
    let open = "-x264-params open-gop=1:keyint=20:bframes=3";
    let h264 = make(directory, "open264.mp4", &format!("{PICTURE} -c:v libx264 -pix_fmt yuv420p {open}"));
    check_every_frame_once(&h264, 1_000);
    let long = make(directory, "long.mp4", &format!("{PICTURE} -c:v libx264 -pix_fmt yuv420p -g 9999 -sc_threshold 0"));
    check_every_frame_once(&long, 1_000);
}

#[test]
fn older_codecs_lose_and_double_no_frame() {
    let directory = tempfile::tempdir().expect("a directory");
    let directory = directory.path();
    let mpeg2 = make(directory, "mpeg2.ts", &format!("{PICTURE} {TONE} -c:v mpeg2video -g 12 -bf 2 -c:a mp2"));
    check_every_frame_once(&mpeg2, 12_000);
    check_every_frame_once(&remux(directory, "mpeg2.mkv", &mpeg2, ""), 1_000_000);
    let mpeg4 = make(directory, "mpeg4.mp4", &format!("{PICTURE} {TONE} -c:v mpeg4 -g 25 -bf 2 -c:a libmp3lame"));
    let in_one_go = straight(&mpeg4, "qtdemux ! mpeg4videoparse ! avdec_mpeg4");
    assert_eq!(in_one_go.len(), judged(&mpeg4).len());
    compare(&mpeg4, &in_one_go, 1_000);
    let avi = make(directory, "mpeg4.avi", &format!("{PICTURE} {TONE} -c:v mpeg4 -g 25 -bf 2 -c:a libmp3lame"));
    let in_one_go = straight(&avi, "avidemux ! mpeg4videoparse ! avdec_mpeg4");
    assert_eq!(in_one_go.len(), judged(&avi).len());
    compare(&avi, &in_one_go, 1_000);
    let prores = make(directory, "prores.mov", &format!("{PICTURE} {TONE} -c:v prores_ks -c:a pcm_s16le -t 4"));
    check_every_frame_once(&prores, 1_000);
}

#[test]
fn codecs_with_hidden_frames_lose_and_double_no_frame() {
    let directory = tempfile::tempdir().expect("a directory");
    let directory = directory.path();
    let hidden = "-g 40 -b:v 200k -auto-alt-ref 1 -lag-in-frames 12 -cpu-used 8 -deadline good";
    let vp8 = make(directory, "vp8.webm", &format!("{PICTURE} {TONE} -c:v libvpx {hidden} -c:a libvorbis"));
    check_every_frame_once(&vp8, 1_000_000);
    let vp9 = make(directory, "vp9.webm", &format!("{PICTURE} {TONE} -c:v libvpx-vp9 {hidden} -c:a libopus"));
    check_every_frame_once(&vp9, 1_000_000);
    let av1 = "-c:v libaom-av1 -cpu-used 8 -g 40 -lag-in-frames 12 -b:v 200k";
    let av1 = make(directory, "av1.mkv", &format!("{PICTURE} {TONE} {av1} -t 4 -c:a flac"));
    check_every_frame_once(&av1, 1_000_000);
}

#[test]
fn frames_at_uneven_distances_keep_their_times() {
    let directory = tempfile::tempdir().expect("a directory");
    let vary = "-vf select='not(eq(mod(n\\,3)\\,1))*not(eq(mod(n\\,7)\\,2))' -fps_mode vfr";
    let path = make(directory.path(), "vfr.mp4", &format!("{PICTURE} {H264} {vary}"));
    check_every_frame_once(&path, 1_000);
    let facts = split(&path, &directory.path().join("sources"), 2).expect("a film");
    assert_eq!(facts.video.frame_rate, (0, 1));
}

#[test]
fn an_edit_list_hides_pictures_and_sound_and_nothing_of_the_end_is_lost() {
    let directory = tempfile::tempdir().expect("a directory");
    let directory = directory.path();
    let whole = make(directory, "whole.mp4", &format!("{PICTURE} {TONE} {H264} -c:a aac"));
    // Cut without encoding: the file begins at a key frame, and an edit list hides what is in front of 2.3 s.
    let path = make(directory, "edited.mp4", &format!("-ss 2.3 -i {} -c copy", text(&whole)));
    check_every_frame_once(&path, 1_000);
    let facts = split(&path, &directory.join("sources"), 60).expect("a film");
    let account = facts.video.account.expect("an account");
    assert_eq!((account.shown, account.lost), (promised(&facts.video.chunks), 0), "{account:?}");
    assert!(account.hidden > 0, "{account:?}");
    let audio = facts.audio.expect("audio");
    assert_eq!(audio.start_ns, 0);
    assert!(audio.end_ns.abs_diff(5_700_000_000) < 25_000_000, "{audio:?}");
    let facts = split(&whole, &directory.join("sources"), 60).expect("a film");
    let audio = facts.audio.expect("audio");
    assert!(audio.end_ns.abs_diff(8_000_000_000) < 25_000_000, "{audio:?}");
}

#[test]
fn what_an_edit_hides_is_not_shown_where_sound_begins_before_the_pictures() {
    let directory = tempfile::tempdir().expect("a directory");
    let directory = directory.path();
    // A packet of AC-3 begins in front of the edit, and with it the film: hidden frames would have times of the film.
    let whole = make(directory, "whole.mp4", &format!("{PICTURE} {TONE} {H264} -c:a ac3"));
    for from in ["1.3", "2.31", "3.05"] {
        let path = make(directory, "edited.mp4", &format!("-ss {from} -i {} -c copy", text(&whole)));
        check_every_frame_once(&path, 1_000);
    }
}

#[test]
fn the_last_packet_of_sound_is_heard_where_the_container_does_not_say_how_long_it_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let directory = directory.path();
    let options = format!("{PICTURE} {TONE} {H264} -c:a alac -t 3 -output_ts_offset 0.7");
    let facts = split(&make(directory, "late.mov", &options), &directory.join("sources"), 60).expect("a film");
    let sound = facts.audio.expect("sound");
    assert!((sound.end_ns - sound.start_ns).abs_diff(3_000_000_000) < 1_000_000, "{sound:?}");
}

#[test]
fn without_an_edit_list_no_header_that_says_less_than_there_is_hides_anything() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = make(directory.path(), "short.mp4", &format!("{PICTURE} {TONE} {H264} -c:a aac -use_editlist 0"));
    // Its last pictures are shown after the length of its media.
    check_every_frame_once(&path, 1_000);
    let mut bytes = std::fs::read(&path).expect("a film");
    // ISO/IEC 14496-12, 8.2.2: four bytes of version and flags, two times, the timescale, the length.
    let header = bytes.windows(4).position(|kind| kind == b"mvhd").expect("a movie header");
    let (timescale, length) = (header + 16..header + 20, header + 20..header + 24);
    let three_seconds = 3 * u32::from_be_bytes(bytes[timescale].try_into().expect("four bytes"));
    bytes[length].copy_from_slice(&three_seconds.to_be_bytes());
    std::fs::write(&path, bytes).expect("written");
    check_every_frame_once(&path, 1_000);
    let facts = split(&path, &directory.path().join("sources"), 60).expect("a film");
    let audio = facts.audio.expect("audio");
    // Without an edit list the priming is heard too.
    assert!((8_000_000_000..8_100_000_000).contains(&audio.end_ns), "{audio:?}");
}

#[test]
fn the_real_film_is_cut_at_its_five_access_points_and_a_long_gop_is_shared() {
    let directory = tempfile::tempdir().expect("a directory");
    let told = RefCell::new(Vec::new());
    let spec = SplitSpec {
        input: film(),
        directory: directory.path().to_owned(),
        chunk_seconds: 10,
        audio: true,
        max_damage: 0.02,
        from_start: false,
    };
    let facts = media::run(&spec, &|media_ns| told.borrow_mut().push(media_ns)).expect("a film");
    check_windows(&facts, "film");
    assert_eq!(promised(&facts.video.chunks), 720);
    assert_eq!((facts.video.width, facts.video.height), (1920, 1080));
    assert_eq!((facts.video.frame_rate, facts.video.pixel_aspect), ((24, 1), (1, 1)));
    assert_eq!((facts.video.bit_depth, facts.video.interlaced), (8, false));
    assert!(facts.video.one_frame_per_unit);
    assert!(facts.video.end_ns.abs_diff(30_000_000_000) <= 1, "{}", facts.video.end_ns);
    let shared = |chunk: &ChunkFacts| facts.video.chunks.iter().filter(|other| other.source == chunk.source).count();
    assert!(facts.video.chunks.iter().map(shared).max() <= Some(MAX_WINDOWS_PER_SOURCE));
    let audio = facts.audio.expect("audio");
    assert_eq!((audio.sample_rate, audio.channels, audio.start_ns), (48_000, 6, 0));
    assert!(audio.end_ns.abs_diff(30_000_000_000) < 25_000_000);
    assert!(told.into_inner().is_sorted());
}

#[test]
fn the_same_input_gives_the_same_files() {
    let directory = tempfile::tempdir().expect("a directory");
    let directory = directory.path();
    let path = make(directory, "h264.mp4", &format!("{PICTURE} {TONE} {H264} -c:a aac"));
    let files = |name: &str| {
        let sources = directory.join(name);
        let facts = split(&path, &sources, 2).expect("a film");
        let mut names: Vec<_> = facts.video.chunks.iter().map(|chunk| chunk.source.clone()).collect();
        names.extend(facts.audio.map(|audio| audio.source));
        names.into_iter().map(|name| std::fs::read(sources.join(name)).expect("a file")).collect::<Vec<_>>()
    };
    assert!(files("first") == files("second"));
}

#[test]
fn the_facts_say_how_the_pictures_are_meant() {
    let directory = tempfile::tempdir().expect("a directory");
    let directory = directory.path();
    let facts = |path: PathBuf| split(&path, &directory.join("sources"), 60).expect("a film").video;
    let plain = make(directory, "plain.mp4", &format!("{PICTURE} {H264}"));
    let turned = make(directory, "turned.mp4", &format!("-display_rotation 90 -i {} -c copy", text(&plain)));
    // The judge counts counter-clockwise.
    assert_eq!(facts(turned).orientation, Orientation::Rotate270);
    let wide = make(directory, "wide.mp4", &format!("{PICTURE} -vf setsar=64/45 {H264}"));
    assert_eq!(facts(wide).pixel_aspect, (64, 45));
    let deep = make(
        directory,
        "deep.mp4",
        &format!(
            "{PICTURE} -c:v libx265 -preset ultrafast -pix_fmt yuv420p10le -x265-params log-level=none -tag:v hvc1"
        ),
    );
    assert_eq!(facts(deep).bit_depth, 10);
    let ntsc = "-f lavfi -i testsrc2=s=160x96:r=30000/1001:d=4";
    let ntsc = make(directory, "ntsc.mkv", &format!("{ntsc} {H264}"));
    assert_eq!(facts(ntsc).frame_rate, (30000, 1001));
    for (name, codec) in [
        ("fields.mp4", "-c:v libx264 -preset veryfast -pix_fmt yuv420p -x264-params tff=1"),
        ("fields.ts", "-c:v mpeg2video -flags +ildct+ilme"),
    ] {
        let fields = "-f lavfi -i testsrc2=s=160x96:r=50:d=4 -vf interlace";
        let found = facts(make(directory, name, &format!("{fields} {codec}")));
        assert!(found.interlaced, "{name}: {}", found.caps);
    }
    let covered = "-f lavfi -i color=red:s=64x64:d=0.04 -map 0 -map 1 -c:v:1 mjpeg -disposition:v:1 attached_pic";
    let covered = make(directory, "covered.mp4", &format!("{PICTURE} {covered} -c:v:0 libx264 -pix_fmt yuv420p"));
    assert_eq!(facts(covered).width, 160);
}

#[test]
fn an_input_without_audio_gives_no_audio_and_one_that_is_not_wanted_is_not_written() {
    let directory = tempfile::tempdir().expect("a directory");
    let directory = directory.path();
    let silent = make(directory, "silent.mp4", &format!("{PICTURE} {H264}"));
    assert_eq!(split(&silent, &directory.join("sources"), 60).expect("a film").audio, None);
    let loud = make(directory, "loud.mp4", &format!("{PICTURE} {TONE} {H264} -c:a aac"));
    let sources = directory.join("unwanted");
    std::fs::create_dir(&sources).expect("a directory");
    let spec = SplitSpec {
        input: loud,
        directory: sources.clone(),
        chunk_seconds: 60,
        audio: false,
        max_damage: 0.02,
        from_start: false,
    };
    media::run(&spec, &|_| {}).expect("a film");
    assert!(!sources.join("audio.gdp").exists());
}

/// Cuts in another thread; a stage that does not end within half a minute hangs.
fn refused(input: PathBuf) -> Failure {
    let (done, finished) = mpsc::channel();
    let name = input.display().to_string();
    std::thread::spawn(move || {
        let directory = tempfile::tempdir().expect("a directory");
        // Nobody listens any more when the test has failed.
        let _ = done.send(split(&input, directory.path(), 2));
    });
    let result = finished.recv_timeout(Duration::from_secs(30)).unwrap_or_else(|_| panic!("{name} hangs"));
    result.expect_err(&name)
}

#[test]
fn bad_inputs_are_refused_for_good_with_a_sentence_that_says_why() {
    let directory = tempfile::tempdir().expect("a directory");
    let directory = directory.path();
    let write = |name: &str, bytes: &[u8]| {
        let path = directory.join(name);
        std::fs::write(&path, bytes).expect("written");
        path
    };
    let whole = make(directory, "whole.mp4", &format!("{PICTURE} {TONE} {H264} -c:a aac"));
    let in_front = remux(directory, "front.mp4", &whole, "-movflags faststart");
    let fragmented = remux(directory, "fragments.mp4", &whole, "-movflags frag_keyframe+empty_moov");
    let matroska = remux(directory, "whole.mkv", &whole, "");
    let half = |path: &Path| {
        let bytes = std::fs::read(path).expect("a film");
        write(&format!("half-{}", path.file_name().expect("a name").display()), &bytes[..bytes.len() / 2])
    };
    let key = "-encryption_scheme cenc-aes-ctr -encryption_key 76a6c65c5ea762046bd749a2e632ccbb \
               -encryption_kid a7e61c373e219033c21091fa607bf3b8";
    let noise: Vec<u8> = (0..100_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let cases = [
        (write("text.mp4", b"hello, this is no film\n"), "no video file"),
        (write("empty.mp4", b""), "empty"),
        (write("noise.mp4", &noise), "no video file"),
        (make(directory, "sound.mp4", &format!("{TONE} -c:a aac")), "no video track"),
        (make(directory, "still.png", &format!("{PICTURE} -frames:v 1")), "no video file"),
        (remux(directory, "secret.mp4", &whole, key), "encrypted"),
        (half(&whole), "moov"),
        (half(&in_front), "truncated"),
        (half(&fragmented), "truncated"),
        (half(&matroska), "truncated"),
        (directory.to_owned(), "not a file"),
        (directory.join("absent.mp4"), "cannot be read"),
    ];
    for (path, expected) in cases {
        let failure = refused(path.clone());
        assert_eq!(failure.class, FailureClass::Permanent, "{failure}");
        assert!(failure.message.contains(expected), "{failure}");
        assert!(failure.message.contains(&*path.to_string_lossy()), "{failure}");
    }
}

#[test]
fn a_directory_that_cannot_be_written_is_worth_another_try() {
    let directory = tempfile::tempdir().expect("a directory");
    let input = make(directory.path(), "h264.mp4", &format!("{PICTURE} {H264}"));
    let spec = SplitSpec {
        input,
        directory: directory.path().join("absent"),
        chunk_seconds: 2,
        audio: true,
        max_damage: 0.02,
        from_start: false,
    };
    let failure = media::run(&spec, &|_| {}).expect_err("nowhere to write");
    assert_eq!(failure.class, FailureClass::Retryable, "{failure}");
}
