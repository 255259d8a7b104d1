use std::collections::HashSet;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn delivery(partition: i32, offset: i64, task: &str) -> Delivery {
    let tag = DeliveryTag { queue: Queue::Cpu, partition, offset, epoch: 1 };
    Delivery { tag, key: None, value: Some(task.as_bytes().to_vec()), headers: Vec::new() }
}

fn chunk(job: &str, index: i64) -> String {
    format!(r#"{{"task":"encode","job_id":"{job}","fingerprint":"f","chunk":{index}}}"#)
}

fn assemble(job: &str) -> String {
    format!(r#"{{"task":"assemble","job_id":"{job}","fingerprint":"f"}}"#)
}

fn dispatch() -> DispatchQueue {
    DispatchQueue::new(PoolSize { cpu: 2, io: 1 }, RunningKeys::default())
}

fn started(dispatch: &mut DispatchQueue) -> Vec<i64> {
    std::iter::from_fn(|| dispatch.start_next(Instant::now())).map(|(_, run)| run.delivery.tag.offset).collect()
}

#[test]
fn the_oldest_start_first_and_an_assembly_does_not_wait_behind_chunks() {
    let mut dispatch = dispatch();
    for offset in 0..4 {
        dispatch.put(delivery(0, offset, &chunk("a", offset)));
    }
    dispatch.put(delivery(0, 4, &assemble("b")));
    assert_eq!(started(&mut dispatch), [0, 1, 4]);
    assert_eq!((dispatch.num_running(), dispatch.num_active()), (3, 5));
}

#[test]
fn two_deliveries_of_one_task_do_not_run_at_the_same_time() {
    let mut dispatch = dispatch();
    dispatch.put(delivery(0, 0, &chunk("a", 7)));
    dispatch.put(delivery(1, 9, &chunk("a", 7)));
    let (number, run) = dispatch.start_next(Instant::now()).expect("a start");
    assert!(started(&mut dispatch).is_empty());
    dispatch.take(number);
    assert!(started(&mut dispatch).is_empty(), "it still runs somewhere");
    drop(run);
    assert_eq!(started(&mut dispatch), [9]);
}

#[actix::test]
async fn what_is_deferred_comes_back_at_its_time_and_uses_no_slot_until_then() {
    tokio::time::pause();
    let mut dispatch = dispatch();
    dispatch.put(delivery(0, 0, &chunk("a", 0)));
    let (number, _) = dispatch.start_next(Instant::now()).expect("a start");
    dispatch.defer(number, Instant::now() + Duration::from_secs(1));
    assert_eq!((dispatch.num_active(), dispatch.num_deferred()), (0, 1));
    assert!(started(&mut dispatch).is_empty());
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(started(&mut dispatch), [0]);
}

#[test]
fn a_revoked_partition_takes_what_does_not_run_and_keeps_nothing_for_later() {
    let mut dispatch = dispatch();
    for offset in 0..3 {
        dispatch.put(delivery(5, offset, &chunk("a", offset)));
    }
    dispatch.put(delivery(6, 3, &chunk("a", 3)));
    assert_eq!(started(&mut dispatch), [0, 1]);
    dispatch.revoke(&[(Queue::Cpu, 5)]);
    assert_eq!(dispatch.num_active(), 3);
    dispatch.defer(0, Instant::now());
    dispatch.take(1);
    assert_eq!(started(&mut dispatch), [3]);
}

#[test]
fn a_stop_reaches_the_running_deliveries_of_its_job_alone() {
    let mut dispatch = dispatch();
    dispatch.put(delivery(0, 0, &chunk("a", 0)));
    dispatch.put(delivery(0, 1, &chunk("b", 0)));
    let runs: Vec<_> = std::iter::from_fn(|| dispatch.start_next(Instant::now())).map(|(_, run)| run).collect();
    dispatch.stop(Some(&"a".parse().expect("an id")));
    assert_eq!(runs.iter().map(|run| run.stop.is_cancelled()).collect::<Vec<_>>(), [true, false]);
    dispatch.stop(None);
    assert!(runs.iter().all(|run| run.stop.is_cancelled()));
}

proptest! {
    #[test]
    fn slots_and_keys_are_respected_and_nothing_is_lost(
        steps in proptest::collection::vec((0u8..4, 0i64..6, any::<bool>()), 1..80),
    ) {
        let mut dispatch = dispatch();
        let (mut put, mut running) = (0usize, Vec::<(Number, Execute)>::new());
        for (step, index, io) in steps {
            match step {
                0 | 1 => {
                    let task = if io { assemble(&format!("j{index}")) } else { chunk("j", index) };
                    dispatch.put(delivery(0, put as i64, &task));
                    put += 1;
                }
                2 => running.extend(dispatch.start_next(Instant::now())),
                _ => if let Some((number, _)) = running.pop() {
                    if io { dispatch.defer(number, Instant::now()) } else { dispatch.take(number); put -= 1; }
                },
            }
            let keys: HashSet<_> = running.iter().map(|(_, run)| run.work.key()).collect();
            prop_assert_eq!(keys.len(), running.len());
            let cpu = running.iter().filter(|(_, run)| run.work.class() == Class::Cpu).count();
            prop_assert!(cpu <= 2 && running.len() - cpu <= 1);
            prop_assert_eq!(dispatch.num_active() + dispatch.num_deferred(), put);
            prop_assert_eq!(dispatch.num_running(), running.len());
        }
    }
}
