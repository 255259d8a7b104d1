//! The protocol, explored: an adversary with a seed does everything that can happen to a fleet, in any order and between
//! any two effects of a worker, and the invariants hold. One seed gives one history: its world, its dice, the jitter of
//! all backoffs and the clock follow from it.
//!
//! `cargo test` explores 10,000 seeds. `SEEDS=200000` explores so many, from `FIRST_SEED`; `SEED=1234` runs that one again
//! and, where it fails, tells what happened, line by line.
//!
//! * `world`: the jobs, the fleet and the faults of a seed
//! * `adversary`: what it does to them
//! * `verdict`: what must be true in the end
//! * `explore`: many seeds on all cores, the failing ones by number

mod adversary;
mod explore;
mod verdict;
mod world;

use adversary::replay;
use explore::explore;

/// Seeds of an ordinary test run.
const SEEDS: u64 = 10_000;

#[test]
fn no_adversary_loses_a_job() {
    explore(SEEDS, |seed| drop(replay(seed)));
}

#[test]
fn one_seed_gives_one_history() {
    let history = |seed| replay(seed).chronicle.read(|events| events.to_vec());
    let first: Vec<_> = (0..12).map(history).collect();
    for (seed, first) in (0..).zip(&first) {
        let again = history(seed);
        let parting = again.iter().zip(first).position(|(again, first)| again != first);
        assert_eq!(parting, None, "seed {seed}: the step where the histories part");
        assert_eq!(again.len(), first.len(), "seed {seed}: one history is longer");
    }
    assert!(first.windows(2).all(|pair| pair[0] != pair[1]), "another seed, another history");
}
