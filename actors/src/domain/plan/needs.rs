//! What a plan names of versions, and what a unit of it needs of them.

use super::model::Plan;
use super::versions::{AAC_ENCODER, EncoderVersions, GSTREAMER};
use crate::domain::job::GpuMode;
use crate::domain::unit::UnitId;

impl Plan {
    /// The names of everything that may decide about the bytes of this plan.
    pub(super) fn uses(&self) -> Vec<&'static str> {
        let mut names = vec![GSTREAMER];
        names.extend(self.video_renditions().iter().map(|rendition| rendition.encoder.as_str()));
        if self.job.gpu != GpuMode::Require {
            // A device that fails leaves its chunks to them.
            names.extend(self.by_cpu());
        }
        names.extend((self.num_audio() > 0).then_some(AAC_ENCODER));
        names
    }

    fn by_cpu(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.video_renditions().iter().map(|rendition| rendition.made_by(true).as_str())
    }

    /// The versions that whoever makes `unit` needs, by the CPU where `on_cpu` says so, as planned otherwise.
    pub fn needs(&self, unit: UnitId, on_cpu: bool) -> EncoderVersions {
        let mut names = vec![GSTREAMER];
        match unit {
            UnitId::Audio(_) => names.push(AAC_ENCODER),
            UnitId::Chunk(_) if on_cpu => names.extend(self.by_cpu()),
            UnitId::Chunk(_) => names.extend(self.video_renditions().iter().map(|one| one.encoder.as_str())),
        }
        self.versions.only(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::job::{JobSpec, VideoCodec};
    use crate::domain::plan::testing::{facts_of, identity, job, offer};
    use crate::domain::plan::{EncoderFamily, Families};

    fn everything() -> EncoderVersions {
        let all = ["x264", "x265", "avenc_aac", "nvcodec", "va", "openh264", "gstreamer"];
        all.into_iter().map(|name| (name, "1")).collect()
    }

    fn plan(gpu: GpuMode, devices: &[EncoderFamily], audio: bool) -> Plan {
        let offers = devices.iter().map(|family| offer(*family)).collect();
        let families = Families { offers, versions: everything() };
        let job = JobSpec { gpu, ..job("movie") };
        Plan::build(job, identity(), facts_of(2, audio), 2, &families).expect("a plan")
    }

    fn names(versions: &EncoderVersions) -> Vec<&str> {
        versions.iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn a_plan_names_what_it_uses_and_a_unit_needs_its_part_of_that() {
        use GpuMode::{Auto, Require};
        let cpu = plan(Auto, &[], true);
        assert_eq!(names(&cpu.versions), ["avenc_aac", "gstreamer", "x264"]);
        assert_eq!(names(&cpu.needs(UnitId::Audio(0), false)), ["avenc_aac", "gstreamer"]);
        assert_eq!(names(&cpu.needs(UnitId::Chunk(0), false)), ["gstreamer", "x264"]);
        let device = plan(Auto, &[EncoderFamily::Nvcodec], false);
        assert_eq!(names(&device.versions), ["gstreamer", "nvcodec", "x264"]);
        assert_eq!(names(&device.needs(UnitId::Chunk(0), false)), ["gstreamer", "nvcodec"]);
        assert_eq!(names(&device.needs(UnitId::Chunk(0), true)), ["gstreamer", "x264"]);
        assert_eq!(names(&plan(Require, &[EncoderFamily::Nvcodec], false).versions), ["gstreamer", "nvcodec"]);
        let mut both = job("movie");
        both.outputs.extend(both.outputs.clone());
        both.outputs[1].video.codec = VideoCodec::H265;
        let families = Families { offers: Vec::new(), versions: everything() };
        let both = Plan::build(both, identity(), facts_of(1, false), 1, &families).expect("a plan");
        assert_eq!(names(&both.needs(UnitId::Chunk(0), false)), ["gstreamer", "x264", "x265"]);
    }

    #[test]
    fn another_version_is_another_plan_and_an_input_that_is_cut_again_gives_the_same_one() {
        let plan = plan(GpuMode::Auto, &[EncoderFamily::Nvcodec], true);
        let cut = |families: &Families| {
            Plan::build(plan.job.clone(), identity(), facts_of(2, true), 2, families).expect("a plan")
        };
        assert_eq!(cut(&plan.families()), plan);
        let mut families = plan.families();
        families.versions.set("x265", "2");
        assert_eq!(cut(&families), plan, "it does not use that");
        families.versions.set("x264", "2");
        assert_ne!(cut(&families), plan);
    }
}
