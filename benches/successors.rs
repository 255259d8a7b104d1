//! How long it takes from the part of a chunk to the task that follows it, for plans of 100, 1,000 and 10,000 chunks half of
//! which are done: on the embedded store and a work storage in a temporary directory, with an encode that takes no time.
//!
//! `make bench` runs it; alone: `docker/platform cargo bench --locked --bench successors`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actors::domain::checkpoint::{Advance, JobStatus};
use actors::domain::failure::Failure;
use actors::domain::plan::PinnedPlan;
use actors::domain::plan::testing::plan_of;
use actors::domain::record::{Delivery, DeliveryTag, Publication, Queue, TopicNames};
use actors::domain::task::Task;
use actors::domain::unit::UnitId;
use actors::gpu::{Gpu, GpuSettings};
use actors::in_flight::InFlight;
use actors::ports::{
    Answer, AssembleOutcome, AssembleRequest, Clock as _, JobStore as _, OnProgress, PartStore as _, RunStage,
    SplitRequest, SystemClock, TaskPublisher, UnitOutcome, UnitRequest,
};
use actors::running::RunningKeys;
use actors::tasks::{TaskPorts, TaskSettings, Tasks, run};
use actors::testing::stages::part_of;
use actors::work::{Disposition, Execute, Work};
use gstreamer_worker::storage::{Storage, file_uri};
use gstreamer_worker::store::EmbeddedStore;
use tokio_util::sync::CancellationToken;

const CHUNKS: [u32; 3] = [100, 1_000, 10_000];
/// Parts that are measured for each plan.
const ROUNDS: u32 = 40;

/// An encode that takes no time.
struct AtOnce;

impl RunStage<UnitRequest> for AtOnce {
    fn run(&self, request: UnitRequest, _: OnProgress, _: CancellationToken) -> Answer<UnitOutcome> {
        Box::pin(std::future::ready(Ok(UnitOutcome::Made(part_of(request.unit, "bench")))))
    }
}

impl RunStage<SplitRequest> for AtOnce {
    fn run(&self, _: SplitRequest, _: OnProgress, _: CancellationToken) -> Answer<Arc<PinnedPlan>> {
        Box::pin(std::future::ready(Err(Failure::permanent("the plan is there"))))
    }
}

impl RunStage<AssembleRequest> for AtOnce {
    fn run(&self, _: AssembleRequest, _: OnProgress, _: CancellationToken) -> Answer<AssembleOutcome> {
        Box::pin(std::future::ready(Err(Failure::permanent("nothing is assembled here"))))
    }
}

/// A broker that acknowledges at once.
struct Acknowledges;

impl TaskPublisher for Acknowledges {
    fn publish(&self, _: Publication) -> Answer<()> {
        Box::pin(std::future::ready(Ok(())))
    }
}

async fn tasks(directory: &std::path::Path, plan: &PinnedPlan) -> Result<Tasks, Failure> {
    let storage = Storage::open(file_uri(&directory.join("work"))?.as_str())?;
    let store = EmbeddedStore::open(&directory.join("store"), Duration::from_secs(3600))?;
    let job_id = &plan.job.job_id;
    storage.plan_files(job_id, plan.fingerprint())?.store_plan(plan.clone()).await?;
    store.open(job_id.clone(), plan.job.content_digest(), SystemClock.now()).await?;
    let in_force = Some((plan.fingerprint().clone(), plan.num_chunks()));
    let step = Advance { plan: in_force, status: Some(JobStatus::Encoding), ..Advance::default() };
    store.advance(job_id.clone(), step, SystemClock.now()).await?;
    for chunk in 0..plan.num_chunks() / 2 {
        let part = part_of(UnitId::Chunk(chunk), "bench");
        store.record(job_id.clone(), plan.fingerprint().clone(), part, SystemClock.now()).await?;
    }
    let ports = TaskPorts {
        store: Arc::new(store),
        work: Arc::new(storage),
        stages: Arc::new(AtOnce),
        publisher: Arc::new(Acknowledges),
        clock: Arc::new(SystemClock),
        in_flight: InFlight::default(),
        gpu: Gpu::new(GpuSettings::default()),
        versions: Default::default(),
    };
    let settings = TaskSettings {
        worker: "bench".into(),
        max_attempts: 5,
        lease_ttl: Duration::from_secs(60),
        topics: TopicNames::after("transcoding"),
        encoder_wait_timeout: Duration::from_secs(60),
    };
    Ok(Tasks::new(ports, settings))
}

/// The median time of a part, in milliseconds.
async fn measure(chunks: u32) -> Result<f64, Failure> {
    let directory = tempfile::tempdir().map_err(|error| Failure::retryable(format!("no directory: {error}")))?;
    let plan = plan_of(chunks, 8, true);
    let (tasks, running) = (tasks(directory.path(), &plan).await?, RunningKeys::default());
    let mut times = Vec::new();
    for index in 0..ROUNDS {
        let unit = UnitId::Chunk(chunks / 2 + index);
        let claim = running.claim(None).ok_or_else(|| Failure::permanent("it runs"))?;
        let execute = Execute {
            delivery: Arc::new(Delivery {
                tag: DeliveryTag { queue: Queue::Cpu, partition: 0, offset: i64::from(index), epoch: 0 },
                key: None,
                value: None,
                headers: Vec::new(),
            }),
            work: Work::Task(Task::for_unit(&plan.job.job_id, plan.fingerprint(), unit)),
            deferrals: 0,
            stop: CancellationToken::new(),
            claim: Arc::new(claim),
        };
        let began = Instant::now();
        let end = run(&tasks, &execute).await;
        times.push(began.elapsed().as_secs_f64() * 1000.0);
        if end != Disposition::Finished {
            return Err(Failure::permanent(format!("{unit} ended as {end:?}")));
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    println!("## From the part of a chunk to its successor\n\n| chunks | ms | ratio |\n|---|---|---|");
    let mut first = None;
    for chunks in CHUNKS {
        let ms = measure(chunks).await?;
        println!("| {chunks} | {ms:.2} | {:.2} |", ms / *first.get_or_insert(ms));
    }
    Ok(())
}
