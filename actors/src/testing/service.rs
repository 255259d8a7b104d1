//! The rest of the outside: the Transcoding Service, the probe and the clock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::DateTime;
use tokio::time::Instant;

use super::chronicle::{Chronicle, Event};
use crate::domain::checkpoint::Timestamp;
use crate::domain::failure::Failure;
use crate::domain::job::{JobId, VideoCodec};
use crate::domain::plan::{EncoderFamily, EncoderVersions};
use crate::domain::progress::Report;
use crate::ports::{
    Answer, Capabilities, CapabilityProbe, Clock, Direction, GpuMonitor, GpuReading, PathCapability, Proof, StatusSink,
};

/// A Transcoding Service that keeps what it is told. Clones share everything but the name of their worker.
#[derive(Clone, Default)]
pub struct FakeService {
    state: Arc<Mutex<State>>,
    worker: String,
}

#[derive(Default)]
struct State {
    taken: Vec<Report>,
    tried: usize,
    away: bool,
    refuse: bool,
    panics: usize,
    latency: Duration,
    chronicle: Chronicle,
}

impl FakeService {
    /// A service that writes down what it is told.
    pub fn writing(chronicle: &Chronicle) -> Self {
        let service = Self::default();
        service.lock().chronicle = chronicle.clone();
        service
    }

    /// The same for another worker.
    pub fn of_worker(&self, worker: &str) -> Self {
        Self { state: self.state.clone(), worker: worker.into() }
    }

    /// While the service is away, every delivery fails as `retryable`.
    pub fn set_away(&self, away: bool) {
        self.lock().away = away;
    }

    /// While it refuses, every delivery fails as `permanent`.
    pub fn set_refusing(&self, refuse: bool) {
        self.lock().refuse = refuse;
    }

    /// From now on a delivery takes `latency`.
    pub fn set_latency(&self, latency: Duration) {
        self.lock().latency = latency;
    }

    /// The next `count` deliveries panic.
    pub fn panic_next(&self, count: usize) {
        self.lock().panics = count;
    }

    /// Deliveries so far, whatever became of them.
    pub fn tried(&self) -> usize {
        self.lock().tried
    }

    /// The reports that were taken, in their order.
    pub fn taken(&self) -> Vec<Report> {
        self.lock().taken.clone()
    }

    /// The reports of one job.
    pub fn taken_of(&self, job_id: &JobId) -> Vec<Report> {
        self.lock().taken.iter().filter(|report| report.job_id == *job_id).cloned().collect()
    }

    /// The last report of a job, once it was taken.
    pub fn last_of(&self, job_id: &JobId) -> Option<Report> {
        let is_last = |report: &&Report| report.job_id == *job_id && report.status.is_terminal();
        self.lock().taken.iter().find(is_last).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StatusSink for FakeService {
    fn deliver(&self, report: Report) -> Answer<()> {
        let this = self.clone();
        Box::pin(async move {
            let latency = {
                let mut state = this.lock();
                state.tried += 1;
                state.latency
            };
            tokio::time::sleep(latency).await;
            let mut state = this.lock();
            if state.panics > 0 {
                state.panics -= 1;
                drop(state);
                panic!("the fake service was told to panic");
            }
            if state.away {
                return Err(Failure::retryable("the fake service is away"));
            }
            if state.refuse {
                return Err(Failure::permanent("the fake service refuses everything"));
            }
            state.chronicle.note(Event::Reported { by: this.worker.clone(), report: report.clone() });
            state.taken.push(report);
            Ok(())
        })
    }
}

/// A clock that follows tokio's, so that virtual time moves it.
#[derive(Clone, Copy, Debug)]
pub struct VirtualClock {
    began: Instant,
}

impl Default for VirtualClock {
    fn default() -> Self {
        Self { began: Instant::now() }
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap_or_default() + self.began.elapsed()
    }
}

/// Machines that can do what a test says; x264 and x265 unless told otherwise. Clones share it.
#[derive(Clone)]
pub struct FakeMachine {
    answers: Arc<Mutex<Machines>>,
    worker: String,
}

struct Machines {
    all: Result<Capabilities, Failure>,
    of_worker: BTreeMap<String, Capabilities>,
    versions: BTreeMap<String, EncoderVersions>,
    probes: usize,
}

impl Default for FakeMachine {
    fn default() -> Self {
        let cpu = [VideoCodec::H264, VideoCodec::H265];
        let paths = cpu.map(|codec| encoder_path(codec, codec.cpu_family())).to_vec();
        let all = Ok(Capabilities { paths, ..Capabilities::default() });
        let machines = Machines { all, of_worker: BTreeMap::new(), versions: BTreeMap::new(), probes: 0 };
        Self { answers: Arc::new(Mutex::new(machines)), worker: String::new() }
    }
}

/// An encoder of 8 bits that works.
pub fn encoder_path(codec: VideoCodec, family: EncoderFamily) -> PathCapability {
    let proof = Proof::Works { fps: None };
    PathCapability { codec, direction: Direction::Encode, bit_depth: 8, family, proof, max_size: None }
}

impl FakeMachine {
    /// The machine of a worker.
    pub fn of_worker(&self, worker: &str) -> Self {
        Self { answers: self.answers.clone(), worker: worker.into() }
    }

    /// What the next probes see.
    pub fn set(&self, answer: Result<Capabilities, Failure>) {
        self.lock().all = answer;
    }

    /// From now on the next probes of `worker` see a device of `family` for H.264 beside the CPU, or none.
    pub fn set_device(&self, worker: &str, family: Option<EncoderFamily>) {
        let mut machines = self.lock();
        let mut seen = machines.all.clone().unwrap_or_default();
        seen.paths.extend(family.map(|family| encoder_path(VideoCodec::H264, family)));
        machines.of_worker.insert(worker.into(), seen);
    }

    /// What the next probes of `worker` see.
    pub fn set_seen(&self, worker: &str, seen: Capabilities) {
        self.lock().of_worker.insert(worker.into(), seen);
    }

    /// From now on the encoders of `worker` have these versions. Those of devices count where it has the device.
    pub fn set_versions(&self, worker: &str, versions: &EncoderVersions) {
        self.lock().versions.insert(worker.into(), versions.clone());
    }

    /// The versions of `worker`, also of devices that it does not have at the moment.
    pub fn versions(&self, worker: &str) -> EncoderVersions {
        self.lock().versions.get(worker).cloned().unwrap_or_default()
    }

    /// What a probe of `worker` sees now, unless it fails.
    pub fn seen(&self, worker: &str) -> Capabilities {
        let machines = self.lock();
        let own = machines.of_worker.get(worker).cloned();
        own.unwrap_or_else(|| machines.all.clone().unwrap_or_default())
    }

    /// How often a machine was probed.
    pub fn probes(&self) -> usize {
        self.lock().probes
    }

    fn lock(&self) -> MutexGuard<'_, Machines> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Machines {
    fn with_versions(&self, mut seen: Capabilities, worker: &str) -> Capabilities {
        let Some(versions) = self.versions.get(worker) else { return seen };
        let gone = |name: &str| {
            versions
                .devices()
                .any(|family| family.as_str() == name && !seen.offers().any(|offer| offer.family == family))
        };
        seen.versions = versions.iter().filter(|(name, _)| !gone(name)).collect();
        seen
    }
}

/// GPUs that show what a test says.
#[derive(Clone, Default)]
pub struct FakeMonitor {
    readings: Arc<Mutex<Vec<GpuReading>>>,
}

impl FakeMonitor {
    /// What they show from now on.
    pub fn set(&self, readings: Vec<GpuReading>) {
        *self.readings.lock().unwrap_or_else(PoisonError::into_inner) = readings;
    }
}

impl GpuMonitor for FakeMonitor {
    fn read(&self) -> Answer<Vec<GpuReading>> {
        let readings = self.readings.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Box::pin(std::future::ready(Ok(readings)))
    }
}

impl CapabilityProbe for FakeMachine {
    fn probe(&self) -> Answer<Capabilities> {
        let answer = {
            let mut machines = self.lock();
            machines.probes += 1;
            let seen = machines.of_worker.get(&self.worker).cloned().map_or_else(|| machines.all.clone(), Ok);
            seen.map(|seen| machines.with_versions(seen, &self.worker))
        };
        Box::pin(std::future::ready(answer))
    }
}
