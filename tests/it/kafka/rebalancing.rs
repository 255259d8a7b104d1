//! Several members of one group: partitions come and go.

use std::collections::{BTreeMap, BTreeSet};

use actors::domain::record::{Delivery, Queue};
use actors::ports::{SourceEvent, TaskSource as _};

use super::bench::{Bench, Kind, Member, text};

super::on_both_brokers!(
    each_topic_is_shared_evenly_by_those_who_are_there,
    a_second_member_takes_its_share_and_nothing_is_lost,
    a_late_answer_for_an_older_assignment_changes_nothing,
    a_member_that_leaves_hands_over_what_it_did_not_finish,
    partitions_that_were_full_when_they_moved_are_read_again,
);

/// Half of each topic for each of two members, whoever came first, and all of each for one alone.
async fn each_topic_is_shared_evenly_by_those_who_are_there(kind: Kind) {
    let bench = Bench::new(kind, 4).await;
    let mut elder = bench.join();
    elder.owns_of_each_topic(4).await;
    let mut younger = bench.join();
    younger.owns_of_each_topic(2).await;
    elder.owns_of_each_topic(2).await;
    elder.leave().await;
    younger.owns_of_each_topic(4).await;
    let mut third = bench.join();
    third.owns_of_each_topic(2).await;
    younger.owns_of_each_topic(2).await;
    third.leave().await;
    younger.owns_of_each_topic(4).await;
    younger.leave().await;
}

async fn a_second_member_takes_its_share_and_nothing_is_lost(kind: Kind) {
    const TASKS: usize = 200;
    let bench = Bench::new(kind, 4).await;
    bench.publish_many(Queue::Cpu, TASKS).await;
    let mut first = bench.join();
    first.source.grant(30);
    let running = first.deliveries(30).await;
    let mut second = bench.join();
    second.assigned(6).await;
    first.assigned(6).await;

    // Work of partitions that went away ends after they went.
    let mut seen = BTreeMap::<String, usize>::new();
    let mut done = |member: &Member, delivery: &Delivery| {
        *seen.entry(text(delivery)).or_default() += 1;
        member.finish(delivery.tag);
        member.source.grant(1);
        seen.len()
    };
    running.iter().for_each(|delivery| {
        done(&first, delivery);
    });
    second.source.grant(30);
    let mut distinct = 0;
    while distinct < TASKS {
        let (of_first, delivery) = tokio::select! {
            delivery = first.delivery() => (true, delivery),
            delivery = second.delivery() => (false, delivery),
        };
        distinct = done(if of_first { &first } else { &second }, &delivery);
    }
    let repeated = seen.values().sum::<usize>() - TASKS;
    assert!(repeated <= 2 * 8, "{repeated} tasks came twice: more than the windows of two partitions");
    bench.committed(Queue::Cpu, TASKS as i64).await;
    first.leave().await;
    second.leave().await;
}

async fn a_late_answer_for_an_older_assignment_changes_nothing(kind: Kind) {
    let bench = Bench::new(kind, 4).await;
    bench.publish_many(Queue::Cpu, 40).await;
    let mut member = bench.join();
    member.source.grant(100);
    let old = member.deliveries(4).await;
    let mut guest = bench.join();
    let moved = revoked(&mut member, Queue::Cpu).await;
    guest.assigned(6).await;
    guest.leave().await;
    member.assigned(12).await;
    // A delivery of a partition that went and came back, and the same offset in its new assignment.
    let [late, other] = moved[..] else { panic!("{moved:?} moved, not two of four") };
    let fresh_late = again(&mut member, &old, late).await;
    let fresh_other = again(&mut member, &old, other).await;
    let mut stale = fresh_late.tag;
    stale.epoch = old.iter().map(|delivery| delivery.tag.epoch).min().expect("deliveries");
    member.finish(stale);
    member.finish(fresh_other.tag);
    super::bench::until("a commit of the other partition", || bench.committed_now(Queue::Cpu, other) == Some(1)).await;
    assert_eq!(bench.committed_now(Queue::Cpu, late), Some(0));
    member.finish(fresh_late.tag);
    super::bench::until("a commit", || bench.committed_now(Queue::Cpu, late) == Some(1)).await;
    member.leave().await;
}

/// What went away of a topic; each topic says so by itself.
async fn revoked(member: &mut Member, queue: Queue) -> Vec<i32> {
    let pick = |event: &SourceEvent| match event {
        SourceEvent::Revoked(places) if places.iter().any(|(of, _)| *of == queue) => {
            Some(places.iter().map(|(_, partition)| *partition).collect())
        }
        _ => None,
    };
    member.wait("partitions revoked", pick).await
}

/// The first offset of a partition, delivered in a newer assignment than `old`.
async fn again(member: &mut Member, old: &[Delivery], partition: i32) -> Delivery {
    let epoch = old.iter().map(|delivery| delivery.tag.epoch).max().expect("deliveries");
    let pick = |event: &SourceEvent| match event {
        SourceEvent::Delivered(delivery)
            if delivery.tag.partition == partition && delivery.tag.epoch > epoch && delivery.tag.offset == 0 =>
        {
            Some(delivery.clone())
        }
        _ => None,
    };
    member.wait("the first task again", pick).await
}

async fn a_member_that_leaves_hands_over_what_it_did_not_finish(kind: Kind) {
    let bench = Bench::new(kind, 1).await;
    bench.publish_many(Queue::Cpu, 5).await;
    let mut leaver = bench.join();
    leaver.source.grant(5);
    let deliveries = leaver.deliveries(5).await;
    let mut heir = bench.join();
    heir.source.grant(5);
    deliveries[..3].iter().for_each(|delivery| leaver.finish(delivery.tag));
    leaver.leave().await;
    // Whether the partition moved before or after, what was finished is committed by now or comes once more.
    let mut last = heir.delivery().await;
    heir.finish(last.tag);
    while last.tag.offset < 4 {
        last = heir.delivery().await;
        heir.finish(last.tag);
    }
    bench.committed(Queue::Cpu, 5).await;
    heir.leave().await;
}

async fn partitions_that_were_full_when_they_moved_are_read_again(kind: Kind) {
    const TASKS: usize = 400;
    let bench = Bench::new(kind, 4).await;
    bench.publish_many(Queue::Cpu, TASKS).await;
    let mut member = bench.join();
    // One delivery of each partition: by then about a hundred records are there for each, more than a buffer takes.
    member.source.grant(4);
    let held = member.deliveries(4).await;
    let mut guest = bench.join();
    guest.assigned(6).await;
    guest.leave().await;
    member.assigned(12).await;
    held.iter().for_each(|delivery| member.finish(delivery.tag));
    member.source.grant(8);
    let mut seen: BTreeSet<String> = held.iter().map(text).collect();
    while seen.len() < TASKS {
        let delivery = member.delivery().await;
        member.finish(delivery.tag);
        member.source.grant(1);
        seen.insert(text(&delivery));
    }
    bench.committed(Queue::Cpu, TASKS as i64).await;
    member.leave().await;
}
