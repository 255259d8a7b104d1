//! The adversary: crashes, rebalances, losses and delays, at any moment and as often as its seed says.

use std::time::Duration;

use tokio::sync::mpsc;

use super::verdict;
use super::world::{Dice, World};
use crate::failure::Failure;
use crate::job::JobId;
use crate::plan::testing::job;
use crate::ports::Queue;
use crate::supervisor::WorkerHandle;
use crate::testing::chronicle::Event;
use crate::testing::fleet::Fleet;
use crate::testing::jitter::Seeded;
use crate::testing::life::{Death, Life, Moment};
use crate::testing::log::PARTITIONS;
use crate::testing::mortal::EFFECTS;
use crate::testing::stages::Act;

/// How long jobs may take once the adversary has stopped.
const PATIENCE: Duration = Duration::from_secs(2 * 3600);
/// How often it is looked whether they have ended.
const GLANCE: Duration = Duration::from_secs(1);

/// The effects that others build upon.
const VITAL: [&str; 8] = ["run", "run", "record", "publish", "finish", "remove", "finished", "deliver"];

struct Worker {
    name: String,
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
    deaths: (mpsc::UnboundedSender<String>, mpsc::UnboundedReceiver<String>),
    raging: bool,
}

impl Adversary {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let world = World::new(&mut dice);
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
        for _ in 0..this.world.num_workers {
            this.give_birth();
        }
        this
    }

    fn give_birth(&mut self) {
        let name = format!("w{}", self.born);
        self.born += 1;
        let (deaths, dead) = (self.deaths.0.clone(), name.clone());
        let life = Life::new(self.dice.roll(1 << 30), move || drop(deaths.send(dead)));
        if self.raging {
            life.set_weather(self.world.weather);
        }
        let handle = self.fleet.mortal(self.world.settings(&name), &life);
        self.workers.push(Worker { name, life, handle });
    }

    /// Time passes; who dies meanwhile is replaced.
    async fn pass(&mut self, time: Duration) {
        let until = tokio::time::Instant::now() + time;
        while let Ok(Some(name)) = tokio::time::timeout_at(until, self.deaths.1.recv()).await {
            self.bury(&name);
        }
        // One that gave up is started again, as a pod is.
        let ended: Vec<String> = self
            .workers
            .iter()
            .filter(|worker| worker.handle.status().borrow().ended)
            .map(|w| w.name.clone())
            .collect();
        ended.iter().for_each(|name| self.bury(name));
    }

    /// The group notices that a worker is gone, what is left of it is stopped, and another one takes its place.
    fn bury(&mut self, name: &str) {
        let Some(index) = self.workers.iter().position(|worker| worker.name == name) else { return };
        let worker = self.workers.remove(index);
        worker.life.die();
        self.fleet.chronicle.note(Event::Died(worker.name.clone()));
        self.fleet.crash(&worker.name, &worker.handle);
        self.give_birth();
    }

    async fn act(&mut self) {
        self.pass_a_while().await;
        match self.dice.roll(26) {
            0..=6 => self.doom(),
            7 => self.some_life().die(),
            8 => self.fleet.log.shuffle(),
            9 => self.redeliver(),
            10 | 11 => self.fleet.log.repeat(self.dice.index(1000)),
            12 => self.hold_back().await,
            13 => self.drain().await,
            14 | 15 => self.empty_store(),
            16 => self.outage().await,
            17 => self.lose_leases(),
            18 => self.fleet.log.set_latency(self.dice.time(Duration::from_secs(3))),
            19 | 20 => self.spoil_a_task(),
            21 => self.fleet.stages.damage(self.dice.index(1000)),
            22 => self.fleet.service.panic_next(1 + self.dice.index(2)),
            _ => self.end_a_job(),
        }
    }

    async fn pass_a_while(&mut self) {
        let while_ = self.dice.time(self.world.pause);
        self.pass(while_).await;
    }

    fn some_life(&mut self) -> Life {
        let index = self.dice.index(self.workers.len());
        self.workers[index].life.clone()
    }

    /// A worker will die at one of its next effects.
    fn doom(&mut self) {
        let moment = if self.dice.one_in(2) { Moment::Before } else { Moment::After };
        let death = match self.dice.roll(4) {
            0 | 1 => Death { effect: None, after: self.dice.roll(40), moment },
            2 => Death { effect: Some(self.dice.pick(&EFFECTS)), after: self.dice.roll(4), moment },
            _ => Death { effect: Some(self.dice.pick(&VITAL)), after: self.dice.roll(3), moment },
        };
        self.some_life().die_at(death);
    }

    /// Everything comes again from the beginning; that costs the most, so it happens the least.
    fn redeliver(&mut self) {
        if self.dice.one_in(2) {
            self.fleet.log.rewind();
        }
    }

    /// Some partitions stand still for a while.
    async fn hold_back(&mut self) {
        let queues = [Queue::Jobs, Queue::Cpu];
        let of_queue = |queue| (0..PARTITIONS).map(move |partition| (queue, partition));
        let mut partitions: Vec<_> = queues.into_iter().flat_map(of_queue).collect();
        partitions.retain(|_| self.dice.one_in(2));
        self.fleet.log.hold_back(&partitions);
        self.pass_a_while().await;
        self.fleet.log.hold_back(&[]);
    }

    async fn drain(&mut self) {
        let index = self.dice.index(self.workers.len());
        let worker = self.workers.swap_remove(index);
        worker.handle.drain();
        self.give_birth();
        if self.dice.one_in(2) {
            self.pass_a_while().await;
        }
        // It may die while it drains; then nobody waits for it.
        let ended = tokio::time::timeout(Duration::from_secs(60), worker.handle.ended()).await;
        if ended.is_err() || worker.life.is_over() {
            worker.life.die();
            self.fleet.crash(&worker.name, &worker.handle);
        }
    }

    /// A last report that nobody has delivered yet is lost with the store: there is no second copy of it.
    fn empty_store(&mut self) {
        if self.world.may_empty && self.fleet.store.outbox_len() == 0 {
            self.fleet.store.empty();
        }
    }

    async fn outage(&mut self) {
        let (store, log, service) = (self.dice.one_in(2), self.dice.one_in(2), self.dice.one_in(2));
        self.set_away(store, log, service);
        let time = self.dice.time(Duration::from_secs(30));
        self.pass(time).await;
        // A store that was restarted without its data comes back so.
        if store && self.dice.one_in(2) {
            self.empty_store();
        }
        self.set_away(false, false, false);
    }

    fn set_away(&self, store: bool, log: bool, service: bool) {
        self.fleet.store.set_away(store);
        self.fleet.log.set_away(log);
        self.fleet.service.set_away(service);
    }

    fn lose_leases(&mut self) {
        let all = self.dice.one_in(2);
        self.fleet.store.drop_leases(|_| all || self.dice.one_in(2));
    }

    fn spoil_a_task(&mut self) {
        let job = self.dice.index(self.world.films.len());
        let chunk = self.dice.roll(u64::from(self.world.films[job].chunks).min(6));
        let task = match self.dice.roll(6) {
            0 => "split".to_owned(),
            1 => "audio".to_owned(),
            2 => "assemble".to_owned(),
            _ => format!("v{chunk:05}"),
        };
        let act = match self.dice.roll(6) {
            0 => Act::Panic,
            1 => Act::Fail(Failure::device("the GPU is gone")),
            2 => Act::Kill,
            3 if self.world.may_fail() => Act::Fail(Failure::permanent("the input is broken")),
            4 => Act::Hang,
            _ => Act::Take(Duration::from_secs(20)),
        };
        // One that hangs is stopped by whoever watches it.
        let act = if let Act::Hang = act { Act::Fail(Failure::retryable("it did not move")) } else { act };
        let times = if self.world.may_fail() { 1 + self.dice.index(6) } else { 1 + self.dice.index(3) };
        self.fleet.stages.script(&format!("{}/{task}", World::name(job)), vec![act; times]);
    }

    /// A job ends before it is done, while tasks of it run, where this world allows it.
    fn end_a_job(&mut self) {
        let name = World::name(self.dice.index(self.world.films.len()));
        if self.world.may_cancel {
            let Ok(job_id) = name.parse::<JobId>() else { return };
            self.fleet.log.cancel(&job_id);
            self.cancelled.push(job_id);
        } else if self.world.may_fail() {
            let act = Act::Fail(Failure::permanent("the input is broken"));
            self.fleet.stages.script(&format!("{name}/v{:05}", self.dice.roll(3)), [act]);
        }
    }

    fn submit_next(&mut self) {
        if self.jobs.len() < self.world.films.len() {
            let name = World::name(self.jobs.len());
            self.jobs.push(self.fleet.submit(&job(&name)));
        }
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
