//! What is different in the files of packages when they are read back.

/// A form of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// GStreamer's demuxer.
    pub demuxer: &'static str,
    /// Whether it has edit lists, which say exactly what is presented and when, and an index of random access points. Without
    /// them the file has no zero of its own.
    pub has_edits: bool,
}
