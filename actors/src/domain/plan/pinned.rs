//! A plan as it is carried out: with its stored bytes, the fingerprint that follows from them, and the order of its units,
//! each computed once. Must never be changed: another plan is another fingerprint.

use std::ops::Deref;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::chains::Chains;
use super::model::{PLAN_FORMAT, Plan};
use crate::domain::fingerprint::Fingerprint;
use crate::domain::job::hex;
use crate::domain::unit::UnitId;

/// The field of the stored plan that does not affect the bytes of the outputs: how many chains there are. As JSON has it;
/// inside a string the quotes would be escaped.
const CHAINS: &str = r#""parallelism":"#;
/// Bytes of the digest that the fingerprint shows.
const FINGERPRINT_BYTES: usize = 16;

/// Why stored bytes are no plan to this worker.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// They are none.
    #[error("{0}")]
    Damaged(serde_json::Error),
    /// A later release has written them: whoever knows the form carries it out.
    #[error(
        "the plan has the form {0}, and this release knows {PLAN_FORMAT}: a worker of the release that wrote it goes on"
    )]
    Newer(u32),
}

/// What every form of a plan begins with.
#[derive(Deserialize)]
struct Form {
    format: u32,
}

/// A plan that no longer changes.
#[derive(Clone, Debug)]
pub struct PinnedPlan {
    plan: Plan,
    stored: Vec<u8>,
    fingerprint: Fingerprint,
    chains: Chains,
}

impl PinnedPlan {
    /// Pins `plan`.
    ///
    /// # Errors
    /// Where the stored form cannot say it.
    pub fn new(plan: Plan) -> Result<Self, serde_json::Error> {
        let stored = serde_json::to_vec(&plan)?;
        Ok(Self::of(plan, stored))
    }

    /// Reads what [`PinnedPlan::stored`] gave, on a worker of this or another version: what it says beyond what this one
    /// knows is part of the fingerprint too.
    ///
    /// # Errors
    /// Where the bytes are no plan, or one of a form that only a newer worker knows.
    pub fn read(stored: Vec<u8>) -> Result<Self, Unreadable> {
        let Form { format } = serde_json::from_slice(&stored).map_err(Unreadable::Damaged)?;
        if format > PLAN_FORMAT {
            return Err(Unreadable::Newer(format));
        }
        let plan = serde_json::from_slice(&stored).map_err(Unreadable::Damaged)?;
        Ok(Self::of(plan, stored))
    }

    fn of(plan: Plan, stored: Vec<u8>) -> Self {
        let fingerprint = fingerprint(&stored);
        let chains = Chains::of(&plan);
        Self { plan, stored, fingerprint, chains }
    }

    /// The JSON of the plan, as it lies in the work storage.
    pub fn stored(&self) -> &[u8] {
        &self.stored
    }

    /// Hash of everything in the plan that affects the bytes of the outputs.
    pub const fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// What follows a split: the audio track first (one long task), then the first chunk of each chain.
    pub fn after_split(&self) -> Vec<UnitId> {
        self.chains.after_split()
    }

    /// What follows a finished unit in its chain, if anything does. Takes the same time for any number of chunks.
    pub fn after_unit(&self, unit: UnitId) -> Option<UnitId> {
        self.chains.after_unit(unit)
    }

    /// The first unit of each chain that has no part: from there on the chains reach all units that have none.
    pub fn frontier(&self, has_part: impl Fn(UnitId) -> bool) -> Vec<UnitId> {
        let first_without =
            |head| std::iter::successors(Some(head), |unit| self.after_unit(*unit)).find(|unit| !has_part(*unit));
        self.after_split().into_iter().filter_map(first_without).collect()
    }
}

impl Deref for PinnedPlan {
    type Target = Plan;

    fn deref(&self) -> &Plan {
        &self.plan
    }
}

impl PartialEq for PinnedPlan {
    fn eq(&self, other: &Self) -> bool {
        self.stored == other.stored
    }
}

/// SHA-256 of the stored bytes, with no number of chains in them: two workers with another `JOB_PARALLELISM` make the same
/// parts.
fn fingerprint(stored: &[u8]) -> Fingerprint {
    let text = String::from_utf8_lossy(stored);
    let mut hash = Sha256::new();
    match text.split_once(CHAINS) {
        Some((before, after)) => {
            hash.update(before);
            hash.update(CHAINS);
            hash.update("0");
            hash.update(after.trim_start_matches(|digit: char| digit.is_ascii_digit()));
        }
        None => hash.update(stored),
    }
    Fingerprint(hex(&hash.finalize()[..FINGERPRINT_BYTES]))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{identity, job, plan_of, video_of};
    use super::*;

    #[test]
    fn the_fingerprint_is_that_of_what_affects_the_bytes() {
        let plan = plan_of(3, 8, true);
        assert_eq!(plan.fingerprint(), plan_of(3, 8, true).fingerprint());
        assert_eq!(plan.fingerprint(), plan_of(3, 2, true).fingerprint(), "the chain length does not affect the bytes");
        assert_ne!(plan.fingerprint(), plan_of(4, 8, true).fingerprint());
        let mut other = Plan::clone(&plan);
        other.source.modified_unix_ns += 1;
        assert_ne!(plan.fingerprint(), PinnedPlan::new(other).expect("a plan").fingerprint());
        let mut other = Plan::clone(&plan);
        video_of(&mut other).renditions[0].keyframe_interval += 1;
        assert_ne!(plan.fingerprint(), PinnedPlan::new(other).expect("a plan").fingerprint());
    }

    #[test]
    fn a_plan_reads_back_from_what_is_stored() {
        let plan = plan_of(3, 8, true);
        let read = PinnedPlan::read(plan.stored().to_vec()).expect("a plan");
        assert_eq!((&read, read.fingerprint(), Plan::clone(&read)), (&plan, plan.fingerprint(), Plan::clone(&plan)));
        assert!(PinnedPlan::read(b"{}".to_vec()).is_err());
        let short =
            String::from_utf8_lossy(plan.stored()).replace(r#""outputs":[{"video":0,"audio":0}]"#, r#""outputs":[]"#);
        let refused = PinnedPlan::read(short.into_bytes()).expect_err("an output is missing");
        assert!(refused.to_string().contains("0 outputs"), "{refused}");
    }

    /// Of a plan of a worker that knew no versions of encoders, by another program (`sha256sum`).
    const STORED: &str = "64504f4f365d5aefa42ac10fecf6d42d";

    #[test]
    fn a_plan_of_an_older_worker_keeps_its_fingerprint() {
        let plan = plan_of(1, 2, true);
        assert!(!String::from_utf8_lossy(plan.stored()).contains("versions"));
        assert_eq!(PinnedPlan::read(plan.stored().to_vec()).expect("a plan").fingerprint().0, STORED);
        assert!(plan.needs(UnitId::Chunk(0), false).is_empty(), "anybody carries it out");
    }

    #[test]
    fn a_plan_of_a_newer_worker_keeps_its_fingerprint_however_often_it_is_stored() {
        let plan = plan_of(2, 8, true);
        let newer = String::from_utf8_lossy(plan.stored()).replacen('{', r#"{"of_tomorrow":[1],"#, 1);
        let read = PinnedPlan::read(newer.clone().into_bytes()).expect("a plan");
        assert_eq!(read.stored(), newer.as_bytes());
        assert_ne!(read.fingerprint(), plan.fingerprint());
        let again = PinnedPlan::read(read.stored().to_vec()).expect("a plan");
        assert_eq!(again.fingerprint(), read.fingerprint());
    }

    #[test]
    fn a_plan_of_a_form_that_is_not_known_yet_is_told_from_a_damaged_one() {
        let newer = String::from_utf8_lossy(plan_of(2, 8, true).stored()).replacen("\"format\":1", "\"format\":2", 1);
        let refused = PinnedPlan::read(newer.into_bytes()).expect_err("a newer form");
        assert!(matches!(refused, Unreadable::Newer(2)), "{refused}");
        let refused = PinnedPlan::read(br#"{"format":7,"of_tomorrow":[]}"#.to_vec()).expect_err("a newer form");
        assert!(matches!(refused, Unreadable::Newer(7)), "{refused}");
        assert!(matches!(PinnedPlan::read(b"{\"format\":1}".to_vec()), Err(Unreadable::Damaged(_))));
    }

    #[test]
    fn a_job_that_names_the_field_changes_nothing() {
        let mut job = job("odd");
        job.outputs[0].uri = r#"file:///media/"parallelism":7.ts"#.parse().expect("a uri");
        let facts = || super::super::testing::facts_of(1, false);
        let of = |chains| {
            let plan = Plan::build(job.clone(), identity(), facts(), chains, &Default::default());
            PinnedPlan::new(plan.expect("a plan")).expect("a plan")
        };
        assert_eq!(of(3).fingerprint(), of(40).fingerprint());
    }
}
