//! What the consumer owns at the moment: partitions, their buffers, their commit watermarks, and the credits of the
//! receiver. Decides what is delivered next, what is paused and what can be committed. Pure: no call to Kafka.
//!
//! ```text
//!  librdkafka ──► buffer of each partition ──► window ──► round robin (topics, then partitions) ──► credit ──► receiver
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::atomic::{AtomicU64, Ordering};

use actors::domain::offsets::Offsets;
use actors::domain::record::{Delivery, DeliveryTag, Queue};

/// A partition of one of our topics.
pub(super) type Place = (Queue, i32);

/// Above this many bytes in all buffers together nothing more is fetched.
const MAX_BUFFERED_BYTES: usize = 64 * 1024 * 1024;
/// A partition is paused when its buffer holds this many windows, and resumed at one.
const PAUSE_AT_WINDOWS: i64 = 4;

/// A record as it came, before it has an epoch.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) place: Place,
    pub(super) offset: i64,
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Vec<(String, Vec<u8>)>,
}

impl Incoming {
    fn bytes(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.key.as_ref().map_or(0, Vec::len) + self.value.as_ref().map_or(0, Vec::len) + headers
    }
}

/// An offset to be committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Commit {
    pub(super) place: Place,
    pub(super) epoch: u64,
    pub(super) offset: i64,
}

/// Where the group stands in a partition that was just assigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) place: Place,
    pub(super) epoch: u64,
    /// The committed offset, if the group has one.
    pub(super) committed: Option<i64>,
    /// The first offset that is still there; asked only where nothing is committed.
    pub(super) low: Option<i64>,
}

#[derive(Default)]
struct Partition {
    epoch: u64,
    offsets: Offsets,
    buffer: VecDeque<Incoming>,
    buffered_bytes: usize,
    /// One after the last record that came.
    position: Option<i64>,
    /// The start position of a group that has committed nothing; used until something is delivered.
    start: Option<i64>,
    committed: Option<i64>,
    paused: bool,
}

impl Partition {
    fn to_commit(&self) -> Option<i64> {
        let watermark = self.offsets.watermark().or(self.start);
        watermark.filter(|watermark| Some(*watermark) != self.committed)
    }
}

/// Epochs grow over all sources of the process, so that an answer for a source that was replaced is told apart too.
fn next_epoch() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

/// Pauses and resumes to be done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct FlowChange {
    pub(super) pause: Vec<Place>,
    pub(super) resume: Vec<Place>,
}

/// See the module.
pub(super) struct Intake {
    partitions: BTreeMap<Place, Partition>,
    /// Where the last delivery of each topic came from.
    cursors: BTreeMap<Queue, i32>,
    last_queue: Queue,
    credits: usize,
    window: i64,
    buffered_bytes: usize,
}

impl Intake {
    pub(super) fn new(window: i64) -> Self {
        Self {
            partitions: BTreeMap::new(),
            cursors: BTreeMap::new(),
            last_queue: Queue::Jobs,
            credits: 0,
            window,
            buffered_bytes: 0,
        }
    }

    /// Takes partitions over, and returns the epoch that they have now.
    pub(super) fn assign(&mut self, places: &[Place]) -> u64 {
        self.revoke(places);
        let epoch = next_epoch();
        for place in places {
            self.partitions.insert(*place, Partition { epoch, ..Partition::default() });
        }
        epoch
    }

    /// Forgets partitions, with what is buffered.
    pub(super) fn revoke(&mut self, places: &[Place]) {
        for place in places {
            if let Some(partition) = self.partitions.remove(place) {
                self.buffered_bytes -= partition.buffered_bytes;
            }
        }
    }

    /// Forgets what is buffered: nothing more will be delivered.
    pub(super) fn drop_buffers(&mut self) {
        self.credits = 0;
        self.buffered_bytes = 0;
        for partition in self.partitions.values_mut() {
            partition.buffer.clear();
            partition.buffered_bytes = 0;
        }
    }

    pub(super) fn num_partitions(&self) -> usize {
        self.partitions.len()
    }

    /// Buffers a record. Says `false` where the offsets of the partition went back (its topic was made anew):
    /// what is known of it is then forgotten.
    pub(super) fn receive(&mut self, record: Incoming) -> bool {
        let Some(partition) = self.partitions.get_mut(&record.place) else { return true };
        let in_order = partition.position.is_none_or(|position| record.offset >= position);
        if !in_order {
            self.buffered_bytes -= partition.buffered_bytes;
            *partition = Partition { epoch: next_epoch(), paused: partition.paused, ..Partition::default() };
        }
        partition.position = Some(record.offset + 1);
        partition.buffered_bytes += record.bytes();
        self.buffered_bytes += record.bytes();
        partition.buffer.push_back(record);
        in_order
    }

    pub(super) fn grant(&mut self, count: usize) {
        self.credits = self.credits.saturating_add(count);
    }

    /// Notes finished work. An answer for an older assignment changes nothing.
    pub(super) fn finished(&mut self, tag: DeliveryTag) {
        let partition = self.partitions.get_mut(&(tag.queue, tag.partition));
        if let Some(partition) = partition.filter(|partition| partition.epoch == tag.epoch) {
            partition.offsets.finished(tag.offset);
        }
    }

    /// The next delivery, for one credit.
    pub(super) fn next(&mut self) -> Option<Delivery> {
        if self.credits == 0 {
            return None;
        }
        let place = self.next_place()?;
        let partition = self.partitions.get_mut(&place)?;
        let record = partition.buffer.pop_front()?;
        partition.buffered_bytes -= record.bytes();
        self.buffered_bytes -= record.bytes();
        partition.offsets.delivered(record.offset);
        self.credits -= 1;
        self.last_queue = place.0;
        self.cursors.insert(place.0, place.1);
        let tag = DeliveryTag { queue: place.0, partition: place.1, offset: record.offset, epoch: partition.epoch };
        Some(Delivery { tag, key: record.key, value: record.value, headers: record.headers })
    }

    /// Topics take turns, and the partitions of a topic take turns.
    fn next_place(&self) -> Option<Place> {
        const TURNS: [Queue; 3] = [Queue::Jobs, Queue::Cpu, Queue::Gpu];
        let last = TURNS.iter().position(|queue| *queue == self.last_queue).unwrap_or(0);
        (1..=TURNS.len()).find_map(|step| self.next_partition(TURNS[(last + step) % TURNS.len()]))
    }

    fn next_partition(&self, queue: Queue) -> Option<Place> {
        let last = (queue, self.cursors.get(&queue).copied().unwrap_or(-1));
        let after = self.partitions.range((Excluded(last), Unbounded)).take_while(|((of, _), _)| *of == queue);
        let before = self.partitions.range((queue, i32::MIN)..=last);
        after.chain(before).find(|(_, partition)| self.has_next(partition)).map(|(place, _)| *place)
    }

    fn has_next(&self, partition: &Partition) -> bool {
        partition.buffer.front().is_some_and(|record| partition.offsets.in_window(record.offset, self.window))
    }

    /// Everything that is finished and not committed.
    pub(super) fn to_commit(&self) -> Vec<Commit> {
        let commits = self.partitions.iter().filter_map(|(place, partition)| {
            partition.to_commit().map(|offset| Commit { place: *place, epoch: partition.epoch, offset })
        });
        commits.collect()
    }

    /// Notes a commit that the group has.
    pub(super) fn committed(&mut self, commit: Commit) {
        let partition = self.partitions.get_mut(&commit.place);
        if let Some(partition) = partition.filter(|partition| partition.epoch == commit.epoch) {
            partition.committed = Some(commit.offset);
            partition.offsets.committed(commit.offset);
        }
    }

    /// Notes where the group stands.
    pub(super) fn start(&mut self, start: Start) {
        let partition = self.partitions.get_mut(&start.place);
        if let Some(partition) = partition.filter(|partition| partition.epoch == start.epoch) {
            partition.start = start.committed.or(start.low);
            partition.committed = partition.committed.or(start.committed);
        }
    }

    /// Whether nothing is being worked on: a good moment to commit at once.
    pub(super) fn is_idle(&self) -> bool {
        self.partitions.values().all(|partition| partition.offsets.unfinished() == 0)
    }

    /// The partitions of this worker.
    pub(super) fn places(&self) -> Vec<Place> {
        self.partitions.keys().copied().collect()
    }

    /// Whether a partition is still owned in this assignment.
    pub(super) fn owns(&self, place: Place, epoch: u64) -> bool {
        self.partitions.get(&place).is_some_and(|partition| partition.epoch == epoch)
    }

    /// Where the group stands in a partition, as far as it is known.
    pub(super) fn position(&self, place: Place) -> Option<i64> {
        let partition = self.partitions.get(&place)?;
        partition.committed.or(partition.start).or(partition.offsets.watermark())
    }

    /// What has to be paused and resumed to keep the buffers small.
    pub(super) fn flow(&mut self) -> FlowChange {
        let (low, high) = (self.window as usize, (self.window * PAUSE_AT_WINDOWS) as usize);
        let (full, roomy) = (self.buffered_bytes > MAX_BUFFERED_BYTES, self.buffered_bytes <= MAX_BUFFERED_BYTES / 2);
        let mut change = FlowChange::default();
        for (place, partition) in &mut self.partitions {
            if !partition.paused && (full || partition.buffer.len() >= high) {
                partition.paused = true;
                change.pause.push(*place);
            } else if partition.paused && roomy && partition.buffer.len() <= low {
                partition.paused = false;
                change.resume.push(*place);
            }
        }
        change
    }
}

#[cfg(test)]
#[path = "intake/tests.rs"]
mod tests;
