//! Renditions in MP4 have their parts from one encoder family: the container holds one set of parameters, in its header,
//! and the parts of two families need two. (MPEG-TS has them in front of each IDR.) A device that failed in the middle of
//! such a rendition has made parts for nothing: they are forgotten, as damaged ones are, and made again by the CPU, which
//! can make all of them.

use std::collections::BTreeMap;

use super::parts::Parts;
use super::successors::Successors;
use super::tally;
use crate::domain::checkpoint::PartRecord;
use crate::domain::failure::Failure;
use crate::domain::plan::{EncoderFamily, PinnedPlan, Plan};
use crate::domain::unit::UnitId;

type Records = BTreeMap<UnitId, PartRecord>;

/// Who made a rendition of a chunk. Records of older workers do not say it: then it was as planned.
fn made_by(plan: &Plan, part: &PartRecord, rendition: usize) -> Option<EncoderFamily> {
    let planned = plan.video_renditions().get(rendition).map(|rendition| rendition.encoder);
    part.parts.get(rendition).and_then(|part| part.encoder).or(planned).filter(|_| part.unit.is_chunk())
}

/// Whether the CPU made a part of a rendition that was planned for a device and must be of one family: what is still to be
/// made of it is for the CPU too.
pub(super) fn is_for_cpu<'a>(plan: &Plan, parts: impl IntoIterator<Item = &'a PartRecord>) -> bool {
    let by_device =
        |rendition: &usize| plan.video_renditions().get(*rendition).is_some_and(|one| one.encoder.is_device());
    let renditions: Vec<usize> = plan.of_one_family().filter(by_device).collect();
    let by_cpu =
        |part: &PartRecord, rendition| made_by(plan, part, rendition).is_some_and(|family| !family.is_device());
    !renditions.is_empty() && parts.into_iter().any(|part| renditions.iter().any(|rendition| by_cpu(part, *rendition)))
}

/// The chunks that a device made of renditions of which the CPU made others.
pub(super) fn to_make_again(plan: &Plan, parts: &Records) -> Vec<UnitId> {
    if !is_for_cpu(plan, parts.values()) {
        return Vec::new();
    }
    let mixed = |rendition: &usize| {
        let mut families = parts.values().filter_map(|part| made_by(plan, part, *rendition));
        let first = families.next();
        families.any(|family| Some(family) != first)
    };
    let mixed: Vec<usize> = plan.of_one_family().filter(mixed).collect();
    let by_device = |part: &&PartRecord| {
        mixed.iter().any(|rendition| made_by(plan, part, *rendition).is_some_and(EncoderFamily::is_device))
    };
    parts.values().filter(by_device).map(|part| part.unit).collect()
}

/// Makes these chunks again by the CPU. May stop anywhere: whoever comes next finds them missing, or made by a device.
pub(super) async fn make_again_by_cpu(
    parts: &Parts,
    successors: &Successors,
    plan: &PinnedPlan,
    units: Vec<UnitId>,
) -> Result<(), Failure> {
    tracing::warn!(job_id = %plan.job.job_id, chunks = units.len(), "a rendition in MP4 has parts of a device and of the CPU, the CPU makes all of it");
    for unit in &units {
        parts.discard(plan, *unit).await?;
        tally::wasted(plan, *unit, u64::MAX);
    }
    successors.units(plan, units, true).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::job::Container;
    use crate::domain::plan::Families;
    use crate::domain::plan::testing::{facts_of, identity, job_into, offer};
    use crate::testing::stages::{part_of, parts_of};
    use EncoderFamily::{Nvcodec, X264};

    fn plan(containers: &[Container]) -> Plan {
        let families = Families::of_devices(vec![offer(Nvcodec)]);
        Plan::build(job_into("movie", containers), identity(), facts_of(3, true), 2, &families).expect("a plan")
    }

    fn parts(made: &[&[EncoderFamily]]) -> Records {
        let chunk = |(index, made): (u32, &&[EncoderFamily])| {
            let encoders = made.iter().copied().map(Some).chain(made.is_empty().then_some(None));
            let part = parts_of(UnitId::Chunk(index), "w", encoders);
            (part.unit, part)
        };
        let audio = (UnitId::Audio(0), part_of(UnitId::Audio(0), "w"));
        (0..).zip(made).map(chunk).chain([audio]).collect()
    }

    #[test]
    fn what_a_device_made_of_a_mixed_rendition_in_mp4_is_made_again() {
        let mixed = parts(&[&[Nvcodec], &[X264], &[]]);
        let again = [UnitId::Chunk(0), UnitId::Chunk(2)];
        assert_eq!(to_make_again(&plan(&[Container::Mp4]), &mixed), again);
        assert_eq!(to_make_again(&plan(&[Container::Mpegts, Container::Mp4]), &mixed), again, "they share it");
        assert!(is_for_cpu(&plan(&[Container::Mp4]), mixed.values()));
        let ts = plan(&[Container::Mpegts]);
        assert!(to_make_again(&ts, &mixed).is_empty() && !is_for_cpu(&ts, mixed.values()));
    }

    #[test]
    fn a_rendition_of_one_family_stays_as_it_is() {
        let mp4 = plan(&[Container::Mp4]);
        let (device, cpu) = (parts(&[&[Nvcodec], &[], &[Nvcodec]]), parts(&[&[X264], &[X264], &[X264]]));
        assert!(to_make_again(&mp4, &device).is_empty() && !is_for_cpu(&mp4, device.values()));
        assert!(to_make_again(&mp4, &cpu).is_empty() && is_for_cpu(&mp4, cpu.values()));
    }
}
