//! An adversary with a seed: it does everything that can happen to a fleet, in any order, and the invariants hold.
//! One seed gives one history: its dice, the jitter of all backoffs and the clock follow from it.

use std::time::Duration;

use crate::checkpoint::JobStatus;
use crate::failure::Failure;
use crate::job::JobId;
use crate::plan::testing::job;
use crate::ports::Outbox as _;
use crate::supervisor::WorkerHandle;
use crate::testing::fleet::Fleet;
use crate::testing::invariants::{check, check_after_loss, check_chains};
use crate::testing::jitter::Seeded;
use crate::testing::stages::{Act, Film};

/// Numbers that follow from a seed (the constants are those of Knuth's MMIX generator).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

struct Adversary {
    dice: Dice,
    fleet: Fleet,
    workers: Vec<(String, WorkerHandle)>,
    born: usize,
    may_empty: bool,
    emptied: bool,
}

impl Adversary {
    fn new(seed: u64) -> Self {
        let dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (fleet, workers) = (Fleet::default(), Vec::new());
        let mut this = Self { dice, fleet, workers, born: 0, may_empty: seed.is_multiple_of(3), emptied: false };
        this.give_birth();
        this.give_birth();
        this
    }

    fn give_birth(&mut self) {
        let name = format!("w{}", self.born);
        self.born += 1;
        self.workers.push((name.clone(), self.fleet.worker(&name)));
    }

    async fn act(&mut self) {
        tokio::time::sleep(Duration::from_millis(self.dice.roll(4000))).await;
        match self.dice.roll(10) {
            0 => self.fleet.log.shuffle(),
            1 => self.fleet.log.rewind(),
            2 => self.crash(),
            3 => self.drain().await,
            4 => self.empty_store().await,
            5 => self.outage().await,
            6 => self.fleet.store.lose_next_answers(3),
            7 => self.fleet.log.set_latency(Duration::from_millis(self.dice.roll(3000))),
            8 => self.fleet.store.delay(Duration::from_millis(self.dice.roll(200))),
            _ => self.fail_a_task(),
        }
    }

    fn pick(&mut self) -> (String, WorkerHandle) {
        let index = self.dice.roll(self.workers.len() as u64) as usize;
        self.workers.swap_remove(index)
    }

    fn crash(&mut self) {
        let (name, worker) = self.pick();
        self.fleet.crash(&name, &worker);
        self.give_birth();
    }

    async fn drain(&mut self) {
        let (_, worker) = self.pick();
        worker.drain();
        self.give_birth();
        worker.ended().await;
    }

    /// A last report that nobody has delivered yet is lost with the store: there is no second copy of it.
    async fn empty_store(&mut self) {
        let outbox = self.fleet.store.pending(9).await;
        if self.may_empty && outbox.is_ok_and(|reports| reports.is_empty()) {
            self.emptied = true;
            self.fleet.store.empty();
        }
    }

    async fn outage(&mut self) {
        let seconds = Duration::from_secs(self.dice.roll(60));
        let (store, log, service) = (self.dice.roll(2) == 0, self.dice.roll(2) == 0, self.dice.roll(2) == 0);
        self.set_away(store, log, service);
        tokio::time::sleep(seconds).await;
        self.set_away(false, false, false);
    }

    fn set_away(&self, store: bool, log: bool, service: bool) {
        self.fleet.store.set_away(store);
        self.fleet.log.set_away(log);
        self.fleet.service.set_away(service);
    }

    fn fail_a_task(&mut self) {
        let task = ["split", "audio", "v00000", "v00003", "v00005", "assemble"][self.dice.roll(6) as usize];
        let act = match self.dice.roll(3) {
            0 => Act::Panic,
            1 => Act::Fail(Failure::device("the GPU is gone")),
            _ => Act::Take(Duration::from_secs(20)),
        };
        self.fleet.stages.script(&format!("movie-{}/{task}", self.dice.roll(3)), [act]);
    }
}

const FILM: Film = Film { chunks: 8, parallelism: 3, audio: true };

async fn survive(seed: u64) -> Fleet {
    let mut adversary = Adversary::new(seed);
    let fleet = adversary.fleet.clone();
    let jobs: Vec<JobId> = (0..3)
        .map(|index| {
            fleet.stages.film(&format!("movie-{index}"), FILM);
            fleet.submit(&job(&format!("movie-{index}")))
        })
        .collect();
    for _ in 0..14 {
        adversary.act().await;
    }
    for job_id in &jobs {
        let last = fleet.last_report(job_id).await;
        // The adversary kills one task more often than is allowed now and then: then its job has failed, and says why.
        let expected = if last.error.is_some() { JobStatus::Failed } else { JobStatus::Completed };
        assert_eq!(last.status, expected, "seed {seed}");
        // With an empty store it is the task that builds the checkpoint again which emits the assembly, whenever that is.
        if last.status == JobStatus::Completed && !adversary.emptied {
            check_chains(&fleet, &job(job_id.as_str()), FILM);
        }
    }
    fleet.quiet().await;
    if adversary.emptied {
        check_after_loss(&fleet)
    } else {
        check(&fleet)
    }
    for (_, worker) in adversary.workers {
        worker.stop();
        worker.ended().await;
    }
    fleet
}

/// Lets the adversary of `seed` loose, in a world of its own: the clock begins at zero, and nothing is left of another.
fn replay(seed: u64) -> Fleet {
    let _seeded = Seeded::new(seed);
    let world = || tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    actix::System::with_tokio_rt(|| world().expect("a runtime")).block_on(survive(seed))
}

#[test]
fn no_adversary_loses_a_job() {
    for seed in 0..150 {
        let survived = std::panic::catch_unwind(|| drop(replay(seed)));
        assert!(survived.is_ok(), "seed {seed}, see the panic before this line");
    }
}

#[test]
fn one_seed_gives_one_history() {
    let history = |seed| {
        let fleet = replay(seed);
        (fleet.log.history(), fleet.stages.runs(), fleet.service.taken())
    };
    let first: Vec<_> = (0..12).map(history).collect();
    for (seed, first) in (0..).zip(&first) {
        let again = history(seed);
        let parting = again.0.iter().zip(&first.0).position(|(again, first)| again != first);
        assert_eq!(parting, None, "seed {seed}: the step of the log where the histories part");
        assert!(again == *first, "seed {seed}: the same log, but other runs or reports");
    }
    assert!(first.windows(2).all(|pair| pair[0] != pair[1]), "another seed, another history");
}
