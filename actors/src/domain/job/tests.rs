use super::*;

const GOOD: &str = r#"{
  "job_id": "movie-42",
  "input": {"uri": "file:///media/in.mp4"},
  "outputs": [
    {"uri": "file:///media/out/720p.ts", "container": "mpegts",
     "video": {"codec": "h264", "width": 1280, "height": 720, "bitrate": 5000000, "preset": "fast"},
     "audio": {"codec": "aac", "bitrate": 128000}}
  ],
  "gpu": "auto"
}"#;

fn refused(from: &str, to: &str) -> JobError {
    assert!(GOOD.contains(from), "the text to replace is in the job");
    JobSpec::parse(GOOD.replace(from, to).as_bytes()).expect_err("not a job")
}

#[test]
fn the_job_of_the_contract_is_read() {
    let job = JobSpec::parse(GOOD.as_bytes()).expect("a job");
    let video = &job.outputs[0].video;
    assert_eq!(job.job_id.as_str(), "movie-42");
    assert_eq!(video.rate(), Rate::Bitrate(5_000_000.try_into().expect("a rate")));
    assert_eq!((video.preset, job.gpu, job.overwrite), (Preset::Fast, GpuMode::Auto, false));
    let again = serde_json::to_vec(&job).expect("json");
    assert_eq!(JobSpec::parse(&again).expect("a job"), job);
}

#[test]
fn every_error_names_its_field_and_what_is_accepted() {
    let cases = [
        (r#""width": 1280"#, r#""width": 0"#, "outputs[0].video.width", "16 to 8192"),
        (r#""width": 1280"#, r#""width": 1281"#, "outputs[0].video.width", "even"),
        (r#""height": 720"#, r#""height": -2"#, "outputs[0].video.height", "-2"),
        ("5000000", "999999999999", "outputs[0].video.bitrate", "1000000000"),
        ("5000000", "12", "outputs[0].video.bitrate", "1000"),
        (r#""h264""#, r#""vp10""#, "outputs[0].video.codec", "`h264`"),
        (r#""mpegts""#, r#""avi""#, "outputs[0].container", "`mp4`"),
        (r#""preset": "fast""#, r#""preset": "warp""#, "outputs[0].video.preset", "`veryslow`"),
        (r#""preset": "fast""#, r#""crf": 60"#, "outputs[0].video.crf", "0 to 51"),
        (r#""preset": "fast""#, r#""crf": 20"#, "outputs[0].video", "exclude each other"),
        (r#""gpu": "auto""#, r#""gpu": "maybe""#, "gpu", "`require`"),
        (r#""gpu": "auto""#, r#""pgu": "auto""#, "pgu", "unknown field"),
        ("file:///media/in.mp4", "in.mp4", "input.uri", "absolute URI"),
        ("file:///media/in.mp4", "file:///media/out/720p.ts", "outputs[0].uri", "input itself"),
        ("movie-42", "../../etc", "job_id", "letters, digits"),
    ];
    for (from, to, field, hint) in cases {
        let error = refused(from, to);
        assert_eq!(error.field, field, "{to}: {error}");
        assert!(error.to_string().contains(hint), "{to}: {error}");
    }
}

#[test]
fn av1_is_made_with_constant_quality_for_mp4_and_not_smaller_than_it_can_be() {
    let job = |video: &str, container: &str| {
        let json = GOOD
            .replace(r#""codec": "h264", "width": 1280, "height": 720, "bitrate": 5000000, "preset": "fast""#, video);
        JobSpec::parse(json.replace(r#""mpegts""#, container).as_bytes())
    };
    let video = &job(r#""codec": "av1""#, r#""mp4""#).expect("a job").outputs[0].video;
    assert_eq!(video.rate(), Rate::Crf(Crf::try_from(30).expect("a crf")));
    for (video, container, field, hint) in [
        (r#""codec": "av1""#, r#""mpegts""#, "container", "mp4 does"),
        (r#""codec": "av1", "bitrate": 5000000"#, r#""mp4""#, "video.bitrate", "crf (0 to 63)"),
        (r#""codec": "av1", "crf": 64"#, r#""mp4""#, "video.crf", "0 to 63"),
        (r#""codec": "av1", "width": 62"#, r#""mp4""#, "video.width", "at least 64"),
    ] {
        let error = job(video, container).expect_err(video);
        assert_eq!(error.field, format!("outputs[0].{field}"), "{video}");
        assert!(error.to_string().contains(hint), "{error}");
    }
}

#[test]
fn the_job_id_of_a_bad_job_is_known_where_it_can_be_read() {
    assert_eq!(refused(r#""width": 1280"#, r#""width": 0"#).job_id, Some("movie-42".parse().expect("an id")));
    assert_eq!(JobSpec::parse(b"not json").expect_err("not a job").job_id, None);
    assert_eq!(JobSpec::parse(b"").expect_err("not a job").job_id, None);
    assert_eq!(JobSpec::parse(b"[1, 2]").expect_err("not a job").job_id, None);
}

#[test]
fn two_outputs_of_one_name_and_no_output_at_all_are_refused() {
    let mut job = JobSpec::parse(GOOD.as_bytes()).expect("a job");
    job.outputs.push(job.outputs[0].clone());
    let error = JobSpec::parse(&serde_json::to_vec(&job).expect("json")).expect_err("two of a name");
    assert_eq!(error.field, "outputs[1].uri");
    job.outputs.clear();
    let error = JobSpec::parse(&serde_json::to_vec(&job).expect("json")).expect_err("no output");
    assert_eq!(error.field, "outputs");
}

#[test]
fn a_message_of_ten_megabytes_is_refused_unread() {
    let error = JobSpec::parse(&vec![b' '; 10 << 20]).expect_err("too large");
    assert!(error.problem.contains("too many"), "{error}");
}

#[test]
fn the_content_digest_does_not_depend_on_spelling() {
    let job = JobSpec::parse(GOOD.as_bytes()).expect("a job");
    let same = JobSpec::parse(GOOD.replace(r#""gpu": "auto""#, r#""overwrite": false"#).as_bytes()).expect("a job");
    assert_eq!(job.content_digest(), same.content_digest());
}

#[test]
fn kilobits_are_rounded_to_the_nearest() {
    let kbit = |bits: u64| Bitrate::try_from(bits).expect("a rate").kbit_per_second();
    assert_eq!((kbit(5_000_000), kbit(1_499), kbit(1_500)), (5000, 1, 2));
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        let _ = JobSpec::parse(&bytes);
    }

    #[test]
    fn a_job_id_is_always_one_safe_path_segment(text in ".{0,140}") {
        if let Ok(id) = text.parse::<JobId>() {
            proptest::prop_assert!(!id.as_str().contains(['/', '\\', '\0']) && id.as_str() != "." && id.as_str() != "..");
        }
    }
}
