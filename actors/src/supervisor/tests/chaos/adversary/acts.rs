//! What the adversary does: crashes, rebalances, losses and delays, at any moment and as often as its seed says.

use std::time::Duration;

use super::{Adversary, World};
use crate::domain::failure::{DeviceFault, Failure};
use crate::domain::job::JobId;
use crate::domain::plan::EncoderFamily;
use crate::domain::record::Queue;
use crate::testing::faulty::EFFECTS;
use crate::testing::life::{Death, Life, Moment};
use crate::testing::log::PARTITIONS;
use crate::testing::stages::Act;

/// How devices fail.
const FAULTS: [DeviceFault; 4] =
    [DeviceFault::SessionLimit, DeviceFault::OutOfMemory, DeviceFault::DeviceLost, DeviceFault::Hang];
/// The effects that others build upon.
const VITAL: [&str; 8] = ["run", "run", "record", "publish", "finish", "remove", "finished", "deliver"];

impl Adversary {
    pub(super) async fn act(&mut self) {
        self.pass_a_while().await;
        match self.dice.roll(28) {
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
            26 => self.change_a_device(),
            27 => self.spoil_devices(),
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
        let queues = [Queue::Jobs, Queue::Cpu, Queue::Gpu];
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
        self.give_birth(None, worker.versions);
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
        let act = match self.dice.roll(7) {
            0 => Act::Panic,
            1 => Act::Fail(Failure::device_fault(self.dice.pick(&FAULTS), "the GPU is gone")),
            2 => Act::Kill,
            3 if self.world.may_fail() => Act::Fail(Failure::permanent("the input is broken")),
            4 => Act::Fail(Failure::retryable("it did not move")),
            5 if self.world.may_fail() => Act::Differ,
            _ => Act::Take(Duration::from_secs(20)),
        };
        let times = match act {
            // A task that kills every worker that touches it: its attempts have to be counted before it can.
            Act::Kill if self.world.may_fail() => 500,
            _ if self.world.may_fail() => 1 + self.dice.index(6),
            _ => 1 + self.dice.index(3),
        };
        self.fleet.stages.script(&format!("{}/{task}", World::name(job)), vec![act; times]);
    }

    /// A worker has a device, or has it no more; it sees that when it looks the next time.
    fn change_a_device(&mut self) {
        let index = self.dice.index(self.workers.len());
        let name = self.workers[index].name.clone();
        let family = (self.world.may_have_devices && self.dice.one_in(2)).then_some(EncoderFamily::Nvcodec);
        self.fleet.machine.set_device(&name, family);
    }

    /// The devices fail at many of the next chunks.
    fn spoil_devices(&mut self) {
        for (job, film) in self.world.films.iter().enumerate() {
            for chunk in 0..film.chunks.min(8) {
                if self.dice.one_in(2) {
                    let act = Act::Fail(Failure::device_fault(self.dice.pick(&FAULTS), "the GPU is gone"));
                    self.fleet.stages.script(&format!("{}/v{chunk:05}", World::name(job)), [act]);
                }
            }
        }
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
}
