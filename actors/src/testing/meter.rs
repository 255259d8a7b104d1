//! A recorder of metrics that a test can read, and that can panic, to kill an actor that calls no port.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};

/// The recorder. Made the one of a thread with `metrics::set_default_local_recorder`.
#[derive(Clone, Default)]
pub struct Meter {
    cells: Arc<Mutex<BTreeMap<String, Arc<Cell>>>>,
    bomb: Arc<Mutex<Option<Bomb>>>,
}

#[derive(Default)]
struct Cell {
    number: AtomicU64,
    recorded: AtomicUsize,
}

/// Goes off when a gauge is set.
struct Bomb {
    gauge: &'static str,
    after: usize,
}

impl Meter {
    /// What a counter has reached; `labels` as `name=value`, in the order in which they were given.
    pub fn counted(&self, name: &str, labels: &[&str]) -> u64 {
        self.cell(&format!("{name}{labels:?}")).number.load(Ordering::Relaxed)
    }

    /// How often a histogram was recorded.
    pub fn recorded(&self, name: &str, labels: &[&str]) -> usize {
        self.cell(&format!("{name}{labels:?}")).recorded.load(Ordering::Relaxed)
    }

    /// What a gauge shows.
    pub fn shown(&self, name: &str, labels: &[&str]) -> f64 {
        f64::from_bits(self.cell(&format!("{name}{labels:?}")).number.load(Ordering::Relaxed))
    }

    /// Panics once, when `gauge` is used the `after`th time from now.
    pub fn panic_on(&self, gauge: &'static str, after: usize) {
        *self.bomb.lock().unwrap_or_else(PoisonError::into_inner) = Some(Bomb { gauge, after });
    }

    fn cell(&self, name: &str) -> Arc<Cell> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner).entry(name.into()).or_default().clone()
    }

    fn cell_of(&self, key: &Key) -> Arc<Cell> {
        let labels: Vec<String> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        self.cell(&format!("{}{labels:?}", key.name()))
    }

    fn tick(&self, gauge: &str) {
        let mut bomb = self.bomb.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(armed) = bomb.as_mut().filter(|armed| armed.gauge == gauge) {
            armed.after = armed.after.saturating_sub(1);
            if armed.after == 0 {
                *bomb = None;
                drop(bomb);
                panic!("the meter was told to panic");
            }
        }
    }
}

impl CounterFn for Cell {
    fn increment(&self, value: u64) {
        self.number.fetch_add(value, Ordering::Relaxed);
    }

    fn absolute(&self, value: u64) {
        self.number.store(value, Ordering::Relaxed);
    }
}

impl GaugeFn for Cell {
    fn increment(&self, value: f64) {
        self.set(f64::from_bits(self.number.load(Ordering::Relaxed)) + value);
    }

    fn decrement(&self, value: f64) {
        GaugeFn::increment(self, -value);
    }

    fn set(&self, value: f64) {
        self.number.store(value.to_bits(), Ordering::Relaxed);
    }
}

impl HistogramFn for Cell {
    fn record(&self, _: f64) {
        self.recorded.fetch_add(1, Ordering::Relaxed);
    }
}

impl Recorder for Meter {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell_of(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.tick(key.name());
        Gauge::from_arc(self.cell_of(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.cell_of(key))
    }
}
