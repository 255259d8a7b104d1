//! What encoders say of themselves in their streams. A library says as what it was compiled, not which one was loaded,
//! and the options of a build show in the stream alone. Pure.

/// x264's, as `164 r3108 31e19f9`: between two marks of a SEI message.
pub(super) fn of_x264(made: &[u8]) -> Option<String> {
    between(made, b"x264 - core ", b" - H.264")
}

/// x265's, as `215 4.1+1-1d117be`: number of the interface and version. What follows says how it was compiled.
pub(super) fn of_x265(made: &[u8]) -> Option<String> {
    let build = between(made, b"x265 (build ", b")")?;
    let version = between(made, format!("x265 (build {build}) - ").as_bytes(), b":")?;
    Some(format!("{build} {version}"))
}

/// That of libavcodec, as `Lavc61.19.101`: in a fill element of the first block, which need not begin with a byte.
pub(super) fn of_aac(made: &[u8]) -> Option<String> {
    (0..8).find_map(|shift| {
        let shifted: Vec<u8> =
            made.windows(2).map(|two| (u16::from_be_bytes([two[0], two[1]]) >> (8 - shift)) as u8).collect();
        let at = find(&shifted, b"Lavc")?;
        let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'.';
        text(&shifted[at..].iter().take_while(is_part).copied().collect::<Vec<_>>())
    })
}

fn between(bytes: &[u8], before: &[u8], after: &[u8]) -> Option<String> {
    let rest = &bytes[find(bytes, before)? + before.len()..];
    text(&rest[..find(rest, after)?])
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn text(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_out_of_sei_messages() {
        let sei =
            b"\x06\x05\xffx264 - core 164 r3108 31e19f9 - H.264/MPEG-4 AVC codec - Copyleft - options: cabac=1\x80";
        assert_eq!(of_x264(sei).as_deref(), Some("164 r3108 31e19f9"));
        let sei =
            b"\x4e\x01\x05x265 (build 215) - 4.1+1-1d117be:[Linux][GCC 14.2.0][64 bit] 8bit+10bit - H.265/HEVC codec";
        assert_eq!(of_x265(sei).as_deref(), Some("215 4.1+1-1d117be"));
        assert_eq!(of_x264(b"x264 - core 164 without an end"), None);
        assert_eq!((of_x264(b""), of_x265(b"x265 (build 215"), of_aac(b"L")), (None, None, None));
    }

    #[test]
    fn a_version_is_found_wherever_it_begins() {
        let block = b"\xde\x04\x00Lavc61.19.101\x00\x42\x20";
        for shift in 0..8u32 {
            let bits: Vec<u8> = block.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
            let moved: Vec<u8> = std::iter::repeat_n(1, shift as usize).chain(bits).collect();
            let bytes: Vec<u8> = moved.chunks(8).map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | bit)).collect();
            assert_eq!(of_aac(&bytes).as_deref(), Some("Lavc61.19.101"), "{shift} bits later");
        }
    }
}
