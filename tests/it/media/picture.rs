//! What pictures look like behind the encode stage: upright, with square pixels, progressive, as deep as was asked for.

use std::path::Path;

use super::cut::{Cut, H264, av1, crf, h264, h265};
use super::sources::{PICTURE, judged, make};
use crate::support::media::{judge, luma_psnr, text};

/// What the judge says of the first video stream.
fn described(path: &Path) -> String {
    let (_, log) = judge(&["-i", text(path), "-frames:v", "1", "-f", "null", "-"]);
    log.lines().find(|line| line.contains("Video:")).expect("a video stream").to_owned()
}

#[test]
fn colours_stay_what_they_are_at_any_size() {
    let bt709 = "-colorspace bt709 -color_primaries bt709 -color_trc bt709";
    let hd =
        format!("-f lavfi -i testsrc2=s=1280x720:r=25:d=1 -c:v libx264 -preset ultrafast -pix_fmt yuv420p {bt709}");
    let cut = Cut::new(&hd, "hd.mp4", 60);
    let small = cut.stream(&h264(320, 180, crf(20)));
    assert!(described(&small).contains("yuv420p(tv, bt709"), "{}", described(&small));
    let psnr = luma_psnr(&small, &cut.input, 320, 180);
    assert!(psnr.iter().all(|psnr| *psnr > 30.0), "{psnr:?}");
    let full = "-f lavfi -i testsrc2=s=160x96:r=25:d=1 -c:v libx264 -pix_fmt yuvj420p -color_range pc";
    let cut = Cut::new(full, "full.mp4", 60);
    let full = cut.stream(&h264(160, 96, crf(20)));
    assert!(described(&full).contains("(pc"), "{}", described(&full));
}

#[test]
fn turned_and_anamorphic_sources_come_out_upright_with_square_pixels() {
    let cut = Cut::new(&format!("{PICTURE} {H264}"), "plain.mp4", 60);
    for (angle, width, height) in [(90, 96, 160), (180, 160, 96), (270, 96, 160)] {
        let directory = tempfile::tempdir().expect("a directory");
        let options = format!("-display_rotation {angle} -i {} -c copy -t 1", text(&cut.input));
        let input = make(directory.path(), "turned.mp4", &options);
        let turned = Cut::of(directory, input, 60);
        // The judge turns by itself.
        let psnr = luma_psnr(&turned.stream(&h264(width, height, crf(18))), &turned.input, width, height);
        assert!(psnr.iter().all(|psnr| *psnr > 30.0), "{angle}: {psnr:?}");
    }
    let wide = Cut::new(&format!("{PICTURE} -t 1 -vf setsar=2/1 {H264}"), "wide.mp4", 60);
    let stream = wide.stream(&h264(320, 96, crf(18)));
    assert!(described(&stream).contains("320x96 [SAR 1:1"), "{}", described(&stream));
    let psnr = luma_psnr(&stream, &wide.input, 320, 96);
    assert!(psnr.iter().all(|psnr| *psnr > 30.0), "{psnr:?}");
}

#[test]
fn interlaced_sources_become_progressive_with_the_same_number_of_frames() {
    let fields = "-f lavfi -i testsrc2=s=160x96:r=50:d=4 -vf interlace -c:v libx264 -x264-params tff=1";
    let cut = Cut::new(fields, "fields.mp4", 60);
    let stream = cut.stream(&h264(160, 96, crf(23)));
    assert!(described(&stream).contains("progressive"), "{}", described(&stream));
    assert_eq!(judged(&stream).len(), 100);
}

#[test]
fn ten_bits_stay_ten_bits_where_the_rendition_says_so() {
    let deep = "-c:v libx265 -preset ultrafast -pix_fmt yuv420p10le -x265-params log-level=none -tag:v hvc1 -t 1";
    let cut = Cut::new(&format!("{PICTURE} {deep}"), "deep.mp4", 60);
    let stream = cut.stream(&h265(160, 96, 10, crf(23)));
    assert!(described(&stream).contains("yuv420p10le"), "{}", described(&stream));
    let stream = cut.stream(&av1(160, 96, 10, 40));
    assert!(described(&stream).contains("yuv420p10le"), "{}", described(&stream));
    let stream = cut.stream(&h264(160, 96, crf(23)));
    assert!(described(&stream).contains("yuv420p("), "{}", described(&stream));
}
