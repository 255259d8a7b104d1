//! The queue drives the number of pods, and nothing is lost on the way: the algorithm of the autoscaler, with the limits of
//! `k8s/base/hpa.yaml`, is fed by nothing but `/metrics` of real workers on a real Kafka, and starts and stops workers.
//!
//! A tenth of the load: 10 records for each pod instead of 100. Of the pods that it wants, three to five are real
//! processes; the others are only counted. Each look of the autoscaler, 15 s on its clock, comes half a second or so after the last.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use actors::domain::checkpoint::JobStatus;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::hpa::{Memory, Readings, Spec, sync};
use super::plot::{Moment, svg};
use super::{Objects, path};
use crate::support::clip::Clip;
use crate::support::fleet::Fleet;
use crate::support::transcode::uri;
use crate::support::worker::Worker;

const SYNC_SECONDS: f64 = 15.0;
/// Between two looks while there is work, and where there is none.
const BUSY: Duration = Duration::from_millis(600);
const QUIET: Duration = Duration::from_millis(200);
/// The whole test must be over by then.
const LONGEST: Duration = Duration::from_secs(240);
/// Jobs of the burst, and chunks of each.
const JOBS: usize = 12;
/// Every so many pods above the least are one more real process.
const PODS_PER_PROCESS: u32 = 7;
/// A worker that has to go and is idle gets more work this often.
const MORE_WORK: Duration = Duration::from_secs(2);

struct Scaling {
    fleet: Fleet,
    /// The film of all jobs.
    input: PathBuf,
    jobs: Vec<String>,
    spec: Spec,
    memory: Memory,
    replicas: u32,
    moments: Vec<Moment>,
    drained: usize,
    began: Instant,
}

/// The lag of a fleet as the rule of the adapter sees it: each partition once. A worker that has just begun does not answer,
/// and has no partitions.
fn lag(workers: &[Worker]) -> f64 {
    let mut partitions: BTreeMap<String, f64> = BTreeMap::new();
    for (_, page) in workers.iter().filter_map(|worker| worker.get("/metrics")) {
        for line in page.lines().filter(|line| line.starts_with("kafka_consumer_lag{")) {
            let (series, value) = line.rsplit_once(' ').expect("a value");
            let most = partitions.entry(series.to_owned()).or_default();
            *most = most.max(value.parse().expect("a number"));
        }
    }
    partitions.values().sum()
}

impl Scaling {
    /// Real processes for so many replicas.
    fn processes(&self) -> usize {
        3 + ((self.replicas - 3) / PODS_PER_PROCESS) as usize
    }

    /// Workers that answer; one that has just begun does not yet.
    fn readings(&self) -> Readings {
        let answering = || self.fleet.workers().iter().filter(|worker| worker.get("/healthz").is_some());
        let cpu: Vec<f64> = answering().map(|worker| worker.metric("transcode_cpu_utilization_ratio")).collect();
        let average = (!cpu.is_empty()).then(|| cpu.iter().sum::<f64>() / cpu.len() as f64);
        Readings { cpu: average, lag: Some(lag(self.fleet.workers())) }
    }

    /// One look of the autoscaler, and what follows from it.
    async fn look(&mut self, pace: Duration) -> Readings {
        assert!(self.began.elapsed() < LONGEST, "not over after {LONGEST:?}: {:?}", self.moments);
        tokio::time::sleep(pace).await;
        let (readings, at) = (self.readings(), SYNC_SECONDS * self.moments.len() as f64);
        (self.replicas, self.memory) = sync(&self.spec, &self.memory, at, self.replicas, readings);
        while self.fleet.workers().len() < self.processes() {
            self.fleet.add_worker();
        }
        while self.fleet.workers().len() > self.processes() {
            self.until_the_last_is_busy().await;
            assert_eq!(self.fleet.stop_last(), Some(0), "a worker that goes drains");
            self.drained += 1;
        }
        let processes = self.fleet.workers().len();
        let lag = readings.lag.or(self.moments.last().map(|last| last.lag)).unwrap_or(0.0);
        self.moments.push(Moment { at, lag, replicas: self.replicas, processes });
        readings
    }

    /// A pod goes whatever it does. Here it goes in the middle of something, so that it has to drain.
    async fn until_the_last_is_busy(&mut self) {
        let mut more_work_at = Instant::now();
        while self.fleet.workers().last().expect("a worker").stages().is_empty() {
            assert!(self.began.elapsed() < LONGEST, "the worker that has to go gets no work: {:?}", self.moments);
            if more_work_at <= Instant::now() {
                self.publish("wave");
                more_work_at = Instant::now() + MORE_WORK;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// One more job.
    fn publish(&mut self, kind: &str) {
        let job_id = format!("{kind}-{}", self.jobs.len());
        let output = uri(&self.fleet.bench.path(&format!("{job_id}.mp4")));
        let video = json!({"codec": "h264", "height": 90, "bitrate": 100_000, "preset": "ultrafast"});
        let output = json!({"uri": output, "container": "mp4", "video": video});
        self.fleet.publish(&json!({"job_id": job_id, "input": {"uri": uri(&self.input)}, "outputs": [output]}));
        self.jobs.push(job_id);
    }
}

#[actix_rt::test]
async fn a_burst_scales_out_a_quiet_queue_scales_back_and_nothing_is_lost() {
    let mut spec = Spec::read(Objects::of("k8s/base").one("HorizontalPodAutoscaler"));
    spec.lag /= 10.0;
    let variables = [("CHUNK_SECONDS", "2"), ("ENCODER_POOL_SIZE", "1"), ("JOB_PARALLELISM", "64")];
    let fleet = Fleet::start(3, &variables).await;
    // A minute in 30 chunks, cheap to encode: what costs time here is that each of them is a process.
    let clip = Clip {
        frames: 600,
        fps: (10, 1),
        size: (160, 90),
        ..Clip::new("minute.mp4", "x264enc speed-preset=ultrafast key-int-max=20 ! h264parse", "", "mp4mux")
    };
    let mut scaling = Scaling {
        input: clip.write(fleet.bench.root()),
        fleet,
        jobs: Vec::new(),
        spec,
        memory: Memory::default(),
        replicas: 3,
        moments: Vec::new(),
        drained: 0,
        began: Instant::now(),
    };
    for _ in 0..3 {
        scaling.look(BUSY).await;
    }
    assert_eq!(scaling.replicas, 3, "a fleet without work stays small");

    (0..JOBS).for_each(|_| scaling.publish("burst"));
    while scaling.replicas < 20 {
        scaling.look(BUSY).await;
    }
    while scaling.fleet.workers().len() > 3 {
        scaling.look(BUSY).await;
    }
    while scaling.look(QUIET).await.lag != Some(0.0) || scaling.replicas > 3 {}
    finish(scaling).await;
}

async fn finish(scaling: Scaling) {
    let names: Vec<&str> = scaling.jobs.iter().map(String::as_str).collect();
    for last in scaling.fleet.ends_within(LONGEST, &names).await {
        assert_eq!(last.status, JobStatus::Completed, "{last:#?}");
    }
    scaling.fleet.wait_for_no_lag();
    scaling.fleet.wait_for_no_work_files();
    assert!(scaling.fleet.dead_letters().is_empty());
    assert!(scaling.drained >= 2, "{} workers had to go", scaling.drained);

    // What one worker alone makes of the same job.
    let alone = scaling.fleet.bench.path("alone.mp4");
    let args = ["--height", "90", "--bitrate", "100k", "--preset", "ultrafast", "--chunk-seconds", "2"];
    let files = [scaling.input.to_str().expect("a path"), alone.to_str().expect("a path")];
    scaling.fleet.bench.transcode(&[&files[..], &args[..]].concat());
    let digest = |path: &std::path::Path| Sha256::digest(std::fs::read(path).expect("an output"));
    for job in &scaling.jobs {
        assert_eq!(digest(&scaling.fleet.bench.path(&format!("{job}.mp4"))), digest(&alone), "{job} has other bytes");
    }
    let seconds = scaling.began.elapsed().as_secs();
    eprintln!("{} jobs in {seconds} s, {} workers drained", scaling.jobs.len(), scaling.drained);
    // `make autoscaling` puts it into k8s/.
    std::fs::write(path("target/autoscaling.svg"), svg("A burst of jobs", &scaling.moments)).expect("the picture");
}
