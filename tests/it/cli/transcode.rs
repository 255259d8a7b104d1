//! `transcode` from its options to its exit status.

use std::path::Path;

use actors::domain::checkpoint::{JobStatus, Outcome};
use actors::domain::failure::Failure;
use actors::domain::job::{Container, GpuMode, Preset, Rate, VideoCodec};
use gstreamer_worker::cli::{Exit, Trouble};

use super::fakes::{Does, Fake, directory_with_film, run, text};

/// Runs `transcode in.mp4 OUTPUT OPTIONS` in a directory of its own.
async fn transcode(fake: &Fake, directory: &Path, output: &str, options: &[&str]) -> Result<Exit, Trouble> {
    let (input, output, work) = (directory.join("in.mp4"), directory.join(output), directory.join("work"));
    let mut args = vec!["transcode", text(&input), text(&output), "--work-dir", text(&work)];
    args.extend(options);
    run(&args, &[], fake).await.outcome
}

fn usage(outcome: Result<Exit, Trouble>) -> String {
    match outcome {
        Err(Trouble::Usage(message)) => message,
        other => panic!("not a usage error: {other:?}"),
    }
}

#[actix_rt::test]
async fn options_become_a_job() {
    let (fake, directory) = (Fake::that_completes(), directory_with_film());
    let options = [
        "--codec",
        "h265",
        "--height",
        "720",
        "--bitrate",
        "2.5M",
        "--preset",
        "fast",
        "--audio-bitrate",
        "96k",
        "--gpu",
        "off",
        "--chunk-seconds",
        "4",
        "--pool-size",
        "3",
    ];
    let exit = transcode(&fake, directory.path(), "new/dir/my film.mp4", &options).await.expect("done");
    assert_eq!(exit, Exit::Done);
    let job = fake.job();
    let output = &job.outputs[0];
    assert_eq!(job.gpu, GpuMode::Off);
    assert_eq!(
        (output.container, output.video.codec, output.video.preset),
        (Container::Mp4, VideoCodec::H265, Preset::Fast)
    );
    assert_eq!((output.video.width, output.video.height.map(|side| side.pixels())), (None, Some(720)));
    assert_eq!(output.video.rate(), Rate::Bitrate(2_500_000.try_into().expect("a rate")));
    assert_eq!(output.audio.as_ref().map(|audio| audio.rate(6).bits_per_second()), Some(96_000));
    assert!(output.uri.as_str().starts_with("file:///") && output.uri.as_str().ends_with("/new/dir/my%20film.mp4"));
    assert!(directory.path().join("new/dir").is_dir(), "directories of outputs are made");
    let config = fake.config.lock().expect("no panic").clone().expect("a configuration");
    assert_eq!((config.chunk_seconds.get(), config.pool_size.get()), (4, 3));
    assert_eq!(config.work_url.to_file_path(), Ok(directory.path().join("work")));
}

#[actix_rt::test]
async fn a_whole_ladder_comes_from_a_file() {
    let (fake, directory) = (Fake::that_completes(), directory_with_film());
    let uri = |name: &str| format!("file://{}/{name}", directory.path().display());
    let job = serde_json::json!({"job_id": "ladder", "input": {"uri": uri("in.mp4")}, "outputs": [
        {"uri": uri("720.ts"), "container": "mpegts", "video": {"codec": "h264", "height": 720}},
        {"uri": uri("360.ts"), "container": "mpegts", "video": {"codec": "h264", "height": 360}}]});
    let file = directory.path().join("job.json");
    std::fs::write(&file, job.to_string()).expect("a file");
    let work = directory.path().join("work");
    let args = ["transcode", "--job", text(&file), "--work-dir", text(&work)];
    assert_eq!(run(&args, &[], &fake).await.outcome.expect("done"), Exit::Done);
    assert_eq!((fake.job().job_id.as_str(), fake.job().outputs.len()), ("ladder", 2));
    let both = [&args[..], &["--codec", "h265"]].concat();
    assert!(usage(run(&both, &[], &fake).await.outcome).contains("cannot be used with"));
}

#[actix_rt::test]
async fn the_end_of_the_job_is_the_exit_status() {
    let directory = directory_with_film();
    for (does, exit) in [
        (Does::Ends(Outcome::Failed(Failure::permanent("no video track"))), Exit::Failed),
        (Does::Ends(Outcome::Cancelled), Exit::Failed),
        (Does::Ends(crate::service::reports::completed()), Exit::Done),
    ] {
        assert_eq!(transcode(&Fake::that(does), directory.path(), "out.ts", &[]).await.expect("an end"), exit);
    }
    let broken = Fake::that(Does::Breaks(Failure::retryable("the disk is full")));
    let trouble = transcode(&broken, directory.path(), "out.ts", &[]).await.expect_err("no end");
    assert_eq!((trouble.status(), trouble.to_string().as_str()), (1, "the disk is full"));
}

#[actix_rt::test]
async fn the_same_command_is_the_same_job_and_another_input_is_another() {
    let directory = directory_with_film();
    let mut ids = Vec::new();
    for (film, options) in [("film", &[][..]), ("film", &[]), ("film", &["--crf", "20"]), ("other film", &[])] {
        if film != "film" {
            std::fs::write(directory.path().join("in.mp4"), film).expect("a file");
        }
        let fake = Fake::that_completes();
        transcode(&fake, directory.path(), "out.ts", options).await.expect("done");
        ids.push(fake.job().job_id);
    }
    assert_eq!(ids[0], ids[1]);
    assert!(ids[0] != ids[2] && ids[0] != ids[3] && ids[2] != ids[3], "{ids:?}");
}

#[actix_rt::test]
async fn an_output_that_exists_is_replaced_only_with_force() {
    let directory = directory_with_film();
    std::fs::write(directory.path().join("out.ts"), "precious").expect("a file");
    let fake = Fake::that_completes();
    assert!(
        usage(transcode(&fake, directory.path(), "out.ts", &[]).await).contains("out.ts: exists, --force replaces it")
    );
    transcode(&fake, directory.path(), "out.ts", &["--force"]).await.expect("done");
    assert!(fake.job().overwrite);
}

/// The job of the plain command, as a worker got it.
async fn job_of(directory: &Path) -> actors::domain::job::JobSpec {
    let fake = Fake::that_completes();
    transcode(&fake, directory, "out.ts", &[]).await.expect("done");
    fake.job()
}

#[actix_rt::test]
async fn an_unfinished_job_goes_on_even_where_its_output_is_there_already() {
    let directory = directory_with_film();
    let (fake, job) = (Fake::that_completes(), job_of(directory.path()).await);
    fake.jobs.put(&job, JobStatus::Assembling);
    std::fs::write(directory.path().join("out.ts"), "published, then killed").expect("a file");
    assert_eq!(transcode(&fake, directory.path(), "out.ts", &[]).await.expect("done"), Exit::Done);
    assert_eq!(fake.job(), job);
}

#[actix_rt::test]
async fn a_completed_job_is_not_done_again_while_its_output_is_untouched() {
    let directory = directory_with_film();
    let (fake, job) = (Fake::that_completes(), job_of(directory.path()).await);
    let output = directory.path().join("out.ts");
    std::fs::write(&output, "the film").expect("a file");
    fake.jobs.put(&job, JobStatus::Completed);
    assert_eq!(transcode(&fake, directory.path(), "out.ts", &[]).await.expect("done"), Exit::Done);
    assert!(fake.worked.lock().expect("no panic").is_empty(), "nothing to do");

    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
    let file = std::fs::File::options().write(true).open(&output).expect("a file");
    file.set_modified(later).expect("a time");
    assert!(usage(transcode(&fake, directory.path(), "out.ts", &[]).await).contains("exists"), "somebody else's now");

    std::fs::remove_file(&output).expect("gone");
    transcode(&fake, directory.path(), "out.ts", &[]).await.expect("done");
    assert_eq!(fake.job().job_id.as_str(), format!("{}-2", job.job_id), "done again under the next id");
}

#[actix_rt::test]
async fn a_failed_job_is_tried_again_under_the_next_free_id() {
    let directory = directory_with_film();
    let (fake, job) = (Fake::that_completes(), job_of(directory.path()).await);
    fake.jobs.put(&job, JobStatus::Failed);
    let second =
        actors::domain::job::JobSpec { job_id: format!("{}-2", job.job_id).parse().expect("an id"), ..job.clone() };
    fake.jobs.put(&second, JobStatus::Cancelled);
    transcode(&fake, directory.path(), "out.ts", &[]).await.expect("done");
    assert_eq!(fake.job().job_id.as_str(), format!("{}-3", job.job_id));
}

#[actix_rt::test]
async fn what_can_be_seen_to_be_wrong_is_said_before_anything_starts() {
    let directory = directory_with_film();
    let path = directory.path();
    std::fs::create_dir(path.join("dir.ts")).expect("a directory");
    std::os::unix::fs::symlink(path.join("in.mp4"), path.join("link.mp4")).expect("a link");
    let fake = Fake::that_completes();
    for (output, options, words) in [
        ("dir.ts", &[][..], "is a directory"),
        ("link.mp4", &["--force"], "is the input itself"),
        ("in.mp4", &[], "is the input itself"),
        ("in.mp4/out.ts", &[], "is not a directory"),
        ("out.m3u8", &[], "not supported yet"),
        ("out.avi", &[], "no container has the extension .avi"),
        ("out.ts", &["--width", "1281"], "even"),
        ("out.ts", &["--bitrate", "fast"], "800k"),
        ("out.ts", &["--bitrate", "5M", "--crf", "20"], "cannot be used with"),
        ("out.ts", &["--crf", "52"], "0 to 51"),
        ("out.ts", &["--crf", "999"], "0 to 63"),
        ("out.mp4", &["--codec", "av1", "--crf", "64"], "0 to 63"),
        ("out.ts", &["--codec", "vp9"], "h264, h265, av1"),
        ("out.ts", &["--codec", "av1"], "mpegts does not hold av1, mp4 does"),
        ("out.mp4", &["--codec", "av1", "--bitrate", "5M"], "give crf (0 to 63)"),
        ("out.mp4", &["--codec", "av1", "--height", "32"], "at least 64"),
    ] {
        let message = usage(transcode(&fake, path, output, options).await);
        assert!(message.contains(words), "{output} {options:?}: {message}");
    }
    for (input, words) in
        [("none.mp4", "there is no such file"), ("dir.ts", "is a directory"), ("empty.mp4", "is empty")]
    {
        std::fs::write(path.join("empty.mp4"), "").expect("a file");
        let (input, output) = (path.join(input), path.join("out.ts"));
        let args = ["transcode", text(&input), text(&output), "--work-dir", text(path)];
        assert!(usage(run(&args, &[], &fake).await.outcome).contains(words), "{words}");
    }
    assert!(fake.worked.lock().expect("no panic").is_empty());
}

#[actix_rt::test]
async fn work_files_go_to_the_cache_directory_of_the_user() {
    let directory = directory_with_film();
    let (input, output) = (directory.path().join("in.mp4"), directory.path().join("out.ts"));
    let args = ["transcode", text(&input), text(&output)];
    let home = text(directory.path());
    for (name, place) in [("HOME", ".cache/gstreamer-worker"), ("XDG_CACHE_HOME", "gstreamer-worker")] {
        let fake = Fake::that_completes();
        run(&args, &[(name, home)], &fake).await.outcome.expect("done");
        let config = fake.config.lock().expect("no panic").clone().expect("a configuration");
        assert_eq!(config.work_url.to_file_path(), Ok(directory.path().join(place)));
    }
    assert!(usage(run(&args, &[], &Fake::that_completes()).await.outcome).contains("--work-dir"));
}
