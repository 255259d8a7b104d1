//! Decoded samples as numbers from -1 to 1, in whatever format their decoder gives them.

use ffmpeg_the_third::format::sample::{Sample, Type};
use ffmpeg_the_third::frame;

/// Gives `to` each instant of a block: the samples of all channels, in their order.
pub fn each(block: &frame::Audio, mut to: impl FnMut(&[f32])) {
    let channels = block.ch_layout().channels() as usize;
    let read: fn(&[u8]) -> f32 = match block.format() {
        Sample::U8(_) => |bytes| (f32::from(bytes[0]) - 128.0) / 128.0,
        Sample::I16(_) => |bytes| f32::from(i16::from_ne_bytes([bytes[0], bytes[1]])) / 32_768.0,
        Sample::I32(_) => |bytes| i32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as f32 / 2_147_483_648.0,
        Sample::F32(_) => |bytes| f32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
        Sample::F64(_) => |bytes| bytes.first_chunk::<8>().map_or(0.0, |bytes| f64::from_ne_bytes(*bytes) as f32),
        Sample::None | Sample::I64(_) => return,
    };
    let width = block.format().bytes();
    let planar = matches!(
        block.format(),
        Sample::U8(Type::Planar)
            | Sample::I16(Type::Planar)
            | Sample::I32(Type::Planar)
            | Sample::F32(Type::Planar)
            | Sample::F64(Type::Planar)
    );
    // More planes than eight are not in the frame itself.
    let planes = if planar { channels.min(8) } else { 1 };
    let planes: Vec<&[u8]> = (0..planes).map(|plane| raw(block, plane, width, channels, planar)).collect();
    let mut instant = vec![0.0; channels];
    for n in 0..block.samples() {
        for (channel, sample) in instant.iter_mut().enumerate() {
            let (plane, at) = if planar { (channel, n) } else { (0, n * channels + channel) };
            let bytes = planes.get(plane).and_then(|plane| plane.get(at * width..(at + 1) * width));
            *sample = bytes.map_or(0.0, read).clamp(-8.0, 8.0);
        }
        to(&instant);
    }
}

fn raw(block: &frame::Audio, plane: usize, width: usize, channels: usize, planar: bool) -> &[u8] {
    let size = block.samples() * width * if planar { 1 } else { channels };
    // SAFETY: the decoder filled so many samples of each channel; the block lives as long as what is given.
    unsafe {
        let data = (*block.as_ptr()).data[plane];
        if data.is_null() { &[] } else { std::slice::from_raw_parts(data, size) }
    }
}
