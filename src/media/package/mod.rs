//! Packages: a file or folder for each, and the one place that chooses between them.
//!
//! * [`packager`]: what has to be known of a package
//! * [`mp4`], [`mpegts`]: the packages, which never import each other
//! * [`verify`]: how a file is read back and compared

pub mod mp4;
pub mod mpegts;
pub mod packager;
pub mod verify;

use actors::domain::job::Container;

use mp4::Mp4;
use mpegts::MpegTs;
pub use packager::Packager;

/// Who writes and reads back a container.
pub fn of(container: Container) -> &'static dyn Packager {
    match container {
        Container::Mpegts => &MpegTs,
        Container::Mp4 => &Mp4,
    }
}
