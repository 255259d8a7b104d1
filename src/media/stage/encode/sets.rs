//! Sees to it that each key frame of a device has its parameter sets in front of it, once. Encoders differ: some write
//! them in front of the first key frame only, some twice. With them in band, parts of different encoders can follow one
//! another in a transport stream. Never looks into a slice.
//! Such streams of x264 and OpenH264 were read by ffmpeg and GStreamer without a warning and with every frame.

use actors::domain::failure::{DeviceFault, Failure};
use actors::domain::job::VideoCodec;

use crate::media::codec::bitstream::Looked;
use crate::media::codec::{self, Bitstream};

/// The parameter sets of one stream.
pub struct ParameterSets {
    codec: &'static dyn Bitstream,
    known: Vec<Vec<u8>>,
}

impl ParameterSets {
    /// None are known.
    pub fn new(codec: VideoCodec) -> Self {
        Self { codec: codec::of(codec), known: Vec::new() }
    }

    /// Looks at the next access unit, in byte-stream form.
    ///
    /// # Errors
    /// `device` where a key frame comes before all parameter sets did.
    pub fn look(&mut self, unit: &[u8]) -> Result<Looked, Failure> {
        self.codec.look(unit, &mut self.known).ok_or_else(|| {
            Failure::device_fault(
                DeviceFault::BadOutput,
                "the encoder begins without parameter sets, nobody could play that",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPS: &[u8] = &[0x67, 1, 2];
    const PPS: &[u8] = &[0x68, 3];
    const AUD: &[u8] = &[0x09, 0xf0];
    const IDR: &[u8] = &[0x65, 9, 0, 0, 3, 1];
    const P: &[u8] = &[0x41, 7];

    fn unit(nals: &[&[u8]]) -> Vec<u8> {
        nals.iter().flat_map(|nal| [&[0, 0, 0, 1][..], nal].concat()).collect()
    }

    #[test]
    fn a_key_frame_without_sets_gets_those_of_the_one_before() {
        let mut sets = ParameterSets::new(VideoCodec::H264);
        let first = sets.look(&unit(&[SPS, PPS, IDR])).expect("a key frame");
        assert_eq!(first, Looked { key: true, instead: None });
        assert_eq!(sets.look(&unit(&[P])).expect("a frame"), Looked { key: false, instead: None });
        let later = sets.look(&unit(&[AUD, IDR])).expect("a key frame");
        assert_eq!(later.instead, Some(unit(&[AUD, SPS, PPS, IDR])));
    }

    #[test]
    fn sets_that_come_twice_are_written_once_and_new_ones_replace_the_old() {
        let mut sets = ParameterSets::new(VideoCodec::H264);
        let twice = sets.look(&unit(&[SPS, PPS, SPS, PPS, IDR])).expect("a key frame");
        assert_eq!(twice.instead, Some(unit(&[SPS, PPS, IDR])));
        let other: &[u8] = &[0x67, 9, 9];
        sets.look(&unit(&[other, PPS, IDR])).expect("a key frame");
        assert_eq!(sets.look(&unit(&[IDR])).expect("a key frame").instead, Some(unit(&[other, PPS, IDR])));
    }

    #[test]
    fn a_stream_that_begins_without_sets_is_bad_output_of_the_device() {
        for (codec, nals) in [(VideoCodec::H264, vec![PPS, IDR]), (VideoCodec::H265, vec![&[19u8 << 1, 1, 5][..]])] {
            let failure = ParameterSets::new(codec).look(&unit(&nals)).expect_err("nobody could play it");
            assert_eq!(failure.fault(), Some(DeviceFault::BadOutput), "{failure}");
        }
    }
}
