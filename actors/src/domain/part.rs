//! What comes of a unit: its parts, one for each rendition. A record is kept whole or not at all.

use serde::ser::Error as _;
use serde::{Deserialize, Serialize, Serializer};

use super::codec::EncoderFamily;
use super::track::{RenditionId, TrackId};
use super::unit::UnitId;

/// A file by its name and content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRef {
    /// File name under the plan's `parts/`; contains the digest.
    pub name: String,
    /// Size.
    pub bytes: u64,
    /// Of the whole file, in hex.
    pub sha256: String,
}

/// Pictures of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VideoStats {
    /// Encoded frames.
    pub access_units: u32,
    /// Those of them that are random access points.
    pub key_units: u32,
    /// Frames of the source that could not be decoded, or only in part.
    #[serde(default)]
    pub damaged: u32,
}

/// Sound of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioStats {
    /// Encoded packets.
    pub packets: u32,
    /// Samples per channel that are heard.
    pub samples: u64,
    /// Samples at the beginning that the encoder added and a player must drop.
    pub priming: u32,
}

/// What a part holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaStats {
    /// Pictures.
    Video(VideoStats),
    /// Sound.
    Audio(AudioStats),
}

impl From<VideoStats> for MediaStats {
    fn from(stats: VideoStats) -> Self {
        Self::Video(stats)
    }
}

impl From<AudioStats> for MediaStats {
    fn from(stats: AudioStats) -> Self {
        Self::Audio(stats)
    }
}

/// An encoded rendition of a unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Of what.
    pub rendition: RenditionId,
    /// Where it lies.
    pub file: FileRef,
    /// What it holds.
    pub media: MediaStats,
    /// Who made it. None for sound, and in records of workers that knew only what was planned.
    pub encoder: Option<EncoderFamily>,
}

/// The result of one unit of work: a part for each rendition of its track, in the plan's order.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "StoredRecord")]
pub struct PartRecord {
    /// What it is the result of.
    pub unit: UnitId,
    /// The worker that made it.
    pub worker: String,
    /// Seconds that the encode took.
    pub encode_seconds: f64,
    /// The parts.
    pub parts: Vec<Part>,
}

impl PartRecord {
    /// Who made its parts, as far as that is known.
    pub fn encoders(&self) -> impl Iterator<Item = EncoderFamily> {
        self.parts.iter().filter_map(|part| part.encoder)
    }
}

/// A record in the checkpoint and beside the parts, as workers of all versions read it: what the files hold follows from
/// the unit.
#[derive(Serialize, Deserialize)]
struct StoredRecord {
    unit: UnitId,
    worker: String,
    encode_seconds: f64,
    files: Vec<StoredFile>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    encoders: Vec<EncoderFamily>,
}

#[derive(Serialize, Deserialize)]
struct StoredFile {
    #[serde(flatten)]
    file: FileRef,
    access_units: u32,
    key_units: u32,
    #[serde(default)]
    samples: u64,
    #[serde(default)]
    priming: u32,
    #[serde(default, skip_serializing_if = "is_none")]
    damaged: u32,
}

/// Most sources are whole, and their records are as they were.
fn is_none(count: &u32) -> bool {
    *count == 0
}

impl TryFrom<StoredRecord> for PartRecord {
    type Error = String;

    fn try_from(stored: StoredRecord) -> Result<Self, String> {
        let StoredRecord { unit, worker, encode_seconds, files, encoders } = stored;
        if files.len() > usize::from(u16::MAX) {
            return Err(format!("{} files are too many for a unit", files.len()));
        }
        let part = |(index, stored): (u16, StoredFile)| {
            let StoredFile { file, access_units, key_units, samples, priming, damaged } = stored;
            let media = match unit.track() {
                TrackId::Video => MediaStats::Video(VideoStats { access_units, key_units, damaged }),
                TrackId::Audio(_) => MediaStats::Audio(AudioStats { packets: access_units, samples, priming }),
            };
            let encoder = encoders.get(usize::from(index)).copied();
            Part { rendition: RenditionId::new(unit.track(), index), file, media, encoder }
        };
        Ok(Self { unit, worker, encode_seconds, parts: (0..=u16::MAX).zip(files).map(part).collect() })
    }
}

impl Serialize for PartRecord {
    /// # Errors
    /// Where a part is not that of its place, or holds something else than its unit.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        StoredRecord::try_from(self.clone()).map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl TryFrom<PartRecord> for StoredRecord {
    type Error = String;

    fn try_from(record: PartRecord) -> Result<Self, String> {
        let PartRecord { unit, worker, encode_seconds, parts } = record;
        for (index, part) in (0..=u16::MAX).zip(&parts) {
            let fits = matches!(
                (unit.track(), part.media),
                (TrackId::Video, MediaStats::Video(_)) | (TrackId::Audio(_), MediaStats::Audio(_))
            );
            if !fits || part.rendition != RenditionId::new(unit.track(), index) {
                return Err(format!("part {index} of unit {unit} is {} with {:?}", part.rendition, part.media));
            }
        }
        let encoders = parts.iter().map_while(|part| part.encoder).collect();
        let file = |Part { file, media, .. }: Part| match media {
            MediaStats::Video(VideoStats { access_units, key_units, damaged }) => {
                StoredFile { file, access_units, key_units, samples: 0, priming: 0, damaged }
            }
            MediaStats::Audio(AudioStats { packets, samples, priming }) => {
                StoredFile { file, access_units: packets, key_units: packets, samples, priming, damaged: 0 }
            }
        };
        Ok(Self { unit, worker, encode_seconds, files: parts.into_iter().map(file).collect(), encoders })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_the_form_that_workers_before_read_and_wrote() {
        let video = r#"{"unit":"v00003","worker":"w","encode_seconds":1.5,"files":[{"name":"v0-v00003-ab.gdp","bytes":7,"sha256":"ab","access_units":250,"key_units":5,"samples":0,"priming":0}],"encoders":["x264"]}"#;
        let audio = r#"{"unit":"audio","worker":"w","encode_seconds":1.5,"files":[{"name":"a0-audio-ab.gdp","bytes":7,"sha256":"ab","access_units":9,"key_units":9,"samples":8192,"priming":1024}]}"#;
        for stored in [video, audio] {
            let record: PartRecord = serde_json::from_str(stored).expect("a record");
            assert_eq!(serde_json::to_string(&record).expect("json"), stored);
        }
        let record: PartRecord = serde_json::from_str(audio).expect("a record");
        let media = MediaStats::Audio(AudioStats { packets: 9, samples: 8192, priming: 1024 });
        assert_eq!((record.parts[0].media, record.parts[0].encoder), (media, None));
        let mut turned: PartRecord = serde_json::from_str(video).expect("a record");
        turned.parts[0].rendition.index = 1;
        assert!(serde_json::to_string(&turned).is_err(), "it would be read as another rendition");
        let before = video.replace(r#","encoders":["x264"]"#, "").replace(r#","samples":0,"priming":0"#, "");
        let record: PartRecord = serde_json::from_str(&before).expect("a record");
        assert_eq!(
            record.parts[0].media,
            MediaStats::Video(VideoStats { access_units: 250, key_units: 5, damaged: 0 })
        );
    }
}
