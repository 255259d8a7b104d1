//! The clips of the tests say what they claim to say.

use crate::support::clip::{self, Clip};

#[test]
fn a_clip_shows_its_numbers_and_beeps_when_it_flashes() {
    let directory = tempfile::tempdir().expect("a directory");
    let clip = Clip {
        frames: 75,
        ..Clip::new("clip.mkv", "x264enc speed-preset=veryfast ! h264parse", "flacenc ! flacparse", "matroskamux")
    };
    let path = clip.write(directory.path());
    assert_eq!(clip::numbers(&path), (0..75).collect::<Vec<_>>());
    let flashes: Vec<f64> =
        clip::read(&path).windows(2).filter(|pair| !pair[0].flash && pair[1].flash).map(|pair| pair[1].at).collect();
    assert_eq!(flashes, [1.0, 2.0]);
    let beeps = clip::beeps(&path);
    assert_eq!(beeps.len(), 3);
    for (beep, second) in beeps.iter().zip([0.0, 1.0, 2.0]) {
        assert!((beep - second).abs() < 0.003, "{beeps:?}");
    }
}
