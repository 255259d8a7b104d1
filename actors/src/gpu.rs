//! What the devices of this worker may be used for: which encoders were proven, how many sessions are free, whether the
//! breaker is open, and who waits for a GPU. Written by the capability actor, asked by the handlers; outlives both.
//! Must never offer an encoder that was not seen to work.

mod breaker;
mod sessions;
mod waits;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::{counter, gauge};
use tokio::time::Instant;

pub use breaker::Breaker;
pub use sessions::{Session, Taken};

use crate::domain::backoff::Backoff;
use crate::domain::failure::{DeviceFault, Failure};
use crate::domain::job::JobId;
use crate::domain::plan::{Families, FamilyOffer, Plan};
use crate::metrics as names;
use crate::ports::{Capabilities, Direction, Proof};
use sessions::Sessions;
use waits::Waits;

/// How the operator wants GPUs to be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GpuSettings {
    /// Whether they are used at all.
    pub enabled: bool,
    /// Sessions that may be open side by side; `None` for what the devices allow.
    pub sessions: Option<u32>,
    /// How long work that requires a GPU waits for one.
    pub wait_timeout: Duration,
}

impl Default for GpuSettings {
    fn default() -> Self {
        Self { enabled: true, sessions: None, wait_timeout: Duration::from_secs(600) }
    }
}

/// The devices. Clones share them.
#[derive(Clone)]
pub struct Gpu {
    settings: GpuSettings,
    state: Arc<Mutex<State>>,
    sessions: Sessions,
    waits: Waits,
}

#[derive(Default)]
struct State {
    proven: Families,
    breaker: Breaker,
    /// A device was lost, and no probe has seen it work since.
    lost: Option<String>,
}

impl Gpu {
    /// Devices of which nothing is known yet.
    pub fn new(settings: GpuSettings) -> Self {
        let sessions = Sessions::new(settings.sessions);
        show_breaker(&Breaker::default());
        Self { settings, state: Arc::default(), sessions, waits: Waits::default() }
    }

    /// Whether the operator wants GPUs to be used.
    pub fn is_enabled(&self) -> bool {
        self.settings.enabled
    }

    /// How long work that requires a GPU waits for one.
    pub fn wait_timeout(&self) -> Duration {
        self.settings.wait_timeout
    }

    /// Notes what a probe saw. Where the breaker stood open for a trial, this was it.
    pub fn probed(&self, seen: &Capabilities) {
        let offers = if self.settings.enabled { seen.offers().collect() } else { Vec::new() };
        let most = seen.devices.iter().map(|device| device.max_sessions).sum::<Option<u32>>();
        self.sessions.found(most.filter(|_| !seen.devices.is_empty()));
        let mut state = self.lock();
        let works = !offers.is_empty();
        let lost = seen.devices.iter().find_map(|device| Some(format!("{}: {}", device.name, device.lost.as_ref()?)));
        state.lost = match lost.filter(|_| self.settings.enabled) {
            Some(lost) => Some(lost),
            None if works => None,
            // It went away after it had been lost: that is no better.
            None => state.lost.take().filter(|_| self.settings.enabled),
        };
        state.proven = Families::of_devices(offers);
        let failures = state.breaker.times_opened();
        state.breaker.tried(works, Instant::now(), Backoff::DEVICE.jittered(failures.saturating_add(1)));
        show_breaker(&state.breaker);
    }

    /// A probe could not be made: nothing is known anew, and as a trial it has failed.
    pub fn not_probed(&self) {
        let mut state = self.lock();
        let delay = Backoff::DEVICE.jittered(state.breaker.times_opened().saturating_add(1));
        state.breaker.tried(false, Instant::now(), delay);
        show_breaker(&state.breaker);
    }

    /// Whether the breaker waits for a trial; then one has to follow.
    pub fn begin_trial(&self) -> bool {
        let mut state = self.lock();
        let due = state.breaker.begin_trial(Instant::now());
        show_breaker(&state.breaker);
        due
    }

    /// What plans may be made for: nothing while the breaker is open or a device is lost.
    pub fn offers(&self) -> Vec<FamilyOffer> {
        let state = self.lock();
        if state.refusal().is_none() { state.proven.offers.clone() } else { Vec::new() }
    }

    /// `seen`, with devices only as far as this worker offers them at the moment.
    pub fn announced(&self, seen: &Capabilities) -> Capabilities {
        let refusal = self.lock().refusal();
        let refusal = refusal.or_else(|| (!self.settings.enabled).then(|| "GPU_ENABLED is off".into()));
        let Some(refusal) = refusal else { return seen.clone() };
        let mut announced = seen.clone();
        let devices = announced.paths.iter_mut().filter(|path| path.family.is_device() && path.works());
        for path in devices.filter(|path| path.direction == Direction::Encode) {
            path.proof = Proof::Fails(refusal.clone());
        }
        announced
    }

    /// Why a device is lost, if one is: only a restart heals it.
    pub fn lost(&self) -> Option<String> {
        self.lock().lost.clone()
    }

    /// Takes the sessions that a unit of `plan` needs.
    pub fn take(&self, plan: &Plan) -> Taken {
        let state = self.lock();
        if let Some(why) = state.refusal() {
            return Taken::Cannot(why);
        }
        let planned = plan.families();
        if let Some(missing) = planned.offers.iter().find(|offer| !state.proven.covers(offer)) {
            let (family, codec) = (missing.family.as_str(), missing.codec.as_str());
            return Taken::Cannot(format!("this worker has no {family} that was seen to encode {codec} so"));
        }
        drop(state);
        let wanted = u32::try_from(planned.offers.len()).unwrap_or(u32::MAX);
        self.sessions.take(wanted)
    }

    /// A unit was encoded by a device.
    pub fn worked(&self) {
        let mut state = self.lock();
        state.breaker.worked();
        show_breaker(&state.breaker);
    }

    /// A device failed. After some of that in a row nothing is given to it until a trial.
    pub fn failed(&self, failure: &Failure) {
        let fault = failure.fault().unwrap_or(DeviceFault::Other);
        let mut state = self.lock();
        let delay = Backoff::DEVICE.jittered(state.breaker.times_opened().saturating_add(1));
        let is_lost = fault == DeviceFault::DeviceLost;
        if state.breaker.failed(is_lost, Instant::now(), delay) {
            tracing::warn!(fault = fault.as_str(), %failure, ?delay, "device failed too often, the CPU is used until it is tried again");
        }
        if is_lost {
            state.lost = Some(failure.message.clone());
        }
        show_breaker(&state.breaker);
    }

    /// How long work of `job_id` has waited for a GPU on this worker, from the first call.
    pub fn waited(&self, job_id: &JobId) -> Duration {
        self.waits.waited(job_id)
    }

    /// Work of `job_id` waits no more.
    pub fn waits_no_more(&self, job_id: &JobId) {
        self.waits.forget(job_id);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whole after every statement, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Why no device is used at the moment.
    fn refusal(&self) -> Option<String> {
        match &self.lost {
            Some(lost) => Some(format!("a device is lost ({lost})")),
            None if !self.breaker.is_closed() => Some("devices failed too often and wait to be tried again".into()),
            None => None,
        }
    }
}

fn show_breaker(breaker: &Breaker) {
    gauge!(names::GPU_BREAKER_STATE).set(breaker.number());
}

/// Counts a chunk that a device was to make and the CPU made.
pub fn count_fallback(reason: DeviceFault) {
    counter!(names::GPU_FALLBACKS_TOTAL, "reason" => reason.as_str()).increment(1);
}

#[cfg(test)]
mod tests;
