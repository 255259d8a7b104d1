//! The versions of what decides about the bytes of an output. Two versions of x264 write two streams of the same frames, so
//! that a plan names the ones that it was made with, and only who has them carries it out.
//!
//! | name | version |
//! |---|---|
//! | encoders of the CPU, such as `x264` and `avenc_aac` | what they write of themselves into their streams, or their library answers |
//! | `nvcodec` | driver and GPU |
//! | `va`, `openh264` | that of GStreamer's plugin |
//! | `gstreamer` | its own: decoders, scaler and deinterlacer decide about bytes too |

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::codec::EncoderFamily;

/// The name of the encoder of AAC.
pub const AAC_ENCODER: &str = "avenc_aac";
/// The name of everything that is no encoder.
pub const GSTREAMER: &str = "gstreamer";
/// The longest version that is believed, in bytes: it is shown in reports and hashed into plans.
const MAX_BYTES: usize = 100;

/// Versions by name. One that is not named is not known, or does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EncoderVersions(BTreeMap<String, String>);

impl EncoderVersions {
    /// Whether nothing is named.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The version of `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Names a version. It comes from native code: marks and what is too long are left out.
    pub fn set(&mut self, name: &str, version: &str) {
        let plain: String = version.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(MAX_BYTES).collect();
        self.0.insert(name.into(), plain.trim().to_owned());
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, version)| (name.as_str(), version.as_str()))
    }

    /// Those of these names.
    #[must_use]
    pub fn only<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Self {
        let known = |name: &'a str| Some((name.to_owned(), self.0.get(name)?.clone()));
        Self(names.into_iter().filter_map(known).collect())
    }

    /// With those of `other` for the names that are missing here.
    #[must_use]
    pub fn or(mut self, other: &Self) -> Self {
        other.0.iter().for_each(|(name, version)| {
            self.0.entry(name.clone()).or_insert_with(|| version.clone());
        });
        self
    }

    /// Those of `needed` that are other ones here, or not known.
    #[must_use]
    pub fn lacks(&self, needed: &Self) -> Self {
        let other = |(name, version): &(&str, &str)| self.get(name) != Some(*version);
        Self(needed.iter().filter(other).map(|(name, version)| (name.to_owned(), version.to_owned())).collect())
    }

    /// Whether these are the versions that are `needed`.
    pub fn cover(&self, needed: &Self) -> bool {
        self.lacks(needed).is_empty()
    }

    /// The families of devices among them.
    pub fn devices(&self) -> impl Iterator<Item = EncoderFamily> + '_ {
        EncoderFamily::all().filter(|family| family.is_device() && self.0.contains_key(family.as_str()))
    }
}

impl std::fmt::Display for EncoderVersions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (name, version)) in self.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{name} {version}")?;
        }
        Ok(())
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for EncoderVersions {
    fn from_iter<T: IntoIterator<Item = (&'a str, &'a str)>>(named: T) -> Self {
        let mut versions = Self::default();
        named.into_iter().for_each(|(name, version)| versions.set(name, version));
        versions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(named: &[(&str, &str)]) -> EncoderVersions {
        named.iter().copied().collect()
    }

    #[test]
    fn another_version_and_an_unknown_one_are_lacking_and_what_is_not_needed_is_no_matter() {
        let own = versions(&[("x264", "164 r3108"), ("x265", "215 4.1"), ("gstreamer", "1.26.2")]);
        assert!(own.cover(&versions(&[])) && own.cover(&versions(&[("x264", "164 r3108"), ("gstreamer", "1.26.2")])));
        let needed = versions(&[("x264", "164 r3095"), ("x265", "215 4.1"), ("avenc_aac", "Lavc61")]);
        assert_eq!(own.lacks(&needed).to_string(), "avenc_aac Lavc61, x264 164 r3095");
        assert_eq!(own.only(["x264", "va"]).to_string(), "x264 164 r3108");
        assert_eq!(own.only(["x264"]).or(&needed).to_string(), "avenc_aac Lavc61, x264 164 r3108, x265 215 4.1");
    }

    #[test]
    fn what_native_code_says_is_cut_and_shows_no_marks() {
        let long = "x".repeat(5000);
        let versions = versions(&[("x264", " 164\u{7} r3108\n\u{202e}"), ("x265", &long)]);
        assert_eq!((versions.get("x264"), versions.get("x265").map(str::len)), (Some("164 r3108"), Some(100)));
    }
}
