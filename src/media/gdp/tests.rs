use super::*;
use actors::domain::failure::FailureClass;

fn buffer(index: u64, bytes: usize) -> gst::Buffer {
    let mut buffer = gst::Buffer::from_mut_slice(vec![u8::try_from(index % 251).unwrap_or(0); bytes]);
    let fields = buffer.get_mut().expect("the only owner");
    fields.set_pts(to_file_time(i64::try_from(index).expect("small") * 41_666_667 - 83_333_333));
    fields.set_dts(to_file_time(i64::try_from(index).expect("small") * 41_666_667 - 200_000_001));
    fields.set_duration(gst::ClockTime::from_nseconds(41_666_667));
    if !index.is_multiple_of(3) {
        fields.set_flags(gst::BufferFlags::DELTA_UNIT);
    }
    buffer
}

fn write(path: &Path, count: u64) -> Written {
    let caps = gst::Caps::builder("video/x-h264").field("stream-format", "byte-stream").field("width", 16i32).build();
    let mut writer = GdpWriter::source(path, &caps).expect("a writer");
    for index in 0..count {
        writer.write(buffer(index, 1 + 7919 * usize::try_from(index % 40).expect("small"))).expect("written");
    }
    writer.finish().expect("finished")
}

fn read(path: &Path) -> Result<Vec<gst::Sample>, Failure> {
    let mut reader = GdpReader::open(path)?;
    let mut samples = Vec::new();
    while let Some(sample) = reader.next()? {
        samples.push(sample);
    }
    Ok(samples)
}

#[test]
fn what_was_written_reads_back_exactly() {
    crate::media::pipeline::init().expect("GStreamer");
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.gdp");
    let written = write(&path, 100);
    let file = std::fs::read(&path).expect("the file");
    assert_eq!(written.bytes, file.len() as u64);
    assert_eq!(written.sha256, hex(&Sha256::digest(&file)));
    let samples = read(&path).expect("readable");
    assert_eq!(samples.len(), 100);
    for (index, sample) in (0..).zip(&samples) {
        let expected = buffer(index, 1 + 7919 * usize::try_from(index % 40).expect("small"));
        let got = sample.buffer().expect("a buffer");
        assert_eq!((got.pts(), got.dts(), got.duration()), (expected.pts(), expected.dts(), expected.duration()));
        assert_eq!(got.flags(), expected.flags());
        assert_eq!(*got.map_readable().expect("bytes"), *expected.map_readable().expect("bytes"));
        assert_eq!(sample.caps().expect("caps").structure(0).expect("one").get::<i32>("width"), Ok(16));
    }
    let first = samples[0].buffer().and_then(|buffer| buffer.pts()).expect("a time");
    assert_eq!(presentation_ns(first), -83_333_333);
}

#[test]
fn the_same_buffers_give_the_same_file() {
    crate::media::pipeline::init().expect("GStreamer");
    let directory = tempfile::tempdir().expect("a directory");
    assert_eq!(write(&directory.path().join("a"), 50), write(&directory.path().join("b"), 50));
}

#[test]
fn a_cut_file_is_a_retryable_failure_wherever_it_was_cut() {
    crate::media::pipeline::init().expect("GStreamer");
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.gdp");
    write(&path, 12);
    let whole = std::fs::read(&path).expect("the file");
    for length in (0..whole.len()).step_by(911).chain([1, whole.len() - 1, whole.len() - 62, whole.len() - 63]) {
        std::fs::write(&path, &whole[..length]).expect("cut");
        let failure = read(&path).expect_err("a cut file");
        assert_eq!(failure.class, FailureClass::Retryable, "{length}");
        assert!(failure.message.contains("a.gdp"), "{failure}");
    }
}

#[test]
fn a_damaged_file_is_a_retryable_failure_wherever_the_damage_is() {
    crate::media::pipeline::init().expect("GStreamer");
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.gdp");
    write(&path, 12);
    let whole = std::fs::read(&path).expect("the file");
    for position in (0..whole.len()).step_by(1009) {
        let mut damaged = whole.clone();
        damaged[position] ^= 0x10;
        std::fs::write(&path, &damaged).expect("damaged");
        let failure = read(&path).expect_err("a damaged file");
        assert_eq!(failure.class, FailureClass::Retryable, "{position}");
    }
}

#[test]
fn a_file_that_cannot_be_made_is_a_retryable_failure_that_names_it() {
    crate::media::pipeline::init().expect("GStreamer");
    let caps = gst::Caps::new_empty_simple("video/x-h264");
    let failure = GdpWriter::source(Path::new("/nowhere/at/all.gdp"), &caps).err().expect("no such directory");
    assert_eq!(failure.class, FailureClass::Retryable);
    assert!(failure.message.contains("/nowhere/at/all.gdp"), "{failure}");
}

#[test]
fn a_disk_without_space_is_waited_for() {
    crate::media::pipeline::init().expect("GStreamer");
    let caps = gst::Caps::new_empty_simple("video/x-h264");
    let full = Path::new("/dev/full");
    let mut writer = GdpWriter::part(full, &caps).expect("a writer");
    // The first buffer goes to the disk at once.
    let failure = writer.write(buffer(0, 1000)).expect_err("no space");
    assert_eq!(failure, Failure::interrupted("no space left for /dev/full, free some"));
}
