//! Parts as files: whether they still are what was recorded, and their access units in order.

use std::io::ErrorKind;

use actors::domain::failure::Failure;
use gstreamer as gst;

use crate::digest;
use crate::media::gdp::{GdpReader, presentation_ns};
use crate::protocol::PartSource;

/// The names of the parts that are missing or not what was recorded.
///
/// # Errors
/// `retryable` where a file cannot be read for another reason.
pub fn lost<'a>(parts: impl IntoIterator<Item = &'a PartSource>) -> Result<Vec<String>, Failure> {
    let mut lost = Vec::new();
    for part in parts {
        if !is_intact(part)? {
            lost.push(part.part.file.name.clone());
        }
    }
    Ok(lost)
}

fn is_intact(part: &PartSource) -> Result<bool, Failure> {
    let length = std::fs::metadata(&part.path).map(|metadata| metadata.len());
    let found = match length {
        Ok(length) if length != part.part.file.bytes => return Ok(false),
        Ok(_) => digest::of_file(&part.path),
        Err(error) => Err(error),
    };
    match found {
        Ok((bytes, sha256)) => Ok(bytes == part.part.file.bytes && sha256 == part.part.file.sha256),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Failure::retryable(format!("reading the part {}: {error}", part.path.display()))),
    }
}

/// Players take the parameter sets of some packages from an index, once: parts of one encoder family have the same ones.
///
/// # Errors
/// `permanent` where they were made by several: whoever put them together has to let one family make them all.
pub fn of_one_family(parts: &[PartSource], package: &str) -> Result<(), Failure> {
    let mut families = parts.iter().filter_map(|part| Some((part.part.encoder?, &part.part.file.name)));
    let Some((first, name)) = families.next() else { return Ok(()) };
    match families.find(|(family, _)| *family != first) {
        None => Ok(()),
        Some((other, other_name)) => Err(Failure::permanent(format!(
            "{package} has room for the parts of one encoder, and {name} was made by {} and {other_name} by {}; encode the \
             rendition with one of them",
            first.as_str(),
            other.as_str()
        ))),
    }
}

/// An access unit of a part.
pub struct Unit {
    /// Index of its part.
    pub part: usize,
    /// Presentation time in nanoseconds.
    pub pts_ns: i64,
    /// Its bytes.
    pub buffer: gst::Buffer,
}

impl Unit {
    /// The bytes.
    ///
    /// # Errors
    /// `retryable` where there is no memory to look at them.
    pub fn bytes(&self) -> Result<gst::BufferMap<'_, gst::buffer::Readable>, Failure> {
        self.buffer.map_readable().map_err(|_| Failure::retryable("an access unit cannot be mapped into memory"))
    }
}

/// Reads parts one after another, holding one access unit at a time.
pub struct Joined {
    parts: Vec<PartSource>,
    open: Option<GdpReader>,
    next: usize,
    caps: Option<gst::Caps>,
}

impl Joined {
    /// Of these parts in this order.
    pub fn new(parts: &[PartSource]) -> Self {
        Self { parts: parts.to_vec(), open: None, next: 0, caps: None }
    }

    /// The caps of the access unit that was read last.
    pub fn caps(&self) -> Option<&gst::Caps> {
        self.caps.as_ref()
    }

    /// The next access unit; `None` after the last one of the last part.
    ///
    /// # Errors
    /// `retryable` where a part cannot be read or an access unit has no time.
    // Not an iterator: a failure ends it.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Unit>, Failure> {
        loop {
            let Some(reader) = &mut self.open else {
                let Some(part) = self.parts.get(self.next) else { return Ok(None) };
                self.open = Some(GdpReader::open(&part.path)?);
                self.next += 1;
                continue;
            };
            let part = self.next - 1;
            let Some(sample) = reader.next()? else {
                self.open = None;
                continue;
            };
            let time = sample.buffer().and_then(|buffer| buffer.pts());
            let (Some(buffer), Some(pts)) = (sample.buffer_owned(), time) else {
                let path = self.parts[part].path.display();
                return Err(Failure::retryable(format!("{path} has an access unit without a time, encode it again")));
            };
            self.caps = sample.caps_owned();
            return Ok(Some(Unit { part, pts_ns: presentation_ns(pts), buffer }));
        }
    }
}
