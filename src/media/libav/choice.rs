//! Which tracks of a file are used: the first video track that can be decoded and is no cover picture, and the first audio
//! track that can be decoded. Says what is wrong with a file that has none.

use actors::domain::failure::Failure;

use super::caps::{Form, form};
use super::track::{Kind, Track};
use crate::media::decoder::has_decoder;

/// What a file needs a key for.
pub const ENCRYPTED: &str = "the file is encrypted and its key is not known, upload it without encryption";

/// What is used.
pub struct Choice {
    /// Place of the video track among all, and its form.
    pub video: (usize, Form),
    /// The same of the audio track.
    pub audio: Option<(usize, Form)>,
}

impl Choice {
    /// Chooses among `tracks`; sound only where it is wanted.
    ///
    /// # Errors
    /// `permanent` where there is no video, or none of the tracks of a kind that is wanted can be decoded.
    pub fn new(tracks: &[Track], wants_audio: bool) -> Result<Self, Failure> {
        if tracks.iter().any(|track| track.encrypted) {
            return Err(Failure::permanent(ENCRYPTED));
        }
        let video = usable(tracks, Kind::Video).or_else(|| usable(tracks, Kind::Cover));
        let video = video.ok_or_else(|| no_video(tracks))?;
        let audio = match usable(tracks, Kind::Audio).filter(|_| wants_audio) {
            None if wants_audio && has(tracks, Kind::Audio) => return Err(unknown(tracks, Kind::Audio, "audio")),
            audio => audio,
        };
        Ok(Self { video, audio })
    }
}

fn usable(tracks: &[Track], kind: Kind) -> Option<(usize, Form)> {
    let mut known = tracks.iter().enumerate().filter(|(_, track)| track.kind == kind);
    known.find_map(|(index, track)| Some((index, form(track).filter(|form| has_decoder(&form.caps))?)))
}

fn has(tracks: &[Track], kind: Kind) -> bool {
    tracks.iter().any(|track| track.kind == kind)
}

/// Why there is no video track.
fn no_video(tracks: &[Track]) -> Failure {
    if has(tracks, Kind::Video) {
        return unknown(tracks, Kind::Video, "video");
    }
    let mut names: Vec<_> = tracks.iter().map(Track::codec_name).collect();
    names.dedup();
    let found = if names.is_empty() { "no stream at all".into() } else { names.join(", ") };
    Failure::permanent(format!("the file has no video track, found: {found}"))
}

/// Why a track that is there is of no use.
fn unknown(tracks: &[Track], kind: Kind, what: &str) -> Failure {
    let name = tracks.iter().find(|track| track.kind == kind).map_or("unknown", Track::codec_name);
    Failure::permanent(format!("the {what} track is {name}, which no decoder here can read; convert it first"))
}
