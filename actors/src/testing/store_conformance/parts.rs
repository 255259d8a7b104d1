//! Parts and attempts: the first one wins, and all are counted.

use std::collections::BTreeSet;

use futures_util::future::join_all;

use super::{Subject, at, checkpoint_of, done, end, eventually, job, part, plan};
use crate::domain::checkpoint::{Advance, JobStatus, Outcome, PartRecord};
use crate::domain::unit::UnitId;
use crate::ports::Recorded;

async fn record(store: &Subject, name: &str, part: PartRecord) -> Recorded {
    done(store.record(job("j"), plan(name), part, at(2)).await)
}

/// Opens job `j` with the plan `p`.
async fn encoding(store: &Subject, chunks: u32) {
    done(store.open(job("j"), "c".into(), at(0)).await);
    let step = Advance { plan: Some((plan("p"), chunks)), status: Some(JobStatus::Encoding), ..Advance::default() };
    done(store.advance(job("j"), step, at(1)).await);
}

pub(super) async fn the_first_part_of_a_unit_wins(store: Subject) {
    encoding(&store, 3).await;
    let (mine, other) = (part(UnitId::Chunk(1), "w1"), part(UnitId::Chunk(1), "w2"));
    assert_eq!(record(&store, "p", mine.clone()).await, Recorded { part: mine.clone(), first: true, units_done: 1 });
    assert_eq!(record(&store, "p", other).await, Recorded { part: mine.clone(), first: false, units_done: 1 });
    let again = record(&store, "p", mine.clone()).await;
    assert!(again.first, "a record that is sent again, because its answer was lost, is still the one in force");
    assert_eq!(done(store.part(job("j"), plan("p"), mine.unit).await).as_ref(), Some(&mine));
    assert_eq!(done(store.part(job("j"), plan("p"), UnitId::Chunk(11)).await), None);
    assert_eq!(done(store.part(job("j"), plan("q"), mine.unit).await), None);
    assert_eq!(done(store.part(job("k"), plan("p"), mine.unit).await), None);
    assert_eq!(done(store.parts(job("j"), plan("p")).await).into_iter().collect::<Vec<_>>(), [(mine.unit, mine)]);
    assert_eq!(checkpoint_of(&store, &job("j")).await.updated_at, at(2));
}

pub(super) async fn audio_counts_as_a_unit_but_not_as_a_chunk(store: Subject) {
    encoding(&store, 3).await;
    assert_eq!(record(&store, "p", part(UnitId::Audio(0), "w")).await.units_done, 1);
    assert_eq!(checkpoint_of(&store, &job("j")).await.chunks_done, 0);
    assert_eq!(record(&store, "p", part(UnitId::Chunk(u32::MAX), "w")).await.units_done, 2);
    assert_eq!(checkpoint_of(&store, &job("j")).await.chunks_done, 1);
}

pub(super) async fn sixty_parts_recorded_at_once_are_counted_right(store: Subject) {
    encoding(&store, 60).await;
    let records = (0..60).map(|chunk| record(&store, "p", part(UnitId::Chunk(chunk), "w")));
    let answers = join_all(records).await;
    assert!(answers.iter().all(|answer| answer.first));
    let counts: BTreeSet<u32> = answers.iter().map(|answer| answer.units_done).collect();
    assert_eq!(counts, (1..=60).collect(), "exactly one of them completed the plan");
    assert_eq!(checkpoint_of(&store, &job("j")).await.chunks_done, 60);
    assert_eq!(done(store.parts(job("j"), plan("p")).await).len(), 60);
}

pub(super) async fn of_many_results_of_one_chunk_one_is_kept(store: Subject) {
    encoding(&store, 1).await;
    let workers: Vec<String> = (0..40).map(|index| format!("w{index}")).collect();
    let answers = join_all(workers.iter().map(|worker| record(&store, "p", part(UnitId::Chunk(0), worker)))).await;
    assert_eq!(answers.iter().filter(|answer| answer.first).count(), 1);
    assert!(answers.iter().all(|answer| answer.part == answers[0].part && answer.units_done == 1));
}

pub(super) async fn parts_of_two_plans_never_meet(store: Subject) {
    encoding(&store, 3).await;
    record(&store, "p", part(UnitId::Chunk(0), "w")).await;
    let other = record(&store, "q", part(UnitId::Chunk(0), "v")).await;
    assert_eq!((other.first, other.units_done), (true, 1));
    record(&store, "q", part(UnitId::Chunk(1), "v")).await;
    assert_eq!(done(store.parts(job("j"), plan("p")).await).len(), 1);
    assert_eq!(checkpoint_of(&store, &job("j")).await.chunks_done, 1, "only the plan in force counts");
    assert!(done(store.parts(job("k"), plan("p")).await).is_empty(), "nor do those of two jobs");
}

pub(super) async fn a_forgotten_part_can_be_recorded_again(store: Subject) {
    encoding(&store, 3).await;
    record(&store, "p", part(UnitId::Chunk(0), "w1")).await;
    record(&store, "p", part(UnitId::Chunk(1), "w1")).await;
    for _ in 0..2 {
        done(store.forget(job("j"), plan("p"), UnitId::Chunk(0)).await);
        assert_eq!(checkpoint_of(&store, &job("j")).await.chunks_done, 1);
    }
    done(store.forget(job("nobody"), plan("p"), UnitId::Audio(0)).await);
    assert_eq!(done(store.read(job("nobody")).await), None);
    let again = record(&store, "p", part(UnitId::Chunk(0), "w2")).await;
    assert_eq!((again.first, again.units_done, again.part.worker.as_str()), (true, 2, "w2"));
}

pub(super) async fn parts_that_are_older_than_the_checkpoint_count(store: Subject) {
    record(&store, "p", part(UnitId::Audio(0), "w")).await;
    record(&store, "p", part(UnitId::Chunk(0), "w")).await;
    assert_eq!(done(store.read(job("j")).await), None, "a part must not make half a checkpoint");
    assert_eq!(done(store.open(job("j"), "c".into(), at(3)).await).chunks_done, 0);
    encoding(&store, 3).await;
    assert_eq!(checkpoint_of(&store, &job("j")).await.chunks_done, 1);
    assert_eq!(record(&store, "p", part(UnitId::Chunk(2), "w")).await.units_done, 3);
}

pub(super) async fn a_part_of_an_ended_job_changes_nothing_of_it(store: Subject) {
    encoding(&store, 3).await;
    end(&store, &job("j"), Outcome::Cancelled).await;
    let ended = checkpoint_of(&store, &job("j")).await;
    assert!(record(&store, "p", part(UnitId::Chunk(0), "w")).await.first);
    assert_eq!(checkpoint_of(&store, &job("j")).await, ended);
}

pub(super) async fn attempts_are_counted_for_each_task(store: Subject) {
    let count = |task: &str| store.count_attempt(job("j"), task.into());
    let counts = join_all((0..20).map(|_| count("j/v00001"))).await;
    assert_eq!(counts.into_iter().map(done).collect::<BTreeSet<_>>(), (1..=20).collect());
    assert_eq!(done(count("j/v00002").await), 1);
    done(store.open(job("j"), "c".into(), at(0)).await);
    assert_eq!(done(count("j/v00001").await), 21, "attempts outlive the opening of the job");
    assert_eq!(done(store.count_attempt(job("k"), "j/v00001".into()).await), 1);
}

/// Counts an attempt of a task of job `j`.
async fn begin(store: &Subject, task: &str) -> u32 {
    done(store.count_attempt(job("j"), task.into()).await)
}

/// Takes an attempt of a task of job `j` back.
async fn give_back(store: &Subject, task: &str) {
    done(store.return_attempt(job("j"), task.into()).await);
}

pub(super) async fn an_attempt_that_is_returned_does_not_count(store: Subject) {
    encoding(&store, 3).await;
    assert_eq!((begin(&store, "j/v00001").await, begin(&store, "j/v00001").await), (1, 2));
    assert_eq!(begin(&store, "j/v00002").await, 1);
    let before = checkpoint_of(&store, &job("j")).await;
    give_back(&store, "j/v00001").await;
    assert_eq!(checkpoint_of(&store, &job("j")).await, before, "the checkpoint has nothing to do with it");
    assert_eq!(begin(&store, "j/v00001").await, 2, "the one that was returned is counted again");
    assert_eq!(begin(&store, "j/v00002").await, 2, "those of other tasks stay");
    assert_eq!(done(store.count_attempt(job("k"), "j/v00001".into()).await), 1);
    give_back(&store, "j/v00001").await;
    assert_eq!(done(store.count_attempt(job("k"), "j/v00001".into()).await), 2, "nor those of other jobs");
}

pub(super) async fn counts_of_attempts_never_go_below_zero(store: Subject) {
    encoding(&store, 3).await;
    for _ in 0..2 {
        assert_eq!(begin(&store, "j/split").await, 1);
        for _ in 0..3 {
            give_back(&store, "j/split").await;
        }
    }
    assert_eq!((begin(&store, "j/split").await, begin(&store, "j/split").await), (1, 2));
}

pub(super) async fn an_attempt_of_nothing_that_is_known_is_returned_without_a_trace(store: Subject) {
    give_back(&store, "j/split").await;
    assert_eq!(done(store.read(job("j")).await), None, "a return must not make a job");
    assert_eq!(begin(&store, "j/split").await, 1);
    give_back(&store, "j/never begun").await;
    assert_eq!(begin(&store, "j/never begun").await, 1);
    give_back(&store, "j/split").await;
    assert_eq!(done(store.read(job("j")).await), None);
    assert_eq!(begin(&store, "j/split").await, 1, "attempts without a checkpoint are returned like others");
}

pub(super) async fn attempts_that_are_returned_at_once_are_all_returned(store: Subject) {
    join_all((0..20).map(|_| begin(&store, "j/v00001"))).await;
    join_all((0..18).map(|_| give_back(&store, "j/v00001"))).await;
    assert_eq!(begin(&store, "j/v00001").await, 3);
    join_all((0..20).map(|_| give_back(&store, "j/v00001"))).await;
    assert_eq!(begin(&store, "j/v00001").await, 1);
}

pub(super) async fn odd_characters_come_back_unchanged(store: Subject) {
    let odd = " \"'\\\r\n\t\u{0}:*?[]{}%s\u{1F39E}ü ";
    done(store.open(job("a.b_c-D"), odd.into(), at(0)).await);
    assert_eq!(checkpoint_of(&store, &job("a.b_c-D")).await.content, odd);
    let strange = PartRecord { worker: odd.into(), ..part(UnitId::Audio(0), odd) };
    assert_eq!(record(&store, odd, strange.clone()).await.part, strange);
    assert_eq!(done(store.parts(job("j"), plan(odd)).await)[&UnitId::Audio(0)], strange);
    let step = Advance { plan: Some((plan(odd), 1)), ..Advance::default() };
    let advanced = done(store.advance(job("a.b_c-D"), step, at(1)).await).expect("a known job");
    assert_eq!(advanced.checkpoint.fingerprint, Some(plan(odd)));
    give_back(&store, odd).await;
    assert_eq!((begin(&store, odd).await, begin(&store, odd).await), (1, 2));
    give_back(&store, odd).await;
    assert_eq!(begin(&store, odd).await, 2);
    assert!(done(store.hold(odd.into(), odd.into(), super::LONG).await));
    assert!(!done(store.hold(odd.into(), "other".into(), super::LONG).await));
}

pub(super) async fn what_belongs_to_no_job_expires(store: Subject) {
    assert_eq!((begin(&store, "t").await, begin(&store, "t").await), (1, 2));
    give_back(&store, "t").await;
    record(&store, "p", part(UnitId::Chunk(0), "w")).await;
    let gone = || async { done(store.parts(job("j"), plan("p")).await).is_empty().then_some(()) };
    eventually("parts without a checkpoint expire", gone).await;
    assert_eq!(begin(&store, "t").await, 1, "attempts, which came before, have expired too");
}
