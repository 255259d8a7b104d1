//! Bad input on the command line: one clear sentence, the right exit status, nothing left behind.

use std::path::Path;

use crate::support::media::{film, text};
use crate::support::transcode::Bench;

/// Runs the command on bad input; returns what it said.
fn refused(bench: &Bench, status: i32, args: &[&str]) -> String {
    let before = bench.files();
    let marker = format!("bad-input-{}", bench.root().display());
    let output = bench.command(args).env("TEST_MARKER", &marker).output().expect("the program starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{args:?}: {said}");
    assert_eq!(bench.files(), before, "{args:?} left files: {said}");
    assert_eq!(processes_with(&marker), 0, "{args:?} left processes");
    said
}

/// Processes with a text in their environment.
fn processes_with(marker: &str) -> usize {
    let entries = std::fs::read_dir("/proc").expect("/proc");
    let environments = entries.filter_map(|entry| std::fs::read(entry.ok()?.path().join("environ")).ok());
    environments.filter(|environment| environment.windows(marker.len()).any(|part| part == marker.as_bytes())).count()
}

fn one_sentence(said: &str, words: &[&str]) {
    // A slow machine has time to show how far it is before that.
    let sentences = said.lines().filter(|line| !line.starts_with("splitting "));
    assert_eq!(sentences.count(), 1, "not one sentence: {said}");
    assert!(words.iter().all(|word| said.contains(word)), "{words:?} are not all in: {said}");
    assert!(!said.contains("panicked") && !said.contains("RUST_BACKTRACE"), "{said}");
}

#[test]
fn a_file_that_is_no_film_fails_with_a_sentence_that_says_what_it_is() {
    let bench = Bench::new();
    let file = |name: &str, content: &[u8]| {
        let path = bench.path(name);
        std::fs::write(&path, content).expect("a file");
        path
    };
    let whole = std::fs::read(film()).expect("the film");
    let cases = [
        (file("text.mp4", b"This is a letter and no film at all.\n".repeat(100).as_slice()), "text.mp4"),
        (file("truncated.mp4", &whole[..whole.len() / 2]), "truncated"),
        (file("noise.ts", &whole[1_000_000..1_200_000]), "noise.ts"),
    ];
    for (path, word) in cases {
        let said = refused(&bench, 1, &[text(&path), text(&bench.path("out.mp4"))]);
        one_sentence(&said, &[word]);
    }
}

#[test]
fn wrong_names_are_refused_before_any_work() {
    let bench = Bench::new();
    let film = film();
    let (out, existing) = (bench.path("out.mp4"), bench.path("existing.mp4"));
    std::fs::write(&existing, b"precious").expect("a file");
    std::fs::create_dir(bench.path("directory.mp4")).expect("a directory");
    let empty = bench.path("empty.mp4");
    std::fs::write(&empty, b"").expect("a file");
    let cases: [(&Path, &Path, &str); 5] = [
        (&empty, &out, "is empty"),
        (&bench.path("missing.mp4"), &out, "missing.mp4"),
        (bench.root(), &out, "directory"),
        (&film, &bench.path("directory.mp4"), "directory"),
        (&film, &existing, "--force"),
    ];
    for (input, output, word) in cases {
        one_sentence(&refused(&bench, 2, &[text(input), text(output)]), &[word]);
    }
    assert_eq!(std::fs::read(&existing).expect("still there"), b"precious");
}

#[test]
fn options_that_make_no_sense_are_refused_with_what_is_accepted() {
    let bench = Bench::new();
    let (film, out) = (film(), bench.path("out.mp4"));
    for (option, value, word) in [
        ("--width", "0", "16 to 8192"),
        ("--height", "361", "even"),
        ("--bitrate", "900G", "1000000000"),
        ("--crf", "99", "0 to 51"),
        ("--codec", "vp10", "h264"),
        ("--preset", "warp", "veryslow"),
    ] {
        let said = refused(&bench, 2, &[text(&film), text(&out), option, value]);
        assert!(said.contains(word) && said.contains(option), "{option} {value}: {said}");
    }
    let said = refused(&bench, 2, &[text(&film), text(&bench.path("out.avi"))]);
    assert!(said.contains(".mp4"), "{said}");
}

#[test]
fn a_job_file_that_is_no_job_names_the_field() {
    let bench = Bench::new();
    for (json, word) in [
        (serde_json::json!({"job_id": "x"}), "input"),
        (serde_json::json!({"job_id": "x", "input": {"uri": "file:///a"}, "outputs": []}), "outputs"),
        (serde_json::json!({"job_id": "x", "colour": 1}), "colour"),
    ] {
        let path = bench.job(&json);
        one_sentence(&refused(&bench, 2, &["--job", text(&path)]), &[word]);
    }
}
