//! The adversary: its fleet, in which whoever dies is replaced; its rage, and the rest after it.

mod acts;

use std::time::Duration;

use tokio::sync::mpsc;

use super::verdict;
use super::world::{Dice, World};
use crate::domain::job::{GpuMode, JobId, JobSpec};
use crate::domain::plan::EncoderFamily;
use crate::domain::plan::testing::job_into;
use crate::supervisor::WorkerHandle;
use crate::testing::chronicle::Event;
use crate::testing::fleet::Fleet;
use crate::testing::jitter::Seeded;
use crate::testing::life::Life;

/// How long jobs may take once the adversary has stopped.
const PATIENCE: Duration = Duration::from_secs(2 * 3600);
/// How often it is looked whether they have ended.
const GLANCE: Duration = Duration::from_secs(1);

struct Worker {
    /// Which one it is: a name can have several lives.
    number: usize,
    name: String,
    /// The number of its versions.
    versions: usize,
    life: Life,
    handle: WorkerHandle,
}

/// The adversary of a seed, and the fleet that it is let loose on.
pub(super) struct Adversary {
    pub world: World,
    pub fleet: Fleet,
    pub jobs: Vec<JobId>,
    pub cancelled: Vec<JobId>,
    dice: Dice,
    workers: Vec<Worker>,
    born: usize,
    deaths: (mpsc::UnboundedSender<usize>, mpsc::UnboundedReceiver<usize>),
    raging: bool,
}

impl Adversary {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let world = World::new(&mut dice, 1 + (seed % 2) as usize);
        let fleet = Fleet::default();
        world.prepare(&fleet, &mut dice);
        let mut this = Self {
            world,
            fleet,
            jobs: Vec::new(),
            cancelled: Vec::new(),
            dice,
            workers: Vec::new(),
            born: 0,
            deaths: mpsc::unbounded_channel(),
            raging: true,
        };
        for number in 0..this.world.num_workers {
            this.give_birth(None, number % this.world.num_versions);
        }
        this
    }

    /// Starts a worker, with the name of one that is gone or a new one.
    fn give_birth(&mut self, name: Option<String>, versions: usize) {
        let number = self.born;
        self.born += 1;
        let name = name.unwrap_or_else(|| format!("w{number}"));
        let deaths = self.deaths.0.clone();
        let life = Life::new(self.dice.roll(1 << 30), move || {
            // The adversary may have gone.
            let _ = deaths.send(number);
        });
        if self.raging {
            life.set_faults(self.world.faults);
        }
        if self.world.may_have_devices && self.dice.one_in(2) {
            self.fleet.machine.set_device(&name, Some(EncoderFamily::Nvcodec));
        }
        self.fleet.machine.set_versions(&name, &World::versions(versions));
        let handle = self.fleet.faulty(self.world.settings(&name), &life);
        self.workers.push(Worker { number, name, versions, life, handle });
    }

    /// Time passes; who dies meanwhile is replaced.
    async fn pass(&mut self, time: Duration) {
        let until = tokio::time::Instant::now() + time;
        while let Ok(Some(number)) = tokio::time::timeout_at(until, self.deaths.1.recv()).await {
            self.bury(number);
        }
        // One that gave up is started again, as a pod is.
        let ended = self.workers.iter().filter(|worker| worker.handle.status().borrow().ended);
        let ended: Vec<usize> = ended.map(|worker| worker.number).collect();
        ended.into_iter().for_each(|number| self.bury(number));
    }

    /// The group notices that a worker is gone, what is left of it is stopped, and another one takes its place; on the
    /// same machine it has the same name.
    fn bury(&mut self, number: usize) {
        let Some(index) = self.workers.iter().position(|worker| worker.number == number) else { return };
        let worker = self.workers.remove(index);
        worker.life.die();
        self.fleet.chronicle.note(Event::Died(worker.name.clone()));
        self.fleet.crash(&worker.name, &worker.handle);
        let same_machine = self.dice.one_in(3);
        self.give_birth(same_machine.then_some(worker.name), worker.versions);
    }

    fn submit_next(&mut self) {
        if self.jobs.len() < self.world.films.len() {
            let name = World::name(self.jobs.len());
            let index = self.jobs.len();
            let gpu = if self.world.requires[index] { GpuMode::Require } else { GpuMode::Auto };
            let job = JobSpec { gpu, ..job_into(&name, &self.world.containers[index]) };
            self.jobs.push(self.fleet.submit(&job));
        }
    }

    /// Whether the job of this name requires a device.
    pub fn requires(&self, name: &str) -> bool {
        let index = self.jobs.iter().position(|job_id| job_id.as_str() == name);
        index.is_some_and(|index| self.world.requires[index])
    }

    async fn rage(&mut self) {
        self.submit_next();
        for _ in 0..self.world.num_acts {
            if self.dice.one_in(3) {
                self.submit_next();
            }
            self.act().await;
        }
        while self.jobs.len() < self.world.films.len() {
            self.submit_next();
        }
        self.raging = false;
        self.fleet.log.set_latency(Duration::ZERO);
        self.fleet.service.panic_next(0);
        self.workers.iter().for_each(|worker| worker.life.calm());
    }

    /// Waits until all jobs have ended, the service knows it, and nothing runs or waits any more.
    async fn wait_for_rest(&mut self) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !self.is_at_rest() {
            assert!(tokio::time::Instant::now() < deadline, "jobs do not end: {}", self.unfinished());
            self.pass(GLANCE).await;
        }
    }

    fn is_at_rest(&self) -> bool {
        let idle = |worker: &Worker| worker.handle.status().borrow().busy == 0;
        self.fleet.log.lag() == 0
            && self.jobs.iter().all(|job_id| self.fleet.service.last_of(job_id).is_some())
            && self.fleet.store.outbox_len() == 0
            && self.workers.iter().all(idle)
    }

    fn unfinished(&self) -> String {
        let without_end: Vec<_> =
            self.jobs.iter().filter(|job_id| self.fleet.service.last_of(job_id).is_none()).collect();
        let (lag, outbox) = (self.fleet.log.lag(), self.fleet.store.outbox_len());
        format!("{without_end:?} without an end, {lag} records not committed, {outbox} last reports not told")
    }

    async fn bury_all(self) {
        for worker in self.workers {
            worker.handle.stop();
            worker.handle.ended().await;
        }
    }
}

/// Tells what happened, where one seed alone is run again and fails.
struct Confession(Fleet);

impl Drop for Confession {
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os("SEED").is_some() {
            eprintln!("{}", self.0.chronicle.tell());
        }
    }
}

async fn survive(seed: u64) -> Fleet {
    let mut adversary = Adversary::new(seed);
    let _confession = Confession(adversary.fleet.clone());
    adversary.rage().await;
    adversary.wait_for_rest().await;
    verdict::check(&adversary);
    let fleet = adversary.fleet.clone();
    adversary.bury_all().await;
    fleet
}

/// Lets the adversary of `seed` loose, in a world of its own: the clock begins at zero, and nothing is left of another.
pub(super) fn replay(seed: u64) -> Fleet {
    let _seeded = Seeded::new(seed);
    let world = || tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    actix::System::with_tokio_rt(|| world().expect("a runtime")).block_on(survive(seed))
}
