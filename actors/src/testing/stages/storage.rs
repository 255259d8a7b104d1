//! What lies in the fake work storage: plans and parts by job and plan, as long as nobody removes or damages them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::checkpoint::PartRecord;
use crate::domain::fingerprint::Fingerprint;
use crate::domain::job::JobId;
use crate::domain::plan::{Families, PinnedPlan, Plan};
use crate::domain::unit::UnitId;
use crate::testing::chronicle::{Chronicle, Event};

type Name = (JobId, Fingerprint);

#[derive(Default)]
pub(super) struct Storage {
    families: BTreeMap<JobId, Families>,
    plans: BTreeMap<Name, Arc<PinnedPlan>>,
    parts: BTreeMap<Name, BTreeMap<UnitId, PartRecord>>,
    pub removed: Vec<JobId>,
    pub chronicle: Chronicle,
}

fn name_of(plan: &PinnedPlan) -> Name {
    (plan.job.job_id.clone(), plan.fingerprint().clone())
}

fn has_two_families(plan: &Plan, parts: &BTreeMap<UnitId, PartRecord>, rendition: usize) -> bool {
    let chunks = parts.values().filter(|part| part.unit.is_chunk());
    let planned = plan.video_renditions()[rendition].encoder;
    let families = chunks.map(|part| part.parts.get(rendition).and_then(|part| part.encoder).unwrap_or(planned));
    families.collect::<BTreeSet<_>>().len() > 1
}

impl Storage {
    pub fn pin(&mut self, job_id: JobId, families: Families) -> Families {
        self.families.entry(job_id).or_insert(families).clone()
    }

    pub fn keep_plan(&mut self, plan: &Arc<PinnedPlan>) {
        self.plans.insert(name_of(plan), plan.clone());
        self.chronicle.note(Event::Split(plan.clone()));
    }

    /// The last one stays: all parts of a unit are as good.
    pub fn keep_part(&mut self, plan: &PinnedPlan, part: PartRecord) {
        let (job_id, fingerprint) = name_of(plan);
        self.chronicle.note(Event::Made { job_id: job_id.clone(), fingerprint: fingerprint.clone(), unit: part.unit });
        self.parts.entry((job_id, fingerprint)).or_default().insert(part.unit, part);
    }

    pub fn has_plan(&self, plan: &PinnedPlan) -> bool {
        self.plans.contains_key(&name_of(plan))
    }

    /// Reads an output back; the parts of which the files are not there, if there are any.
    pub fn verify(&mut self, plan: &PinnedPlan, parts: &BTreeMap<UnitId, PartRecord>) -> Option<Vec<UnitId>> {
        let (job_id, fingerprint) = name_of(plan);
        if plan.units().any(|unit| !parts.contains_key(&unit)) {
            self.chronicle.note(Event::Incomplete(job_id.clone(), fingerprint.clone()));
        }
        if plan.of_one_family().any(|rendition| has_two_families(plan, parts, rendition)) {
            self.chronicle.note(Event::Mixed(job_id.clone(), fingerprint.clone()));
        }
        let there = self.parts.get(&(job_id.clone(), fingerprint.clone()));
        let is_lost = |unit: &UnitId| !there.is_some_and(|there| there.contains_key(unit));
        let lost: Vec<UnitId> = parts.keys().copied().filter(is_lost).collect();
        if lost.is_empty() {
            self.chronicle.note(Event::Verified(job_id, fingerprint));
            return None;
        }
        self.chronicle.note(Event::Lost(job_id, fingerprint, lost.clone()));
        Some(lost)
    }

    /// An output gets its final name.
    pub fn publish(&mut self, plan: &PinnedPlan) {
        let (job_id, fingerprint) = name_of(plan);
        self.chronicle.note(Event::Output(job_id, fingerprint));
    }

    /// The files of these parts of an assembly vanish.
    pub fn lose(&mut self, plan: &PinnedPlan, units: &[UnitId]) {
        if let Some(there) = self.parts.get_mut(&name_of(plan)) {
            there.retain(|unit, _| !units.contains(unit));
        }
    }

    pub fn damage(&mut self, pick: usize) {
        let all = self.parts.iter().flat_map(|(name, parts)| parts.keys().map(move |unit| (name.clone(), *unit)));
        let all: Vec<(Name, UnitId)> = all.collect();
        if let Some((name, unit)) = all.get(pick % all.len().max(1))
            && let Some(parts) = self.parts.get_mut(name)
        {
            parts.remove(unit);
        }
    }

    pub fn plan(&self, job_id: JobId, fingerprint: Fingerprint) -> Option<Arc<PinnedPlan>> {
        self.plans.get(&(job_id, fingerprint)).cloned()
    }

    pub fn parts(&self, job_id: JobId, fingerprint: Fingerprint) -> Vec<PartRecord> {
        self.parts.get(&(job_id, fingerprint)).into_iter().flat_map(|parts| parts.values().cloned()).collect()
    }

    pub fn discard(&mut self, job_id: JobId, fingerprint: Fingerprint, unit: UnitId) {
        if let Some(parts) = self.parts.get_mut(&(job_id.clone(), fingerprint.clone())) {
            parts.remove(&unit);
        }
        self.chronicle.note(Event::Discarded(job_id, fingerprint, unit));
    }

    pub fn remove(&mut self, job_id: JobId) {
        self.families.remove(&job_id);
        self.plans.retain(|(id, _), _| *id != job_id);
        self.parts.retain(|(id, _), _| *id != job_id);
        self.removed.push(job_id);
    }

    pub fn is_empty_of(&self, job_id: &JobId) -> bool {
        !self.plans.keys().any(|(id, _)| id == job_id) && !self.parts.keys().any(|(id, _)| id == job_id)
    }
}
