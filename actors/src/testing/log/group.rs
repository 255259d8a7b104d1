//! The consumer group of the fake broker.

use std::collections::BTreeMap;

use tokio::sync::mpsc::UnboundedSender;

use super::PARTITIONS;
use crate::domain::offsets::Offsets;
use crate::domain::record::{Delivery, DeliveryTag, Publication, Queue};
use crate::ports::SourceEvent;

/// Topics that the group reads.
pub(super) const HOLDS_WORK: [Queue; 3] = [Queue::Jobs, Queue::Cpu, Queue::Gpu];

type Partition = (Queue, i32);

/// The group.
#[derive(Default)]
pub(super) struct Group {
    members: BTreeMap<u64, Member>,
    assigned: BTreeMap<Partition, Assigned>,
    committed: BTreeMap<Partition, i64>,
    last_member: u64,
    last_epoch: u64,
    rotation: usize,
    held_back: Vec<Partition>,
}

struct Member {
    worker: String,
    events: UnboundedSender<SourceEvent>,
    credits: usize,
    reads_gpu: bool,
}

struct Assigned {
    member: u64,
    epoch: u64,
    next: i64,
    offsets: Offsets,
}

impl Group {
    pub fn join(&mut self, worker: &str, events: UnboundedSender<SourceEvent>) -> u64 {
        self.last_member += 1;
        self.members.insert(self.last_member, Member { worker: worker.into(), events, credits: 0, reads_gpu: false });
        self.rebalance();
        self.last_member
    }

    pub fn read_gpu(&mut self, member: u64, read: bool) {
        if let Some(member) = self.members.get_mut(&member).filter(|member| member.reads_gpu != read) {
            member.reads_gpu = read;
            self.rebalance();
        }
    }

    /// Whether it was a member.
    pub fn leave(&mut self, member: u64) -> bool {
        let Some(left) = self.members.remove(&member) else { return false };
        let _ = left.events.send(SourceEvent::Left);
        self.rebalance();
        true
    }

    pub fn remove(&mut self, worker: &str) {
        self.members.retain(|_, member| member.worker != worker);
        self.rebalance();
    }

    pub fn shuffle(&mut self) {
        self.rotation += 1;
        self.rebalance();
    }

    pub fn rewind(&mut self) {
        self.committed.clear();
        let all: Vec<Partition> = self.assigned.keys().copied().collect();
        for partition in all {
            self.assign(partition, None);
        }
        self.rebalance();
    }

    pub fn is_member(&self, member: u64) -> bool {
        self.members.contains_key(&member)
    }

    pub fn grant(&mut self, member: u64, count: usize) {
        if let Some(member) = self.members.get_mut(&member) {
            member.credits += count;
        }
    }

    /// The new position of the partition, where it moved.
    pub fn finished(&mut self, member: u64, tag: DeliveryTag) -> Option<i64> {
        let partition = (tag.queue, tag.partition);
        let assigned = self.assigned.get_mut(&partition)?;
        if assigned.member != member || assigned.epoch != tag.epoch {
            return None;
        }
        assigned.offsets.finished(tag.offset);
        let watermark = assigned.offsets.to_commit()?;
        assigned.offsets.committed(watermark);
        self.committed.insert(partition, watermark);
        Some(watermark)
    }

    pub fn hold_back(&mut self, partitions: &[Partition]) {
        self.held_back = partitions.to_vec();
    }

    pub fn committed(&self, partition: Partition) -> usize {
        usize::try_from(self.committed.get(&partition).copied().unwrap_or(0)).unwrap_or(0)
    }

    pub fn tell(&self, worker: &str, event: SourceEvent) {
        if let Some(member) = self.members.values().find(|member| member.worker == worker) {
            let _ = member.events.send(event);
        }
    }

    pub fn tell_all(&self, event: &SourceEvent) {
        for member in self.members.values() {
            let _ = member.events.send(event.clone());
        }
    }

    /// Sends what the credits allow.
    pub fn deliver(&mut self, records: &BTreeMap<Partition, Vec<Publication>>) -> Vec<(String, DeliveryTag)> {
        let mut delivered = Vec::new();
        for (&(queue, partition), assigned) in &mut self.assigned {
            if self.held_back.contains(&(queue, partition)) {
                continue;
            }
            let Some(member) = self.members.get_mut(&assigned.member) else { continue };
            let known = records.get(&(queue, partition)).map_or(&[][..], Vec::as_slice);
            while member.credits > 0
                && let Some(record) = known.get(usize::try_from(assigned.next).unwrap_or(usize::MAX))
            {
                let tag = DeliveryTag { queue, partition, offset: assigned.next, epoch: assigned.epoch };
                let (key, value) = (Some(record.key.clone()), record.value.clone());
                let delivery = Delivery { tag, key, value, headers: record.headers.clone() };
                assigned.offsets.delivered(assigned.next);
                assigned.next += 1;
                member.credits -= 1;
                let _ = member.events.send(SourceEvent::Delivered(delivery));
                delivered.push((member.worker.clone(), tag));
            }
        }
        delivered
    }

    fn rebalance(&mut self) {
        let all: Vec<u64> = self.members.keys().copied().collect();
        let with_gpu: Vec<u64> = all.iter().copied().filter(|number| self.members[number].reads_gpu).collect();
        let partitions = HOLDS_WORK.into_iter().flat_map(|queue| (0..PARTITIONS).map(move |number| (queue, number)));
        for (index, partition) in partitions.enumerate() {
            let members = if partition.0 == Queue::Gpu { &with_gpu } else { &all };
            let owner = (!members.is_empty()).then(|| members[(index + self.rotation) % members.len()]);
            if self.assigned.get(&partition).map(|assigned| assigned.member) != owner {
                self.assign(partition, owner);
            }
        }
        for (number, member) in &self.members {
            let partitions = self.assigned.values().filter(|assigned| assigned.member == *number).count();
            let _ = member.events.send(SourceEvent::Assigned { partitions });
        }
    }

    fn assign(&mut self, partition: Partition, owner: Option<u64>) {
        if let Some(before) = self.assigned.remove(&partition)
            && let Some(member) = self.members.get(&before.member)
        {
            let _ = member.events.send(SourceEvent::Revoked(vec![partition]));
        }
        if let Some(member) = owner {
            self.last_epoch += 1;
            let start = self.committed.get(&partition).copied().unwrap_or(0);
            let offsets = Offsets::starting_at(Some(start));
            self.assigned.insert(partition, Assigned { member, epoch: self.last_epoch, next: start, offsets });
        }
    }
}
