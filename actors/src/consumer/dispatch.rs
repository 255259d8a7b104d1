//! The deliveries that lie in the consumer's dispatch queue: which is queued, which runs, which is deferred. Pure: the actor
//! does what it says. No class runs more than its slots, and nothing starts without its claim.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::job::JobId;
use crate::domain::record::{Delivery, DeliveryTag, Queue};
use crate::running::RunningKeys;
use crate::work::{Class, Execute, PoolSize, Work};

/// The deliveries.
#[derive(Debug)]
pub(super) struct DispatchQueue {
    items: BTreeMap<u64, Item>,
    next: u64,
    size: PoolSize,
    keys: RunningKeys,
}

#[derive(Debug)]
struct Item {
    delivery: Arc<Delivery>,
    work: Work,
    state: State,
    deferrals: u32,
}

#[derive(Debug)]
enum State {
    /// Waits for a slot.
    Queued,
    /// The pool works on it. `kept` is false where its partition went to another worker.
    Running { stop: CancellationToken, kept: bool },
    /// Comes back at this time.
    Deferred(Instant),
}

/// Names a delivery in the dispatch queue: first in, first started.
pub(super) type Number = u64;

impl DispatchQueue {
    pub fn new(size: PoolSize, keys: RunningKeys) -> Self {
        Self { items: BTreeMap::new(), next: 0, size, keys }
    }

    /// Puts a delivery in the dispatch queue.
    pub fn put(&mut self, delivery: Delivery) {
        let work = Work::read(&delivery);
        self.items.insert(self.next, Item { delivery: Arc::new(delivery), work, state: State::Queued, deferrals: 0 });
        self.next += 1;
    }

    /// Starts the oldest delivery that may run now.
    pub fn start_next(&mut self, now: Instant) -> Option<(Number, Execute)> {
        let mut startable = self.items.iter().filter(|(_, item)| self.may_start(item, now));
        let (number, claim) =
            startable.find_map(|(number, item)| Some((*number, self.keys.claim(item.work.key())?)))?;
        let item = self.items.get_mut(&number)?;
        let stop = CancellationToken::new();
        item.state = State::Running { stop: stop.clone(), kept: true };
        let (delivery, work, deferrals) = (item.delivery.clone(), item.work.clone(), item.deferrals);
        Some((number, Execute { delivery, work, deferrals, stop, claim: Arc::new(claim) }))
    }

    fn may_start(&self, item: &Item, now: Instant) -> bool {
        let due = match item.state {
            State::Queued => true,
            State::Deferred(until) => until <= now,
            State::Running { .. } => false,
        };
        due && self.running_of(item.work.class()) < self.slots(item.work.class())
    }

    fn running(&self) -> impl Iterator<Item = &Item> {
        self.items.values().filter(|item| matches!(item.state, State::Running { .. }))
    }

    fn running_of(&self, class: Class) -> usize {
        self.running().filter(|item| item.work.class() == class).count()
    }

    fn slots(&self, class: Class) -> usize {
        match class {
            Class::Cpu => self.size.cpu,
            Class::Io => self.size.io,
        }
    }

    /// Counts that a delivery is deferred; how often it was by now.
    pub fn count_deferral(&mut self, number: Number) -> u32 {
        let Some(item) = self.items.get_mut(&number) else { return 1 };
        item.deferrals = item.deferrals.saturating_add(1);
        item.deferrals
    }

    /// Takes a delivery out of the dispatch queue.
    pub fn take(&mut self, number: Number) -> Option<DeliveryTag> {
        self.items.remove(&number).map(|item| item.delivery.tag)
    }

    /// Lets a delivery come back at `until`; one that is not kept any more leaves.
    pub fn defer(&mut self, number: Number, until: Instant) {
        match self.items.get_mut(&number) {
            Some(Item { state: State::Running { kept: false, .. }, .. }) => drop(self.items.remove(&number)),
            Some(item) => item.state = State::Deferred(until),
            None => {}
        }
    }

    /// The partitions went to another worker: what does not run leaves, what runs is not kept afterwards.
    pub fn revoke(&mut self, partitions: &[(Queue, i32)]) {
        let gone = |item: &Item| partitions.contains(&(item.delivery.tag.queue, item.delivery.tag.partition));
        self.items.retain(|_, item| !gone(item) || matches!(item.state, State::Running { .. }));
        for item in self.items.values_mut().filter(|item| gone(item)) {
            if let State::Running { kept, .. } = &mut item.state {
                *kept = false;
            }
        }
    }

    /// Everything that does not run leaves.
    pub fn drop_waiting(&mut self) {
        self.items.retain(|_, item| matches!(item.state, State::Running { .. }));
    }

    /// Stops what runs, of one job or of all.
    pub fn stop(&self, job_id: Option<&JobId>) {
        for item in self.items.values().filter(|item| job_id.is_none_or(|job_id| item.work.job_id() == Some(job_id))) {
            if let State::Running { stop, .. } = &item.state {
                stop.cancel();
            }
        }
    }

    /// Deliveries that run.
    pub fn num_running(&self) -> usize {
        self.running().count()
    }

    /// Deliveries that wait for a slot or run: those that use up credits.
    pub fn num_active(&self) -> usize {
        self.items.values().filter(|item| !matches!(item.state, State::Deferred(_))).count()
    }

    /// Deliveries that come back later.
    pub fn num_deferred(&self) -> usize {
        self.items.len() - self.num_active()
    }
}

#[cfg(test)]
mod tests;
