//! What counts as finished was done, and what follows it is in the log.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::domain::fingerprint::Fingerprint;
use crate::domain::job::JobId;
use crate::domain::plan::PinnedPlan;
use crate::domain::record::{Delivery, DeliveryTag};
use crate::domain::task::Task;
use crate::domain::unit::UnitId;
use crate::testing::chronicle::Event;
use crate::testing::log::FakeLog;
use crate::work::Work;

type PlanName = (JobId, Fingerprint);
/// `None` is the assembly.
type TaskName = (JobId, Fingerprint, Option<UnitId>);

#[derive(Default)]
struct Chains {
    plans: HashMap<PlanName, Arc<PinnedPlan>>,
    /// One after the other.
    in_force: HashMap<JobId, Vec<Fingerprint>>,
    ended: HashSet<JobId>,
    published: HashSet<TaskName>,
    /// Tasks that were passed on, with how often.
    passed_on: HashSet<(TaskName, u32)>,
    /// Ever: what is forgotten later is somebody else's work.
    recorded: HashSet<(JobId, Fingerprint, UnitId)>,
    finished: HashMap<PlanName, HashSet<UnitId>>,
    emptied: bool,
}

/// Nothing counts as finished before its result is durable and what follows it was acknowledged.
pub(super) fn check(events: &[Event], log: &FakeLog) {
    let mut chains = Chains::default();
    for event in events {
        match event {
            Event::Published(record) => {
                let task = record.value.as_deref().and_then(|value| serde_json::from_slice::<Task>(value).ok());
                if let Some(task) = task {
                    chains.published(&task);
                }
            }
            Event::Split(plan) => {
                chains.plans.insert((plan.job.job_id.clone(), plan.fingerprint().clone()), plan.clone());
            }
            Event::InForce(job_id, fingerprint) => {
                chains.in_force.entry(job_id.clone()).or_default().push(fingerprint.clone());
            }
            Event::Recorded { job_id, fingerprint, in_force, .. } => {
                chains.recorded.insert((job_id.clone(), fingerprint.clone(), in_force.unit));
            }
            Event::Ended(job_id, _, _) => drop(chains.ended.insert(job_id.clone())),
            Event::Emptied => chains.emptied = true,
            Event::Finished { tag, .. } => chains.finished(*tag, log),
            _ => {}
        }
    }
}

fn name_of(task: &Task) -> TaskName {
    (task.job_id().clone(), task.fingerprint().clone(), task.unit())
}

impl Chains {
    /// A task is published when what it follows is recorded, and not before.
    fn published(&mut self, task: &Task) {
        let name = (task.job_id().clone(), task.fingerprint().clone());
        if let Some(plan) = self.plans.get(&name) {
            let unit = task.unit();
            let comes_first = |before: &UnitId| unit.is_none() || plan.after_unit(*before) == unit;
            for before in plan.units().filter(comes_first) {
                let part = (name.0.clone(), name.1.clone(), before);
                assert!(self.recorded.contains(&part), "{} was published before {before} was recorded", task.key());
            }
        }
        self.published.insert(name_of(task));
        self.passed_on.insert((name_of(task), task.passed_on().times));
    }

    fn finished(&mut self, tag: DeliveryTag, log: &FakeLog) {
        let Some(record) = log.record(tag) else { panic!("{tag:?} is not in the log") };
        let work = Work::read(&Delivery { tag, key: Some(record.key), value: record.value, headers: record.headers });
        let Some(job_id) = work.job_id().filter(|job_id| !self.ended.contains(*job_id)) else { return };
        match &work {
            Work::Job(_) => self.job_finished(tag, job_id),
            Work::Task(task) => self.task_finished(tag, task),
            Work::Refused(_) => {}
        }
    }

    fn job_finished(&self, tag: DeliveryTag, job_id: &JobId) {
        let Some([before @ .., last]) = self.in_force.get(job_id).map(Vec::as_slice) else {
            panic!("{tag:?} of {job_id} was finished, not split")
        };
        // Another plan takes the place of one that was carried out, and is begun by the task that puts it in force.
        let is_begun = |plan: &&Fingerprint| {
            let first = self.plans[&(job_id.clone(), (*plan).clone())].after_split();
            let task = |unit| (job_id.clone(), (*plan).clone(), Some(unit));
            first.into_iter().all(|unit| self.published.contains(&task(unit)))
        };
        if before.iter().any(|plan| is_begun(&plan)) {
            return;
        }
        for unit in self.plans[&(job_id.clone(), last.clone())].after_split() {
            self.must_be_published(tag, job_id, last, Some(unit));
        }
    }

    fn task_finished(&mut self, tag: DeliveryTag, task: &Task) {
        let (job_id, fingerprint) = (task.job_id(), task.fingerprint());
        let name = (job_id.clone(), fingerprint.clone());
        // Of another plan than that of its job: there is nothing to do.
        if self.in_force.get(job_id).and_then(|plans| plans.last()) != Some(fingerprint) {
            return;
        }
        let (Some(plan), Some(unit)) = (self.plans.get(&name).cloned(), task.unit()) else { return };
        // It was left to others: there it is done.
        if self.passed_on.contains(&(name_of(task), task.passed_on().times + 1)) {
            return;
        }
        let part = (job_id.clone(), fingerprint.clone(), unit);
        assert!(self.recorded.contains(&part), "{tag:?} was finished before the part of {} was recorded", task.key());
        if let Some(next) = plan.after_unit(unit) {
            self.must_be_published(tag, job_id, fingerprint, Some(next));
        }
        let finished = self.finished.entry(name).or_default();
        finished.insert(unit);
        // With an empty store it is the task that builds the checkpoint again which emits the assembly, whenever that is.
        if !self.emptied && plan.units().all(|unit| finished.contains(&unit)) {
            self.must_be_published(tag, job_id, fingerprint, None);
        }
    }

    fn must_be_published(&self, tag: DeliveryTag, job_id: &JobId, plan: &Fingerprint, unit: Option<UnitId>) {
        let task = (job_id.clone(), plan.clone(), unit);
        assert!(self.published.contains(&task), "{tag:?} was finished before {task:?} was acknowledged");
    }
}
