//! A pipeline that makes mistakes publishes nothing. Its split reads another film than the one of the job, so that plan, chunks and
//! parts agree with each other and with a film that is wrong; only the verification sees the one that was asked for.

use std::path::{Path, PathBuf};

use crate::media::sources::make;
use crate::media::verify::{SOUND, TAGS};
use crate::support::media::text;
use crate::support::transcode::Bench;

/// Named by [`gstreamer_worker`]'s fault injection.
const SPLIT_READS: &str = "FAULT_SPLIT_READS";
const FINE: &str = "-c:v libx264 -preset veryfast -crf 5 -g 50 -bf 2 -pix_fmt yuv420p -c:a aac -b:a 192k";

/// The film, and the same with a mistake.
struct Films {
    directory: tempfile::TempDir,
    right: PathBuf,
}

impl Films {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let options =
            format!("-f lavfi -i testsrc2=size=320x240:rate=25:duration=8 -f lavfi -i {SOUND} -vf {TAGS} {FINE}");
        let right = make(directory.path(), "right.mp4", &options);
        Self { directory, right }
    }

    fn filtered(&self, pictures: &str, sound: &str) -> PathBuf {
        let options =
            format!("-i {} -vf {pictures},{TAGS} -af {sound} -fps_mode passthrough {FINE}", text(&self.right));
        make(self.directory.path(), "wrong.mp4", &options)
    }

    /// Decoded without some of its packets.
    fn decoded_without(&self, dropped: &str) -> PathBuf {
        let options = format!("-i {} -c copy -bsf:v noise=drop='{dropped}'", text(&self.right));
        let broken = make(self.directory.path(), "broken.mkv", &options);
        let options = format!(
            "-flags +output_corrupt -ec 0 -i {} -vf fps=25:start_time=0:round=near,{TAGS} -frames:v 200 {FINE}",
            text(&broken)
        );
        make(self.directory.path(), "wrong.mp4", &options)
    }
}

/// Transcodes `right` with a pipeline that reads `read`; gives what it says where it fails.
fn said(right: &Path, read: &Path) -> Result<(), String> {
    let bench = Bench::new();
    let target = bench.path("out.mp4");
    let options = ["--crf", "23", "--preset", "ultrafast", "--chunk-seconds", "2"];
    let mut command = bench.command(&[&[text(right), text(&target)][..], &options].concat());
    let output = command.env(SPLIT_READS, read).output().expect("the program starts");
    assert_eq!(output.status.success(), target.exists(), "{output:?}");
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

fn assert_caught(films: &Films, what: &str, wrong: &Path, sentence: &str) {
    let Err(said) = said(&films.right, wrong) else { panic!("{what} was published") };
    assert!(said.contains("is not what") && said.contains(sentence), "{what}: {said}");
}

#[test]
fn pictures_that_are_wrong_are_not_published() {
    let films = Films::new();
    said(&films.right, &films.filtered("null", "anull")).expect("no mistake");
    let swapped = "split=4[a][b][c][d];[a]trim=0:2,setpts=PTS-STARTPTS[a];[b]trim=4:6,setpts=PTS-STARTPTS[b];\
                   [c]trim=2:4,setpts=PTS-STARTPTS[c];[d]trim=6:8,setpts=PTS-STARTPTS[d];[a][b][c][d]concat=n=4";
    for (what, pictures, sentence) in [
        ("a film without its last frame", "select='lt(n,199)'", "it has 199 frames where 200 are right"),
        ("a film with two chunks in each other's place", swapped, "is another one"),
        ("a wrong matrix", "scale=in_color_matrix=bt709:out_color_matrix=bt601", "is another one"),
        ("a wrong range", "scale=in_range=tv:out_range=pc", "is another one"),
        ("a wrong turn", "hflip,vflip", "is another one"),
    ] {
        assert_caught(&films, what, &films.filtered(pictures, "anull"), sentence);
    }
    for (what, dropped) in [
        ("a false access point", "eq(n,100)"),
        ("a missing reference", "between(n,3,14)"),
        ("a missing reference in the last group", "between(n,153,164)"),
    ] {
        assert_caught(&films, what, &films.decoded_without(dropped), "is another one");
    }
}

#[test]
fn sound_that_is_wrong_is_not_published() {
    let films = Films::new();
    for (what, sound, sentence) in [
        ("a missing packet", "aselect='not(eq(n,120))',asetpts=N/SR/TB", "late"),
        ("channels in each other's place", "pan=stereo|c0=c1|c1=c0", "channel 0 of its sound"),
        ("100 ms of silence", "volume=0:enable='between(t,3.55,3.65)'", "is silent from 3.5"),
        ("sound that is late", "adelay=40:all=1", "late"),
    ] {
        assert_caught(&films, what, &films.filtered("null", sound), sentence);
    }
}
