//! The queue drives the number of pods, and nothing is lost on the way: the algorithm of the autoscaler, with the limits of
//! `k8s/base/hpa.yaml`, is fed by nothing but `/metrics` of real workers on a real Kafka, and starts and stops workers.
//!
//! A tenth of the load: 10 records for each pod instead of 100. Of the pods that it wants, three to five are real
//! processes; the others are only counted. Each look of the autoscaler, 15 s on its clock, comes half a second or so after the last.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use actors::checkpoint::JobStatus;
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
/// What a job of the wave that follows the burst is called.
const WAVE: &str = "wave";

struct Scaling {
    fleet: Fleet,
    spec: Spec,
    memory: Memory,
    replicas: u32,
    moments: Vec<Moment>,
    drained_busy: usize,
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
            let busy = !self.fleet.workers().last().expect("a worker").stages().is_empty();
            assert_eq!(self.fleet.stop_last(), Some(0), "a worker that goes drains");
            self.drained_busy += usize::from(busy);
        }
        let processes = self.fleet.workers().len();
        let lag = readings.lag.or(self.moments.last().map(|last| last.lag)).unwrap_or(0.0);
        self.moments.push(Moment { at, lag, replicas: self.replicas, processes });
        readings
    }

    fn publish(&self, job_id: &str, input: &std::path::Path) {
        let output = uri(&self.fleet.bench.path(&format!("{job_id}.mp4")));
        let video = json!({"codec": "h264", "height": 90, "bitrate": 100_000, "preset": "ultrafast"});
        let output = json!({"uri": output, "container": "mp4", "video": video});
        self.fleet.publish(&json!({"job_id": job_id, "input": {"uri": uri(input)}, "outputs": [output]}));
    }
}

#[actix_rt::test]
async fn a_burst_scales_out_a_quiet_queue_scales_back_and_nothing_is_lost() {
    let mut spec = Spec::read(Objects::of("k8s/base").one("HorizontalPodAutoscaler"));
    spec.lag /= 10.0;
    let variables = [("CHUNK_SECONDS", "2"), ("ENCODER_POOL_SIZE", "1"), ("JOB_PARALLELISM", "64")];
    let mut scaling = Scaling {
        fleet: Fleet::start(3, &variables).await,
        spec,
        memory: Memory::default(),
        replicas: 3,
        moments: Vec::new(),
        drained_busy: 0,
        began: Instant::now(),
    };
    // A minute in 30 chunks, cheap to encode: what costs time here is that each of them is a process.
    let clip = Clip {
        frames: 600,
        fps: (10, 1),
        size: (160, 90),
        ..Clip::new("minute.mp4", "x264enc speed-preset=ultrafast key-int-max=20 ! h264parse", "", "mp4mux")
    };
    let input = clip.write(scaling.fleet.bench.root());
    for _ in 0..3 {
        scaling.look(BUSY).await;
    }
    assert_eq!(scaling.replicas, 3, "a fleet without work stays small");

    let mut jobs: Vec<String> = (0..JOBS).map(|n| format!("burst-{n}")).collect();
    jobs.iter().for_each(|job| scaling.publish(job, &input));
    while scaling.replicas < 20 {
        scaling.look(BUSY).await;
    }
    // Some work goes on while pods go, so that they have to drain.
    while scaling.fleet.workers().len() > 3 {
        let readings = scaling.look(BUSY).await;
        if readings.lag.is_some_and(|lag| lag < scaling.spec.lag) {
            let job = format!("{WAVE}-{}", jobs.len());
            scaling.publish(&job, &input);
            jobs.push(job);
        }
    }
    while scaling.replicas > 3 {
        scaling.look(QUIET).await;
    }
    finish(scaling, &jobs).await;
}

async fn finish(scaling: Scaling, jobs: &[String]) {
    let names: Vec<&str> = jobs.iter().map(String::as_str).collect();
    for last in scaling.fleet.ends_within(LONGEST, &names).await {
        assert_eq!(last.status, JobStatus::Completed, "{last:#?}");
    }
    scaling.fleet.wait_for_no_lag();
    scaling.fleet.wait_for_no_work_files();
    assert!(scaling.fleet.dead_letters().is_empty());
    assert!(scaling.drained_busy > 0, "no worker was busy when it had to go");

    // What one worker alone makes of the same job.
    let alone = scaling.fleet.bench.path("alone.mp4");
    let input = scaling.fleet.bench.path("minute.mp4");
    let args = ["--height", "90", "--bitrate", "100k", "--preset", "ultrafast", "--chunk-seconds", "2"];
    let files = [input.to_str().expect("a path"), alone.to_str().expect("a path")];
    scaling.fleet.bench.transcode(&[&files[..], &args[..]].concat());
    let digest = |path: &std::path::Path| Sha256::digest(std::fs::read(path).expect("an output"));
    for job in jobs {
        assert_eq!(digest(&scaling.fleet.bench.path(&format!("{job}.mp4"))), digest(&alone), "{job} has other bytes");
    }
    let seconds = scaling.began.elapsed().as_secs();
    eprintln!("{} jobs in {seconds} s, {} workers were busy when they had to go", jobs.len(), scaling.drained_busy);
    // `make autoscaling` puts it into k8s/.
    std::fs::write(path("target/autoscaling.svg"), svg("A burst of jobs", &scaling.moments)).expect("the picture");
}
