//! The stored form of a plan, which is older than the model: one video track, at most one audio track, and the renditions
//! of each output by their numbers. As long as a plan can be said so it is, or workers of another version could not carry
//! it out, and an input that is cut again would give another fingerprint. What cannot be said so needs a form of its own,
//! with another [`PLAN_FORMAT`](super::PLAN_FORMAT).

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::facts::SourceIdentity;
use super::model::{AudioPlan, OutputPlan, Plan, Track, VideoPlan};
use super::versions::EncoderVersions;
use crate::domain::job::JobSpec;
use crate::domain::track::{RenditionId, TrackId};

/// What lies in the work storage.
#[derive(Serialize, Deserialize)]
struct StoredPlan {
    format: u32,
    job: JobSpec,
    source: SourceIdentity,
    parallelism: u32,
    created_unix: u64,
    video: VideoPlan,
    audio: Option<AudioPlan>,
    outputs: Vec<StoredOutput>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    from_start: bool,
    /// None in plans of workers that knew none: anybody carries those out.
    #[serde(default, skip_serializing_if = "EncoderVersions::is_empty")]
    versions: EncoderVersions,
}

/// The renditions of an output.
#[derive(Serialize, Deserialize)]
struct StoredOutput {
    video: u16,
    audio: Option<u16>,
}

impl TryFrom<StoredPlan> for Plan {
    type Error = String;

    fn try_from(stored: StoredPlan) -> Result<Self, String> {
        let (asked, planned) = (stored.job.outputs.len(), stored.outputs.len());
        if asked != planned {
            return Err(format!("the plan has {planned} outputs and its job {asked}"));
        }
        let outputs = stored.job.outputs.iter().zip(stored.outputs).map(|(asked, planned)| {
            let audio = planned.audio.map(|index| RenditionId::new(TrackId::Audio(0), index));
            let video = RenditionId::new(TrackId::Video, planned.video);
            let members = std::iter::once(video).chain(audio).collect();
            OutputPlan { package: asked.container, members, root: asked.uri.clone() }
        });
        let plan = Self {
            outputs: outputs.collect(),
            format: stored.format,
            job: stored.job,
            source: stored.source,
            parallelism: stored.parallelism,
            created_unix: stored.created_unix,
            tracks: std::iter::once(Track::Video(stored.video)).chain(stored.audio.map(Track::Audio)).collect(),
            from_start: stored.from_start,
            versions: stored.versions,
        };
        check(&plan)?;
        Ok(plan)
    }
}

/// What the stored form takes for granted: each output is the one of the job in its place, and what it holds is made.
fn check(plan: &Plan) -> Result<(), String> {
    let (asked, planned) = (plan.job.outputs.len(), plan.outputs.len());
    if asked != planned {
        return Err(format!("the plan has {planned} outputs and its job {asked}"));
    }
    for (asked, output) in plan.job.outputs.iter().zip(&plan.outputs) {
        if (asked.container, &asked.uri) != (output.package, &output.root) {
            return Err(format!("the plan has {} where its job has {}", output.root, asked.uri));
        }
        let is_made = |member: &&RenditionId| {
            plan.track(member.track).is_some_and(|track| member.place() < track.num_renditions())
        };
        if let Some(missing) = output.members.iter().find(|member| !is_made(member)) {
            return Err(format!("{} holds {missing}, which is not made", output.root));
        }
    }
    Ok(())
}

impl<'de> Deserialize<'de> for Plan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(StoredPlan::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl Serialize for Plan {
    /// # Errors
    /// Where the stored form cannot say it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        StoredPlan::try_from(self.clone()).map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl TryFrom<Plan> for StoredPlan {
    type Error = String;

    fn try_from(plan: Plan) -> Result<Self, String> {
        check(&plan)?;
        let unknown = || "the stored form of plans has one video track, one audio track and outputs of both".to_owned();
        let outputs = plan.outputs.iter().map(|output| {
            let (video, audio) = match output.members[..] {
                [video] => (video, None),
                [video, audio] => (video, Some(audio)),
                _ => return Err(unknown()),
            };
            let fits = video.track == TrackId::Video && audio.is_none_or(|audio| audio.track == TrackId::Audio(0));
            if !fits {
                return Err(unknown());
            }
            Ok(StoredOutput { video: video.index, audio: audio.map(|audio| audio.index) })
        });
        let outputs = outputs.collect::<Result<_, _>>()?;
        let mut tracks = plan.tracks.into_iter();
        let (video, audio) = match (tracks.next(), tracks.next(), tracks.next()) {
            (Some(Track::Video(video)), None, None) => (video, None),
            (Some(Track::Video(video)), Some(Track::Audio(audio)), None) => (video, Some(audio)),
            _ => return Err(unknown()),
        };
        Ok(Self {
            format: plan.format,
            job: plan.job,
            source: plan.source,
            parallelism: plan.parallelism,
            created_unix: plan.created_unix,
            video,
            audio,
            outputs,
            from_start: plan.from_start,
            versions: plan.versions,
        })
    }
}
