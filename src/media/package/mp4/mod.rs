//! MP4 with the index in front: it is made from the tables of the first pass ([`movie`]), then the access units are copied
//! one by one.

mod movie;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use actors::domain::checkpoint::Verification;
use actors::domain::failure::Failure;
use actors::domain::job::AudioCodec;

use super::packager::Packager;
use super::verify::{self, Form};
use crate::media::codec;
use crate::media::gdp::write_failure;
use crate::media::mp4::layout::{Layout, Placed};
use crate::media::mp4::{self, WriteError};
use crate::media::parts::reader::Joined;
use crate::media::parts::timing::{choose_timescale, to_ns};
use crate::media::parts::tracks::Tracks;
use movie::movie;

/// Bytes written at once.
const BLOCK_BYTES: usize = 256 * 1024;
/// Index of the video track.
const VIDEO: usize = 0;

/// The package.
pub struct Mp4;

impl Packager for Mp4 {
    fn name(&self) -> &'static str {
        "an MP4 file"
    }

    fn takes_audio(&self, codec: AudioCodec) -> bool {
        match codec {
            AudioCodec::Aac => true,
        }
    }

    fn timescale(&self, pts_ns: &[i64], frame_rate: (u32, u32)) -> u32 {
        choose_timescale(pts_ns, frame_rate)
    }

    fn write(&self, tracks: &Tracks, progress: &dyn Fn(u64)) -> Result<Vec<PathBuf>, Failure> {
        let target = &tracks.spec.target;
        write(tracks, target, progress).map(|()| vec![target.clone()])
    }

    fn verify(&self, tracks: &Tracks) -> Result<Verification, Failure> {
        verify::run(tracks, Form { demuxer: "qtdemux", has_edits: true })
    }
}

fn write(tracks: &Tracks, target: &Path, progress: &dyn Fn(u64)) -> Result<(), Failure> {
    let movie = movie(tracks)?;
    let layout = Layout::interleave(placed(tracks));
    let file = File::create(target).map_err(|error| write_failure(target, &error))?;
    let mut file = BufWriter::with_capacity(BLOCK_BYTES, file);
    let mut parts: Vec<Joined> = [Joined::new(tracks.video_parts)]
        .into_iter()
        .chain(tracks.audio.as_ref().map(|_| Joined::new(tracks.audio_parts)))
        .collect();
    let video = &tracks.video;
    let next = |track: usize, sample: &mut Vec<u8>| {
        let unit = parts[track].next()?.ok_or_else(changed)?;
        if track == VIDEO {
            codec::of(video.codec).sample(&unit.bytes()?, video.parameters_change, sample);
            progress(u64::try_from(unit.pts_ns).unwrap_or_default());
        } else {
            sample.extend_from_slice(&unit.bytes()?);
        }
        Ok(())
    };
    mp4::write(&mut file, &movie, &layout, next).map_err(|error| match error {
        WriteError::Io(error) => write_failure(target, &error),
        WriteError::Source(failure) => failure,
        WriteError::Size { .. } => changed(),
    })?;
    file.flush().map_err(|error| write_failure(target, &error))
}

fn changed() -> Failure {
    Failure::retryable("a part changed while it was read, another attempt reads it again")
}

/// When each sample is read, for the layout.
fn placed<'a>(tracks: &'a Tracks<'_>) -> Vec<Box<dyn Iterator<Item = Placed> + 'a>> {
    let times = &tracks.times;
    let video = times.dts.iter().zip(&tracks.video.sizes);
    let video = video.map(|(&dts, &bytes)| Placed { time_ns: to_ns(dts, times.timescale), bytes });
    let mut all: Vec<Box<dyn Iterator<Item = Placed>>> = vec![Box::new(video)];
    if let Some(audio) = &tracks.audio {
        let packets = (0u64..).zip(&audio.sizes);
        all.push(Box::new(packets.map(|(n, &bytes)| Placed { time_ns: audio.packet_ns(n), bytes })));
    }
    all
}
