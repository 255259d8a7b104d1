//! Each way in which a stage process can end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actors::domain::failure::{Failure, FailureClass};
use gstreamer_worker::process::{Gauge, StageProcess};
use gstreamer_worker::protocol::{ProbeSpec, Probed};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::double::launcher;
use crate::support::process::wait_until_gone;

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_secs(2);

/// Runs a double, and checks the reason that is counted for its end.
async fn end_of(mode: &str, stall_timeout: Duration, reason: &str) -> Result<Probed, Failure> {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    // Seen by this thread alone, on which the whole test runs.
    let _guard = metrics::set_default_local_recorder(&recorder);
    let process = StageProcess::new(launcher(mode), stall_timeout);
    let result = process.run(&ProbeSpec {}, &mut Gauge::new(Box::new(|_| {})), &CancellationToken::new()).await;
    let counted = handle.render();
    assert!(counted.contains(&format!("transcode_child_exits_total{{reason=\"{reason}\"}} 1")), "{counted}");
    result
}

async fn failure_of(mode: &str, stall_timeout: Duration, reason: &str) -> Failure {
    end_of(mode, stall_timeout, reason).await.expect_err("no result")
}

async fn retryable(mode: &str, stall_timeout: Duration, reason: &str) -> String {
    let failure = failure_of(mode, stall_timeout, reason).await;
    assert_eq!(failure.class, FailureClass::Retryable);
    failure.message
}

fn names(result: Probed) -> Vec<String> {
    result.elements.into_keys().collect()
}

#[tokio::test]
async fn a_result_and_its_progress_arrive() {
    let told = Arc::new(AtomicU64::new(0));
    let sink = Arc::clone(&told);
    let mut gauge = Gauge::new(Box::new(move |ns| sink.store(ns, Ordering::SeqCst)));
    let process = StageProcess::new(launcher("done"), LONG);
    let result = process.run(&ProbeSpec {}, &mut gauge, &CancellationToken::new()).await.expect("a result");
    assert_eq!(names(result), ["x264enc"]);
    assert_eq!(told.load(Ordering::SeqCst), 12_300_000_000);
}

#[tokio::test]
async fn a_failure_arrives_with_its_class() {
    assert_eq!(failure_of("failed", LONG, "failed").await, Failure::device("the device is busy"));
}

#[tokio::test]
async fn a_panic_is_a_failure_with_its_message() {
    assert_eq!(retryable("panic", LONG, "failed").await, "the stage panicked: frame 7 has no time");
}

#[tokio::test]
async fn a_segfault_is_a_crash() {
    assert!(retryable("segfault", LONG, "crashed").await.contains("probe stage crashed with SIGSEGV"));
}

#[tokio::test]
async fn a_crash_tells_the_last_words_of_the_process() {
    let message = retryable("abort", LONG, "crashed").await;
    assert!(message.contains("SIGABRT") && message.ends_with("last words: double free or corruption"), "{message}");
}

#[tokio::test]
async fn a_kill_is_perhaps_for_want_of_memory() {
    assert!(retryable("killed", LONG, "killed").await.contains("perhaps because memory ran out"));
}

#[tokio::test]
async fn an_end_without_a_result_is_no_success() {
    assert!(retryable("exit", LONG, "exited").await.contains("ended with status 7 and without a result"));
    assert!(retryable("silent", LONG, "exited").await.contains("ended with status 0 and without a result"));
}

#[tokio::test]
async fn what_is_no_event_breaks_the_protocol() {
    let message = retryable("garbage", LONG, "garbage").await;
    assert!(
        message.contains("garbage on the protocol") && message.ends_with(r"`Unhandled exception\u{7}`"),
        "{message}"
    );
    assert!(retryable("half", LONG, "garbage").await.contains("garbage"));
}

#[tokio::test]
async fn a_line_without_end_is_given_up() {
    assert!(retryable("overlong", LONG, "garbage").await.contains("`xxxx"));
}

#[tokio::test]
async fn a_stage_that_does_not_move_is_stopped() {
    assert_eq!(retryable("hangs", SHORT, "stalled").await, "the probe stage stalled at 12.3 s of media for 2 s");
}

#[tokio::test]
async fn a_stage_that_repeats_its_media_time_does_not_move() {
    assert_eq!(retryable("repeats", SHORT, "stalled").await, "the probe stage stalled at 12.3 s of media for 2 s");
}

#[tokio::test]
async fn a_stage_that_moves_may_take_longer_than_the_timeout() {
    let started = Instant::now();
    end_of("slow", SHORT, "done").await.expect("a result");
    assert!(started.elapsed() > SHORT);
}

#[tokio::test]
async fn a_stage_that_stands_still_in_the_kernel_is_stopped() {
    assert!(retryable("stopped", SHORT, "stalled").await.contains("stalled"));
}

#[tokio::test]
async fn a_process_that_closes_its_output_and_stays_is_stopped() {
    assert!(retryable("deaf", LONG, "stalled").await.contains("closed its output"));
}

#[tokio::test]
async fn what_native_code_prints_does_not_reach_the_protocol() {
    end_of("noise", LONG, "done").await.expect("a result");
}

#[tokio::test]
async fn a_flood_of_logs_does_not_stop_a_stage() {
    end_of("chatty", LONG, "done").await.expect("a result");
}

#[tokio::test]
async fn a_hang_on_the_way_out_does_not_cost_the_result() {
    end_of("lingers", LONG, "done").await.expect("a result");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_a_failure() {
    let mut launcher = launcher("done");
    launcher.program = "/nowhere/gstreamer-worker".into();
    let process = StageProcess::new(launcher, LONG);
    let stop = CancellationToken::new();
    let failure = process.run(&ProbeSpec {}, &mut Gauge::new(Box::new(|_| {})), &stop).await.expect_err("none");
    assert!(failure.message.contains("cannot be started from /nowhere/gstreamer-worker"), "{failure}");
}

#[tokio::test]
async fn a_stage_steps_behind_the_worker() {
    // SAFETY: a call without pointers.
    let own = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
    let names = names(end_of("nice", LONG, "done").await.expect("a result"));
    assert_eq!(names, [(own + 5).min(19).to_string()]);
}

/// Runs a double that tells its process id as media time, until it does; `then` is given the rest of the run.
async fn when_running(
    mode: &str,
    stop: &CancellationToken,
    then: impl AsyncFnOnce(u32, &mut (dyn Future<Output = Result<Probed, Failure>> + Unpin)),
) {
    let (pid, seen) = (Arc::new(AtomicU64::new(0)), Arc::new(Notify::new()));
    let (sink, see) = (Arc::clone(&pid), Arc::clone(&seen));
    let mut gauge = Gauge::new(Box::new(move |ns| {
        sink.store(ns, Ordering::SeqCst);
        see.notify_one();
    }));
    let process = StageProcess::new(launcher(mode), LONG);
    let mut run = Box::pin(process.run(&ProbeSpec {}, &mut gauge, stop));
    tokio::select! {
        result = &mut run => panic!("ended early: {result:?}"),
        () = seen.notified() => {}
    }
    then(u32::try_from(pid.load(Ordering::SeqCst)).expect("a process id"), &mut run).await;
}

#[tokio::test]
async fn a_cancelled_stage_is_interrupted_at_once() {
    let stop = CancellationToken::new();
    when_running("pid", &stop, async |pid, run| {
        stop.cancel();
        let failure = run.await.expect_err("no result");
        assert_eq!(failure, Failure::interrupted("the probe stage was stopped by its worker"));
        assert!(!std::fs::exists(format!("/proc/{pid}")).expect("proc"));
    })
    .await;
}

#[tokio::test]
async fn a_stubborn_stage_is_killed_in_the_end() {
    let stop = CancellationToken::new();
    when_running("stubborn", &stop, async |pid, run| {
        stop.cancel();
        assert_eq!(run.await.expect_err("no result").class, FailureClass::Interrupted);
        assert!(!std::fs::exists(format!("/proc/{pid}")).expect("proc"));
    })
    .await;
}

#[tokio::test]
async fn a_stage_is_not_started_after_it_was_cancelled() {
    let stop = CancellationToken::new();
    stop.cancel();
    let process = StageProcess::new(launcher("hangs"), LONG);
    let failure = process.run(&ProbeSpec {}, &mut Gauge::new(Box::new(|_| {})), &stop).await.expect_err("none");
    assert_eq!(failure.class, FailureClass::Interrupted);
}

#[tokio::test]
async fn a_dropped_future_leaves_no_process() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let stop = CancellationToken::new();
    let mut running = 0;
    when_running("stubborn", &stop, async |pid, _| running = pid).await;
    wait_until_gone(running).await;
    assert!(handle.render().contains("transcode_child_exits_total{reason=\"dropped\"} 1"));
}
