use super::*;
use proptest::prelude::*;

fn at(seconds: i64) -> Timestamp {
    DateTime::from_timestamp(seconds, 0).expect("an instant")
}

proptest! {
    #[test]
    fn whatever_arrives_in_whatever_order_nothing_goes_back(
        steps in proptest::collection::vec((0usize..7, -10.0f64..120.0, any::<bool>()), 0..40),
    ) {
        use JobStatus::{Assembling, Cancelled, Completed, Encoding, Failed, Queued, Splitting};
        let all = [Queued, Splitting, Encoding, Assembling, Completed, Failed, Cancelled];
        let mut checkpoint = Checkpoint::queued("j".parse().expect("an id"), String::new(), at(0));
        for (now, (status, progress, cancel)) in steps.into_iter().enumerate() {
            let before = checkpoint.clone();
            let step = Advance { status: Some(all[status]), progress: Some(progress), cancel, ..Advance::default() };
            checkpoint.advance(&step, at(now as i64));
            prop_assert!(checkpoint.status.rank() >= before.status.rank());
            prop_assert!(checkpoint.progress >= before.progress && checkpoint.progress <= 100.0);
            prop_assert!(checkpoint.cancel_requested >= before.cancel_requested);
            prop_assert!(!before.status.is_terminal() || checkpoint == before);
        }
    }

    #[test]
    fn sequence_numbers_grow_whatever_the_clock_does(clock in proptest::collection::vec(-10i64..4_000_000_000, 1..40)) {
        let mut checkpoint = Checkpoint::queued("j".parse().expect("an id"), String::new(), at(0));
        let mut last = 0;
        for seconds in clock {
            let number = checkpoint.next_sequence(at(seconds));
            prop_assert!(number > last && number == checkpoint.sequence);
            last = number;
        }
    }
}

#[test]
fn the_first_end_of_a_job_is_the_last_word() {
    let mut checkpoint = Checkpoint::queued("j".parse().expect("an id"), String::new(), at(0));
    let failure = Failure::permanent("no video track");
    assert!(checkpoint.finish(&Outcome::Failed(failure.clone()), at(5)));
    let ended = checkpoint.clone();
    assert_eq!(
        (ended.status, ended.completed_at, ended.error.as_ref()),
        (JobStatus::Failed, Some(at(5)), Some(&failure))
    );
    assert!(!checkpoint.finish(&Outcome::Completed(Vec::new()), at(6)));
    assert_eq!(checkpoint, ended);
}
