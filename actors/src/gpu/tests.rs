use super::*;
use crate::domain::job::VideoCodec;
use crate::domain::plan::EncoderFamily;
use crate::domain::plan::testing::device_plan;
use crate::ports::Device;
use crate::testing::service::encoder_path;

fn machine(device: Option<Device>, works: bool) -> Capabilities {
    let path = encoder_path(VideoCodec::H264, EncoderFamily::Nvcodec);
    let paths = if works { vec![path] } else { Vec::new() };
    Capabilities { devices: device.into_iter().collect(), paths, ..Capabilities::default() }
}

fn device(max_sessions: Option<u32>, lost: Option<&str>) -> Device {
    let (name, driver) = ("GPU".into(), "535".into());
    Device { index: 0, name, driver, memory_bytes: 1, max_sessions, lost: lost.map(Into::into) }
}

fn session(gpu: &Gpu) -> Option<Session> {
    match gpu.take(&device_plan(1, EncoderFamily::Nvcodec)) {
        Taken::Session(session) => Some(session),
        Taken::Full | Taken::Cannot(_) => None,
    }
}

fn is_full(gpu: &Gpu) -> bool {
    matches!(gpu.take(&device_plan(1, EncoderFamily::Nvcodec)), Taken::Full)
}

#[actix::test]
async fn nothing_is_taken_of_a_device_that_was_not_seen_to_work() {
    let gpu = Gpu::new(GpuSettings::default());
    assert!(session(&gpu).is_none() && gpu.offers().is_empty());
    gpu.probed(&machine(None, true));
    assert!(session(&gpu).is_some() && gpu.offers().len() == 1);
    assert!(matches!(gpu.take(&device_plan(1, EncoderFamily::Va)), Taken::Cannot(why) if why.contains("no va")));
    let off = Gpu::new(GpuSettings { enabled: false, ..GpuSettings::default() });
    off.probed(&machine(None, true));
    assert!(session(&off).is_none() && off.announced(&machine(None, true)).offers().next().is_none());
}

#[actix::test]
async fn sessions_are_free_again_when_they_are_dropped_and_the_operator_has_the_last_word() {
    let gpu = Gpu::new(GpuSettings::default());
    gpu.probed(&machine(Some(device(Some(2), None)), true));
    let held = (session(&gpu), session(&gpu));
    assert!(held.0.is_some() && held.1.is_some() && is_full(&gpu));
    drop(held.0);
    assert!(session(&gpu).is_some());
    let set = Gpu::new(GpuSettings { sessions: Some(1), ..GpuSettings::default() });
    set.probed(&machine(Some(device(Some(2), None)), true));
    let _held = session(&set);
    assert!(is_full(&set));
    let none = Gpu::new(GpuSettings { sessions: Some(0), ..GpuSettings::default() });
    none.probed(&machine(None, true));
    assert!(matches!(none.take(&device_plan(1, EncoderFamily::Nvcodec)), Taken::Cannot(_)));
}

#[actix::test]
async fn a_lost_device_is_lost_until_a_probe_sees_it_work() {
    tokio::time::pause();
    let gpu = Gpu::new(GpuSettings::default());
    gpu.probed(&machine(None, true));
    gpu.failed(&Failure::device_fault(DeviceFault::DeviceLost, "it fell off the bus"));
    assert!(gpu.lost().is_some() && session(&gpu).is_none() && gpu.offers().is_empty());
    assert!(gpu.announced(&machine(None, true)).offers().next().is_none());
    tokio::time::advance(Duration::from_secs(600)).await;
    assert!(gpu.begin_trial());
    gpu.probed(&machine(Some(device(None, Some("no answer"))), false));
    assert_eq!(gpu.lost().as_deref(), Some("GPU: no answer"));
    tokio::time::advance(Duration::from_secs(600)).await;
    assert!(gpu.begin_trial());
    gpu.probed(&machine(Some(device(None, None)), true));
    assert!(gpu.lost().is_none() && session(&gpu).is_some());
}

#[actix::test]
async fn a_job_waits_from_the_first_time_that_it_asked() {
    tokio::time::pause();
    let gpu = Gpu::new(GpuSettings::default());
    let job_id: JobId = "movie".parse().expect("an id");
    assert_eq!(gpu.waited(&job_id), Duration::ZERO);
    tokio::time::advance(Duration::from_secs(5)).await;
    assert_eq!(gpu.waited(&job_id), Duration::from_secs(5));
    gpu.waits_no_more(&job_id);
    assert_eq!(gpu.waited(&job_id), Duration::ZERO);
}
