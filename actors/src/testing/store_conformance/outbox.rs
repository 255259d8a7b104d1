//! The last reports of jobs.

use super::{Subject, at, checkpoint_of, done, end, job, last_report};
use crate::domain::checkpoint::{Outcome, OutputReport, Verification};

pub(super) async fn last_reports_wait_in_order_until_they_are_confirmed(store: Subject) {
    let names = ["c", "a", "b", "e", "d"];
    let ids = |reports: Vec<crate::domain::progress::Report>| {
        reports.into_iter().map(|report| report.job_id.as_str().to_owned()).collect::<Vec<_>>()
    };
    for name in names {
        assert!(end(&store, &job(name), Outcome::Cancelled).await);
        assert!(!end(&store, &job("c"), Outcome::Cancelled).await);
    }
    assert_eq!(ids(done(store.pending(10).await)), names);
    assert_eq!(ids(done(store.pending(2).await)), names[..2]);
    assert!(done(store.pending(0).await).is_empty());
    let of_a = done(store.pending(2).await)[1].sequence;
    done(store.delivered(job("a"), of_a - 1).await);
    done(store.delivered(job("c"), of_a + 1_000_000_000).await);
    assert_eq!(ids(done(store.pending(10).await)), names, "confirmed was another report of the job");
    for _ in 0..2 {
        done(store.delivered(job("a"), of_a).await);
        assert_eq!(ids(done(store.pending(3).await)), ["c", "b", "e"]);
    }
    done(store.delivered(job("nobody"), 1).await);
    end(&store, &job("f"), Outcome::Cancelled).await;
    assert_eq!(ids(done(store.pending(10).await)), ["c", "b", "e", "d", "f"]);
}

pub(super) async fn a_last_report_is_the_given_one_with_the_next_number(store: Subject) {
    let checkpoint = done(store.open(job("j"), "c".into(), at(0)).await);
    let verification = Verification {
        frames: u64::MAX,
        key_frames: 3,
        audio_samples: 1 << 53,
        av_offset_ns: -21_333_333,
        ..Verification::default()
    };
    let output = OutputReport {
        uri: "file:///out/\"sequence\":18446744073709551615/a b.ts".into(),
        bytes: 1 << 60,
        duration: 0.1 + 0.2,
        sha256: "ab".into(),
        verification,
    };
    let outcome = Outcome::Completed(vec![output]);
    let mut report = last_report(&checkpoint, &outcome);
    report.worker = "\"sequence\":18446744073709551615,".into();
    assert!(done(store.finish(job("j"), outcome, report.clone(), at(1)).await));
    let ended = checkpoint_of(&store, &job("j")).await;
    assert!(ended.sequence > 0);
    report.sequence = ended.sequence;
    assert_eq!(done(store.pending(1).await), std::slice::from_ref(&report));
    done(store.delivered(job("j"), report.sequence).await);
    assert_eq!(done(store.pending(1).await), []);
    assert_eq!((ended.progress, ended.completed_at), (100.0, Some(at(1))));
}
