//! The test binary is its own stage process, as the product's binary is. Started with `stage MODE` it never reaches the
//! test harness: the harness would write to the standard output that belongs to the protocol.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write as _;
use std::time::Duration;

use actors::domain::failure::Failure;
use gstreamer_worker::process::{Gauge, Launcher, Progress, StageProcess, child_main};
use gstreamer_worker::protocol::{ProbeSpec, Probed, StageSpec};
use tokio_util::sync::CancellationToken;

use super::film;

/// Runs before `main`; the loader calls every function of this section.
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = before_main;

extern "C" fn before_main() {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some("stage") {
        let mode = args.next().unwrap_or_default();
        let code = run(&mode, args.next());
        std::process::exit(code);
    }
}

/// A stage process in this mode, such as `done` or `film`.
pub fn launcher(mode: &str) -> Launcher {
    let program = std::env::current_exe().expect("the test binary");
    Launcher { program, args: ["stage", mode].map(OsString::from).to_vec() }
}

/// Result of the doubles that have nothing else to say.
pub fn small_result() -> Probed {
    Probed { elements: BTreeMap::from([("x264enc".into(), None)]), versions: Default::default() }
}

fn run(mode: &str, argument: Option<String>) -> i32 {
    match mode {
        "parent" => parent(&argument.expect("the mode of the child")),
        "garbage" => raw(b"Unhandled exception\x07\n"),
        "half" => raw(br#"{"event":"progress","#),
        "overlong" => raw(&vec![b'x'; 40 << 20]),
        "another" => raw(b"{\"event\":\"done\",\"of\":{\"elements\":{},\"versions\":{}}}\n"),
        "silent" => 0,
        "stubborn" => stubborn(),
        "deaf" => {
            // Closes its output and goes on.
            // SAFETY: the descriptor is not used by anything else here.
            unsafe { libc::close(libc::STDOUT_FILENO) };
            hang()
        }
        _ => {
            let mode = mode.to_owned();
            let code = child_main(move |spec, child| match spec {
                StageSpec::Probe(spec) => child.run(&spec, |_, progress| stage(&mode, progress)),
                StageSpec::Split(spec) if !mode.starts_with("film") => child
                    .run(&spec, |_, progress| stage(&mode, progress).and(Err(Failure::permanent("it has no film")))),
                spec => film::stage(&mode, spec, child),
            });
            i32::from(code != std::process::ExitCode::SUCCESS)
        }
    }
}

fn stage(mode: &str, media: Progress<'_>) -> Result<Probed, Failure> {
    match mode {
        "done" => media(12_300_000_000),
        "failed" => return Err(Failure::device("the device is busy")),
        "panic" => panic!("frame {} has no time", 7),
        "segfault" => signal(libc::SIGSEGV),
        "abort" => {
            eprintln!("double free or corruption");
            signal(libc::SIGABRT);
        }
        "killed" => signal(libc::SIGKILL),
        "exit" => std::process::exit(7),
        "hangs" => {
            media(12_300_000_000);
            hang();
        }
        "repeats" => loop {
            media(12_300_000_000);
            std::thread::sleep(Duration::from_millis(60));
        },
        "slow" => (1..=8u64).for_each(|second| {
            media(second * 1_000_000_000);
            std::thread::sleep(Duration::from_millis(500));
        }),
        "stopped" => {
            media(u64::from(std::process::id()));
            signal(libc::SIGSTOP);
        }
        "pid" => {
            media(u64::from(std::process::id()));
            hang();
        }
        "noise" => {
            // As a native library prints, around Rust's own buffers.
            // SAFETY: the buffer lives through the call.
            unsafe { libc::write(libc::STDOUT_FILENO, b"noise\n".as_ptr().cast(), 6) };
            println!("more noise");
        }
        "chatty" => {
            let line = "[warning] frame dropped\n".repeat(1000);
            (0..100).for_each(|_| std::io::stderr().write_all(line.as_bytes()).expect("standard error"));
        }
        "environment" => {
            let names = std::env::vars().map(|(name, _)| (name, None));
            return Ok(Probed { elements: names.collect(), versions: Default::default() });
        }
        "lingers" => {
            // A result is told, then native code hangs on the way out.
            extern "C" fn hang_at_exit() {
                hang();
            }
            // SAFETY: the function lives as long as the program.
            unsafe { libc::atexit(hang_at_exit) };
        }
        "nice" => {
            // SAFETY: a call without pointers.
            let nice = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
            return Ok(Probed { elements: BTreeMap::from([(nice.to_string(), None)]), versions: Default::default() });
        }
        other => return Err(Failure::permanent(format!("there is no double `{other}`"))),
    }
    Ok(small_result())
}

fn hang() -> ! {
    loop {
        std::thread::park();
    }
}

fn signal(number: i32) {
    // SAFETY: a call without pointers.
    unsafe { libc::kill(libc::getpid(), number) };
}

fn raw(bytes: &[u8]) -> i32 {
    let mut stdout = std::io::stdout();
    let _ = stdout.write_all(bytes);
    let _ = stdout.flush();
    0
}

/// Neither the end of its input nor SIGTERM moves it.
fn stubborn() -> i32 {
    // SAFETY: no handler is installed, the signal is ignored.
    unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
    raw(format!("{{\"event\":\"progress\",\"of\":{}}}\n", std::process::id()).as_bytes());
    hang()
}

/// A worker that runs one stage and tells its progress, which may be a process id, and its result.
fn parent(mode: &str) -> i32 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let process = StageProcess::new(launcher(mode), Duration::from_secs(600));
    let mut gauge = Gauge::new(Box::new(|pid| {
        raw(format!("{pid}\n").as_bytes());
    }));
    let result = runtime.block_on(process.run(&ProbeSpec {}, &mut gauge, &CancellationToken::new()));
    raw(format!("{result:?}\n").as_bytes())
}
