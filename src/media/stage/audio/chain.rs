//! Builds the two halves of the audio pipeline.

use std::sync::{Arc, Mutex};

use actors::domain::failure::Failure;
use actors::domain::plan::AudioRendition;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSinkCallbacks, AppSrc, AppSrcCallbacks};
use gstreamer_audio as gst_audio;

use super::shared::{Shared, lock};
use super::sinks::{Decoded, Packets};
use crate::media::codec::aac;
use crate::media::decoder;
use crate::media::encoder::avenc_aac;
use crate::media::gdp::GdpReader;
use crate::media::pipeline::{Pipeline, element};

/// Bytes that wait between the halves: half a second of 5.1.
const QUEUE_BYTES: u64 = 512 * 1024;

/// Left and right beside the listener, and behind; those in front and the LFE.
const SIDES: u64 = 0xc00;
const REARS: u64 = 0x30;
const FRONTS: u64 = 0xf;
/// What `qtdemux` calls the second pair of surrounds, as a bitmap and as labels have it. A mix would leave them out.
const FURTHER: [u64; 2] = [0xc00_0000, 0x3_0000];

/// `appsrc ─ avenc_aac ─ appsink`; gives the source.
///
/// # Errors
/// `permanent` where an element is missing or refuses the settings.
pub fn encoder(
    pipeline: &Pipeline,
    rendition: &AudioRendition,
    packets: &Arc<Mutex<Packets>>,
    shared: &Arc<Shared>,
) -> Result<AppSrc, Failure> {
    let source = AppSrc::builder()
        .name("grid")
        .caps(&raw_caps(rendition)?)
        .format(gst::Format::Time)
        .block(true)
        .max_bytes(QUEUE_BYTES)
        .build();
    let encoder = element(avenc_aac::ELEMENT)?;
    let bits = i32::try_from(rendition.bitrate.bits_per_second()).unwrap_or(i32::MAX);
    encoder.set_property("bitrate", bits);
    let sink = AppSink::builder().name("packets").caps(&aac::raw_caps()).sync(false).async_(false).build();
    let (packets, shared) = (Arc::clone(packets), Arc::clone(shared));
    let take = move |sink: &AppSink| {
        let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
        shared.moved();
        lock(&packets).write(&sample).map_err(|failure| {
            shared.fail(failure);
            gst::FlowError::Error
        })
    };
    sink.set_callbacks(
        AppSinkCallbacks::builder().new_sample(move |sink| take(sink).map(|()| gst::FlowSuccess::Ok)).build(),
    );
    pipeline.put(&source)?;
    pipeline.put(&encoder)?;
    pipeline.put(&sink)?;
    pipeline.link(&[source.upcast_ref(), &encoder, sink.upcast_ref()])?;
    Ok(source)
}

/// `appsrc ─ decoder ─ audioconvert ─ audioresample ─ appsink`, whose samples go to `output` by way of the grid.
///
/// # Errors
/// `permanent` where no decoder takes the source.
pub fn decoder(
    pipeline: &Pipeline,
    rendition: &AudioRendition,
    first: gst::Sample,
    reader: GdpReader,
    decoded: &Arc<Mutex<Decoded>>,
    output: AppSrc,
    shared: &Arc<Shared>,
) -> Result<(), Failure> {
    let source = source(first, reader, shared)?;
    let sink = AppSink::builder().name("decoded").caps(&raw_caps(rendition)?).sync(false).async_(false).build();
    let (on_sample, on_end) = (Arc::clone(decoded), Arc::clone(decoded));
    let (moving, output_end) = (Arc::clone(shared), output.clone());
    let take = move |sink: &AppSink| {
        let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
        moving.moved();
        let buffers = lock(&on_sample).place(&sample);
        // Waits while the queue is full, so the lock must not be held.
        buffers.into_iter().try_for_each(|buffer| output.push_buffer(buffer).map(|_| ()))?;
        Ok(gst::FlowSuccess::Ok)
    };
    let end = move |_: &AppSink| {
        let rest = lock(&on_end).finish();
        // Refused only while the pipeline ends.
        let _ = rest.into_iter().try_for_each(|buffer| output_end.push_buffer(buffer).map(|_| ()));
        let _ = output_end.end_of_stream();
    };
    sink.set_callbacks(AppSinkCallbacks::builder().new_sample(take).eos(end).build());
    pipeline.put(&source)?;
    pipeline.put(&sink)?;
    let caps = source.caps().unwrap_or_else(gst::Caps::new_empty);
    let decoder = decoder_for(&caps)?;
    let (convert, resample) = (pipeline.add("audioconvert")?, pipeline.add("audioresample")?);
    seat(&convert)?;
    pipeline.put(&decoder)?;
    pipeline.link(&[source.upcast_ref(), &decoder, &convert, &resample, sink.upcast_ref()])
}

/// Feeds the packets of a source, one at a time, when asked.
fn source(first: gst::Sample, mut reader: GdpReader, shared: &Arc<Shared>) -> Result<AppSrc, Failure> {
    let caps = first.caps_owned();
    let caps = caps.ok_or_else(|| Failure::retryable("the audio source does not say what it holds, split it again"))?;
    let source = AppSrc::builder().name("source").caps(&caps).format(gst::Format::Time).build();
    let shared = Arc::clone(shared);
    let mut first = Some(first);
    let need_data = move |source: &AppSrc, _| {
        shared.pass();
        let sample = first.take().map_or_else(|| reader.next(), |sample| Ok(Some(sample)));
        // A buffer or the end is refused only while the pipeline ends.
        match sample.map(|sample| sample.and_then(|sample| sample.buffer_owned())) {
            Ok(Some(buffer)) => {
                let _ = source.push_buffer(buffer);
            }
            Ok(None) => {
                let _ = source.end_of_stream();
            }
            Err(failure) => {
                shared.fail(failure);
                let _ = source.end_of_stream();
            }
        }
    };
    source.set_callbacks(AppSrcCallbacks::builder().need_data(need_data).build());
    Ok(source)
}

/// The decoder for packets of these caps, with its settings.
fn decoder_for(caps: &gst::Caps) -> Result<gst::Element, Failure> {
    if caps.structure(0).is_some_and(|structure| structure.name() == "audio/x-raw") {
        return element("identity");
    }
    let best = decoder::of_audio(caps);
    let Some(best) = best else {
        return Err(Failure::permanent(format!("no decoder for the audio track ({caps}), install its plugin")));
    };
    let decoder = element(&best.name())?;
    if best.name().starts_with("avdec_") {
        keep_times(&decoder)?;
    }
    if decoder.has_property("max-errors") {
        // Damaged packets become silence; a track of which nothing can be decoded is found by the count of samples.
        decoder.set_property("max-errors", -1i32);
    }
    Ok(decoder)
}

/// Gives what a decoder of libav decodes the time of its packet. These decoders answer each packet at once, and some packets
/// with nothing: the first of many AAC tracks holds no sound. GStreamer (1.22 and 1.26) then takes what comes next for the answer
/// to that packet, and the whole track is heard one packet (21 ms) early.
fn keep_times(decoder: &gst::Element) -> Result<(), Failure> {
    let pad =
        |name| decoder.static_pad(name).ok_or_else(|| Failure::permanent(format!("the decoder has no {name} pad")));
    // Both ends run in the thread that feeds the decoder, one after the other.
    let next_at = Arc::new(Mutex::new(None::<gst::ClockTime>));
    let packet_at = Arc::clone(&next_at);
    pad("sink")?.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        *lock(&packet_at) = info.buffer().and_then(|packet| packet.pts());
        gst::PadProbeReturn::Ok
    });
    pad("src")?.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if let Some(decoded) = info.buffer_mut()
            && let Some(at) = lock(&next_at).as_mut()
        {
            decoded.make_mut().set_pts(*at);
            // A packet may hold several blocks.
            *at += decoded.duration().unwrap_or(gst::ClockTime::ZERO);
        }
        gst::PadProbeReturn::Ok
    });
    Ok(())
}

fn raw_caps(rendition: &AudioRendition) -> Result<gst::Caps, Failure> {
    let channels = rendition.channels;
    let mask = usize::try_from(channels).ok().and_then(|count| aac::LAYOUTS.get(count.checked_sub(1)?));
    let mask = mask.ok_or_else(|| Failure::permanent(format!("{channels} channels cannot be encoded, 1 to 6 can")))?;
    // Limits of 32 bits: a plan has at most 6 channels and 48 kHz.
    let caps = gst::Caps::builder("audio/x-raw")
        .field("format", "F32LE")
        .field("layout", "interleaved")
        .field("rate", i32::try_from(rendition.sample_rate).unwrap_or(i32::MAX))
        .field("channels", i32::try_from(channels).unwrap_or(i32::MAX));
    Ok(match channels {
        // One channel has no place.
        1 => caps.build(),
        _ => caps.field("channel-mask", gst::Bitmask::new(*mask)).build(),
    })
}

/// Says to a converter where the channels of what it is given stand.
fn seat(convert: &gst::Element) -> Result<(), Failure> {
    let pad = convert.static_pad("sink").ok_or_else(|| Failure::permanent("the converter of samples has no pad"))?;
    let moved = Mutex::new(None::<gst_audio::AudioInfo>);
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM | gst::PadProbeType::BUFFER, move |_, info| {
        match &mut info.data {
            Some(gst::PadProbeData::Event(event)) => {
                if let gst::EventView::Caps(caps) = event.view() {
                    let seated = seated(caps.caps());
                    *lock(&moved) = seated.as_ref().and_then(|caps| gst_audio::AudioInfo::from_caps(caps).ok());
                    *event = seated.map_or_else(|| event.clone(), |caps| gst::event::Caps::new(&caps));
                }
            }
            Some(gst::PadProbeData::Buffer(block)) => {
                if let Some(info) = lock(&moved).as_ref() {
                    say_again(block.make_mut(), info);
                }
            }
            _ => {}
        }
        gst::PadProbeReturn::Ok
    });
    Ok(())
}

/// Some decoders say with each block what the caps say, which has to be the same.
fn say_again(block: &mut gst::BufferRef, info: &gst_audio::AudioInfo) {
    let Some(said) = block.meta_mut::<gst_audio::AudioMeta>() else { return };
    let (samples, offsets) = (said.samples(), said.offsets().to_vec());
    // Neither can fail for what was there before, with other places for the same channels.
    let _ = said.remove();
    let _ = gst_audio::AudioMeta::add(block, info, samples, &offsets);
}

/// Samples with their channels where the encoder has them, if they are to be moved there: such whose places are not known
/// to those that are usual for their number, since they could not be mixed.
fn seated(caps: &gst::CapsRef) -> Option<gst::Caps> {
    let structure = caps.structure(0)?;
    let channels = structure.get::<i32>("channels").ok().and_then(|count| u32::try_from(count).ok())?;
    let said = structure.get::<gst::Bitmask>("channel-mask").map_or(0, |mask| mask.0);
    let mask = match said {
        0 if channels > 1 => gst_audio::AudioChannelPosition::fallback_mask(channels),
        said => usual(said),
    };
    let mut caps = caps.to_owned();
    caps.make_mut().set("channel-mask", gst::Bitmask::new(mask));
    (mask != said).then_some(caps)
}

/// Surrounds where AAC has them. 5.1 with sides (all of AC-3) is what AAC calls 5.1: a mix would take 6 dB of the surrounds and
/// 2.6 dB of all others. No channel overtakes another one, so that the order of the samples stays.
fn usual(mask: u64) -> u64 {
    let aside = |mask: u64| {
        let pair = FURTHER.into_iter().find(|pair| mask & pair == *pair && mask & SIDES == 0);
        pair.map_or(mask, |pair| mask ^ pair | SIDES)
    };
    let mask = aside(mask);
    let others = mask & !(FRONTS | SIDES | FURTHER[0] | FURTHER[1]);
    aside(if mask & SIDES == SIDES && others == 0 { mask ^ SIDES | REARS } else { mask })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surrounds_are_where_aac_has_them_and_keep_their_order() {
        for (said, right) in [
            (0x3f, 0x3f),
            (0xc0f, 0x3f),
            (0xc07, 0x37),
            (0xc03, 0x33),
            (0xc3f, 0xc3f),
            (0xd0f, 0xd0f),
            (0xc00_0c0f, 0xc3f),
            (0xc00_010f, 0xd0f),
            (0x3_003f, 0xc3f),
            (0x107, 0x107),
            (0x3, 0x3),
        ] {
            assert_eq!(usual(said), right, "{said:x}");
        }
    }
}
