//! Stages of a film that consists of text: what the runner does with files is the same.

use std::path::Path;
use std::process::ExitCode;

use actors::domain::checkpoint::Verification;
use actors::domain::failure::Failure;
use actors::domain::job::hex;
use actors::domain::part::{AudioStats, VideoStats};
use actors::domain::plan::SourceFacts;
use actors::domain::plan::testing::facts_of;
use gstreamer_worker::process::{Child, Progress};
use gstreamer_worker::protocol::{
    AssembleSpec, Compared, EncodeAudioSpec, EncodeSpec, Encoded, EncodedFile, Joined, PartSource, Product,
    ProductFile, SplitSpec, StageSpec, Verdict,
};
use sha2::{Digest as _, Sha256};

/// Chunks of the film.
pub const CHUNKS: u32 = 3;

/// Runs a stage on text. `mode` says what goes wrong.
pub fn stage(mode: &str, spec: StageSpec, child: &Child) -> ExitCode {
    match spec {
        StageSpec::Split(spec) => child.run(&spec, |spec, progress| begun(progress, || split(mode, spec))),
        StageSpec::Encode(spec) => child.run(&*spec, |spec, progress| begun(progress, || Ok(encode(mode, spec)))),
        StageSpec::Audio(spec) => child.run(&*spec, |spec, progress| begun(progress, || Ok(audio(mode, spec)))),
        StageSpec::Assemble(spec) => child.run(&*spec, |spec, progress| begun(progress, || Ok(assemble(spec)))),
        StageSpec::Verify(spec) => {
            let compared = Compared { frames: 0, pictures: 0, sound: false };
            child.run(&spec, |spec, progress| begun(progress, || Ok(Verdict::Same(vec![compared; spec.outputs.len()]))))
        }
        other => panic!("a film of text is for no {other:?}"),
    }
}

fn begun<T>(progress: Progress<'_>, stage: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    progress(1_000_000_000);
    stage()
}

fn encode(mode: &str, spec: &EncodeSpec) -> Encoded<VideoStats> {
    let text = read(&spec.source);
    if !text.starts_with("film") {
        return Encoded::SourceLost(format!("{} is damaged", spec.source.display()));
    }
    let files = spec.renditions.iter().zip(&spec.targets).map(|(rendition, target)| {
        let text = format!("{text} at {}x{}\n", rendition.width, rendition.height);
        write_part(mode, target, &text, VideoStats { access_units: 250, key_units: 1, damaged: 0 })
    });
    Encoded::Files(files.collect())
}

fn audio(mode: &str, spec: &EncodeAudioSpec) -> Encoded<AudioStats> {
    let text = read(&spec.source);
    let media = AudioStats { packets: 1407, samples: 1_440_000, priming: 1024 };
    Encoded::Files(spec.targets.iter().map(|target| write_part(mode, target, &text, media)).collect())
}

fn split(mode: &str, spec: &SplitSpec) -> Result<SourceFacts, Failure> {
    let film = read(&spec.input);
    let facts = facts_of(CHUNKS, spec.audio);
    for chunk in &facts.video.chunks {
        write(&spec.directory.join(&chunk.source), &format!("{film} {}", chunk.source));
    }
    if let Some(audio) = &facts.audio {
        write(&spec.directory.join(&audio.source), &format!("{film} sounds\n"));
    }
    if mode == "film-altered-input" {
        write(&spec.input, "another film");
    }
    Ok(facts)
}

fn assemble(spec: &AssembleSpec) -> Joined {
    let (mut text, mut lost) = (String::new(), Vec::new());
    for PartSource { path, part: recorded } in spec.members.iter().flat_map(|member| &member.parts) {
        let part = read(path);
        if digest(&part) != recorded.file.sha256 {
            lost.push(recorded.file.name.clone());
        }
        text += &part;
    }
    if !lost.is_empty() {
        return Joined::PartsLost(lost);
    }
    write(&spec.target, &text);
    Joined::Product(Product {
        files: vec![ProductFile { path: spec.target.clone(), bytes: text.len() as u64, sha256: digest(&text) }],
        duration_ns: spec.plan.duration_ns(),
        checks: Verification {
            frames: spec.plan.frames(),
            key_frames: 1,
            audio_samples: 0,
            av_offset_ns: 0,
            ..Verification::default()
        },
    })
}

fn write_part<M>(mode: &str, target: &Path, text: &str, media: M) -> EncodedFile<M> {
    write(target, if mode == "film-cut-short" { &text[..1] } else { text });
    EncodedFile { bytes: text.len() as u64, sha256: digest(text), media }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

fn digest(text: &str) -> String {
    hex(&Sha256::digest(text))
}
