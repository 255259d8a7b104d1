//! The GPUs of this machine as NVIDIA's management library (NVML) sees them: what there is, and what it does. The library
//! is looked for when the program runs; a machine without it has no GPU here.
//!
//! NVML is native code, and it can hang when a GPU is lost. It runs on a thread of its own, and nobody waits for it longer
//! than [`ANSWER_TIMEOUT`].

mod inventory;
mod nvml;

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use actors::ports::{Answer, CapabilityFinding, GpuMonitor, GpuReading};
use tokio::sync::oneshot;

pub use inventory::Inventory;
use nvml::Library;

/// NVML answers in microseconds; the first call loads it and wakes the driver, which can take seconds.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Questions that wait while one is being answered.
const MAX_QUESTIONS: usize = 4;

enum Question {
    Read(oneshot::Sender<Vec<GpuReading>>),
    List(oneshot::Sender<Inventory>),
}

/// Asks NVML.
#[derive(Clone, Debug)]
pub struct NvmlMonitor {
    questions: Option<SyncSender<Question>>,
}

impl NvmlMonitor {
    /// Starts the thread that asks. It ends with the last copy of the monitor.
    pub fn start() -> Self {
        let (questions, asked) = sync_channel(MAX_QUESTIONS);
        let spawned = std::thread::Builder::new().name("nvml".into()).spawn(move || answer(&asked));
        if let Err(error) = &spawned {
            tracing::warn!(%error, "no thread for NVML, GPUs are not watched");
        }
        Self { questions: spawned.ok().map(|_| questions) }
    }

    /// The GPUs that there are.
    pub async fn inventory(&self) -> Inventory {
        let late = || Inventory {
            devices: Vec::new(),
            findings: vec![CapabilityFinding {
                what: format!("NVML did not answer within {} s", ANSWER_TIMEOUT.as_secs()),
                advice: "the driver hangs: restart the pod, and the machine if that does not help".into(),
            }],
        };
        self.ask(Question::List).await.unwrap_or_else(late)
    }

    async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Question) -> Option<T> {
        let (reply, answered) = oneshot::channel();
        match self.questions.as_ref()?.try_send(question(reply)) {
            Ok(()) => tokio::time::timeout(ANSWER_TIMEOUT, answered).await.ok()?.ok(),
            // Nobody answers: the thread hangs in an earlier question.
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => None,
        }
    }
}

impl GpuMonitor for NvmlMonitor {
    fn read(&self) -> Answer<Vec<GpuReading>> {
        let this = self.clone();
        Box::pin(async move { Ok(this.ask(Question::Read).await.unwrap_or_default()) })
    }
}

fn answer(asked: &Receiver<Question>) {
    let mut library = Library::default();
    while let Ok(question) = asked.recv() {
        // Whoever asked may have stopped waiting.
        match question {
            Question::Read(reply) => drop(reply.send(library.read())),
            Question::List(reply) => drop(reply.send(library.list())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_machine_without_nvml_has_no_gpu_and_says_so_once() {
        let monitor = NvmlMonitor::start();
        let inventory = monitor.inventory().await;
        if inventory.devices.is_empty() {
            assert_eq!(inventory.findings.len(), 1, "{inventory:?}");
            assert!(!inventory.findings[0].advice.is_empty(), "{inventory:?}");
            assert_eq!(monitor.read().await.expect("an answer"), []);
        } else {
            assert_eq!(monitor.read().await.expect("an answer").len(), inventory.devices.len());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_library_that_hangs_is_not_waited_for() {
        let (questions, asked) = sync_channel(MAX_QUESTIONS);
        let monitor = NvmlMonitor { questions: Some(questions) };
        assert_eq!(monitor.read().await.expect("an answer"), []);
        let inventory = monitor.inventory().await;
        assert!(inventory.findings[0].what.contains("did not answer"), "{inventory:?}");
        drop(asked);
    }
}
