//! Texts in streams, in which encoders say what they are. A library says as what it was compiled, not which one was loaded,
//! and the options of a build show in the stream alone. Pure.

/// The text between two marks.
pub fn between(bytes: &[u8], before: &[u8], after: &[u8]) -> Option<String> {
    let rest = &bytes[find(bytes, before)? + before.len()..];
    text(&rest[..find(rest, after)?])
}

/// Where a mark is.
pub fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// Bytes as text, unless there is none.
pub fn text(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}
