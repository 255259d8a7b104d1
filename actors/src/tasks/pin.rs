//! What the plans of a job are made with: the devices that they may use, and one version of everything that decides about
//! bytes. Pure.
//!
//! They come from one worker as far as that goes, the one whose plan most can be made of: this one, or one that has the
//! devices that the job may use, or the encoders that this one lacks. Devices of workers with another GStreamer do not
//! count: they could not carry the plan out.
//! A version for each encoder from whoever has one would be a mixture that nobody has as a whole, and the plan would
//! wait for ever. What was chosen first is kept in the work storage before the first split: workers come and go, and
//! two splits of one job that each chose for themselves would make the tasks of each plan stale for the other (the model lost jobs so,
//! in 4 of 10,000 histories).

use std::collections::BTreeSet;

use crate::domain::job::{GpuMode, JobSpec, VideoCodec};
use crate::domain::plan::{AAC_ENCODER, EncoderFamily, EncoderVersions, Families, FamilyOffer, GSTREAMER};
use crate::ports::WorkerInfo;

/// A worker that might make parts of a job.
#[derive(Clone, Debug)]
pub(super) struct Maker {
    pub versions: EncoderVersions,
    pub offers: Vec<FamilyOffer>,
}

impl From<&WorkerInfo> for Maker {
    fn from(worker: &WorkerInfo) -> Self {
        let offers = worker.capabilities.offers().collect();
        Self { versions: worker.capabilities.versions.clone(), offers }
    }
}

/// Chooses for `job` among this worker and the others.
pub(super) fn pin(job: &JobSpec, own: &Maker, others: &[Maker]) -> Families {
    let all: Vec<&Maker> = std::iter::once(own).chain(others).collect();
    let names = names(job);
    let base = all.iter().copied().max_by_key(|maker| {
        let same = all.iter().filter(|other| other.versions == maker.versions).count();
        (rank(job, &names, maker), std::ptr::eq(*maker, own), same, &maker.versions)
    });
    let base = base.unwrap_or(own);
    let agrees = |maker: &Maker| maker.versions.get(GSTREAMER) == base.versions.get(GSTREAMER);
    let mut versions = base.versions.only(names.iter().copied());
    for name in names.into_iter().filter(|name| base.versions.get(name).is_none()) {
        let having = || all.iter().filter(|maker| agrees(maker)).chain(all.iter().filter(|maker| !agrees(maker)));
        let first = having().find_map(|maker| Some((agrees(maker), maker.versions.get(name)?)));
        let theirs = having().filter(|maker| first.is_some_and(|(agree, _)| agrees(maker) == agree));
        if let Some(version) = most_common(theirs.filter_map(|maker| maker.versions.get(name))) {
            versions.set(name, version);
        }
    }
    let mut offers = Vec::new();
    for family in EncoderFamily::all().filter(|_| job.gpu != GpuMode::Off) {
        let offered = |maker: &Maker| maker.offers.iter().any(|offer| offer.family == family);
        let makers: Vec<&Maker> = all.iter().copied().filter(|maker| agrees(maker) && offered(maker)).collect();
        let version = match offered(base) {
            true => base.versions.get(family.as_str()),
            false => most_common(makers.iter().filter_map(|maker| maker.versions.get(family.as_str()))),
        };
        let same = makers.iter().filter(|maker| maker.versions.get(family.as_str()) == version);
        offers.extend(same.flat_map(|maker| maker.offers.iter().filter(|offer| offer.family == family).copied()));
        if let Some(version) = version {
            versions.set(family.as_str(), version);
        }
    }
    offers.sort_unstable();
    offers.dedup();
    Families { offers, versions }
}

/// What has to have a version whatever the devices are.
fn names(job: &JobSpec) -> BTreeSet<&'static str> {
    let mut names = BTreeSet::from([GSTREAMER]);
    if job.gpu != GpuMode::Require {
        names.extend(codecs(job).map(|codec| codec.cpu_family().as_str()));
    }
    names.extend(job.outputs.iter().any(|output| output.audio.is_some()).then_some(AAC_ENCODER));
    names
}

fn codecs(job: &JobSpec) -> impl Iterator<Item = VideoCodec> + '_ {
    job.outputs.iter().map(|output| output.video.codec)
}

/// How much of the job a worker makes: devices come first where the job requires one.
fn rank(job: &JobSpec, names: &BTreeSet<&str>, maker: &Maker) -> (bool, bool) {
    let by_device = |codec: VideoCodec| maker.offers.iter().any(|offer| offer.codec == codec);
    let devices = job.gpu != GpuMode::Off && codecs(job).all(by_device);
    let whole = names.iter().all(|name| maker.versions.get(name).is_some());
    if job.gpu == GpuMode::Require { (devices, whole) } else { (whole, devices) }
}

fn most_common<'a>(versions: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    versions.clone().max_by_key(|version| (versions.clone().filter(|other| other == version).count(), *version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::plan::testing::{job, offer};
    use EncoderFamily::Nvcodec;

    fn maker(versions: &[(&str, &str)], devices: &[EncoderFamily]) -> Maker {
        let common = [("gstreamer", "1.26.2"), ("avenc_aac", "61")];
        let versions = versions.iter().copied().chain(common).collect();
        Maker { versions, offers: devices.iter().map(|family| offer(*family)).collect() }
    }

    fn settled(gpu: GpuMode, own: &Maker, others: &[Maker]) -> (String, usize) {
        let families = pin(&JobSpec { gpu, ..job("movie") }, own, others);
        (families.versions.to_string(), families.offers.len())
    }

    #[test]
    fn a_worker_plans_with_its_own_versions_and_with_others_where_it_lacks_an_encoder() {
        let (own, other) = (maker(&[("x264", "1")], &[]), maker(&[("x264", "2"), ("x265", "9")], &[]));
        let of = |version| format!("avenc_aac 61, gstreamer 1.26.2, x264 {version}");
        assert_eq!(settled(GpuMode::Auto, &own, std::slice::from_ref(&other)), (of("1"), 0));
        let without = maker(&[("x265", "9")], &[]);
        let others = [other.clone(), own.clone(), other];
        assert_eq!(settled(GpuMode::Auto, &without, &others), (of("2"), 0), "most have it");
        assert_eq!(settled(GpuMode::Auto, &without, &[]).0, "avenc_aac 61, gstreamer 1.26.2");
    }

    #[test]
    fn a_device_has_one_version_in_a_job_whoever_has_others() {
        let (cpu, old) = (maker(&[("x264", "1")], &[]), maker(&[("x264", "1"), ("nvcodec", "535")], &[Nvcodec]));
        let new = maker(&[("x264", "1"), ("nvcodec", "570")], &[Nvcodec]);
        let of = |driver| format!("avenc_aac 61, gstreamer 1.26.2, nvcodec {driver}, x264 1");
        let others = [new.clone(), old.clone()];
        assert_eq!(settled(GpuMode::Auto, &old, &others), (of("535"), 1), "its own");
        assert_eq!(settled(GpuMode::Auto, &cpu, &others), (of("570"), 1));
        assert_eq!(settled(GpuMode::Require, &cpu, &others[1..]).0, "avenc_aac 61, gstreamer 1.26.2, nvcodec 535");
        assert_eq!(settled(GpuMode::Off, &cpu, &others), ("avenc_aac 61, gstreamer 1.26.2, x264 1".into(), 0));
    }

    #[test]
    fn a_device_comes_with_the_gstreamer_of_its_worker() {
        let cpu = maker(&[("x264", "1")], &[]);
        let mut gpu = maker(&[("x264", "2"), ("nvcodec", "570")], &[Nvcodec]);
        gpu.versions.set("gstreamer", "1.26.3");
        let of_gpu = "avenc_aac 61, gstreamer 1.26.3, nvcodec 570, x264 2".to_owned();
        assert_eq!(settled(GpuMode::Auto, &cpu, std::slice::from_ref(&gpu)), (of_gpu, 1));
        // One that cannot take over from its own device makes no plan for others.
        let bare = Maker { versions: gpu.versions.only(["nvcodec", "gstreamer"]), ..gpu };
        let own = "avenc_aac 61, gstreamer 1.26.2, x264 1".to_owned();
        assert_eq!(settled(GpuMode::Auto, &cpu, &[bare]), (own, 0));
    }
}
