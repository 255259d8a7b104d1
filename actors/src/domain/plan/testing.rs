//! Plans for tests.

use super::{
    AudioFacts, ChunkFacts, EncoderFamily, Families, FamilyOffer, PinnedPlan, Plan, SourceFacts, SourceIdentity, Track,
    VideoFacts, VideoPlan, Window,
};
use crate::domain::failure::Failure;
use crate::domain::geometry::Orientation;
use crate::domain::job::{Container, JobSpec, Output, VideoCodec};

const FRAME_NS: u64 = 40_000_000;
const FRAMES: u32 = 250;

/// Facts of a 25 fps film of `chunks` chunks of 10 s each.
pub fn facts_of(chunks: u32, audio: bool) -> SourceFacts {
    let chunk_ns = FRAME_NS * u64::from(FRAMES);
    let end_ns = chunk_ns * u64::from(chunks);
    SourceFacts {
        video: VideoFacts {
            caps: "video/x-h264".into(),
            width: 1920,
            height: 1080,
            pixel_aspect: (1, 1),
            frame_rate: (25, 1),
            bit_depth: 8,
            interlaced: false,
            orientation: Orientation::Rotate0,
            one_frame_per_unit: true,
            end_ns,
            account: None,
            chunks: (0..chunks)
                .map(|index| ChunkFacts {
                    source: format!("v{index:05}.gdp"),
                    window: Window {
                        start_ns: u64::from(index) * chunk_ns,
                        end_ns: u64::from(index + 1) * chunk_ns,
                        frames: FRAMES,
                    },
                })
                .collect(),
        },
        audio: audio.then(|| AudioFacts {
            source: "audio.gdp".into(),
            caps: "audio/mpeg".into(),
            sample_rate: 48_000,
            channels: 2,
            start_ns: 0,
            end_ns,
            account: None,
        }),
    }
}

/// A job with one output with audio.
pub fn job(job_id: &str) -> JobSpec {
    let json = format!(
        r#"{{"job_id": "{job_id}", "input": {{"uri": "file:///media/in.mp4"}}, "outputs": [{{"uri": "file:///media/{job_id}.ts",
            "container": "mpegts", "video": {{"codec": "h264", "height": 720, "bitrate": 5000000}}, "audio": {{"codec": "aac", "bitrate": 128000}}}}]}}"#
    );
    JobSpec::parse(json.as_bytes()).unwrap_or_else(|error| panic!("the job of the tests: {error}"))
}

/// A job with one output for each of `containers`, all of one rendition.
pub fn job_into(job_id: &str, containers: &[Container]) -> JobSpec {
    let mut spec = job(job_id);
    let output = spec.outputs.remove(0);
    let of = |container: &Container| {
        let uri = format!("file:///media/{job_id}.{container:?}").parse();
        let uri = uri.unwrap_or_else(|error| panic!("the name of an output of the tests: {error}"));
        Output { uri, container: *container, ..output.clone() }
    };
    spec.outputs = containers.iter().map(of).collect();
    spec
}

/// What a device of `family` offers.
pub fn offer(family: EncoderFamily) -> FamilyOffer {
    FamilyOffer { codec: VideoCodec::H264, bit_depth: 8, family, max_size: None }
}

/// A plan of `chunks` chunks for a device.
pub fn device_plan(chunks: u32, family: EncoderFamily) -> PinnedPlan {
    let families = Families::of_devices(vec![offer(family)]);
    pinned(Plan::build(job("movie-42"), identity(), facts_of(chunks, false), 2, &families))
}

/// Identity of an input.
pub fn identity() -> SourceIdentity {
    SourceIdentity { bytes: 1, modified_unix_ns: 1_700_000_000_000_000_000, etag: None }
}

/// A plan of `chunks` chunks.
pub fn plan_of(chunks: u32, parallelism: u32, audio: bool) -> PinnedPlan {
    pinned(Plan::build(job("movie-42"), identity(), facts_of(chunks, audio), parallelism, &Families::default()))
}

fn pinned(plan: Result<Plan, Failure>) -> PinnedPlan {
    let plan = plan.unwrap_or_else(|error| panic!("the plan of the tests: {error}"));
    PinnedPlan::new(plan).unwrap_or_else(|error| panic!("the plan of the tests: {error}"))
}

/// The video track of a plan, to change it.
pub fn video_of(plan: &mut Plan) -> &mut VideoPlan {
    let video = plan.tracks.iter_mut().find_map(|track| match track {
        Track::Video(video) => Some(video),
        Track::Audio(_) => None,
    });
    video.unwrap_or_else(|| panic!("the plan has no video"))
}
