//! The member for the topic of tasks for GPUs: it comes and goes while the others stay, as the worker may have a device
//! now and none in an hour.

use std::sync::Arc;
use std::thread::JoinHandle;

use actors::domain::failure::Failure;
use actors::domain::record::Queue;

use super::{Member, PollThread};

/// Whether the topic is read.
pub(super) struct Reading {
    /// What the receiver wants.
    pub wanted: bool,
    /// A member that leaves, which takes 100 ms and must not stop the polls. Its last callbacks run on its thread, and
    /// must have run before the next member is given the same partitions.
    ending: Option<JoinHandle<()>>,
}

impl Reading {
    pub fn starting(wanted: bool) -> Self {
        Self { wanted, ending: None }
    }

    /// Waits for a member that leaves.
    pub fn wait_for_end(&mut self) {
        if let Some(ending) = self.ending.take() {
            // It ends by a panic of librdkafka's callbacks at worst, which is in the log.
            let _ = ending.join();
        }
    }
}

impl PollThread {
    /// Lets a member join or leave, as it is wanted.
    pub(super) fn follow_gpu(&mut self) -> Result<(), Failure> {
        let at = self.members.iter().position(|member| member.queue == Queue::Gpu);
        match (at, self.gpu.wanted) {
            (Some(at), false) => self.leave_gpu(at),
            (None, true) if self.gpu.ending.as_ref().is_none_or(JoinHandle::is_finished) => self.join_gpu(),
            (Some(_), true) | (None, _) => Ok(()),
        }
    }

    fn join_gpu(&mut self) -> Result<(), Failure> {
        self.gpu.wait_for_end();
        let waker = Arc::clone(&self.inbox);
        let member = Member::new(&self.settings, Queue::Gpu, Arc::clone(&self.shared), move || waker.wake())?;
        member.join()?;
        self.members.push(member);
        Ok(())
    }

    /// Its partitions are revoked as it leaves: what is finished is committed, what is buffered is forgotten.
    fn leave_gpu(&mut self, at: usize) -> Result<(), Failure> {
        let member = self.members.swap_remove(at);
        let leave = std::thread::Builder::new().name("kafka-leave-gpu".into()).spawn(move || drop(member));
        let ending =
            leave.map_err(|error| Failure::retryable(format!("a thread for Kafka cannot be started: {error}")))?;
        self.gpu.ending = Some(ending);
        Ok(())
    }
}
