//! What H.264 and H.265 have in common: access units of NAL units, and the forms that containers want of them. A codec
//! says with a [`NalSyntax`] how its NAL units are told apart. Must never look into a slice.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hasher as _};

use gstreamer as gst;

use super::bitstream::{Looked, ParameterSets, Summary};
use super::start_code::{nal_units, put};

/// Bytes of the length in front of a NAL unit in an MP4 file.
const LENGTH_BYTES: usize = 4;
/// Payload type of a SEI message: user data without registration, in which encoders describe themselves.
pub const USER_DATA: u8 = 5;

/// What a NAL unit is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NalKind {
    /// A slice of a random access point: IDR in H.264, IRAP in H.265.
    KeySlice,
    /// A slice of another picture.
    Slice,
    /// A parameter set.
    Parameters,
    /// Access unit delimiter.
    Delimiter,
    /// A SEI message with [`USER_DATA`].
    UserData,
    /// Other SEI messages, fillers and the like.
    Other,
}

/// How a codec tells its NAL units apart.
pub struct NalSyntax {
    /// What a NAL unit (without its start code) is for.
    pub kind: fn(&[u8]) -> NalKind,
    /// The type in the first byte of a NAL unit.
    pub nal_type: fn(u8) -> u8,
    /// Types of the parameter sets that a decoder cannot do without.
    pub needed: &'static [u8],
    /// An access unit delimiter.
    pub delimiter: &'static [u8],
}

/// Whole access units in a stream format.
pub fn caps(media: &str, format: &str) -> gst::Caps {
    gst::Caps::builder(media).field("stream-format", format).field("alignment", "au").build()
}

impl NalSyntax {
    /// As [`Bitstream::scan`](super::bitstream::Bitstream::scan).
    pub fn scan(&self, unit: &[u8]) -> Summary {
        let mut found = Summary::default();
        let mut slices = DefaultHasher::new();
        for nal in nal_units(unit) {
            let kind = (self.kind)(nal);
            match kind {
                NalKind::KeySlice | NalKind::Slice => {
                    found.key |= kind == NalKind::KeySlice;
                    slices.write_usize(nal.len());
                    slices.write(nal);
                }
                NalKind::Parameters => {
                    found.parameters.insert(nal.to_vec());
                    found.parameter_bytes += nal.len() + LENGTH_BYTES;
                }
                NalKind::Delimiter | NalKind::UserData | NalKind::Other => {}
            }
            if is_kept(kind, false) {
                found.sample_bytes += nal.len() + LENGTH_BYTES;
            }
        }
        found.digest = slices.finish();
        found
    }

    /// Each NAL unit after its length in four bytes.
    pub fn sample(&self, unit: &[u8], with_parameters: bool, out: &mut Vec<u8>) {
        for nal in nal_units(unit).filter(|nal| is_kept((self.kind)(nal), with_parameters)) {
            // An access unit comes from a GStreamer buffer of a part file; 4 GiB of it cannot be in memory.
            out.extend_from_slice(&u32::try_from(nal.len()).unwrap_or(u32::MAX).to_be_bytes());
            out.extend_from_slice(nal);
        }
    }

    /// As [`Bitstream::in_band`](super::bitstream::Bitstream::in_band).
    pub fn in_band(&self, unit: &[u8], parameters: &ParameterSets) -> Option<Vec<u8>> {
        let has = |wanted| nal_units(unit).any(|nal| (self.kind)(nal) == wanted);
        let delimited = nal_units(unit).next().is_some_and(|nal| (self.kind)(nal) == NalKind::Delimiter);
        let described = !has(NalKind::KeySlice) || has(NalKind::Parameters);
        if delimited && described {
            return None;
        }
        let mut out = Vec::with_capacity(unit.len() + 128);
        put(self.delimiter, &mut out);
        if !described {
            parameters.iter().for_each(|nal| put(nal, &mut out));
        }
        let rest = nal_units(unit).filter(|nal| (self.kind)(nal) != NalKind::Delimiter);
        rest.for_each(|nal| put(nal, &mut out));
        Some(out)
    }

    /// As [`Bitstream::tidied`](super::bitstream::Bitstream::tidied).
    pub fn tidied(&self, unit: &[u8]) -> Vec<u8> {
        let mut kept: Vec<&[u8]> = Vec::new();
        for nal in nal_units(unit) {
            let is_dropped = match (self.kind)(nal) {
                NalKind::UserData => true,
                NalKind::Parameters => kept.contains(&nal),
                NalKind::KeySlice | NalKind::Slice | NalKind::Delimiter | NalKind::Other => false,
            };
            if !is_dropped {
                kept.push(nal);
            }
        }
        let mut tidied = Vec::with_capacity(unit.len());
        kept.iter().for_each(|nal| put(nal, &mut tidied));
        tidied
    }

    /// As [`Bitstream::look`](super::bitstream::Bitstream::look).
    pub fn look(&self, unit: &[u8], known: &mut Vec<Vec<u8>>) -> Option<Looked> {
        if !nal_units(unit).any(|nal| (self.kind)(nal) == NalKind::KeySlice) {
            return Some(Looked { key: false, instead: None });
        }
        let mut own: Vec<Vec<u8>> = Vec::new();
        let mut repeated = false;
        for nal in nal_units(unit).filter(|nal| (self.kind)(nal) == NalKind::Parameters) {
            match own.iter().any(|seen| seen == nal) {
                true => repeated = true,
                false => own.push(nal.to_vec()),
            }
        }
        let complete = self.is_complete(&own);
        if complete {
            *known = own;
        } else if known.is_empty() {
            return None;
        }
        let instead = (!complete || repeated).then(|| self.with_sets(unit, known));
        Some(Looked { key: true, instead })
    }

    fn is_complete(&self, sets: &[Vec<u8>]) -> bool {
        let types: BTreeSet<u8> =
            sets.iter().filter_map(|set| set.first()).map(|first| (self.nal_type)(*first)).collect();
        self.needed.iter().all(|kind| types.contains(kind))
    }

    /// A delimiter stays in front; the sets follow it; what else there was comes behind them.
    fn with_sets(&self, unit: &[u8], sets: &[Vec<u8>]) -> Vec<u8> {
        let of = |wanted: fn(NalKind) -> bool| nal_units(unit).filter(move |nal| wanted((self.kind)(nal)));
        let delimiters = of(|kind| kind == NalKind::Delimiter);
        let rest = of(|kind| !matches!(kind, NalKind::Delimiter | NalKind::Parameters));
        let mut made = Vec::with_capacity(unit.len() + 128);
        let nals = delimiters.chain(sets.iter().map(Vec::as_slice)).chain(rest);
        nals.for_each(|nal| put(nal, &mut made));
        made
    }
}

/// Whether a NAL unit goes into a sample of an MP4 file.
fn is_kept(kind: NalKind, with_parameters: bool) -> bool {
    match kind {
        NalKind::Delimiter => false,
        NalKind::Parameters => with_parameters,
        NalKind::KeySlice | NalKind::Slice | NalKind::UserData | NalKind::Other => true,
    }
}
