//! Random steps, taken on a real store and on the fake: both have to say and to keep the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use actors::domain::checkpoint::{Advance, JobStatus, Outcome};
use actors::domain::failure::Failure;
use actors::domain::job::JobId;
use actors::domain::unit::UnitId;
use actors::ports::Store;
use actors::testing::store::FakeStore;
use actors::testing::store_conformance::{Step, agree};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

/// Holds `store` against the fake in `cases` random histories of a job.
pub fn agrees_with_the_fake(store: Arc<dyn Store>, cases: u32) {
    static JOBS: AtomicU32 = AtomicU32::new(0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let opened = proptest::bool::weighted(0.9).prop_map(|opened| opened.then_some(Step::Open));
    let histories = (opened, proptest::collection::vec(step(), 1..30));
    let result = TestRunner::new(config).run(&histories, |(opened, steps)| {
        let steps: Vec<Step> = opened.into_iter().chain(steps).collect();
        let job_id: JobId = format!("job-{}", JOBS.fetch_add(1, Ordering::Relaxed)).parse().expect("a job id");
        let fake = Arc::new(FakeStore::new());
        runtime.block_on(agree(store.clone(), fake, &job_id, &steps)).map_err(TestCaseError::fail)
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => Just(Step::Open),
        6 => (advance(), proptest::option::of((plan(), 0u32..50))).prop_map(|(step, plan)| Step::Advance(step, plan)),
        1 => outcome().prop_map(Step::Finish),
        1 => proptest::bool::weighted(0.8).prop_map(Step::Reopen),
        4 => (plan(), unit(), 0u8..3).prop_map(|(plan, unit, worker)| Step::Record(plan, unit, worker)),
        1 => (plan(), unit()).prop_map(|(plan, unit)| Step::Forget(plan, unit)),
        2 => (0u8..3).prop_map(Step::Attempt),
        2 => (0u8..3).prop_map(Step::Return),
    ]
}

fn plan() -> impl Strategy<Value = u8> {
    0u8..3
}

fn unit() -> impl Strategy<Value = UnitId> {
    prop_oneof![1 => Just(UnitId::Audio(0)), 3 => (0u32..4).prop_map(UnitId::Chunk)]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let failed = any::<String>().prop_map(|message| Outcome::Failed(Failure::permanent(message)));
    prop_oneof![Just(Outcome::Cancelled), Just(Outcome::Completed(Vec::new())), failed]
}

fn advance() -> impl Strategy<Value = Advance> {
    use JobStatus::{Assembling, Cancelled, Completed, Encoding, Failed, Queued, Splitting};
    let often = proptest::sample::select(vec![Queued, Splitting, Encoding, Assembling]);
    let never = proptest::sample::select(vec![Completed, Failed, Cancelled]);
    let status = proptest::option::of(prop_oneof![20 => often, 1 => never]);
    let odd =
        proptest::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, f64::MIN_POSITIVE, 1e300]);
    let progress = proptest::option::of(prop_oneof![5 => -10.0f64..120.0, 1 => odd]);
    // A generation begins with a number of the clock, much later than 2.
    let generation = proptest::option::weighted(0.3, 0u64..3);
    let cancel = proptest::bool::weighted(0.1);
    let things = ["a worker with x264 164 r3095", "space for 1 %", "a \"GPU\" für H.264"].map(str::to_owned);
    let waiting_for = proptest::option::weighted(0.2, proptest::sample::select(things.to_vec()));
    (status, progress, cancel, generation, waiting_for).prop_map(
        |(status, progress, cancel, generation, waiting_for)| Advance {
            status,
            progress,
            cancel,
            generation,
            waiting_for,
            ..Advance::default()
        },
    )
}
