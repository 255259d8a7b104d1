//! Deliveries, credits, windows and commits.

use std::sync::Arc;

use actors::domain::record::{Publication, Queue};
use actors::ports::{SourceEvent, TaskPublisher as _, TaskSource as _};
use actors::testing::source::Rig;
use gstreamer_worker::kafka::{KafkaSettings, PollClock, connector};

use super::bench::{Bench, Kind, Member, text};

super::on_both_brokers!(
    the_source_keeps_the_promises_of_its_port,
    a_published_task_is_delivered_whole,
    a_tombstone_is_delivered_without_a_value,
    no_more_is_delivered_than_was_granted,
    a_partition_is_worked_on_only_within_its_window,
    after_a_restart_only_work_above_the_watermark_comes_again,
    a_job_does_not_wait_behind_tasks_nor_tasks_behind_jobs,
    five_thousand_tasks_come_once_and_in_order_and_the_lag_ends_at_zero,
    an_empty_partition_is_committed_at_its_start,
);

async fn the_source_keeps_the_promises_of_its_port(kind: Kind) {
    let bench = Bench::new(kind, 1).await;
    let settings = KafkaSettings { gpu: false, ..bench.settings.clone() };
    let connect = connector(settings, PollClock::default());
    actors::testing::source::check(&Rig { connect, publisher: Arc::new(bench.publisher.clone()) }).await;
}

async fn a_published_task_is_delivered_whole(kind: Kind) {
    let bench = Bench::new(kind, 4).await;
    let mut member = bench.join();
    member.assigned(12).await;
    member.source.grant(1);
    let headers = vec![("attempt".to_owned(), b"2".to_vec()), ("empty".to_owned(), Vec::new())];
    let record =
        Publication { queue: Queue::Gpu, key: b"movie-42/v00003".to_vec(), value: Some(b"{}".to_vec()), headers };
    bench.publisher.publish(record.clone()).await.expect("published");
    let delivery = member.delivery().await;
    assert_eq!(delivery.tag.queue, Queue::Gpu);
    assert_eq!(delivery.key, Some(record.key));
    assert_eq!(delivery.value, record.value);
    assert_eq!(delivery.headers, record.headers);
    member.finish(delivery.tag);
    bench.committed(Queue::Gpu, 1).await;
    member.leave().await;
}

async fn a_tombstone_is_delivered_without_a_value(kind: Kind) {
    let bench = Bench::new(kind, 1).await;
    let mut member = bench.join();
    member.source.grant(1);
    let record = Publication { queue: Queue::Jobs, key: b"movie-42".to_vec(), value: None, headers: Vec::new() };
    bench.publisher.publish(record).await.expect("published");
    assert_eq!(member.delivery().await.value, None);
}

async fn no_more_is_delivered_than_was_granted(kind: Kind) {
    let bench = Bench::new(kind, 4).await;
    let mut member = bench.join();
    bench.publish_many(Queue::Cpu, 20).await;
    member.assigned(12).await;
    assert_eq!(member.surplus(&bench).await, 0);
    member.source.grant(3);
    member.deliveries(3).await;
    assert_eq!(member.surplus(&bench).await, 0);
    member.source.grant(17);
    member.deliveries(17).await;
    member.leave().await;
}

async fn a_partition_is_worked_on_only_within_its_window(kind: Kind) {
    let bench = Bench::new(kind, 1).await;
    let mut member = bench.join();
    bench.publish_many(Queue::Cpu, 20).await;
    member.source.grant(100);
    let first = member.deliveries(8).await;
    assert_eq!(member.surplus(&bench).await, 0);
    // The oldest one holds the watermark, whatever ends behind it.
    first[1..].iter().for_each(|delivery| member.finish(delivery.tag));
    assert_eq!(member.surplus(&bench).await, 0);
    member.finish(first[0].tag);
    assert_eq!(member.deliveries(8).await[7].tag.offset, 15);
    bench.committed(Queue::Cpu, 8).await;
    member.leave().await;
}

async fn after_a_restart_only_work_above_the_watermark_comes_again(kind: Kind) {
    let bench = Bench::new(kind, 1).await;
    let mut member = bench.join();
    bench.publish_many(Queue::Cpu, 6).await;
    member.source.grant(6);
    let deliveries = member.deliveries(6).await;
    for offset in [5, 1, 3, 0] {
        member.finish(deliveries[offset].tag);
    }
    member.leave().await;
    assert_eq!(bench.committed_now(Queue::Cpu, 0), Some(2));

    let mut member = bench.join();
    member.source.grant(10);
    let again = member.deliveries(4).await;
    assert_eq!(again.iter().map(text).collect::<Vec<_>>(), ["2", "3", "4", "5"]);
    again.iter().for_each(|delivery| member.finish(delivery.tag));
    member.leave().await;
    assert_eq!(bench.committed_now(Queue::Cpu, 0), Some(6));
}

async fn a_job_does_not_wait_behind_tasks_nor_tasks_behind_jobs(kind: Kind) {
    let bench = Bench::new(kind, 4).await;
    bench.publish_many(Queue::Cpu, 2_000).await;
    let mut member = bench.join();
    // The topics are joined one by one: tasks may come before the jobs are this member's at all.
    member.assigned(12).await;
    member.source.grant(1);
    let mut turns = vec![take_turn(&mut member).await];
    bench.publish_many(Queue::Jobs, 100).await;
    while turns.last() != Some(&Queue::Jobs) {
        turns.push(take_turn(&mut member).await);
    }
    assert!(turns.len() < 1_000, "{} tasks went before the first job", turns.len());
    let mut jobs = 0;
    for _ in 0..40 {
        jobs += usize::from(take_turn(&mut member).await == Queue::Jobs);
    }
    assert!(jobs >= 15, "{jobs} of 40");
}

/// Finishes one delivery and asks for another one.
async fn take_turn(member: &mut Member) -> Queue {
    let delivery = member.delivery().await;
    member.finish(delivery.tag);
    member.source.grant(1);
    delivery.tag.queue
}

async fn five_thousand_tasks_come_once_and_in_order_and_the_lag_ends_at_zero(kind: Kind) {
    const TASKS: usize = 5_000;
    let bench = Bench::new(kind, 4).await;
    bench.publish_many(Queue::Cpu, TASKS).await;
    let mut member = bench.join();
    member.source.grant(10);
    let mut next = [0; 4];
    for _ in 0..TASKS {
        let delivery = member.delivery().await;
        let next = &mut next[delivery.tag.partition as usize];
        assert_eq!(delivery.tag.offset, *next, "partition {}", delivery.tag.partition);
        *next += 1;
        member.finish(delivery.tag);
        member.source.grant(1);
    }
    bench.committed(Queue::Cpu, TASKS as i64).await;
    for partition in 0..4 {
        let pick = |event: &SourceEvent| match event {
            SourceEvent::Lag { queue: Queue::Cpu, partition: of, records: 0 } if *of == partition => Some(()),
            _ => None,
        };
        member.wait("no lag", pick).await;
    }
    member.leave().await;
}

async fn an_empty_partition_is_committed_at_its_start(kind: Kind) {
    let bench = Bench::new(kind, 4).await;
    let mut member = bench.join();
    member.assigned(12).await;
    super::bench::until("a commit of each partition", || {
        (0..4).all(|partition| bench.committed_now(Queue::Gpu, partition) == Some(0))
    })
    .await;
    member.leave().await;
}
