//! Workers that share a Kafka, a Redis, a Transcoding Service and a work storage, as in a cluster.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use actors::domain::checkpoint::JobStatus;
use actors::domain::progress::Report;
use deadpool_redis::redis::{Client, Cmd, FromRedisValue};
use serde_json::Value;

use super::kafka::{Kafka, create_topic, lag, unique};
use super::redis::Redis;
use super::service::{PATIENCE, Received, StandIn};
use super::transcode::{BINARY, Bench, uri};
use super::worker::Worker;

/// Servers that a test kills. Others share a Kafka, and have a Redis that keeps nothing on disk.
pub struct Servers {
    pub redis: Redis,
    /// `None`: the shared one.
    pub kafka: Option<Kafka>,
}

impl Default for Servers {
    fn default() -> Self {
        Self { redis: Redis::start(), kafka: None }
    }
}

/// Surroundings of workers.
pub struct Fleet {
    /// Dropped first: the logs that they print when a test fails lie in the bench.
    workers: Vec<Worker>,
    pub bench: Bench,
    pub service: StandIn,
    pub servers: Servers,
    brokers: String,
    topic: String,
    /// Of the workers, beside the usual ones.
    more: Vec<(String, String)>,
    /// Workers so far.
    num_started: usize,
}

impl Fleet {
    /// Starts `workers` workers with these variables besides the usual ones, and waits until all are ready.
    pub async fn start(workers: usize, variables: &[(&str, &str)]) -> Self {
        Self::start_on(Servers::default(), workers, variables).await
    }

    /// [`Self::start`] on servers that the test chooses. A variable given here wins over the usual one.
    pub async fn start_on(servers: Servers, workers: usize, variables: &[(&str, &str)]) -> Self {
        let topic = unique("transcoding");
        let brokers = servers.kafka.as_ref().map_or_else(|| Kafka::shared().brokers(), Kafka::brokers);
        // As an operator makes it who lets large messages through.
        create_topic(&brokers, &topic, 64, &[("max.message.bytes", "12000000")]).await;
        let mut fleet = Self {
            workers: vec![],
            bench: Bench::new(),
            service: StandIn::start(),
            servers,
            brokers,
            topic,
            more: variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
            num_started: 0,
        };
        for _ in 0..workers {
            fleet.add_worker();
        }
        fleet.workers.iter().for_each(Worker::wait_ready);
        fleet
    }

    /// Starts one more worker and does not wait.
    pub fn add_worker(&mut self) {
        let usual = self.variables();
        let mut all: Vec<_> = usual.iter().map(|(name, value)| (*name, value.as_str())).collect();
        all.extend(self.more.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        self.workers.push(Worker::spawn(&format!("worker-{}", self.num_started), self.bench.root(), &all));
        self.num_started += 1;
    }

    /// [`Self::add_worker`] with variables of its own, which win over those of the others.
    pub fn add_worker_with(&mut self, variables: &[(&str, &str)]) {
        let usual = self.more.len();
        self.more.extend(variables.iter().map(|(name, value)| (name.to_string(), value.to_string())));
        self.add_worker();
        self.more.truncate(usual);
    }

    /// SIGKILL to the worker of that name in the fleet, and to nothing else.
    pub fn kill(&mut self, name: &str) {
        let index = self.workers.iter().position(|worker| worker.fleet_name() == name);
        self.workers.remove(index.unwrap_or_else(|| panic!("no worker {name}"))).kill();
    }

    /// What a program at the same Redis reads.
    pub async fn redis<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let client = Client::open(format!("redis://127.0.0.1:{}/0", self.servers.redis.port())).expect("a client");
        let mut connection = client.get_multiplexed_async_connection().await.expect("a connection");
        let mut command = Cmd::new();
        words.iter().for_each(|word| {
            command.arg(*word);
        });
        command.query_async(&mut connection).await.unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("KAFKA_BROKERS", self.brokers.clone()),
            ("KAFKA_TOPIC", self.topic.clone()),
            ("KAFKA_GROUP_ID", self.topic.clone()),
            ("REDIS_HOST", "127.0.0.1".into()),
            ("REDIS_PORT", self.servers.redis.port().to_string()),
            ("TRANSCODING_SERVICE_URL", self.service.url().to_string()),
            ("WORK_URL", uri(&self.bench.path("work"))),
        ]
    }

    /// Waits until the service was told that `chunks` chunks of a job are done.
    pub async fn chunks_done(&self, job: &str, chunks: u32) {
        let enough = |report: &Report| report.job_id.as_str() == job && report.chunks_done >= chunks;
        let what = format!("{chunks} chunks of {job}");
        self.service.wait_for(&what, |received| received.iter().any(|one| enough(&one.report))).await;
    }

    pub fn workers(&self) -> &[Worker] {
        &self.workers
    }

    /// SIGTERM to the youngest worker; its exit code.
    pub fn stop_last(&mut self) -> Option<i32> {
        self.workers.pop().expect("a worker").stop()
    }

    /// SIGTERM to the worker of that name in the fleet; its exit code.
    pub fn stop(&mut self, name: &str) -> Option<i32> {
        let index = self.workers.iter().position(|worker| worker.fleet_name() == name);
        self.workers.remove(index.unwrap_or_else(|| panic!("no worker {name}"))).stop()
    }

    /// SIGTERM to all; their exit codes.
    pub fn stop_all(mut self) -> Vec<Option<i32>> {
        self.workers.drain(..).map(Worker::stop).collect()
    }

    /// Publishes a job as anybody would.
    pub fn publish(&self, job: &Value) {
        self.publish_bytes(job["job_id"].as_str().expect("a job id"), job.to_string().as_bytes());
    }

    /// Publishes a message that need not be a job.
    pub fn publish_bytes(&self, key: &str, value: &[u8]) {
        self.publish_with_headers(key, value, &[]);
    }

    /// [`Self::publish_bytes`] with headers, each as `name=value`.
    pub fn publish_with_headers(&self, key: &str, value: &[u8], headers: &[&str]) {
        self.publish_to(&self.topic, key, value, headers);
    }

    /// Publishes a task as a worker does.
    pub fn publish_task(&self, key: &str, value: &[u8]) {
        self.publish_to(&format!("{}.tasks.cpu", self.topic), key, value, &[]);
    }

    fn publish_to(&self, topic: &str, key: &str, value: &[u8], headers: &[&str]) {
        let mut kcat = Command::new("kcat");
        kcat.args([
            "-P",
            "-b",
            &self.brokers,
            "-t",
            topic,
            "-k",
            key,
            "-X",
            "message.max.bytes=20000000",
            "-D",
            "\u{1}",
        ]);
        for header in headers {
            kcat.args(["-H", header]);
        }
        let mut kcat = kcat.stdin(Stdio::piped()).spawn().expect("kcat is missing: run `make test-deps`");
        kcat.stdin.take().expect("piped").write_all(value).expect("written");
        assert!(kcat.wait().expect("kcat ends").success(), "kcat publishes");
    }

    /// Publishes a message without a value.
    pub fn publish_tombstone(&self, key: &str) {
        let mut kcat = Command::new("kcat");
        kcat.args(["-P", "-b", &self.brokers, "-t", &self.topic, "-K", "|", "-Z"]);
        let mut kcat = kcat.stdin(Stdio::piped()).spawn().expect("kcat is missing: run `make test-deps`");
        kcat.stdin.take().expect("piped").write_all(format!("{key}|\n").as_bytes()).expect("written");
        assert!(kcat.wait().expect("kcat ends").success(), "kcat publishes");
    }

    /// Waits for the last report of each of these jobs and returns them in the order in which they came.
    pub async fn ends(&self, jobs: &[&str]) -> Vec<Report> {
        self.ends_within(PATIENCE, jobs).await
    }

    /// [`Self::ends`] of jobs that take longer.
    pub async fn ends_within(&self, patience: Duration, jobs: &[&str]) -> Vec<Report> {
        let last = |received: &[Received]| -> Vec<Report> {
            let reports = received.iter().map(|one| &one.report);
            let mut seen = std::collections::HashSet::new();
            reports
                .filter(|report| report.status.is_terminal() && jobs.contains(&report.job_id.as_str()))
                .filter(|report| seen.insert(report.job_id.clone()))
                .cloned()
                .collect()
        };
        let received = self
            .service
            .wait_within(patience, "the end of all jobs", |received| last(received).len() == jobs.len())
            .await;
        last(&received)
    }

    /// Waits until the group has committed everything.
    pub fn wait_for_no_lag(&self) {
        let end = Instant::now() + Duration::from_secs(30);
        let topics = [self.topic.clone(), format!("{}.tasks.cpu", self.topic), format!("{}.tasks.gpu", self.topic)];
        while topics.iter().map(|topic| lag(&self.brokers, &self.topic, topic)).sum::<i64>() > 0 {
            assert!(Instant::now() < end, "the lag stays above 0 for 30 s");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until nothing of any job lies in the work storage.
    pub fn wait_for_no_work_files(&self) {
        let end = Instant::now() + Duration::from_secs(30);
        while !self.work_files().is_empty() {
            assert!(Instant::now() < end, "work files are left: {:?}", self.work_files());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until the checkpoint of a job says so.
    pub async fn wait_for_status(&self, job: &str, status: JobStatus) {
        let key = format!("transcode:checkpoint:{job}");
        let end = Instant::now() + PATIENCE;
        loop {
            let found: Option<String> = self.redis(&["HGET", &key, "status"]).await;
            if found.as_deref() == Some(status.as_str()) {
                return;
            }
            assert!(Instant::now() < end, "{job} is {found:?} and not {}", status.as_str());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What all workers logged.
    pub fn log(&self) -> String {
        self.workers.iter().map(Worker::log).collect()
    }

    /// Waits until a worker logs `text`.
    pub async fn wait_for_log(&self, text: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.log().contains(text) {
            assert!(Instant::now() < end, "nobody logs `{text}`:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Dead letters so far, each as headers and value, as kcat shows them.
    pub fn dead_letters(&self) -> Vec<String> {
        self.records("dead-letter")
    }

    /// Records of a topic whose name begins with that of the jobs, as kcat shows them: key, headers, size.
    pub fn records(&self, topic: &str) -> Vec<String> {
        let topic = format!("{}.{topic}", self.topic);
        let format = "%k|%h|%S\n";
        let output = Command::new("kcat")
            .args(["-C", "-b", &self.brokers, "-t", &topic, "-o", "beginning", "-e", "-q", "-f", format])
            .args(["-X", "fetch.message.max.bytes=20000000"])
            .output()
            .expect("kcat is missing: run `make test-deps`");
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
    }

    /// Runs a command of the program in these surroundings.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(args).envs(self.variables());
        command
    }

    /// What lies in the work storage of jobs.
    pub fn work_files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.bench.path("work")).expect("the work storage");
        entries.map(|entry| entry.expect("an entry").path()).collect()
    }
}

/// Asserts that all reports came in the order that the contract promises.
pub fn assert_monotonic(received: &[Received], job: &str) {
    let reports: Vec<_> =
        received.iter().map(|one| &one.report).filter(|report| report.job_id.as_str() == job).collect();
    for pair in reports.windows(2) {
        assert!(pair[0].progress <= pair[1].progress, "{job}: progress goes back: {pair:#?}");
        assert!(pair[0].sequence < pair[1].sequence || pair[0] == pair[1], "{job}: sequence goes back: {pair:#?}");
    }
    let last = reports.last().expect("reports");
    assert_eq!((last.status, last.progress), (JobStatus::Completed, 100.0), "{job}");
}
