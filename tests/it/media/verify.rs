//! The verification of content: what a transcode may do to a film passes, and each kind of mistake is named. The outputs are
//! made by an ffmpeg that shares no code with this program; nothing but them and the input is given to the verification.

use std::path::{Path, PathBuf};

use actors::domain::job::Rate;
use gstreamer_worker::media;
use gstreamer_worker::protocol::{Compared, Verdict, VerifiedFile, VerifySpec};

use super::sources::make;
use crate::support::media::{film_head, text};

/// Beeps at odd times, others on the left than on the right.
pub const SOUND: &str =
    "aevalsrc='0.4*sin(880*2*PI*t)*lt(mod(t*1.7,1),0.3)|0.3*sin(440*2*PI*t)*lt(mod(t*1.3+0.4,1),0.35)':s=48000:d=8";
pub const TAGS: &str = "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv";

struct Bench {
    directory: tempfile::TempDir,
    input: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let options = format!(
            "-f lavfi -i testsrc2=size=320x240:rate=25:duration=8 -f lavfi -i {SOUND} -vf {TAGS} -c:v libx264 -g 50 -bf 2 \
             -pix_fmt yuv420p -c:a aac -b:a 192k"
        );
        let input = make(directory.path(), "input.mp4", &options);
        Self { directory, input }
    }

    /// The input through these filters, as small and as bad as anybody would want it.
    fn made(&self, pictures: &str, sound: &str) -> PathBuf {
        let options = format!(
            "-i {} -vf {pictures},{TAGS} -af {sound} -fps_mode passthrough -c:v libx264 -preset ultrafast -g 50 -b:v 200k \
             -c:a aac -b:a 96k",
            text(&self.input)
        );
        make(self.directory.path(), "output.mp4", &options)
    }

    fn compare(&self, output: &Path) -> Result<Compared, String> {
        compare(&self.input, output)
    }
}

fn compare(input: &Path, output: &Path) -> Result<Compared, String> {
    compare_all(input, &[output]).map(|compared| compared[0])
}

fn compare_all(input: &Path, outputs: &[&Path]) -> Result<Vec<Compared>, String> {
    let file =
        |path: &&Path| VerifiedFile { target: path.to_path_buf(), audio: true, damaged_frames: 0, rate: crf(23) };
    verify(input, outputs.iter().map(file).collect())
}

/// What is found of outputs; the difference in words where there is one.
fn verify(input: &Path, outputs: Vec<VerifiedFile>) -> Result<Vec<Compared>, String> {
    match media::run(&VerifySpec { input: input.to_owned(), outputs }, &|_| {}).expect("files that can be read") {
        Verdict::Same(compared) => Ok(compared),
        Verdict::Differs(what) => Err(what),
    }
}

fn crf(value: u64) -> Rate {
    Rate::Crf(value.try_into().expect("a crf"))
}

#[test]
fn what_a_transcode_may_do_is_no_difference() {
    let bench = Bench::new();
    for pictures in ["null", "scale=160:120", "scale=640:480"] {
        let compared = bench.compare(&bench.made(pictures, "anull")).expect(pictures);
        assert!(compared.frames == 200 && compared.pictures >= 4 && compared.sound, "{compared:?}");
    }
    let film = film_head();
    let options = "-vf scale=-2:180 -c:v libx264 -preset ultrafast -b:v 100k -c:a aac -b:a 64k";
    let output = make(bench.directory.path(), "film.mp4", &format!("-i {} {options}", text(&film)));
    let compared = compare(&film, &output).expect("the film");
    assert!(compared.pictures >= 3, "{compared:?}");
}

#[test]
fn each_kind_of_mistake_is_found_and_named() {
    let bench = Bench::new();
    let swapped = "split=4[a][b][c][d];[a]trim=0:2,setpts=PTS-STARTPTS[a];[b]trim=4:6,setpts=PTS-STARTPTS[b];\
                   [c]trim=2:4,setpts=PTS-STARTPTS[c];[d]trim=6:8,setpts=PTS-STARTPTS[d];[a][b][c][d]concat=n=4";
    for (what, pictures, sound, said) in [
        ("the last frame is dropped", "select='lt(n,199)'", "anull", "it has 199 frames where 200 are right"),
        ("a frame is dropped", "select='not(eq(n,77))'", "anull", "frames where 200 are right"),
        ("two chunks change places", swapped, "anull", "is another one"),
        ("the second half is green", "drawbox=enable='gte(t,4)':color=green:t=fill", "anull", "is another one"),
        ("a quarter is grey", "drawbox=w=iw/2:h=ih/2:color=gray:t=fill", "anull", "is another one"),
        ("the matrix is wrong", "scale=in_color_matrix=bt709:out_color_matrix=bt601", "anull", "is another one"),
        ("the range is wrong", "scale=in_range=tv:out_range=pc", "anull", "is another one"),
        ("it is upside down", "vflip", "anull", "is another one"),
        ("it is mirrored", "hflip", "anull", "is another one"),
        ("left and right change places", "null", "pan=stereo|c0=c1|c1=c0", "channel 0 of its sound"),
        ("both sides are the same", "null", "pan=stereo|c0=0.5*c0+0.5*c1|c1=0.5*c0+0.5*c1", "of its sound"),
        ("it is half as loud", "null", "volume=0.5", "louder by -6"),
        ("100 ms are mute", "null", "volume=0:enable='between(t,3.55,3.65)'", "is silent from 3.5"),
        ("the sound is late", "null", "adelay=40:all=1", "late"),
        ("the sound is early", "null", "atrim=start=0.04,asetpts=PTS-STARTPTS", "late"),
        ("a packet of sound is missing", "null", "aselect='not(eq(n,120))',asetpts=N/SR/TB", "late"),
        ("the sound ends early", "null", "atrim=end=7", "its sound ends at"),
    ] {
        let failure = bench.compare(&bench.made(pictures, sound)).expect_err(what);
        assert!(failure.contains(said), "{what}: {failure}");
    }
}

#[test]
fn pictures_that_were_decoded_without_what_they_refer_to_are_found() {
    let bench = Bench::new();
    // The random access point at four seconds is not decoded, so that a chunk begins in the middle of a group of pictures; and some
    // pictures within the first group are not, to which others refer. As many frames as before come out at the same times.
    for (what, dropped) in [("a false access point", "eq(n,100)"), ("a missing reference", "between(n,3,14)")] {
        let options = format!("-i {} -c copy -bsf:v noise=drop='{dropped}'", text(&bench.input));
        let broken = make(bench.directory.path(), "broken.mkv", &options);
        let options = format!(
            "-flags +output_corrupt -ec 0 -i {} -vf fps=25:start_time=0:round=near,{TAGS} -frames:v 200 -c:v libx264 \
             -preset ultrafast -g 50 -b:v 200k -c:a aac",
            text(&broken)
        );
        let output = make(bench.directory.path(), "output.mp4", &options);
        let failure = bench.compare(&output).expect_err(what);
        assert!(failure.contains("is another one"), "{what}: {failure}");
    }
}

#[test]
fn of_several_outputs_the_one_that_is_wrong_is_named_and_tiny_ones_are_compared_too() {
    let bench = Bench::new();
    let options = "-vf scale=16:16 -c:v libx264 -preset ultrafast -g 50 -c:a aac";
    let tiny = make(bench.directory.path(), "tiny.mp4", &format!("-i {} {options}", text(&bench.input)));
    let compared = compare_all(&bench.input, &[&bench.input, &tiny]).expect("both are right");
    assert!(compared.len() == 2 && compared.iter().all(|one| one.pictures == compared[0].pictures), "{compared:?}");
    let wrong = bench.made("negate", "anull");
    let failure = compare_all(&bench.input, &[&bench.input, &wrong]).expect_err("the second one is wrong");
    assert!(failure.contains("output.mp4 is not what"), "{failure}");
}

#[test]
fn what_few_bits_do_to_pictures_is_no_mistake() {
    let directory = tempfile::tempdir().expect("a directory");
    let input = film_head();
    let bitrate = |bits: u64| Rate::Bitrate(bits.try_into().expect("a rate"));
    let cases = [
        (16, "-crf 40", crf(40)),
        (64, "-crf 51", crf(51)),
        (160, "-crf 45", crf(45)),
        (640, "-crf 51", crf(51)),
        (160, "-b:v 20k", bitrate(20_000)),
        (640, "-b:v 100k", bitrate(100_000)),
        (640, "-b:v 20k", bitrate(20_000)),
    ];
    let output = |(at, (width, options, rate)): (usize, &(u32, &str, Rate)), filter: &str| {
        let options = format!(
            "-i {} -an -vf {filter}scale={width}:-2,{TAGS} -fps_mode passthrough -c:v libx264 -preset ultrafast -g 48 {options}",
            text(&input)
        );
        let target = make(directory.path(), &format!("{at}.mp4"), &options);
        VerifiedFile { target, audio: false, damaged_frames: 0, rate: *rate }
    };
    let outputs: Vec<_> = cases.iter().enumerate().map(|case| output(case, "")).collect();
    let compared = verify(&input, outputs).expect("no mistakes");
    let looked_at: Vec<_> = compared.iter().map(|one| one.pictures > 0).collect();
    assert_eq!(looked_at, [true, true, true, true, true, true, false], "{compared:?}");
    // Another picture is one for all that.
    for (at, case) in cases.iter().enumerate().filter(|(_, case)| case.2 != bitrate(20_000)) {
        let (wrong, what) = (output((at, case), "vflip,negate,"), case.1);
        let failure = verify(&input, vec![wrong]).expect_err(what);
        assert!(failure.contains("is another one"), "{what}: {failure}");
    }
}

#[test]
fn a_film_whose_pictures_have_a_palette_is_compared() {
    let directory = tempfile::tempdir().expect("a directory");
    let gif = make(directory.path(), "film.gif", "-f lavfi -i testsrc2=size=160x120:rate=10:duration=3 -loop -1");
    let encoded = |name: &str, filter: &str| {
        let options =
            format!("-i {} -vf {filter},{TAGS} -pix_fmt yuv444p -fps_mode passthrough -c:v libx264", text(&gif));
        make(directory.path(), name, &options)
    };
    let silent = |target: PathBuf| {
        let outputs = vec![VerifiedFile { target, audio: false, damaged_frames: 0, rate: crf(23) }];
        verify(&gif, outputs)
    };
    let right = encoded("right.mp4", "scale=out_color_matrix=bt709:out_range=tv");
    assert!(silent(right).expect("the same")[0].pictures > 0);
    let failure =
        silent(encoded("wrong.mp4", "negate,scale=out_color_matrix=bt709:out_range=tv")).expect_err("negated");
    assert!(failure.contains("is another one"), "{failure}");
}

#[test]
fn an_output_without_the_sound_of_its_input_is_found() {
    let bench = Bench::new();
    let options = format!("-i {} -an -c:v copy", text(&bench.input));
    let silent = make(bench.directory.path(), "silent.mp4", &options);
    let failure = bench.compare(&silent).expect_err("it is silent");
    assert!(failure.contains("no sound"), "{failure}");
}
