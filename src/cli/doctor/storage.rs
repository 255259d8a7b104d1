//! Whether the work storage can be written, and how much room it has.

use rustix::fs::statvfs;

use super::super::Wiring;
use super::Finding;
use crate::config::{Config, Shown};
use crate::storage::file_path;

/// A two-hour film at 20 Mbit/s is 18 GB, and its chunks and parts lie beside each other.
const WANTED_FREE_BYTES: u64 = 40_000_000_000;

pub(super) async fn check(config: &Config, wiring: &dyn Wiring) -> Vec<Finding> {
    let name = Shown(&config.work_url);
    if let Err(failure) = wiring.try_work_storage(config).await {
        let advice = "give a place that this user may write (WORK_URL), the same for all workers of the fleet";
        return vec![Finding::fail("work storage", format!("{name}: {failure}"), advice)];
    }
    let written = Finding::ok("work storage", format!("{name} can be written"));
    let free = file_path(config.work_url.as_str())
        .and_then(|path| statvfs(path).ok())
        .map(|found| found.f_bavail.saturating_mul(found.f_frsize));
    std::iter::once(written).chain(free.map(judge)).collect()
}

fn judge(free: u64) -> Finding {
    let detail = format!("{} free", indicatif::DecimalBytes(free));
    if free >= WANTED_FREE_BYTES {
        return Finding::ok("free space", detail);
    }
    Finding::warn("free space", detail, "a long film needs about twice its size while it is worked on")
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn little_room_is_pointed_out() {
        assert_eq!(judge(1_000_000).verdict, Verdict::Warn);
        assert_eq!(judge(100_000_000_000).verdict, Verdict::Ok);
    }
}
