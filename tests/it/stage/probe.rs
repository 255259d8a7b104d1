//! The probe: what it starts processes for, and what it says where one of them ends badly.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actors::domain::failure::FailureClass;
use actors::ports::{CapabilityFinding, CapabilityProbe as _, Device};
use futures_util::FutureExt as _;
use gstreamer_worker::process::probe::nvidia_is_visible;
use gstreamer_worker::process::{DeviceProbe, ProcessProbe, Proven, Wanted};

use super::double::launcher;

/// A probe with a double of a stage process, and how often it asked for the list of GPUs.
fn probe(mode: &str, wanted: Wanted) -> (ProcessProbe, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let list = Arc::new(move || {
        count.fetch_add(1, Ordering::Relaxed);
        async { (Vec::<Device>::new(), Vec::<CapabilityFinding>::new()) }.boxed()
    });
    (ProcessProbe::new(launcher(mode), DeviceProbe::new(wanted, list, Proven::default())), asked)
}

#[tokio::test]
async fn without_a_gpu_nothing_of_one_is_touched_and_it_is_a_finding_only_where_one_is_expected() {
    let nvidia = nvidia_is_visible();
    let none = !nvidia && !std::path::Path::new("/dev/dri").exists();
    for (wanted, findings) in [(Wanted::Never, 0), (Wanted::IfThere, 0), (Wanted::Expected, usize::from(none))] {
        let (probe, asked) = probe("done", wanted);
        let found = probe.probe().await.expect("a table");
        assert!(found.devices.is_empty(), "{wanted:?}: {found:?}");
        assert_eq!(asked.load(Ordering::Relaxed), usize::from(nvidia && wanted != Wanted::Never), "{wanted:?}");
        assert!(found.paths.iter().all(|path| !path.family.is_device()), "{found:?}");
        let of_gpus = found.findings.iter().filter(|finding| finding.what.contains("GPU_ENABLED")).count();
        assert_eq!(of_gpus, findings, "{wanted:?}: {found:?}");
    }
}

#[tokio::test]
async fn a_probe_of_the_cpu_that_crashes_is_a_failure_and_no_empty_table() {
    let failure = probe("segfault", Wanted::IfThere).0.probe().await.expect_err("it crashed");
    assert_eq!(failure.class, FailureClass::Retryable, "{failure}");
}
