//! What every checkpoint store has to do, run on the fake and on the real ones.
//! Each case gets an empty store of its own. Time limits are polled with a deadline, so that a case runs as well in
//! virtual time as on a real server.

mod agreement;
mod generations;
mod jobs;
mod leases;
mod outbox;
mod parts;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

pub use self::agreement::{Step, agree};
use crate::domain::checkpoint::{Checkpoint, Outcome, PartRecord, Timestamp};
use crate::domain::failure::Failure;
use crate::domain::fingerprint::Fingerprint;
use crate::domain::job::JobId;
use crate::domain::plan::EncoderFamily;
use crate::domain::progress::Report;
use crate::domain::unit::UnitId;
use crate::ports::Store;
use crate::testing::stages::parts_of;

/// The store of a case.
type Subject = Arc<dyn Store>;

/// Time to live of finished jobs in cases where nothing may expire.
const LONG: Duration = Duration::from_secs(3600);
/// Time to live of what has to expire.
const SHORT: Duration = Duration::from_millis(700);
/// What has not happened by then does not happen.
const DEADLINE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);

struct Case {
    name: &'static str,
    checkpoint_ttl: Duration,
    run: fn(Subject) -> BoxFuture<'static, ()>,
}

macro_rules! cases {
    ($ttl:expr; $($module:ident :: $name:ident),* $(,)?) => {
        vec![$(Case { name: stringify!($name), checkpoint_ttl: $ttl, run: |store| Box::pin($module::$name(store)) }),*]
    };
}

/// Runs all cases, each on a store made by `make`, which gets the time to live of finished jobs. Panics on the first
/// promise that is not kept; the name of the case is the last line printed.
pub async fn conforms(make: impl Fn(Duration) -> Subject) {
    for case in lasting().into_iter().chain(expiring()) {
        println!("{}", case.name);
        (case.run)(make(case.checkpoint_ttl)).await;
    }
}

fn lasting() -> Vec<Case> {
    cases![LONG;
        jobs::a_job_that_nobody_opened_is_not_known,
        jobs::a_job_opened_twice_keeps_its_first_content,
        jobs::status_and_progress_never_go_back,
        jobs::a_plan_is_put_in_force_with_its_chunks,
        jobs::a_job_waits_until_it_moves,
        jobs::a_request_to_cancel_stays,
        jobs::sequence_numbers_grow_and_come_at_most_once_a_second,
        jobs::of_many_workers_that_report_at_once_one_gets_a_number,
        jobs::the_first_end_of_a_job_is_final,
        jobs::of_many_ends_at_once_one_wins,
        jobs::a_job_that_the_store_has_lost_can_still_end,
        jobs::what_stands_in_a_failure_is_kept_to_the_letter,
        generations::a_failed_job_that_is_opened_again_begins_anew,
        generations::a_job_that_has_not_failed_is_not_opened_again,
        generations::a_job_that_nobody_knows_begins_anew_with_what_it_left_forgotten,
        generations::of_many_that_open_a_job_again_one_does,
        generations::a_step_of_an_earlier_generation_changes_nothing,
        generations::a_store_that_was_emptied_learns_the_generation_from_a_step,
        generations::the_report_of_the_earlier_generation_waits_until_the_next_end,
        parts::the_first_part_of_a_unit_wins,
        parts::audio_counts_as_a_unit_but_not_as_a_chunk,
        parts::sixty_parts_recorded_at_once_are_counted_right,
        parts::of_many_results_of_one_chunk_one_is_kept,
        parts::parts_of_two_plans_never_meet,
        parts::a_forgotten_part_can_be_recorded_again,
        parts::parts_that_are_older_than_the_checkpoint_count,
        parts::a_part_of_an_ended_job_changes_nothing_of_it,
        parts::attempts_are_counted_for_each_task,
        parts::an_attempt_that_is_returned_does_not_count,
        parts::counts_of_attempts_never_go_below_zero,
        parts::an_attempt_of_nothing_that_is_known_is_returned_without_a_trace,
        parts::attempts_that_are_returned_at_once_are_all_returned,
        parts::odd_characters_come_back_unchanged,
        leases::a_lease_has_one_owner_until_it_is_given_back,
        leases::a_lease_that_is_not_renewed_expires,
        leases::of_many_owners_one_gets_the_lease,
        leases::times_to_live_may_be_nothing_or_endless,
        leases::workers_are_listed_until_they_fall_silent,
        outbox::last_reports_wait_in_order_until_they_are_confirmed,
        outbox::a_last_report_is_the_given_one_with_the_next_number,
    ]
}

fn expiring() -> Vec<Case> {
    cases![SHORT;
        jobs::an_ended_job_expires_with_all_that_belongs_to_it_but_its_report,
        jobs::a_job_that_has_not_ended_does_not_expire,
        generations::a_job_that_is_opened_again_expires_unless_somebody_takes_it_up,
        parts::what_belongs_to_no_job_expires,
    ]
}

// ---------------------------------------------------------------------------------------------- what the cases use

/// Polls until `probe` gives something; fails after [`DEADLINE`].
async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut probe: impl FnMut() -> F) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = probe().await {
            return value;
        }
        assert!(begun.elapsed() < DEADLINE, "{what}: not within {DEADLINE:?}");
        tokio::time::sleep(POLL).await;
    }
}

/// The answer of a call that has to work.
fn done<T>(answer: Result<T, Failure>) -> T {
    answer.unwrap_or_else(|failure| panic!("the store failed: {failure}"))
}

/// An instant with all the digits that a time stamp can have.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(1_700_000_000 + seconds, 123_456_789).expect("an instant")
}

fn job(name: &str) -> JobId {
    name.parse().expect("a job id")
}

fn plan(name: &str) -> Fingerprint {
    Fingerprint(name.into())
}

fn part(unit: UnitId, worker: &str) -> PartRecord {
    let mut made = parts_of(unit, worker, [Some(EncoderFamily::Nvcodec), Some(EncoderFamily::X265)]);
    made.encode_seconds = 0.1 + 0.2;
    for part in &mut made.parts {
        part.file.name = format!("{unit}-{worker}.mkv");
        part.file.bytes = u64::from(u32::MAX) + 1;
    }
    made
}

fn last_report(checkpoint: &Checkpoint, outcome: &Outcome) -> Report {
    Report::of(checkpoint, 0, None, "worker-1", at(99)).ended(outcome)
}

async fn checkpoint_of(store: &Subject, job_id: &JobId) -> Checkpoint {
    done(store.read(job_id.clone()).await).expect("a checkpoint")
}

/// Opens a job and ends it.
async fn end(store: &Subject, job_id: &JobId, outcome: Outcome) -> bool {
    let checkpoint = done(store.open(job_id.clone(), "content".into(), at(0)).await);
    let report = last_report(&checkpoint, &outcome);
    done(store.finish(job_id.clone(), outcome, report, at(99)).await)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::store::FakeStore;

    #[tokio::test(start_paused = true)]
    async fn the_fake_store_conforms() {
        conforms(|checkpoint_ttl| Arc::new(FakeStore::with_checkpoint_ttl(checkpoint_ttl))).await;
    }
}
