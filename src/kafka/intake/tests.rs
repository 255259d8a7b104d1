use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn record(queue: Queue, partition: i32, offset: i64) -> Incoming {
    Incoming { place: (queue, partition), offset, key: None, value: Some(vec![0; 10]), headers: Vec::new() }
}

fn intake_with(places: &[Place]) -> Intake {
    let mut intake = Intake::new(8);
    intake.assign(places);
    intake
}

#[test]
fn nothing_is_delivered_without_a_credit() {
    let mut intake = intake_with(&[(Queue::Cpu, 0)]);
    intake.receive(record(Queue::Cpu, 0, 5));
    assert_eq!(intake.next(), None);
    intake.grant(1);
    assert_eq!(intake.next().map(|delivery| delivery.tag.offset), Some(5));
    intake.receive(record(Queue::Cpu, 0, 6));
    assert_eq!(intake.next(), None);
}

#[test]
fn topics_take_turns_and_so_do_the_partitions_of_a_topic() {
    let places = [(Queue::Jobs, 0), (Queue::Cpu, 0), (Queue::Cpu, 1), (Queue::Gpu, 3)];
    let mut intake = intake_with(&places);
    for offset in 0..3 {
        places.iter().for_each(|(queue, partition)| {
            intake.receive(record(*queue, *partition, offset));
        });
    }
    intake.grant(9);
    let order: Vec<_> = std::iter::from_fn(|| intake.next()).map(|one| (one.tag.queue, one.tag.partition)).collect();
    let round = |cpu| [(Queue::Cpu, cpu), (Queue::Gpu, 3), (Queue::Jobs, 0)];
    assert_eq!(order, [round(0), round(1), round(0)].concat());
}

#[test]
fn an_empty_topic_gives_its_turn_away() {
    let mut intake = intake_with(&[(Queue::Jobs, 0), (Queue::Cpu, 0)]);
    (0..5).for_each(|offset| {
        intake.receive(record(Queue::Cpu, 0, offset));
    });
    intake.grant(5);
    assert_eq!(std::iter::from_fn(|| intake.next()).count(), 5);
}

#[test]
fn what_is_buffered_goes_with_its_partition() {
    let mut intake = intake_with(&[(Queue::Cpu, 0), (Queue::Cpu, 1)]);
    intake.receive(record(Queue::Cpu, 0, 0));
    intake.receive(record(Queue::Cpu, 1, 0));
    intake.revoke(&[(Queue::Cpu, 0)]);
    intake.grant(5);
    let left: Vec<_> = std::iter::from_fn(|| intake.next()).map(|delivery| delivery.tag.partition).collect();
    assert_eq!(left, [1]);
    // A record that was on its way when the partition went.
    intake.receive(record(Queue::Cpu, 0, 1));
    assert_eq!(intake.next(), None);
}

#[test]
fn an_answer_from_an_older_assignment_changes_nothing() {
    let mut intake = intake_with(&[(Queue::Cpu, 0)]);
    intake.receive(record(Queue::Cpu, 0, 0));
    intake.grant(2);
    let old = intake.next().expect("a delivery").tag;
    intake.revoke(&[(Queue::Cpu, 0)]);
    intake.finished(old);
    intake.assign(&[(Queue::Cpu, 0)]);
    intake.receive(record(Queue::Cpu, 0, 0));
    let new = intake.next().expect("the same again").tag;
    assert!(new.epoch > old.epoch);
    intake.finished(old);
    assert_eq!(intake.to_commit()[0].offset, 0);
    intake.finished(new);
    assert_eq!(intake.to_commit()[0].offset, 1);
}

#[test]
fn a_commit_of_an_older_assignment_is_not_taken_for_one_of_this() {
    let mut intake = intake_with(&[(Queue::Cpu, 0)]);
    intake.receive(record(Queue::Cpu, 0, 0));
    intake.grant(1);
    let tag = intake.next().expect("a delivery").tag;
    intake.finished(tag);
    let commit = intake.to_commit()[0];
    intake.committed(Commit { epoch: commit.epoch - 1, ..commit });
    assert_eq!(intake.to_commit(), [commit]);
    intake.committed(commit);
    assert!(intake.to_commit().is_empty());
}

#[test]
fn the_start_of_an_empty_partition_is_committed_once_unless_the_group_has_one() {
    let mut intake = Intake::new(8);
    let epoch = intake.assign(&[(Queue::Cpu, 0), (Queue::Cpu, 1)]);
    let start = |partition, committed, low| Start { place: (Queue::Cpu, partition), epoch, committed, low };
    intake.start(start(0, None, Some(7)));
    intake.start(start(1, Some(9), None));
    let commits = intake.to_commit();
    assert_eq!(commits, [Commit { place: (Queue::Cpu, 0), epoch, offset: 7 }]);
    intake.committed(commits[0]);
    assert!(intake.to_commit().is_empty());
    assert_eq!(intake.position((Queue::Cpu, 1)), Some(9));
}

#[test]
fn offsets_that_go_back_begin_a_new_epoch() {
    let mut intake = intake_with(&[(Queue::Cpu, 0)]);
    assert!(intake.receive(record(Queue::Cpu, 0, 100)));
    assert!(intake.receive(record(Queue::Cpu, 0, 101)));
    assert!(!intake.receive(record(Queue::Cpu, 0, 0)));
    intake.grant(5);
    let tag = intake.next().expect("the new record").tag;
    assert_eq!((tag.offset, intake.next()), (0, None));
    intake.finished(tag);
    assert_eq!(intake.to_commit()[0].offset, 1);
}

#[test]
fn a_full_partition_is_paused_until_a_window_is_left() {
    let mut intake = intake_with(&[(Queue::Cpu, 0), (Queue::Jobs, 0)]);
    (0..32).for_each(|offset| {
        intake.receive(record(Queue::Cpu, 0, offset));
    });
    intake.receive(record(Queue::Jobs, 0, 0));
    let pause = FlowChange { pause: vec![(Queue::Cpu, 0)], resume: Vec::new() };
    assert_eq!(intake.flow(), pause);
    assert_eq!(intake.flow(), FlowChange::default());
    intake.grant(100);
    let mut delivered = 0;
    while intake.flow() == FlowChange::default() {
        let tag = intake.next().expect("more").tag;
        intake.finished(tag);
        delivered += usize::from(tag.queue == Queue::Cpu);
    }
    assert_eq!(delivered, 32 - 8);
}

#[test]
fn large_records_pause_everything_before_they_fill_the_memory() {
    let mut intake = intake_with(&[(Queue::Cpu, 0), (Queue::Jobs, 0)]);
    for offset in 0..7 {
        let value = Some(vec![0; 10 << 20]);
        intake.receive(Incoming { value, ..record(Queue::Cpu, 0, offset) });
    }
    assert_eq!(intake.flow().pause.len(), 2);
    intake.grant(4);
    while intake.next().is_some() {}
    assert_eq!(intake.flow().resume.len(), 2);
}

#[test]
fn nothing_is_delivered_after_the_buffers_were_dropped() {
    let mut intake = intake_with(&[(Queue::Cpu, 0)]);
    intake.receive(record(Queue::Cpu, 0, 0));
    intake.grant(5);
    intake.drop_buffers();
    assert_eq!(intake.next(), None);
    assert_eq!(intake.buffered_bytes, 0);
}

proptest! {
    /// Random arrivals, credits, ends and rebalances.
    #[test]
    fn credits_windows_and_watermarks_hold_whatever_happens(
        steps in proptest::collection::vec((0u8..6, 0usize..64), 1..400),
    ) {
        let places = [(Queue::Jobs, 0), (Queue::Cpu, 0), (Queue::Cpu, 1)];
        let mut intake = Intake::new(4);
        let mut ends = [0i64; 3];
        let mut credits = 0;
        let mut open: Vec<DeliveryTag> = Vec::new();
        let mut owned = BTreeSet::new();
        for (step, pick) in steps {
            let at = pick % places.len();
            match step {
                0 if owned.contains(&at) => {
                    intake.receive(record(places[at].0, places[at].1, ends[at]));
                    ends[at] += 1;
                }
                1 => { intake.grant(pick); credits += pick; }
                2 | 3 => if let Some(delivery) = intake.next() {
                    prop_assert!(credits > 0);
                    credits -= 1;
                    open.push(delivery.tag);
                    let tag = delivery.tag;
                    let same = open.iter().filter(|one| (one.queue, one.partition, one.epoch) == (tag.queue, tag.partition, tag.epoch));
                    prop_assert!(same.map(|one| one.offset).min().is_some_and(|low| tag.offset < low + 4));
                },
                4 => if !open.is_empty() { intake.finished(open.swap_remove(pick % open.len())); },
                _ if owned.remove(&at) => intake.revoke(&[places[at]]),
                _ => {
                    owned.insert(at);
                    intake.assign(&[places[at]]);
                    ends[at] = 0;
                }
            }
            for commit in intake.to_commit() {
                let unfinished = open.iter().filter(|tag| (tag.queue, tag.partition) == commit.place && tag.epoch == commit.epoch);
                prop_assert!(unfinished.map(|tag| tag.offset).all(|offset| offset >= commit.offset));
            }
        }
    }
}
