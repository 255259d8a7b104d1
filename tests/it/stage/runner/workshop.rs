//! A job, its directories and a runner.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actors::domain::checkpoint::{OutputReport, PartRecord};
use actors::domain::failure::Failure;
use actors::domain::job::JobSpec;
use actors::domain::plan::{Families, PinnedPlan};
use actors::domain::unit::UnitId;
use actors::ports::{
    AssembleOutcome, AssembleRequest, RunStage, SplitRequest, StageRequest, UnitOutcome, UnitRequest, WorkStorage as _,
};
use gstreamer_worker::process::{ProcessRunner, Proven, RunnerSettings};
use gstreamer_worker::storage::{Storage, file_uri};
use tokio_util::sync::CancellationToken;

use crate::stage::double::launcher;

/// Everything of one job, in a directory that is removed at the end.
pub struct Workshop {
    directory: tempfile::TempDir,
    pub storage: Storage,
    pub job: Arc<JobSpec>,
}

impl Workshop {
    /// A job with two outputs, of which the first has audio.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("in.mp4"), "film").expect("an input");
        let storage = Storage::open(file_uri(&directory.path().join("work")).expect("a URI").as_str());
        let job = Arc::new(job(directory.path(), false));
        Self { storage: storage.expect("a work storage"), job, directory }
    }

    /// The same with the permission to replace outputs.
    pub fn overwriting() -> Self {
        let workshop = Self::new();
        let job = Arc::new(job(workshop.directory.path(), true));
        Self { job, ..workshop }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Names in a directory, in order; none where there is no directory.
    pub fn names(&self, name: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path(name)) else { return Vec::new() };
        let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"));
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    /// The directory of a plan, from the root of the workshop.
    pub fn plan_directory(&self, plan: &PinnedPlan) -> String {
        format!("work/{}/{}", plan.job.job_id, plan.fingerprint())
    }

    /// A runner whose stages behave as `mode` says.
    pub fn runner(&self, mode: &str) -> ProcessRunner {
        let settings = RunnerSettings {
            chunk_seconds: 10,
            parallelism: 2,
            stall_timeout: Duration::from_secs(60),
            worker: "worker-1".into(),
            launcher: launcher(mode),
            proven: Proven::default(),
        };
        ProcessRunner::new(self.storage.clone(), settings)
    }

    pub async fn run<R: StageRequest>(&self, mode: &str, request: R) -> Result<R::Output, Failure>
    where
        ProcessRunner: RunStage<R>,
    {
        self.runner(mode).run(request, Box::new(|_| {}), CancellationToken::new()).await
    }

    pub async fn split(&self, mode: &str) -> Result<Arc<PinnedPlan>, Failure> {
        let source = self.storage.identify(&self.job.input.uri).await?;
        let request =
            SplitRequest { job: Arc::clone(&self.job), source, families: Families::default(), from_start: false };
        self.run(mode, request).await
    }

    pub async fn unit(&self, mode: &str, plan: &Arc<PinnedPlan>, unit: UnitId) -> Result<PartRecord, Failure> {
        match self.run(mode, UnitRequest { plan: Arc::clone(plan), unit, on_cpu: false }).await? {
            UnitOutcome::Made(record) => Ok(record),
            other => panic!("another outcome: {other:?}"),
        }
    }

    /// How a source is lost without which a unit cannot be made.
    pub async fn lost(&self, mode: &str, plan: &Arc<PinnedPlan>, unit: UnitId) -> String {
        let request = UnitRequest { plan: Arc::clone(plan), unit, on_cpu: false };
        match self.run(mode, request).await.expect("an outcome") {
            UnitOutcome::SourceLost(how) => how,
            other => panic!("another outcome: {other:?}"),
        }
    }

    /// All parts of a plan.
    pub async fn parts(&self, plan: &Arc<PinnedPlan>) -> BTreeMap<UnitId, PartRecord> {
        let mut parts = BTreeMap::new();
        for unit in plan.units() {
            parts.insert(unit, self.unit("film", plan, unit).await.expect("a part"));
        }
        parts
    }

    pub async fn assemble(
        &self,
        plan: &Arc<PinnedPlan>,
        parts: &BTreeMap<UnitId, PartRecord>,
    ) -> Result<AssembleOutcome, Failure> {
        self.run("film", AssembleRequest { plan: Arc::clone(plan), parts: parts.clone() }).await
    }

    /// A job from its beginning to its end.
    pub async fn whole_job(&self) -> Result<Vec<OutputReport>, Failure> {
        let plan = self.split("film").await?;
        let parts = self.parts(&plan).await;
        match self.assemble(&plan, &parts).await? {
            AssembleOutcome::Published(reports) => Ok(reports),
            other => panic!("another outcome: {other:?}"),
        }
    }

    /// What the port says of the parts that lie in the work storage.
    pub async fn recorded(&self, plan: &PinnedPlan) -> Vec<PartRecord> {
        self.storage.recorded_parts(self.job.job_id.clone(), plan.fingerprint().clone()).await.expect("records")
    }
}

fn job(directory: &Path, overwrite: bool) -> JobSpec {
    let uri = |name: &str| file_uri(&directory.join(name)).expect("a URI");
    let output = |name: &str, height: u32, audio: &str| {
        let uri = uri(name);
        format!(r#"{{"uri": "{uri}", "container": "mpegts", "video": {{"codec": "h264", "height": {height}}}{audio}}}"#)
    };
    let (large, small) = (output("out/720p.ts", 720, r#", "audio": {}"#), output("out/360p.ts", 360, ""));
    let input = uri("in.mp4");
    let json = format!(
        r#"{{"job_id": "movie-42", "input": {{"uri": "{input}"}}, "outputs": [{large}, {small}], "overwrite": {overwrite}}}"#
    );
    JobSpec::parse(json.as_bytes()).expect("a job")
}
