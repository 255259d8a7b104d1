//! The small values of a job, each valid once it exists.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::domain::codec::VideoCodec;

/// Names a job: 1 to 128 of `A-Z a-z 0-9 . _ -`, not beginning with a dot, so that it is safe in keys and paths.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId(String);

impl JobId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for JobId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if text.is_empty() || text.len() > 128 || text.starts_with('.') || !text.chars().all(allowed) {
            let shown: String = text.chars().take(40).collect();
            return Err(format!(
                "`{shown}` is not a job id: 1 to 128 letters, digits, `.`, `_`, `-` are accepted, the first no dot"
            ));
        }
        Ok(Self(text.into()))
    }
}

/// An absolute URI of an input or an output.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MediaUri(String);

impl MediaUri {
    /// The URI as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before `://`.
    pub fn scheme(&self) -> &str {
        self.0.split_once("://").map_or("", |(scheme, _)| scheme)
    }
}

impl FromStr for MediaUri {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let scheme_ok = |scheme: &str| {
            scheme.starts_with(|c: char| c.is_ascii_lowercase())
                && scheme.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c))
        };
        match text.split_once("://") {
            Some((scheme, rest))
                if scheme_ok(scheme)
                    && !rest.trim_matches('/').is_empty()
                    && !text.chars().any(char::is_control)
                    && text.len() <= 4096 =>
            {
                Ok(Self(text.into()))
            }
            _ => {
                let shown: String = text.chars().take(80).collect();
                Err(format!("`{shown}` is not an absolute URI such as file:///media/film.mp4"))
            }
        }
    }
}

/// Bits per second, 1,000 to 1,000,000,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Bitrate(u64);

impl Bitrate {
    const MIN: u64 = 1_000;
    const MAX: u64 = 1_000_000_000;

    pub(super) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Bits per second.
    pub const fn bits_per_second(self) -> u64 {
        self.0
    }

    /// Rounded to kbit/s, which is what GStreamer's x264enc, x265enc and nvcodec encoders want. The only place that converts.
    pub const fn kbit_per_second(self) -> u32 {
        // At most 1,000,000 by the range of a bitrate.
        ((self.0 + 500) / 1000) as u32
    }
}

impl TryFrom<u64> for Bitrate {
    type Error = String;

    fn try_from(bits: u64) -> Result<Self, String> {
        if (Self::MIN..=Self::MAX).contains(&bits) {
            return Ok(Self(bits));
        }
        Err(format!("{bits} bits per second is out of range, {} to {} are accepted", Self::MIN, Self::MAX))
    }
}

/// Constant quality in the scale of a codec, lower is better; where that ends the codec says
/// ([`VideoCodec::check_crf`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Crf(u8);

impl Crf {
    /// What `codec` is made with where nothing was asked for.
    pub const fn default_of(codec: VideoCodec) -> Self {
        Self(codec.default_crf())
    }

    /// The value.
    pub const fn value(self) -> u8 {
        self.0
    }
}

impl TryFrom<u64> for Crf {
    type Error = String;

    fn try_from(value: u64) -> Result<Self, String> {
        u8::try_from(value)
            .map(Self)
            .map_err(|_| format!("crf {value} is out of range, 0 to {} are accepted", VideoCodec::worst_crf_of_all()))
    }
}

/// Width or height of a picture in pixels: even, 16 to 8192.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Dimension(u32);

impl Dimension {
    const MIN: u64 = 16;
    const MAX: u64 = 8192;

    /// Pixels.
    pub const fn pixels(self) -> u32 {
        self.0
    }
}

impl TryFrom<u64> for Dimension {
    type Error = String;

    fn try_from(pixels: u64) -> Result<Self, String> {
        match u32::try_from(pixels) {
            Ok(small) if (Self::MIN..=Self::MAX).contains(&pixels) && pixels.is_multiple_of(2) => Ok(Self(small)),
            _ => Err(format!("{pixels} pixels is not accepted, it must be even and {} to {}", Self::MIN, Self::MAX)),
        }
    }
}

macro_rules! text_value {
    ($type:ident, $pattern:expr, $doc:expr) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl TryFrom<String> for $type {
            type Error = String;
            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }
        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.0
            }
        }
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "pattern": $pattern, "description": $doc})
            }
        }
    };
}
text_value!(JobId, "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$", "Names a job.");
text_value!(MediaUri, "^[a-z][a-z0-9+.-]*://.+", "An absolute URI.");

macro_rules! number_value {
    ($type:ident, $schema:tt) => {
        impl From<$type> for u64 {
            fn from(value: $type) -> Self {
                u64::from(value.0)
            }
        }
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}
number_value!(Bitrate, {"type": "integer", "minimum": 1000, "maximum": 1_000_000_000, "description": "Bits per second."});

/// A share of a film, from 0 to 1, in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Share(u32);

impl Share {
    const WHOLE: f64 = 1e6;
    /// What a film may have lost where a job does not say it: a second in fifty.
    pub const DEFAULT_DAMAGE: Self = Self(20_000);

    /// Whether `part` of `whole` is not more than this.
    pub fn allows(self, part: u64, whole: u64) -> bool {
        u128::from(part) * Self::WHOLE as u128 <= u128::from(whole) * u128::from(self.0)
    }
}

impl TryFrom<f64> for Share {
    type Error = String;

    fn try_from(value: f64) -> Result<Self, String> {
        // The range is checked, so that it fits.
        (0.0..=1.0)
            .contains(&value)
            .then(|| Self((value * Self::WHOLE).round() as u32))
            .ok_or_else(|| format!("{value} is no share, 0 (nothing) to 1 (all) are accepted"))
    }
}

impl From<Share> for f64 {
    fn from(share: Share) -> Self {
        Self::from(share.0) / Share::WHOLE
    }
}

impl JsonSchema for Share {
    fn schema_name() -> Cow<'static, str> {
        "Share".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "number", "minimum": 0, "maximum": 1, "description": "A share of the film's length."})
    }
}

impl From<Crf> for u64 {
    fn from(value: Crf) -> Self {
        Self::from(value.0)
    }
}

impl JsonSchema for Crf {
    fn schema_name() -> Cow<'static, str> {
        "Crf".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let scale = |codec: VideoCodec| format!("0 to {} for {}", codec.worst_crf(), codec.as_str());
        let scales = VideoCodec::all().map(scale).collect::<Vec<_>>().join(", ");
        json_schema!({
            "type": "integer",
            "minimum": 0,
            "maximum": VideoCodec::worst_crf_of_all(),
            "description": format!("Constant quality, lower is better: {scales}."),
        })
    }
}
number_value!(Dimension, {"type": "integer", "minimum": 16, "maximum": 8192, "multipleOf": 2, "description": "Pixels, even."});
