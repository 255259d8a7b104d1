//! Many seeds, on all cores. A failing one is named with the way to run it again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once, PoisonError};

/// Failing seeds after which it stops: the first ones say enough.
const MAX_FAILURES: usize = 5;

/// Runs `one` for `seeds` seeds, unless the environment asks for others.
pub(super) fn explore(seeds: u64, one: impl Fn(u64) + Sync) {
    be_quiet_about_panics_on_purpose();
    if let Some(seed) = number("SEED") {
        return one(seed);
    }
    let first = number("FIRST_SEED").unwrap_or(0);
    let last = first + number("SEEDS").unwrap_or(seeds);
    let (next, failures) = (AtomicU64::new(first), Mutex::new(Vec::new()));
    let work = || {
        while lock(&failures).len() < MAX_FAILURES {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= last {
                break;
            }
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| one(seed))) {
                lock(&failures).push((seed, message(&*panic)));
            }
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(work);
        }
    });
    let failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    let lines: Vec<String> = failures.iter().map(|(seed, message)| describe(*seed, message)).collect();
    assert!(failures.is_empty(), "{} seeds fail:\n{}", failures.len(), lines.join("\n"));
}

fn describe(seed: u64, message: &str) -> String {
    format!("seed {seed}: {message}\n    again: SEED={seed} cargo test -p actors no_adversary_loses_a_job")
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// What stages and services are told to do would hide what fails.
fn be_quiet_about_panics_on_purpose() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !message(info.payload()).contains("was told to panic") {
                tell(info);
            }
        }));
    });
}
