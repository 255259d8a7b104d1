//! Films that are to be turned or mirrored: what a QuickTime or MP4 file says with the matrices of its track and of its
//! movie is what is seen of what was made, as the judge turns a picture that it is told to turn.

use std::path::{Path, PathBuf};

use actors::domain::job::{Container, JobSpec};

use super::sources::{make, remux};
use super::whole::carry_out;
use crate::support::media::{luma_psnr, text};

/// The left upper part of a matrix: where the unit of x goes, and that of y.
type Matrix = [f64; 4];

const IDENTITY: Matrix = [1.0, 0.0, 0.0, 1.0];
const CLOCKWISE: Matrix = [0.0, 1.0, -1.0, 0.0];

/// All turns and reflections that leave a rectangle one, with the judge's filters for them.
const TURNS: [(Matrix, &str); 8] = [
    (IDENTITY, "null"),
    (CLOCKWISE, "transpose=clock"),
    ([-1.0, 0.0, 0.0, -1.0], "hflip,vflip"),
    ([0.0, -1.0, 1.0, 0.0], "transpose=cclock"),
    ([-1.0, 0.0, 0.0, 1.0], "hflip"),
    ([1.0, 0.0, 0.0, -1.0], "vflip"),
    ([0.0, 1.0, 1.0, 0.0], "transpose=cclock_flip"),
    ([0.0, -1.0, -1.0, 0.0], "transpose=clock_flip"),
];

/// Puts matrices into the headers of the movie and of its tracks.
fn turned(film: &Path, name: &str, movie: Matrix, track: Matrix) -> PathBuf {
    let mut bytes = std::fs::read(film).expect("a film");
    // ISO/IEC 14496-12, 8.2.2 and 8.3.2, version 0: so far behind the name of the box.
    for (kind, offset, matrix) in [(b"mvhd", 40, movie), (b"tkhd", 44, track)] {
        let found = bytes.windows(4).position(|window| window == kind).expect("a header");
        assert_eq!(bytes[found + 4], 0, "the version of {kind:?}");
        for (number, value) in matrix.into_iter().enumerate() {
            let at = found + offset + 4 * (number + number / 2);
            bytes[at..at + 4].copy_from_slice(&((value * 65_536.0) as i32).to_be_bytes());
        }
    }
    let path = film.with_file_name(name);
    std::fs::write(&path, bytes).expect("written");
    path
}

/// What comes out of `film` looks as the judge's filters make `plain` look.
fn assert_looks(film: &Path, plain: &Path, filters: &str) {
    let directory = tempfile::tempdir().expect("a directory");
    let lossless = format!("-i {} -vf {filters} -c:v libx264 -preset ultrafast -qp 0 -an", text(plain));
    let right = make(directory.path(), "right.mkv", &lossless);
    let job = r#"{"job_id": "turned", "input": {"uri": "file:///in"}, "outputs": [{"uri": "file:///out", "container": "mp4",
        "video": {"codec": "h264", "crf": 12}, "audio": null}]}"#;
    let job = JobSpec::parse(job.as_bytes()).expect("a job");
    let (plan, [(made, _)]) = carry_out(film, directory.path(), job, [(Container::Mp4, "out.mp4")]);
    let rendition = &plan.video_renditions()[0];
    let upright = if filters.contains("transpose") { (72, 128) } else { (128, 72) };
    assert_eq!((rendition.width, rendition.height), upright, "{} {filters}", film.display());
    // The judge by itself, and the program.
    for (turned, source) in [(&right, film), (&made, right.as_path())] {
        let psnr = luma_psnr(turned, source, upright.0, upright.1);
        assert_eq!(psnr.len(), 12, "{}", film.display());
        assert!(psnr.iter().all(|psnr| *psnr > 38.0), "{filters} of {}: {psnr:?}", source.display());
    }
}

fn films(directory: &Path) -> [PathBuf; 2] {
    let picture = "-f lavfi -i testsrc2=s=128x72:r=12:d=1 -c:v libx264 -pix_fmt yuv420p -crf 8";
    let mp4 = make(directory, "plain.mp4", picture);
    let mov = remux(directory, "plain.mov", &mp4, "");
    [mp4, mov]
}

#[test]
fn all_eight_matrices_of_a_track_turn_its_pictures() {
    let directory = tempfile::tempdir().expect("a directory");
    for plain in films(directory.path()) {
        for (track, filters) in TURNS {
            let name = format!("turned.{}", plain.extension().expect("an end").display());
            assert_looks(&turned(&plain, &name, IDENTITY, track), &plain, filters);
        }
    }
}

#[test]
fn the_matrices_of_movie_and_track_add_up_whatever_they_enlarge() {
    let directory = tempfile::tempdir().expect("a directory");
    let [plain, _] = films(directory.path());
    let enlarged = |matrix: Matrix, by: f64| matrix.map(|value| value * by);
    for (movie, track, filters) in [
        (CLOCKWISE, IDENTITY, "transpose=clock"),
        (CLOCKWISE, CLOCKWISE, "hflip,vflip"),
        (TURNS[3].0, CLOCKWISE, "null"),
        (TURNS[4].0, TURNS[5].0, "hflip,vflip"),
        // Mirrored left to right first, then turned.
        (CLOCKWISE, TURNS[4].0, "hflip,transpose=clock"),
        (TURNS[4].0, CLOCKWISE, "transpose=clock,hflip"),
        (enlarged(IDENTITY, 1.655), IDENTITY, "null"),
        (enlarged(IDENTITY, 0.5), CLOCKWISE, "transpose=clock"),
        (IDENTITY, enlarged(TURNS[2].0, 2.0), "hflip,vflip"),
        (enlarged(TURNS[5].0, 0.75), enlarged(TURNS[3].0, 1.25), "transpose=cclock,vflip"),
    ] {
        assert_looks(&turned(&plain, "turned.mp4", movie, track), &plain, filters);
    }
}
