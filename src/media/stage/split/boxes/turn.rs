//! How the pictures of an MP4 or QuickTime file are to be turned: by the matrix of their track, and then by that of the movie
//! (ISO/IEC 14496-12, 6.2.2). `qtdemux` (1.26) multiplies them in the other order, which is another one where one
//! mirrors and the other turns, and knows nothing of matrices that enlarge, which say where a window stood on a screen.
//! It is shown one matrix for both, of the track, that turns and mirrors only.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

use super::header::{Header, children};
use super::patch::Patch;

/// 1 in a matrix.
const UNIT: i32 = 1 << 16;
/// What leaves a picture as it is.
const IDENTITY: [i32; 4] = [UNIT, 0, 0, UNIT];

/// A matrix without the place that it moves a picture to: what becomes of the unit of x, and of that of y.
#[derive(Debug)]
pub struct Matrix {
    offset: u64,
    parts: [i32; 4],
}

impl Matrix {
    /// That of the movie, in its header (8.2.2).
    pub fn of_movie(file: &mut File, body: u64) -> io::Result<Option<Self>> {
        Self::read(file, body, [36, 48])
    }

    /// That of a track, in its header (8.3.2).
    fn of_track(file: &mut File, body: u64) -> io::Result<Option<Self>> {
        Self::read(file, body, [40, 52])
    }

    /// `offsets` of a header of version 0, and of 1; nothing where the file ends before.
    fn read(file: &mut File, body: u64, offsets: [u64; 2]) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(body))?;
        file.take(72).read_to_end(&mut bytes)?;
        let Some(version) = bytes.first() else { return Ok(None) };
        let offset = offsets[usize::from(*version == 1)];
        let Some(rows) = bytes.get(offset as usize..).and_then(|rest| rest.first_chunk::<20>()) else {
            return Ok(None);
        };
        let part = |at: usize| i32::from_be_bytes([rows[at], rows[at + 1], rows[at + 2], rows[at + 3]]);
        Ok(Some(Self { offset: body + offset, parts: [part(0), part(4), part(12), part(16)] }))
    }

    /// The patches that make it another one.
    fn instead(&self, parts: [i32; 4]) -> [Patch; 2] {
        let row = |offset, parts: &[i32]| Patch {
            offset: self.offset + offset,
            bytes: parts.iter().flat_map(|part| part.to_be_bytes()).collect(),
        };
        [row(0, &parts[..2]), row(12, &parts[2..])]
    }
}

/// What to change for a track of a movie with the matrix `movie`.
pub fn patches(file: &mut File, track: &Header, movie: Option<&Matrix>) -> io::Result<Vec<Patch>> {
    let header = children(file, track.body, track.end)?.into_iter().find(|child| &child.kind == b"tkhd");
    let (Some(header), Some(movie)) = (header, movie) else { return Ok(Vec::new()) };
    let Some(track) = Matrix::of_track(file, header.body)? else { return Ok(Vec::new()) };
    Ok(match turn(track.parts, movie.parts) {
        Some(turn) if movie.parts != IDENTITY || track.parts != turn => {
            [track.instead(turn), movie.instead(IDENTITY)].concat()
        }
        _ => Vec::new(),
    })
}

/// `track` and then `movie` without what they enlarge; `None` for other than right angles.
fn turn(track: [i32; 4], movie: [i32; 4]) -> Option<[i32; 4]> {
    let [track, movie] = [track, movie].map(|matrix| matrix.map(f64::from));
    let both: Vec<f64> = [(0, 0), (0, 1), (2, 0), (2, 1)]
        .map(|(row, column)| track[row] * movie[column] + track[row + 1] * movie[column + 2])
        .into();
    let largest = both.iter().fold(0.0_f64, |largest, part| largest.max(part.abs()));
    // A hundredth is far less than an eye sees.
    let sign = |part: &f64| if part.abs() * 100.0 < largest { 0 } else { UNIT * part.signum() as i32 };
    let turn: Vec<i32> = both.iter().map(sign).collect();
    match turn[..] {
        [a, 0, 0, d] if a != 0 && d != 0 => Some([a, 0, 0, d]),
        [0, b, c, 0] if b != 0 && c != 0 => Some([0, b, c, 0]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_track_turns_first_and_what_is_enlarged_is_left_out() {
        let by = |matrix: [i32; 4], factor: i32| matrix.map(|part| part / 1000 * factor);
        let (clockwise, mirrored) = ([0, UNIT, -UNIT, 0], [-UNIT, 0, 0, UNIT]);
        assert_eq!(turn(mirrored, clockwise), Some([0, -UNIT, -UNIT, 0]));
        assert_eq!(turn(clockwise, mirrored), Some([0, UNIT, UNIT, 0]));
        assert_eq!(turn(by(IDENTITY, 2000), by(clockwise, 333)), Some(clockwise));
        assert_eq!(turn([i32::MAX; 4], [i32::MIN; 4]), None);
        assert_eq!(turn(IDENTITY, [0; 4]), None);
        assert_eq!(turn([UNIT, UNIT, -UNIT, UNIT], IDENTITY), None, "45 degrees");
    }
}
