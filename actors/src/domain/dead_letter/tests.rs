use super::*;
use crate::domain::job::MAX_JOB_BYTES;
use crate::domain::plan::testing::job;
use crate::domain::record::DeliveryTag;

const TASK: &[u8] = br#"{"task":"encode","job_id":"movie","fingerprint":"ab","chunk":1}"#;

fn delivery(queue: Queue, value: Option<&[u8]>) -> Delivery {
    let headers = [("trace", "abc"), ("class", "old"), ("job", "foreign")];
    Delivery {
        tag: DeliveryTag { queue, partition: 7, offset: 42, epoch: 3 },
        key: Some(b"movie/v00001".to_vec()),
        value: value.map(<[u8]>::to_vec),
        headers: headers.map(|(name, value)| (name.into(), value.into())).into(),
    }
}

fn record(letter: Publication) -> LetterRecord {
    let Publication { key, value, headers, .. } = letter;
    LetterRecord { id: LetterId { partition: 0, offset: 17 }, at: None, key, value, headers }
}

fn read_back(value: Option<&[u8]>, job: Option<&JobSpec>) -> DeadLetter {
    let failure = Failure::device("no GPU");
    DeadLetter::read(&record(write(&delivery(Queue::Cpu, value), "transcoding.tasks.cpu", &failure, 3, job)))
}

#[test]
fn a_dead_letter_is_the_record_with_its_headers_and_where_it_came_from() {
    let letter =
        write(&delivery(Queue::Cpu, Some(b"task")), "transcoding.tasks.cpu", &Failure::device("no GPU"), 3, None);
    assert_eq!((&letter.key[..], letter.value.as_deref()), (&b"movie/v00001"[..], Some(&b"task"[..])));
    let headers: Vec<_> =
        letter.headers.iter().map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value))).collect();
    let expected = [
        ("trace", "abc"),
        ("class", "device"),
        ("reason", "no GPU"),
        ("attempts", "3"),
        ("origin-topic", "transcoding.tasks.cpu"),
        ("origin-partition", "7"),
        ("origin-offset", "42"),
    ];
    assert_eq!(headers, expected.map(|(name, value)| (name, value.into())));
}

#[test]
fn a_letter_of_a_task_brings_its_job_and_keeps_its_value() {
    let letter = read_back(Some(TASK), Some(&job("movie")));
    assert_eq!(letter.job, Ok(job("movie")));
    assert_eq!((letter.class.as_deref(), letter.reason.as_deref()), (Some("device"), Some("no GPU")));
    assert_eq!((letter.attempts, letter.key.as_str()), (Some(3), "movie/v00001"));
    let origin = Origin { topic: "transcoding.tasks.cpu".into(), partition: 7, offset: 42 };
    assert_eq!(letter.origin, Some(origin));
}

#[test]
fn a_letter_of_a_job_is_the_job() {
    let json = serde_json::to_vec(&job("movie")).expect("json");
    assert_eq!(read_back(Some(&json), None).job, Ok(job("movie")));
}

#[test]
fn what_holds_no_job_says_what_to_do_and_still_names_the_job_where_it_can() {
    for (value, job_id, words) in [
        (Some(TASK), Some("movie"), "does not say of which job"),
        (None, None, "had no value"),
        (Some(&b"garbage"[..]), None, "correct it and submit it"),
        (Some(br#"{"job_id": "movie", "inptu": 1}"#), Some("movie"), "inptu"),
    ] {
        let letter = read_back(value, None);
        assert_eq!(letter.job_id.as_ref().map(JobId::as_str), job_id, "{words}");
        let problem = letter.job.expect_err(words);
        assert!(problem.contains(words) && problem.contains("submit"), "{problem}");
    }
}

#[test]
fn what_is_too_large_to_be_kept_goes_without_value_and_job() {
    let letter = write(&delivery(Queue::Cpu, Some(TASK)), "t", &Failure::permanent("no"), 1, Some(&job("movie")));
    let letter = without_contents(letter, "too large".into());
    assert!(letter.value.is_none() && letter.headers.iter().all(|(name, _)| name != JOB));
    assert!(DeadLetter::read(&record(letter)).job.expect_err("no job").contains("too large"));
}

#[test]
fn a_letter_with_the_largest_job_fits_the_default_of_a_broker() {
    let failure = Failure::permanent("ü".repeat(1 << 20));
    let letter = write(&delivery(Queue::Cpu, Some(TASK)), "t", &failure, 1, None);
    let headers: usize = letter.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    assert!(headers + MAX_JOB_BYTES + TASK.len() < 1 << 19, "{headers}");
    assert!(DeadLetter::read(&record(letter)).reason.is_some_and(|reason| reason.ends_with('ü')), "cut at a character");
}

#[test]
fn an_id_reads_back_as_it_was_printed() {
    let id = LetterId { partition: 3, offset: i64::MAX };
    assert_eq!(id.to_string().parse(), Ok(id));
    for wrong in ["", "-", "0", "0-", "-1", "0-+1", "0--1", "0-1-2", "a-b", "0-9223372036854775808", " 0-1"] {
        assert!(wrong.parse::<LetterId>().is_err(), "{wrong:?}");
    }
}

#[test]
fn whatever_lies_in_the_topic_can_be_read() {
    let id = LetterId { partition: 0, offset: 0 };
    let letter =
        LetterRecord { id, at: None, key: vec![0xff], value: None, headers: vec![("attempts".into(), vec![0xfe])] };
    let letter = DeadLetter::read(&letter);
    assert_eq!((letter.class, letter.attempts, letter.origin), (None, None, None));
}
