//! Decodes a chunk source with libavcodec, in the thread that wants frames. They keep the times of their units, whatever is damaged.

use std::sync::Arc;

use actors::domain::failure::Failure;
use actors::domain::plan::VideoFacts;
use ffmpeg_the_third::codec::Parameters;
use gstreamer as gst;
use gstreamer_app::{AppSrc, AppSrcCallbacks};

use super::frames::{Frames, Planned};
use crate::media::gdp::GdpReader;
use crate::media::libav::decoder::{Decoder, time_ns};
use crate::media::libav::described;
use crate::media::libav::picture::{Form, is_known};
use crate::media::libav::widened::widened;

/// The pictures of a chunk source.
pub struct Pictures {
    reader: GdpReader,
    next: Option<gst::Sample>,
    decoder: Decoder,
    reordered: bool,
    // Whether the units have their alpha channel behind them.
    alpha: bool,
    ended: bool,
    frames: Arc<Frames>,
    planned: Planned,
    interlaced: bool,
    // Caps of the units.
    units: Option<gst::Caps>,
    form: Option<(Form, gst::Caps)>,
}

/// What units say of the light that their pictures mean, for encoders (SMPTE ST 2086, CTA-861.3).
const LIGHT: [&str; 2] = ["mastering-display-info", "content-light-level"];

impl Pictures {
    /// Those of a source that was read up to its `first` unit.
    ///
    /// # Errors
    /// `permanent` where nothing decodes it.
    pub fn new(
        reader: GdpReader,
        first: gst::Sample,
        parameters: Parameters,
        facts: &VideoFacts,
        frames: Arc<Frames>,
    ) -> Result<Self, Failure> {
        let reordered = first.caps().is_some_and(described::is_in_decoding_order);
        let alpha = first.caps().is_some_and(described::has_alpha);
        Ok(Self {
            units: first.caps_owned(),
            reader,
            next: Some(first),
            // The encoders keep the other cores busy, and each thread holds a picture.
            decoder: Decoder::open(parameters, 1)?.in_decoding_order(reordered),
            reordered,
            alpha,
            ended: false,
            frames,
            planned: Planned::new(facts),
            interlaced: facts.interlaced,
            form: None,
        })
    }

    /// Gives a source one frame of the chunk each time that it has none left.
    pub fn feed(mut self, on_caps: impl Fn(&gst::Caps) + Send + 'static) -> AppSrcCallbacks {
        AppSrcCallbacks::builder()
            .need_data(move |source: &AppSrc, _| {
                // Both can only fail while the pipeline is being stopped.
                let _ = match self.frame(&on_caps) {
                    Ok(Some(frame)) => source.push_sample(&frame),
                    Ok(None) => source.end_of_stream(),
                    Err(failure) => {
                        self.frames.fail(failure);
                        source.end_of_stream()
                    }
                };
            })
            .build()
    }

    /// The next frame in the window.
    fn frame(&mut self, on_caps: &impl Fn(&gst::Caps)) -> Result<Option<gst::Sample>, Failure> {
        loop {
            if self.frames.is_beyond() {
                return Ok(None);
            }
            let Some(picture) = self.decoder.picture() else {
                if self.ended {
                    return Ok(None);
                }
                self.send()?;
                continue;
            };
            // The comparison reads any format by itself: what goes wrong here is to be seen there.
            let wide = if is_known(picture.format()) { None } else { widened(&picture) };
            let picture = wide.unwrap_or(picture);
            let form = Form::of(&picture)?;
            let caps = match &self.form {
                Some((known, caps)) if *known == form => caps.clone(),
                _ => {
                    let caps = self.caps(&form);
                    on_caps(&caps);
                    self.form = Some((form.clone(), caps.clone()));
                    caps
                }
            };
            let at = time_ns(&picture).and_then(|time| u64::try_from(time).ok()).map(gst::ClockTime::from_nseconds);
            let mut buffer = form.buffer(&picture, at)?;
            if self.frames.keeps(&mut buffer) {
                return Ok(Some(gst::Sample::builder().buffer(&buffer).caps(&caps).build()));
            }
        }
    }

    /// Gives the decoder the next unit, or tells it that there is none.
    fn send(&mut self) -> Result<(), Failure> {
        self.frames.move_on();
        let sample = match self.next.take() {
            Some(sample) => Some(sample),
            None => self.reader.next()?,
        };
        let Some(buffer) = sample.as_ref().and_then(|sample| sample.buffer()) else {
            self.ended = true;
            self.decoder.end();
            return Ok(());
        };
        // One without a time is given that of decoding, where there is no other.
        let time = if self.reordered { buffer.dts_or_pts() } else { buffer.pts() };
        let time = time.and_then(|time| i64::try_from(time.nseconds()).ok());
        let bytes =
            buffer.map_readable().map_err(|_| Failure::retryable("a unit of the chunk source cannot be read"))?;
        let (unit, alpha) = match self.alpha {
            true => described::without_alpha(&bytes),
            false => (&bytes[..], &[][..]),
        };
        if !alpha.is_empty() {
            self.decoder.send_alpha(alpha, time);
        }
        self.decoder.send_unit(unit, time, !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT));
        Ok(())
    }

    fn caps(&self, form: &Form) -> gst::Caps {
        let mut caps = form.caps();
        let fields = caps.make_mut();
        if self.interlaced {
            fields.set("interlace-mode", "mixed");
        }
        let units = self.units.as_ref().and_then(|units| units.structure(0));
        for name in LIGHT {
            if let Some(value) = units.and_then(|units| units.value(name).ok()) {
                fields.set_value(name, value.clone());
            }
        }
        self.planned.caps(caps)
    }
}
