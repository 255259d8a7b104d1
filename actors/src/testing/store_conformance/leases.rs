//! Leases, and workers that announce themselves.

use std::time::Duration;

use futures_util::future::join_all;

use super::{LONG, SHORT, Subject, at, done, eventually};
use crate::domain::job::VideoCodec;
use crate::domain::plan::EncoderFamily;
use crate::ports::{Capabilities, CapabilityFinding, Device, Direction, PathCapability, Proof, WorkerInfo};

fn worker(name: &str, slots: usize) -> WorkerInfo {
    let path = |family, proof| PathCapability {
        codec: VideoCodec::H264,
        direction: Direction::Encode,
        bit_depth: 8,
        family,
        proof,
        max_size: Some((4096, 4096)),
    };
    let works = path(EncoderFamily::X264, Proof::Works { fps: Some(80) });
    let fails = path(EncoderFamily::Nvcodec, Proof::Fails("no \"sessions\" left".into()));
    let device = Device {
        index: 1,
        name: "a \"GPU\"".into(),
        driver: "535.1".into(),
        memory_bytes: 80_000_000_000,
        max_sessions: Some(8),
        lost: Some("it fell off the bus".into()),
    };
    let finding = CapabilityFinding { what: "no \"driver\"".into(), advice: "install one".into() };
    let versions = [("x264", "164 r3108 \"31e19f9\"")].into_iter().collect();
    let capabilities =
        Capabilities { devices: vec![device], paths: vec![works, fails], findings: vec![finding], versions };
    WorkerInfo { worker: name.into(), slots, capabilities, updated_at: at(0) }
}

pub(super) async fn a_lease_has_one_owner_until_it_is_given_back(store: Subject) {
    let hold = |owner: &str| store.hold("j/v00001".into(), owner.into(), LONG);
    let release = |owner: &str| store.release("j/v00001".into(), owner.into());
    assert!(done(hold("a").await));
    assert!(done(hold("a").await), "its owner renews it");
    assert!(!done(hold("b").await));
    done(release("b").await);
    assert!(!done(hold("b").await), "who does not own it cannot give it back");
    assert!(done(store.hold("j/v00002".into(), "b".into(), LONG).await), "another task has another lease");
    done(release("a").await);
    done(release("a").await);
    assert!(done(hold("b").await));
    assert!(!done(hold("a").await));
}

pub(super) async fn a_lease_that_is_not_renewed_expires(store: Subject) {
    assert!(done(store.hold("t".into(), "a".into(), SHORT).await));
    assert!(done(store.hold("renewed".into(), "a".into(), SHORT).await));
    assert!(done(store.hold("renewed".into(), "a".into(), LONG).await));
    let taken = || async { done(store.hold("t".into(), "b".into(), LONG).await).then_some(()) };
    eventually("the lease of a silent owner is free", taken).await;
    assert!(!done(store.hold("t".into(), "a".into(), LONG).await));
    assert!(!done(store.hold("renewed".into(), "b".into(), LONG).await), "a renewed lease got the new time");
}

pub(super) async fn of_many_owners_one_gets_the_lease(store: Subject) {
    let holds = (0..30).map(|owner| store.hold("t".into(), format!("owner-{owner}"), LONG));
    assert_eq!(join_all(holds).await.into_iter().filter(|held| *held == Ok(true)).count(), 1);
}

pub(super) async fn times_to_live_may_be_nothing_or_endless(store: Subject) {
    assert!(done(store.hold("short".into(), "a".into(), Duration::ZERO).await));
    assert!(done(store.hold("long".into(), "a".into(), Duration::MAX).await));
    let taken = || async { done(store.hold("short".into(), "b".into(), LONG).await).then_some(()) };
    eventually("a lease for no time is free", taken).await;
    assert!(!done(store.hold("long".into(), "b".into(), LONG).await));
    done(store.announce("w".into(), worker("w", 1), Duration::MAX).await);
    assert_eq!(done(store.workers().await), [worker("w", 1)]);
}

pub(super) async fn workers_are_listed_until_they_fall_silent(store: Subject) {
    assert_eq!(done(store.workers().await), []);
    done(store.announce("silent".into(), worker("silent", 1), SHORT).await);
    done(store.announce("w2".into(), worker("w2", 1), SHORT).await);
    done(store.announce("w1".into(), worker("w1", 4), LONG).await);
    done(store.announce("w2".into(), worker("w2", 8), LONG).await);
    let alone = || async {
        let mut workers = done(store.workers().await);
        workers.sort_by(|a, b| a.worker.cmp(&b.worker));
        (workers.len() == 2).then_some(workers)
    };
    assert_eq!(eventually("the silent worker is forgotten", alone).await, [worker("w1", 4), worker("w2", 8)]);
}
