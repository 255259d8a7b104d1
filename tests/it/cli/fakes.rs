//! A worker without media, Kafka and Redis: does with a job what the test says.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actors::domain::checkpoint::{Advance, Advanced, Checkpoint, JobStatus, Outcome, PartRecord, Timestamp};
use actors::domain::dead_letter::{DeadLetter, LetterId};
use actors::domain::failure::Failure;
use actors::domain::fingerprint::Fingerprint;
use actors::domain::job::{JobId, JobSpec};
use actors::domain::progress::Report;
use actors::domain::record::Publication;
use actors::domain::unit::UnitId;
use actors::ports::{
    Answer, Capabilities, DeadLetters, JobStore, LeaseStore, Letters, Outbox, PartStore, Recorded, Reopened, Store,
    TaskPublisher, WorkerInfo,
};
use futures_util::FutureExt as _;
use futures_util::future::{LocalBoxFuture, ready};
use gstreamer_worker::cli::{Exit, LocalJob, LocalJobs, Streams, Trouble, Wiring, command};
use gstreamer_worker::config::Config;
use gstreamer_worker::process::check::{CheckOrder, CheckReport};
use tokio_util::sync::CancellationToken;

/// What the worker does with the job of `transcode`.
#[derive(Clone, Debug)]
pub enum Does {
    /// Reports half the way, then this end, then waits to be stopped.
    Ends(Outcome),
    /// Gives up without a last report.
    Breaks(Failure),
}

/// Jobs in memory.
#[derive(Clone, Default)]
pub struct Jobs(Arc<Mutex<HashMap<JobId, Checkpoint>>>);

impl Jobs {
    /// Keeps a checkpoint of `job` with this status, changed just now.
    pub fn put(&self, job: &JobSpec, status: JobStatus) {
        let now = chrono::Utc::now();
        let mut checkpoint = Checkpoint::queued(job.job_id.clone(), job.content_digest(), now);
        checkpoint.status = status;
        checkpoint.completed_at = status.is_terminal().then_some(now);
        checkpoint.error = (status == JobStatus::Failed).then(|| Failure::permanent("no video track"));
        self.0.lock().expect("no panic").insert(job.job_id.clone(), checkpoint);
    }

    /// The checkpoint of a job.
    pub fn get(&self, job_id: &JobId) -> Option<Checkpoint> {
        self.0.lock().expect("no panic").get(job_id).cloned()
    }
}

fn answer<T: Send + 'static>(value: T) -> Answer<T> {
    ready(Ok(value)).boxed()
}

impl JobStore for Jobs {
    fn open(&self, job_id: JobId, content: String, now: Timestamp) -> Answer<Checkpoint> {
        let mut jobs = self.0.lock().expect("no panic");
        answer(jobs.entry(job_id.clone()).or_insert_with(|| Checkpoint::queued(job_id, content, now)).clone())
    }

    fn read(&self, job_id: JobId) -> Answer<Option<Checkpoint>> {
        answer(self.get(&job_id))
    }

    fn advance(&self, job_id: JobId, step: Advance, now: Timestamp) -> Answer<Option<Advanced>> {
        let mut jobs = self.0.lock().expect("no panic");
        answer(jobs.get_mut(&job_id).map(|checkpoint| {
            checkpoint.advance(&step, now);
            Advanced { checkpoint: checkpoint.clone(), sequence: None }
        }))
    }

    fn reopen(&self, job_id: JobId, content: String, now: Timestamp) -> Answer<Reopened> {
        let mut jobs = self.0.lock().expect("no panic");
        let found = jobs.get(&job_id).cloned();
        if let Some(kept) = found.clone().filter(|found| !found.may_reopen(&content)) {
            return answer(Reopened::Kept(kept));
        }
        let anew = Checkpoint::reopened(found.as_ref(), job_id.clone(), content, now, now);
        jobs.insert(job_id, anew);
        answer(Reopened::Anew(found))
    }

    fn finish(&self, _: JobId, _: Outcome, _: Report, _: Timestamp) -> Answer<bool> {
        answer(true)
    }
}

impl LocalJobs for Jobs {
    fn read(&self, job_id: &JobId) -> Result<Option<Checkpoint>, Failure> {
        Ok(self.get(job_id))
    }

    fn hold(&self, _: &JobId) -> Result<Arc<dyn Store>, Failure> {
        Ok(Arc::new(self.clone()))
    }
}

const NO_WORK: &str = "the fake worker works on no parts";

impl PartStore for Jobs {
    fn record(&self, _: JobId, _: Fingerprint, _: PartRecord, _: Timestamp) -> Answer<Recorded> {
        unreachable!("{NO_WORK}")
    }

    fn part(&self, _: JobId, _: Fingerprint, _: UnitId) -> Answer<Option<PartRecord>> {
        unreachable!("{NO_WORK}")
    }

    fn parts(&self, _: JobId, _: Fingerprint) -> Answer<BTreeMap<UnitId, PartRecord>> {
        unreachable!("{NO_WORK}")
    }

    fn forget(&self, _: JobId, _: Fingerprint, _: UnitId) -> Answer<()> {
        unreachable!("{NO_WORK}")
    }

    fn count_attempt(&self, _: JobId, _: String) -> Answer<u32> {
        unreachable!("{NO_WORK}")
    }

    fn return_attempt(&self, _: JobId, _: String) -> Answer<()> {
        unreachable!("{NO_WORK}")
    }
}

impl LeaseStore for Jobs {
    fn hold(&self, _: String, _: String, _: Duration) -> Answer<bool> {
        unreachable!("{NO_WORK}")
    }

    fn release(&self, _: String, _: String) -> Answer<()> {
        unreachable!("{NO_WORK}")
    }

    fn announce(&self, _: String, _: WorkerInfo, _: Duration) -> Answer<()> {
        unreachable!("{NO_WORK}")
    }

    fn workers(&self) -> Answer<Vec<WorkerInfo>> {
        unreachable!("{NO_WORK}")
    }
}

impl Outbox for Jobs {
    fn pending(&self, _: usize) -> Answer<Vec<Report>> {
        unreachable!("{NO_WORK}")
    }

    fn delivered(&self, _: JobId, _: u64) -> Answer<()> {
        unreachable!("{NO_WORK}")
    }
}

/// The fake worker, and what it saw.
#[derive(Clone)]
pub struct Fake {
    /// What `transcode` does.
    pub does: Does,
    /// Its store.
    pub jobs: Jobs,
    /// Jobs that `transcode` was given.
    pub worked: Arc<Mutex<Vec<JobSpec>>>,
    /// Configuration of the last of them.
    pub config: Arc<Mutex<Option<Config>>>,
    /// Records that were published.
    pub published: Arc<Mutex<Vec<Publication>>>,
    /// What lies in the dead-letter topic.
    pub letters: Arc<Mutex<Vec<DeadLetter>>>,
    /// Whether the broker takes nothing.
    pub broker_away: Arc<AtomicBool>,
}

impl Fake {
    /// One that does this.
    pub fn that(does: Does) -> Self {
        Self {
            does,
            jobs: Jobs::default(),
            worked: Arc::default(),
            config: Arc::default(),
            published: Arc::default(),
            letters: Arc::default(),
            broker_away: Arc::default(),
        }
    }

    /// One that completes every job.
    pub fn that_completes() -> Self {
        Self::that(Does::Ends(crate::service::reports::completed()))
    }

    /// The only job that it worked on.
    pub fn job(&self) -> JobSpec {
        let worked = self.worked.lock().expect("no panic");
        assert_eq!(worked.len(), 1, "{worked:#?}");
        worked[0].clone()
    }
}

struct Publisher(Fake);

impl TaskPublisher for Publisher {
    fn publish(&self, record: Publication) -> Answer<()> {
        if self.0.broker_away.load(Ordering::Relaxed) {
            return ready(Err(Failure::retryable("the broker is away"))).boxed();
        }
        self.0.published.lock().expect("no panic").push(record);
        answer(())
    }
}

impl DeadLetters for Fake {
    fn newest(&self, limit: usize) -> Answer<Letters> {
        let mut letters = self.letters.lock().expect("no panic").clone();
        let left_out = letters.len().saturating_sub(limit);
        letters.drain(..left_out);
        answer(Letters { letters, left_out: left_out as u64 })
    }

    fn letter(&self, id: LetterId) -> Answer<Option<DeadLetter>> {
        answer(self.letters.lock().expect("no panic").iter().find(|letter| letter.id == id).cloned())
    }
}

/// A report of this job on its way.
pub fn report(job_id: &JobId, sequence: u64, status: JobStatus, progress: f64) -> Report {
    Report { job_id: job_id.clone(), ..crate::service::reports::report(sequence, status, progress) }
}

impl Wiring for Fake {
    fn run(&self, _: Config, stop: CancellationToken) -> LocalBoxFuture<'static, Result<(), Failure>> {
        async move {
            stop.cancelled().await;
            Ok(())
        }
        .boxed_local()
    }

    fn transcode(&self, order: LocalJob, stop: CancellationToken) -> LocalBoxFuture<'static, Result<(), Failure>> {
        let LocalJob { job, config, sink, .. } = order;
        let job_id = job.job_id.clone();
        self.worked.lock().expect("no panic").push(job);
        *self.config.lock().expect("no panic") = Some(config);
        let does = self.does.clone();
        async move {
            sink.deliver(report(&job_id, 1, JobStatus::Encoding, 50.0)).await?;
            match does {
                Does::Ends(outcome) => {
                    sink.deliver(report(&job_id, 2, JobStatus::Assembling, 99.0).ended(&outcome)).await?;
                    stop.cancelled().await;
                    Ok(())
                }
                Does::Breaks(failure) => Err(failure),
            }
        }
        .boxed_local()
    }

    fn jobs(&self, _: &Config) -> Answer<Arc<dyn JobStore>> {
        answer(Arc::new(self.jobs.clone()))
    }

    fn local_jobs(&self, _: &Config) -> Result<Box<dyn LocalJobs>, Failure> {
        Ok(Box::new(self.jobs.clone()))
    }

    fn publisher(&self, _: &Config) -> Result<Arc<dyn TaskPublisher>, Failure> {
        Ok(Arc::new(Publisher(self.clone())))
    }

    fn dead_letters(&self, _: &Config) -> Result<Arc<dyn DeadLetters>, Failure> {
        Ok(Arc::new(self.clone()))
    }

    fn probe(&self, _: &Config) -> Answer<Capabilities> {
        answer(Capabilities::default())
    }

    fn gpu_check(&self, _: &Config, _: CheckOrder) -> Answer<CheckReport> {
        answer(CheckReport { capabilities: Capabilities::default(), ways: Vec::new() })
    }

    fn try_work_storage(&self, _: &Config) -> Answer<()> {
        answer(())
    }

    fn stage(&self) -> ExitCode {
        ExitCode::SUCCESS
    }
}

/// A directory with a file that passes for a film.
pub fn directory_with_film() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("in.mp4"), b"film").expect("a file");
    directory
}

/// The text of a path.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("a path in Unicode")
}

/// A writer whose text can be read.
#[derive(Clone, Default)]
pub struct Paper(Arc<Mutex<Vec<u8>>>);

impl Paper {
    /// What was written.
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no panic").clone()).expect("text")
    }
}

impl std::io::Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// How a command ended, and what stands on its streams.
pub struct Ran {
    /// The end.
    pub outcome: Result<Exit, Trouble>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// Runs a command in this process.
pub async fn run(args: &[&str], env: &[(&str, &str)], fake: &Fake) -> Ran {
    let args = [&["gstreamer-worker"], args].concat();
    let env = env.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let (out, err) = (Paper::default(), Paper::default());
    let outcome = command(&args, env, fake, Streams::to(out.clone(), err.clone())).await;
    Ran { outcome, out: out.text(), err: err.text() }
}
