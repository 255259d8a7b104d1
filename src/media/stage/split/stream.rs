//! The time of what a demuxer gives: buffers become [`Unit`]s on the presentation timeline, by the segment that was in
//! force. What the segment clips is needed for decoding only, and gets a time that no window holds.

use gstreamer as gst;

/// What clipped units are moved by, so that they never meet a unit that is shown: 500 hours back.
/// After an edit the demuxer begins at a key frame in front of it, whose running time is that of frames of the edit before.
pub const CLIPPED_NS: i64 = 500 * 3600 * 1_000_000_000;

/// A compressed frame or packet with its times in nanoseconds.
#[derive(Debug)]
pub struct Unit {
    /// Presentation time; far below zero where it is clipped, unless it lies in front of the first edit.
    pub time: i64,
    /// Running time, clipped or not.
    pub at: i64,
    /// Whether the time was in the stream, or is a guess.
    pub timed: bool,
    /// Decoding time.
    pub dts: Option<i64>,
    /// Length, where it is known.
    pub duration: Option<u64>,
    /// Whether the segment hides it.
    pub clipped: bool,
    /// The part of it that the segment shows.
    pub heard: (i64, i64),
    /// Its bytes.
    pub buffer: gst::Buffer,
}

/// Times of one stream.
#[derive(Debug, Default)]
pub struct Timeline {
    segment: Option<gst::FormattedSegment<gst::ClockTime>>,
    unedited: bool,
    /// Edits so far.
    pub num_segments: u32,
    next_time: i64,
    /// End of everything that was shown.
    pub end: i64,
}

impl Timeline {
    /// The times of a container without edits, which count from `base_ns`. Its demuxer sends segments that say nothing:
    /// Matroska's one that begins at the first unit, and behind that unit one that begins at zero; that of FLV one that
    /// begins at the first picture, and another one where the first sound lies in front of it.
    pub fn unedited(base_ns: u64) -> Self {
        let mut segment = gst::FormattedSegment::new();
        segment.set_start(gst::ClockTime::from_nseconds(base_ns));
        Self { segment: Some(segment), unedited: true, ..Self::default() }
    }

    /// Whether no segment came yet.
    pub fn is_new(&self) -> bool {
        self.segment.is_none()
    }

    /// Takes a new segment; one that is not in time is ignored.
    pub fn segment(&mut self, segment: &gst::Segment) {
        let Some(segment) = segment.downcast_ref::<gst::ClockTime>().filter(|_| !self.unedited) else { return };
        let changed = self.segment.as_ref().is_none_or(|old| {
            old.start() != segment.start() || old.stop() != segment.stop() || old.base() != segment.base()
        });
        self.num_segments += u32::from(changed);
        self.segment = Some(segment.clone());
    }

    /// Puts a buffer on the timeline.
    pub fn unit(&mut self, buffer: gst::Buffer) -> Unit {
        let duration = buffer.duration().map(gst::ClockTime::nseconds);
        let time = buffer.pts().and_then(|pts| self.running(pts));
        let dts = buffer.dts().and_then(|dts| self.running(dts));
        let (timed, time) = (time.is_some(), time.unwrap_or(self.next_time));
        let end = time.saturating_add_unsigned(duration.unwrap_or(0));
        self.next_time = end;
        let (shown_from, shown_to) = self.shown();
        let clipped = time < shown_from || time >= shown_to;
        let heard = (time.max(shown_from), end.min(shown_to));
        if heard.0 < heard.1 || !clipped {
            self.end = self.end.max(heard.1);
        }
        // In front of the first edit is no edit that it could be mistaken for.
        let at = time;
        let time = if clipped && (self.num_segments > 1 || time >= 0) { time.saturating_sub(CLIPPED_NS) } else { time };
        Unit { time, at, timed, dts, duration, clipped, heard, buffer }
    }

    fn running(&self, position: gst::ClockTime) -> Option<i64> {
        let Some(segment) = &self.segment else { return i64::try_from(position.nseconds()).ok() };
        signed(segment.to_running_time_full(position)?)
    }

    /// From where to where the segment shows, on the presentation timeline.
    fn shown(&self) -> (i64, i64) {
        let Some(segment) = &self.segment else { return (0, i64::MAX) };
        let bound = |position: Option<gst::ClockTime>| position.and_then(|position| self.running(position));
        (bound(segment.start()).unwrap_or(0), bound(segment.stop()).unwrap_or(i64::MAX))
    }
}

fn signed(time: gst::Signed<gst::ClockTime>) -> Option<i64> {
    match time {
        gst::Signed::Positive(time) => i64::try_from(time.nseconds()).ok(),
        gst::Signed::Negative(time) => i64::try_from(time.nseconds()).ok().map(|ns| -ns),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(start: u64, stop: Option<u64>, base: u64) -> gst::Segment {
        let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
        segment.set_start(gst::ClockTime::from_nseconds(start));
        segment.set_time(gst::ClockTime::from_nseconds(base));
        segment.set_base(gst::ClockTime::from_nseconds(base));
        segment.set_stop(stop.map(gst::ClockTime::from_nseconds));
        segment.upcast()
    }

    fn buffer(pts: Option<u64>, duration: u64) -> gst::Buffer {
        let mut buffer = gst::Buffer::new();
        let fields = buffer.get_mut().expect("the only owner");
        fields.set_pts(pts.map(gst::ClockTime::from_nseconds));
        fields.set_duration(gst::ClockTime::from_nseconds(duration));
        buffer
    }

    #[test]
    fn the_time_of_a_unit_counts_from_the_start_of_the_edit() {
        gst::init().expect("GStreamer");
        let mut timeline = Timeline::default();
        timeline.segment(&segment(83, Some(1083), 0));
        let early = timeline.unit(buffer(Some(43), 40));
        assert_eq!((early.time, early.clipped, early.heard), (-40, true, (0, 0)));
        let first = timeline.unit(buffer(Some(83), 40));
        assert_eq!((first.time, first.clipped), (0, false));
        let last = timeline.unit(buffer(Some(1082), 40));
        assert_eq!((last.time, last.clipped, last.heard), (999, false, (999, 1000)));
        assert!(timeline.unit(buffer(Some(1083), 40)).clipped);
        assert_eq!(timeline.end, 1000);
    }

    #[test]
    fn what_a_later_edit_hides_never_meets_what_an_earlier_one_shows() {
        gst::init().expect("GStreamer");
        let mut timeline = Timeline::default();
        timeline.segment(&segment(0, Some(1000), 0));
        assert_eq!(timeline.unit(buffer(Some(960), 40)).time, 960);
        timeline.segment(&segment(5000, Some(6000), 1000));
        let hidden = timeline.unit(buffer(Some(4960), 40));
        assert!(hidden.clipped && hidden.time < -CLIPPED_NS / 2, "{}", hidden.time);
        assert_eq!(timeline.unit(buffer(Some(5000), 40)).time, 1000);
    }

    #[test]
    fn where_nothing_can_be_edited_segments_say_nothing() {
        gst::init().expect("GStreamer");
        let mut timeline = Timeline::unedited(0);
        timeline.segment(&segment(10, None, 0));
        assert_eq!(timeline.unit(buffer(Some(10), 40)).time, 10);
        timeline.segment(&segment(0, None, 0));
        assert_eq!(timeline.unit(buffer(Some(50), 40)).time, 50);
        assert_eq!(Timeline::unedited(7000).unit(buffer(Some(7010), 40)).time, 10);
    }

    #[test]
    fn a_unit_without_a_time_follows_the_one_before() {
        gst::init().expect("GStreamer");
        let mut timeline = Timeline::default();
        timeline.segment(&segment(0, None, 0));
        assert!(timeline.unit(buffer(Some(100), 40)).timed);
        let guessed = timeline.unit(buffer(None, 40));
        assert_eq!((guessed.time, guessed.timed), (140, false));
    }
}
