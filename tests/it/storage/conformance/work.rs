//! What workers keep for each other: sources, parts, records and choices.

use actors::domain::checkpoint::PartRecord;
use actors::domain::failure::{Failure, FailureClass};
use actors::domain::fingerprint::Fingerprint;
use actors::domain::job::JobId;
use actors::domain::plan::testing::offer;
use actors::domain::plan::{EncoderFamily, Families};
use actors::domain::unit::UnitId;
use actors::ports::WorkStorage as _;
use actors::testing::stages::parts_of;
use futures_util::future::join_all;
use gstreamer_worker::storage::{Existing, LocalInput, PlanFiles};

use super::{Subject, job, open, permanent, plan, write};

const PART: &str = "v0-v00000-0123456789abcdef.gdp";

fn files(subject: &Subject, job_id: &JobId) -> PlanFiles {
    subject.storage.plan_files(job_id, &plan("ab")).expect("files")
}

/// Splits: writes these sources to a scratch directory and publishes all of `names`.
async fn publish(subject: &Subject, job_id: &JobId, sources: &[(&str, &str)], names: &[&str]) -> Result<(), Failure> {
    let scratch = subject.storage.scratch(job_id).await.expect("a scratch directory");
    for (name, content) in sources {
        std::fs::write(scratch.path().join(name), content).expect("written");
    }
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    let published = files(subject, job_id).publish_sources(&scratch, names).await;
    let path = scratch.path().to_owned();
    scratch.remove().await;
    assert!(!path.exists(), "{}", path.display());
    published
}

/// A part of the first chunk, published and recorded.
async fn encode(files: &PlanFiles, content: &str) -> PartRecord {
    let pending = files.pending_part(UnitId::Chunk(0)).await.expect("a pending part");
    write(&pending, content);
    pending.named(PART).publish().await.expect("published");
    let mut record = parts_of(UnitId::Chunk(0), "w", [Some(EncoderFamily::Nvcodec)]);
    for part in &mut record.parts {
        (part.file.name, part.file.bytes) = (PART.into(), content.len() as u64);
    }
    files.put_record(&record).await.expect("recorded");
    record
}

fn content(input: Option<LocalInput>) -> Option<String> {
    input.map(|input| std::fs::read_to_string(input.path()).expect("a file of this machine"))
}

pub(super) async fn sources_are_found_once_they_are_published(subject: &Subject) {
    let movie = job("movie-42");
    let files = files(subject, &movie);
    assert_eq!(content(files.source("v00000.gdp").await.expect("an answer")), None);
    let sources = [("v00000.gdp", "film"), ("audio.gdp", "sounds"), ("empty.gdp", ""), ("not-named.gdp", "film")];
    publish(subject, &movie, &sources, &["v00000.gdp", "audio.gdp", "empty.gdp"]).await.expect("published");
    assert_eq!(content(files.source("v00000.gdp").await.expect("an answer")).as_deref(), Some("film"));
    assert_eq!(content(files.source("audio.gdp").await.expect("an answer")).as_deref(), Some("sounds"));
    for missing in ["empty.gdp", "not-named.gdp"] {
        assert_eq!(content(files.source(missing).await.expect("an answer")), None, "{missing}");
    }
}

pub(super) async fn sources_of_which_one_is_missing_can_be_published_again(subject: &Subject) {
    let (movie, names) = (job("movie-42"), ["v00000.gdp", "v00001.gdp"]);
    let half = publish(subject, &movie, &[("v00000.gdp", "film")], &names).await.expect_err("one is missing");
    assert_eq!(half.class, FailureClass::Retryable, "{half}");
    publish(subject, &movie, &[("v00000.gdp", "film"), ("v00001.gdp", "more")], &names).await.expect("published");
    let files = files(subject, &movie);
    assert_eq!(content(files.source("v00000.gdp").await.expect("an answer")).as_deref(), Some("film"));
    assert_eq!(content(files.source("v00001.gdp").await.expect("an answer")).as_deref(), Some("more"));
}

pub(super) async fn a_part_is_found_under_its_digest_and_with_its_size_alone(subject: &Subject) {
    let files = files(subject, &job("movie-42"));
    let pending = files.pending_part(UnitId::Chunk(0)).await.expect("a pending part");
    write(&pending, "part");
    assert_eq!(content(files.part(PART, 4).await.expect("an answer")), None);
    pending.named(PART).publish().await.expect("published");
    assert_eq!(content(files.part(PART, 4).await.expect("an answer")).as_deref(), Some("part"));
    assert_eq!(content(files.part(PART, 5).await.expect("an answer")), None);
    assert_eq!(content(files.part(&UnitId::Chunk(0).to_string(), 4).await.expect("an answer")), None);
    assert_eq!(subject.num_pending(), 0);
}

pub(super) async fn a_part_that_is_discarded_is_not_recorded_until_it_is_made_again(subject: &Subject) {
    let (movie, fingerprint) = (job("movie-42"), plan("ab"));
    let files = files(subject, &movie);
    let recorded = || subject.storage.recorded_parts(movie.clone(), fingerprint.clone());
    assert!(recorded().await.expect("parts").is_empty());
    let part = encode(&files, "part").await;
    assert_eq!(recorded().await.expect("parts"), std::slice::from_ref(&part));
    for _ in 0..2 {
        subject.storage.discard(movie.clone(), fingerprint.clone(), part.unit).await.expect("discarded");
        assert!(recorded().await.expect("parts").is_empty());
    }
    files.put_record(&part).await.expect("recorded");
    assert_eq!(recorded().await.expect("parts").len(), 1);
    // Its file is another one now.
    encode(&files, "another part").await;
    files.put_record(&part).await.expect("recorded");
    assert!(recorded().await.expect("parts").is_empty());
}

pub(super) async fn the_first_choice_of_devices_stays_until_the_job_is_removed(subject: &Subject) {
    let movie = job("movie-42");
    let device = Families::of_devices(vec![offer(EncoderFamily::Nvcodec)]);
    let pin = |families: &Families| subject.storage.pin(movie.clone(), families.clone());
    assert_eq!(pin(&device).await.expect("settled"), device);
    assert_eq!(pin(&Families::default()).await.expect("settled"), device);
    subject.storage.remove(movie.clone()).await.expect("removed");
    assert_eq!(pin(&Families::default()).await.expect("settled"), Families::default());
}

pub(super) async fn of_many_that_choose_devices_at_once_all_are_told_of_one_choice(subject: &Subject) {
    let device = Families::of_devices(vec![offer(EncoderFamily::Nvcodec)]);
    let choices = (0..16).map(|index| if index % 2 == 0 { device.clone() } else { Families::default() });
    let told = join_all(choices.map(|choice| subject.storage.pin(job("movie-42"), choice))).await;
    let told: Vec<_> = told.into_iter().map(|choice| choice.expect("settled")).collect();
    assert!(told.iter().all(|choice| *choice == told[0]), "{told:?}");
}

pub(super) async fn everything_of_a_job_is_removed_and_nothing_else(subject: &Subject) {
    let (movie, sequel, output) = (job("movie-4"), job("movie-42"), subject.uri("out.ts"));
    subject.written(&output, &plan("ab"), "film").await.publish().await.expect("published");
    for job_id in [&movie, &sequel] {
        publish(subject, job_id, &[("v00000.gdp", "film")], &["v00000.gdp"]).await.expect("published");
        encode(&files(subject, job_id), "part").await;
        subject.storage.pin(job_id.clone(), Families::default()).await.expect("settled");
        assert_eq!(subject.storage.fingerprints(job_id).await, Ok(vec![plan("ab")]));
    }
    for _ in 0..2 {
        subject.storage.remove(movie.clone()).await.expect("removed");
        assert_eq!(subject.storage.fingerprints(&movie).await, Ok(Vec::new()));
        assert_eq!(content(files(subject, &movie).source("v00000.gdp").await.expect("an answer")), None);
        assert!(subject.storage.recorded_parts(movie.clone(), plan("ab")).await.expect("parts").is_empty());
    }
    let left = files(subject, &sequel);
    assert_eq!(content(left.source("v00000.gdp").await.expect("an answer")).as_deref(), Some("film"));
    assert_eq!(content(left.part(PART, 4).await.expect("an answer")).as_deref(), Some("part"));
    assert_eq!(subject.storage.recorded_parts(sequel, plan("ab")).await.expect("parts").len(), 1);
    assert_eq!(subject.existing(&output, "film").await, Existing::Same);
}

pub(super) async fn what_was_stored_is_there_for_whoever_opens_the_storage_next(subject: &Subject) {
    let movie = job("movie-42");
    let part = encode(&files(subject, &movie), "part").await;
    let next = open(&subject.place);
    assert_eq!(next.recorded_parts(movie.clone(), plan("ab")).await.expect("parts"), [part]);
    assert_eq!(next.fingerprints(&movie).await, Ok(vec![plan("ab")]));
}

pub(super) async fn a_name_that_leads_elsewhere_is_refused(subject: &Subject) {
    let movie = job("movie-42");
    for fingerprint in ["", "../../other", "ab/../..", "."] {
        permanent(subject.storage.plan_files(&movie, &Fingerprint(fingerprint.into())));
    }
    let files = files(subject, &movie);
    for name in ["", ".", "..", "../parts/x", "/etc/passwd", ".hidden", "a/b", "a\0b"] {
        permanent(files.source(name).await);
        permanent(files.part(name, 4).await);
        permanent(publish(subject, &movie, &[], &[name]).await);
    }
}
