//! What has to be known of a video codec: one [`Bitstream`] for each. Access units are in the form in which encoders,
//! chunk sources and parts have them (for H.264 and H.265 the byte stream); everything else is made from that.

use std::collections::BTreeSet;

use gstreamer as gst;

/// Parameter sets, each once.
pub type ParameterSets = BTreeSet<Vec<u8>>;

/// A video codec. Pure functions on bytes; must never look into a slice.
pub trait Bitstream: Sync {
    /// GStreamer's name for it.
    fn media(&self) -> &'static str;

    /// GStreamer's parser.
    fn parser(&self) -> &'static str;

    /// The caps of access units.
    fn caps(&self) -> gst::Caps;

    /// The caps of samples of an MP4 file.
    fn sample_caps(&self) -> gst::Caps;

    /// What decoding can do at an access unit. `delta` is the parser's DELTA_UNIT flag.
    fn access(&self, unit: &[u8], delta: bool) -> Access;

    /// Whether some units hold pictures that are decoded and not shown, so that a track has less frames than pictures.
    fn hides_pictures(&self) -> bool {
        false
    }

    /// Whether a unit that is shown before the random access point in front of it can be decoded without what came before.
    fn leading_decodes(&self, unit: &[u8]) -> bool;

    /// What decoders learn from this unit, the first one of a track, and do not find at later random access points.
    fn carried(&self, _unit: &[u8]) -> Option<Vec<u8>> {
        None
    }

    /// Looks through an access unit.
    fn scan(&self, unit: &[u8]) -> Summary;

    /// Appends the access unit as a sample of an MP4 file; `with_parameters` where they are not the same for the whole track.
    fn sample(&self, unit: &[u8], with_parameters: bool, out: &mut Vec<u8>);

    /// The access unit as a transport stream wants it: a delimiter in front, and `parameters` at each random access point
    /// that has none. `None` where it already is so.
    fn in_band(&self, unit: &[u8], parameters: &ParameterSets) -> Option<Vec<u8>>;

    /// The access unit with each parameter set once, and without what an encoder says of itself.
    fn tidied(&self, unit: &[u8]) -> Vec<u8>;

    /// Looks at the next access unit of a stream whose encoder may leave parameter sets out or repeat them. `known` are those
    /// of the last random access point, as `look` left them. `None` where a random access point comes before all of them did.
    fn look(&self, unit: &[u8], known: &mut Vec<Vec<u8>>) -> Option<Looked>;

    /// The configuration record for MP4 of a track that begins with this unit, where GStreamer's parser has found `parsed`.
    fn configuration(&self, _unit: &[u8], parsed: Option<Vec<u8>>) -> Option<Vec<u8>> {
        parsed
    }

    /// How MP4 names it, where parameter sets stand in its index only, or (`in_band`) in the samples too.
    fn names(&self, in_band: bool) -> Names;

    /// The parameter of `CODECS` (RFC 6381) for a track with this configuration record; `None` where that is too short.
    fn codecs(&self, configuration: &[u8], in_band: bool) -> Option<String>;
}

/// What decoding can do at an access unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Needs what is in front of it.
    None,
    /// A picture to begin with, when there is nothing better in the whole track: some pictures behind it may be wrong.
    Poor,
    /// Decoding may begin here; pictures that are shown before it and come behind it (leading pictures) may need what is
    /// in front of it.
    Open,
    /// Decoding may begin here, and nothing behind it needs anything in front of it.
    Closed,
}

/// What has to be known of an access unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Whether it is a random access point.
    pub key: bool,
    /// Of the slices: two units with the same one show the same picture. Good for this process only.
    pub digest: u64,
    /// The parameter sets in it.
    pub parameters: ParameterSets,
    /// Size in bytes of [`Bitstream::sample`] without parameter sets.
    pub sample_bytes: usize,
    /// What parameter sets add to it.
    pub parameter_bytes: usize,
}

/// An access unit of an encoder that was looked at.
#[derive(Debug, PartialEq, Eq)]
pub struct Looked {
    /// Whether it is a random access point.
    pub key: bool,
    /// What to write in its place, where it is not right as it is.
    pub instead: Option<Vec<u8>>,
}

/// Names of boxes of MP4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Names {
    /// Of the sample entry.
    pub entry: &'static [u8; 4],
    /// Of the configuration record in it.
    pub configuration: &'static [u8; 4],
}
