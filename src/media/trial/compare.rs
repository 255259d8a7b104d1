//! Decodes two parts side by side on the CPU and compares luma, frame by frame. Holds two frames at a time.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use actors::domain::failure::{DeviceFault, Failure};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSrc, AppSrcCallbacks};
use gstreamer_video::prelude::*;
use gstreamer_video::{VideoFrameRef, VideoInfo};

use crate::media::decoder;
use crate::media::gdp::GdpReader;
use crate::media::pipeline::{Pipeline, element};

/// Pictures that are the same count as so many dB.
const SAME_DB: f64 = 100.0;
/// Decoding one frame takes milliseconds.
const FRAME_TIMEOUT: gst::ClockTime = gst::ClockTime::from_seconds(30);

/// How alike two parts are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Likeness {
    /// Frames that were compared.
    pub frames: u32,
    /// Luma PSNR of the worst of them, in dB.
    pub worst_db: f64,
    sum_db: f64,
}

impl Likeness {
    /// Of nothing with nothing.
    pub const fn none() -> Self {
        Self { frames: 0, worst_db: SAME_DB, sum_db: 0.0 }
    }

    /// Luma PSNR on average, in dB.
    pub fn mean_db(&self) -> f64 {
        self.sum_db / f64::from(self.frames.max(1))
    }
}

/// Compares the frames of two parts in the order in which they are shown.
///
/// # Errors
/// `device` where times or number of the frames differ or one of them cannot be decoded, `retryable` where a file cannot
/// be read.
pub fn parts(tried: &Path, usual: &Path) -> Result<Likeness, Failure> {
    let (mut tried, mut usual) = (Decoded::open(tried)?, Decoded::open(usual)?);
    let mut likeness = Likeness::none();
    let differs = |what: String| Failure::device_fault(DeviceFault::BadOutput, what);
    loop {
        let (one, two) = match (tried.next()?, usual.next()?) {
            (None, None) => return Ok(likeness),
            (Some(one), Some(two)) => (one, two),
            (one, _) => {
                let how = if one.is_some() { "more" } else { "fewer" };
                return Err(differs(format!("it gave {how} frames than the CPU, which is not right")));
            }
        };
        let time = |sample: &gst::Sample| sample.buffer().and_then(|buffer| buffer.pts());
        if time(&one) != time(&two) {
            return Err(differs(format!("frame {} has another time than the CPU gives it", likeness.frames)));
        }
        let psnr = luma_psnr(&one, &two).ok_or_else(|| differs("its frames have another form".into()))?;
        likeness.frames += 1;
        likeness.worst_db = likeness.worst_db.min(psnr);
        likeness.sum_db += psnr;
    }
}

/// The frames of a part.
struct Decoded {
    pipeline: Pipeline,
    sink: AppSink,
    broken: Arc<Mutex<Option<Failure>>>,
}

impl Decoded {
    fn open(path: &Path) -> Result<Self, Failure> {
        let mut reader = GdpReader::open(path)?;
        let Some(first) = reader.next()? else { return Err(Failure::retryable("a trial gave an empty part")) };
        let caps = first.caps_owned().ok_or_else(|| Failure::retryable("a trial gave a part without caps"))?;
        let factory =
            decoder::of_video(&caps).ok_or_else(|| Failure::permanent(format!("no decoder here reads {caps}")))?;
        let pipeline = Pipeline::new("compare");
        let broken = Arc::new(Mutex::new(None));
        let (mut next, told) = (Some(first), Arc::clone(&broken));
        let feed = move |source: &AppSrc, _| {
            let sample = next.take().map_or_else(|| reader.next(), |first| Ok(Some(first)));
            let buffer = sample.map(|sample| sample.and_then(|sample| sample.buffer_owned()));
            // Both are refused only while the pipeline is being stopped.
            let _ = match buffer {
                Ok(Some(buffer)) => source.push_buffer(buffer),
                Ok(None) => source.end_of_stream(),
                Err(failure) => {
                    *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
                    source.end_of_stream()
                }
            };
        };
        let source = AppSrc::builder().caps(&caps).format(gst::Format::Time).build();
        source.set_callbacks(AppSrcCallbacks::builder().need_data(feed).build());
        let decoder = element(&factory.name())?;
        let sink = AppSink::builder().sync(false).max_buffers(1).build();
        pipeline.put(&source)?;
        pipeline.put(&decoder)?;
        pipeline.put(&sink)?;
        pipeline.link(&[source.upcast_ref(), &decoder, sink.upcast_ref()])?;
        pipeline.start()?;
        Ok(Self { pipeline, sink, broken })
    }

    fn next(&mut self) -> Result<Option<gst::Sample>, Failure> {
        let sample = self.sink.try_pull_sample(FRAME_TIMEOUT);
        if let Some(failure) = self.broken.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(failure);
        }
        if sample.is_some() || self.sink.is_eos() {
            return Ok(sample);
        }
        let said = self.pipeline.first_failure().map_or_else(|| "it stopped".into(), |failure| failure.message);
        Err(Failure::device_fault(DeviceFault::BadOutput, format!("what it gave cannot be decoded: {said}")))
    }
}

/// Luma PSNR of two frames in dB; `None` where their forms differ.
fn luma_psnr(one: &gst::Sample, two: &gst::Sample) -> Option<f64> {
    let info = |sample: &gst::Sample| VideoInfo::from_caps(sample.caps()?).ok();
    let (info_one, info_two) = (info(one)?, info(two)?);
    if (info_one.format(), info_one.width(), info_one.height())
        != (info_two.format(), info_two.width(), info_two.height())
    {
        return None;
    }
    let one = VideoFrameRef::from_buffer_ref_readable(one.buffer()?, &info_one).ok()?;
    let two = VideoFrameRef::from_buffer_ref_readable(two.buffer()?, &info_two).ok()?;
    let (width, height) = (info_one.width() as usize, info_one.height() as usize);
    let bytes = info_one.comp_pstride(0) as usize;
    let row = |frame: &VideoFrameRef<&gst::BufferRef>, y: usize| {
        let start = y * usize::try_from(frame.plane_stride()[0]).ok()?;
        frame.plane_data(0).ok()?.get(start..start + width * bytes).map(<[u8]>::to_vec)
    };
    let mut squares = 0u64;
    for y in 0..height {
        squares += row_squares(&row(&one, y)?, &row(&two, y)?, bytes);
    }
    let depth = *info_one.format_info().depth().first()?;
    Some(psnr(squares, (width * height) as u64, (1u64 << depth) - 1))
}

/// Sum of the squared differences of samples of one or two bytes (the lower one first).
fn row_squares(one: &[u8], two: &[u8], bytes: usize) -> u64 {
    let sample = |at: &[u8]| at.iter().rev().fold(0i64, |value, byte| value << 8 | i64::from(*byte));
    let pairs = one.chunks_exact(bytes).zip(two.chunks_exact(bytes));
    pairs.map(|(one, two)| (sample(one) - sample(two)).pow(2).unsigned_abs()).sum()
}

fn psnr(squares: u64, samples: u64, peak: u64) -> f64 {
    if squares == 0 {
        return SAME_DB;
    }
    let mean = squares as f64 / samples as f64;
    (10.0 * ((peak * peak) as f64 / mean).log10()).min(SAME_DB)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn psnr_is_that_of_the_textbook() {
        assert!((psnr(100, 100, 255) - 48.13).abs() < 0.01);
        assert!((psnr(100, 100, 1023) - 60.2).abs() < 0.01);
        assert!((psnr(0, 100, 255) - SAME_DB).abs() < f64::EPSILON);
    }

    #[test]
    fn differences_of_samples_of_one_and_two_bytes_are_added() {
        assert_eq!(row_squares(&[1, 5], &[3, 5], 1), 4);
        assert_eq!(row_squares(&[0, 1, 7, 0], &[0, 0, 4, 0], 2), 256 * 256 + 9);
    }
}
