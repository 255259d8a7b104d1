use actors::domain::job::VideoCodec;
use actors::ports::{Direction, PathCapability, Proof};

use super::paths::{Summary, missing, of, there};
use super::*;

const TRIED: Tried = Tried { fps: 412.6, worst_psnr_db: 41.0, mean_psnr_db: 43.0, same_bytes: false, bytes: 9000 };

fn installed(elements: &[&str], missing_libraries: &[&str], nvrtc: Option<u32>) -> DeviceElements {
    let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    DeviceElements { elements: owned(elements), missing_libraries: owned(missing_libraries), nvrtc }
}

/// The outcomes of all paths through NVIDIA's elements.
fn attempts(outcome: impl Fn(&Trial) -> Result<Tried, Failure>) -> Vec<Attempt> {
    of(EncoderFamily::Nvcodec).into_iter().map(|trial| Attempt { trial, outcome: outcome(&trial) }).collect()
}

#[test]
fn a_gpu_for_data_centres_decodes_and_does_not_encode() {
    let elements = ["nvh264dec", "nvh265dec", "cudaconvertscale"].map(str::to_owned);
    let trials = there(true, false, &elements);
    assert!(trials.len() == 3 && trials.iter().all(|trial| trial.direction == Direction::Decode), "{trials:?}");
    let findings = missing(&DeviceElements { elements: elements.to_vec(), ..DeviceElements::default() });
    assert!(findings.len() == 1 && findings[0].what.contains("no encoder"), "{findings:?}");
}

#[test]
fn a_container_without_the_video_capability_is_told_from_one_without_a_driver() {
    let video = ["libnvcuvid.so.1", "libnvidia-encode.so.1"];
    let findings = missing(&installed(&[], &video, None));
    assert!(findings.len() == 1 && findings[0].advice.contains("`video` capability"), "{findings:?}");
    let findings = missing(&installed(&[], &[video[0], video[1], "libcuda.so.1"], None));
    assert!(findings.len() == 1 && findings[0].advice.starts_with("install the driver"), "{findings:?}");
}

#[test]
fn a_gpu_without_nvrtc_12_is_told_from_a_whole_one_and_the_advice_says_where_to_get_it() {
    let whole = ["nvh264enc", "nvh264dec", "cudaupload", "cudadownload", "cudaconvertscale"];
    assert_eq!(missing(&installed(&whole, &[], Some(12))), []);
    for (nvrtc, what) in [(None, "NVRTC 12 is not found"), (Some(13), "NVRTC 13"), (Some(11), "compiles nothing")] {
        let findings = missing(&installed(&whole[..4], &[], nvrtc));
        assert!(findings.len() == 1 && findings[0].what.contains(what), "{findings:?}");
        assert!(findings[0].advice.contains("libnvrtc.so.12"), "{findings:?}");
    }
}

#[test]
fn every_path_has_one_row_with_its_speed_or_its_error() {
    let attempts = attempts(|trial| match (trial.codec, trial.bit_depth, trial.direction) {
        (VideoCodec::H265, 10, Direction::Encode) => Err(Failure::device("no such depth")),
        _ => Ok(TRIED),
    });
    let rows = Summary::of(&attempts).rows();
    assert_eq!(rows.len(), 6);
    let failed: Vec<_> = rows.iter().filter(|row| !row.works()).collect();
    assert!(failed.len() == 1 && failed[0].bit_depth == 10, "{failed:?}");
    assert_eq!(rows[0].proof, Proof::Works { fps: Some(413) });
    assert!(Summary::of(&attempts).proof().scales, "a depth that is not encoded at all says nothing of the scaler");
}

#[test]
fn without_nvrtc_the_gpu_encodes_what_the_cpu_scales() {
    let attempts = attempts(|trial| match trial.scales {
        true => Err(Failure::device("cudaconvertscale: Couldn't create converter")),
        false => Ok(TRIED),
    });
    let summary = Summary::of(&attempts);
    assert!(summary.rows().iter().all(PathCapability::works));
    assert!(!summary.proof().scales);
    assert_eq!(summary.proof().decodes.len(), 3);
    let findings = summary.findings();
    assert!(findings.len() == 1 && findings[0].advice.contains("NVRTC"), "{findings:?}");
}

#[test]
fn a_device_that_was_lost_is_not_tried_again_and_a_crash_costs_its_path_only() {
    let trials = of(EncoderFamily::Nvcodec);
    let failed = |fault| Attempt { trial: trials[0], outcome: Err(Failure::device_fault(fault, "it is gone")) };
    let next = failed(DeviceFault::DeviceLost).lost(&trials[1]).expect("the same failure");
    assert!(next.message.contains("not tried") && next.fault() == Some(DeviceFault::DeviceLost), "{next}");
    assert!(failed(DeviceFault::Hang).lost(&trials[1]).is_some());
    assert!(failed(DeviceFault::Other).lost(&trials[1]).is_none());
    assert!(failed(DeviceFault::DeviceLost).lost(&of(EncoderFamily::Openh264)[0]).is_none());
}

#[test]
fn a_device_that_is_busy_with_our_own_work_is_what_it_was_before() {
    let probe = DeviceProbe::default();
    let trial = of(EncoderFamily::Nvcodec)[0];
    let busy = || Err(Failure::device_fault(DeviceFault::SessionLimit, "no more sessions"));
    assert!(probe.settled(&trial, busy()).is_err(), "nothing was seen before");
    probe.worked.lock().expect("whole").push((trial, TRIED));
    assert_eq!(probe.settled(&trial, busy()), Ok(TRIED));
    assert!(probe.settled(&trial, Err(Failure::device_fault(DeviceFault::BadOutput, "green"))).is_err());
}
