//! The choice between encoder families: a device where a worker has proven it, the CPU everywhere else.

use serde::{Deserialize, Serialize};

use super::versions::EncoderVersions;
use crate::domain::codec::EncoderFamily;
use crate::domain::job::VideoCodec;

/// A device that a living worker has proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FamilyOffer {
    /// What it makes.
    pub codec: VideoCodec,
    /// Bits of a luma sample.
    pub bit_depth: u8,
    /// The family.
    pub family: EncoderFamily,
    /// Largest width and height in pixels, where there is a limit.
    pub max_size: Option<(u32, u32)>,
}

impl FamilyOffer {
    /// Whether it makes pictures of this size so.
    pub fn fits(&self, codec: VideoCodec, bit_depth: u8, width: u32, height: u32) -> bool {
        let large_enough = self.max_size.is_none_or(|(most_w, most_h)| width <= most_w && height <= most_h);
        self.codec == codec && self.bit_depth == bit_depth && large_enough
    }
}

/// What the plans of a job are made with: the devices that they may use, where none means the CPU, and the versions of
/// all encoders. Each device has one version, whoever has it: a job is never made by two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "StoredFamilies")]
pub struct Families {
    /// The devices.
    pub offers: Vec<FamilyOffer>,
    /// The versions; without them anybody carries out the plan.
    pub versions: EncoderVersions,
}

/// As they lie in the work storage: before there were versions, a plain list of devices.
#[derive(Deserialize)]
#[serde(untagged)]
enum StoredFamilies {
    Devices(Vec<FamilyOffer>),
    Whole {
        offers: Vec<FamilyOffer>,
        #[serde(default)]
        versions: EncoderVersions,
    },
}

impl From<StoredFamilies> for Families {
    fn from(stored: StoredFamilies) -> Self {
        match stored {
            StoredFamilies::Devices(offers) => Self::of_devices(offers),
            StoredFamilies::Whole { offers, versions } => Self { offers, versions },
        }
    }
}

impl Families {
    /// Devices of which no version is known.
    pub fn of_devices(offers: Vec<FamilyOffer>) -> Self {
        Self { offers, versions: EncoderVersions::default() }
    }

    /// Whether one of them does what `wanted` says, at its largest size.
    pub fn covers(&self, wanted: &FamilyOffer) -> bool {
        let (width, height) = wanted.max_size.unwrap_or((u32::MAX, u32::MAX));
        let fits = |offer: &FamilyOffer| offer.fits(wanted.codec, wanted.bit_depth, width, height);
        self.offers.iter().any(|offer| offer.family == wanted.family && fits(offer))
    }

    /// The family for a rendition of `width` × `height` pixels.
    pub fn choose(&self, codec: VideoCodec, bit_depth: u8, width: u32, height: u32) -> EncoderFamily {
        let fitting = self.offers.iter().filter(|offer| offer.fits(codec, bit_depth, width, height));
        fitting.map(|offer| offer.family).min().unwrap_or(codec.cpu_family())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::plan::testing::offer;

    #[test]
    fn families_that_were_settled_before_there_were_versions_are_read_as_they_were_meant() {
        let before = r#"[{"codec":"h264","bit_depth":8,"family":"nvcodec","max_size":null}]"#;
        let read: Families = serde_json::from_str(before).expect("families");
        assert_eq!(read, Families::of_devices(vec![offer(EncoderFamily::Nvcodec)]));
        let versions = [("x264", "164 r3108")].into_iter().collect();
        let families = Families { versions, ..read };
        let json = serde_json::to_string(&families).expect("json");
        assert_eq!(serde_json::from_str::<Families>(&json).expect("families"), families);
    }
}
