//! Owns the encoders: `pool_size` for stages that need a CPU, and a few for stages that wait for disks. Work whose
//! encoder panicked is taken up again by the one that replaces it. Must never drop work: it is answered, or asked for again.
//! Asked by the consumer, which never asks for more than there are slots.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use actix::prelude::*;
use metrics::{counter, gauge};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::domain::failure::Failure;
use crate::encoder::Encoder;
use crate::exit::{ChildExited, Exit, ExitGuard, Restarts, stop_with};
use crate::metrics as names;
use crate::status::StatusCell;
use crate::tasks::Tasks;
use crate::work::{Class, Disposition, Execute, PoolSize};

/// The actor.
pub struct EncoderPool {
    tasks: Arc<Tasks>,
    status: StatusCell,
    slots: Vec<Slot>,
    waiting: VecDeque<Pending>,
    restarts: HashMap<usize, Restarts>,
    end: CancellationToken,
    /// Ends the encoders with the pool, however it ends.
    encoders_end: (CancellationToken, DropGuard),
    exit: ExitGuard,
}

struct Slot {
    class: Class,
    state: SlotState,
}

enum SlotState {
    /// Waits for work.
    Idle(Recipient<Execute>),
    /// Works.
    Busy(Recipient<Execute>),
    /// Its encoder died; a new one is on its way.
    Dead,
}

struct Pending {
    execute: Execute,
    reply: oneshot::Sender<Disposition>,
}

/// Time to start a new encoder.
#[derive(Message)]
#[rtype(result = "()")]
struct Respawn {
    slot: usize,
}

impl EncoderPool {
    /// A pool of `size` that stops with `end`.
    pub fn new(tasks: Arc<Tasks>, size: PoolSize, status: StatusCell, end: CancellationToken, exit: ExitGuard) -> Self {
        let classes = [(Class::Cpu, size.cpu.max(1)), (Class::Io, size.io.max(1))];
        let slots = classes.into_iter().flat_map(|(class, count)| std::iter::repeat_n(class, count));
        let slots = slots.map(|class| Slot { class, state: SlotState::Dead }).collect();
        let encoders_end = end.child_token();
        Self {
            tasks,
            status,
            slots,
            waiting: VecDeque::new(),
            restarts: HashMap::new(),
            end,
            encoders_end: (encoders_end.clone(), encoders_end.drop_guard()),
            exit,
        }
    }

    fn spawn_encoder(&mut self, slot: usize, ctx: &mut Context<Self>) {
        let guard = ExitGuard::new("encoder", slot, ctx.address().recipient());
        let encoder = Encoder::new(self.tasks.clone(), self.encoders_end.0.clone(), guard).start();
        if let Some(known) = self.slots.get_mut(slot) {
            known.state = SlotState::Idle(encoder.recipient());
        }
    }

    /// Gives waiting work to idle encoders.
    fn assign(&mut self, ctx: &mut Context<Self>) {
        let mut left = VecDeque::new();
        while let Some(pending) = self.waiting.pop_front() {
            match self.take_idle(pending.execute.work.class()) {
                Some((slot, encoder)) => self.start(slot, encoder, pending, ctx),
                None => left.push_back(pending),
            }
        }
        self.waiting = left;
        self.show_busy();
    }

    fn take_idle(&mut self, class: Class) -> Option<(usize, Recipient<Execute>)> {
        let of_class = |(_, slot): &(usize, &mut Slot)| slot.class == class;
        self.slots.iter_mut().enumerate().filter(of_class).find_map(|(index, slot)| match &slot.state {
            SlotState::Idle(encoder) => {
                let encoder = encoder.clone();
                slot.state = SlotState::Busy(encoder.clone());
                Some((index, encoder))
            }
            SlotState::Busy(_) | SlotState::Dead => None,
        })
    }

    fn start(&mut self, slot: usize, encoder: Recipient<Execute>, pending: Pending, ctx: &mut Context<Self>) {
        let answer = encoder.send(pending.execute.clone());
        ctx.spawn(fut::wrap_future::<_, Self>(answer).map(move |end, this, ctx| match end {
            Ok(end) => this.ended(slot, pending, end, ctx),
            Err(_) => this.lost(slot, pending, ctx),
        }));
    }

    fn ended(&mut self, slot: usize, pending: Pending, end: Disposition, ctx: &mut Context<Self>) {
        if let Some(slot) = self.slots.get_mut(slot)
            && let SlotState::Busy(encoder) = &slot.state
        {
            slot.state = SlotState::Idle(encoder.clone());
        }
        // A consumer that was started again no longer listens; the work is done all the same.
        let _ = pending.reply.send(end);
        self.assign(ctx);
    }

    /// The encoder died over its work: the next one takes it up.
    fn lost(&mut self, slot: usize, pending: Pending, ctx: &mut Context<Self>) {
        if let Some(slot) = self.slots.get_mut(slot)
            && let SlotState::Busy(_) = &slot.state
        {
            slot.state = SlotState::Dead;
        }
        self.waiting.push_front(pending);
        self.assign(ctx);
    }

    fn show_busy(&self) {
        let busy = self.slots.iter().filter(|slot| matches!(slot.state, SlotState::Busy(_))).count();
        gauge!(names::POOL_BUSY).set(busy as f64);
        self.status.change(|status| status.busy = busy);
    }

    fn give_up(&mut self, failure: Failure, ctx: &mut Context<Self>) {
        self.exit.give_up(failure);
        ctx.stop();
    }
}

impl Actor for EncoderPool {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        stop_with(ctx, &self.end);
        // Work in the mailbox must fit what the consumer may ask for at once.
        ctx.set_mailbox_capacity(self.slots.len().max(16));
        gauge!(names::POOL_SLOTS).set(self.slots.len() as f64);
        for slot in 0..self.slots.len() {
            self.spawn_encoder(slot, ctx);
        }
        self.show_busy();
    }
}

impl Handler<Execute> for EncoderPool {
    type Result = ResponseActFuture<Self, Disposition>;

    fn handle(&mut self, execute: Execute, ctx: &mut Self::Context) -> Self::Result {
        let (reply, end) = oneshot::channel();
        self.waiting.push_back(Pending { execute, reply });
        self.assign(ctx);
        // The sender leaves this actor only with an answer or with the actor.
        Box::pin(async move { end.await.unwrap_or(Disposition::Interrupted) }.into_actor(self))
    }
}

impl Handler<ChildExited> for EncoderPool {
    type Result = ();

    fn handle(&mut self, exited: ChildExited, ctx: &mut Self::Context) {
        if self.end.is_cancelled() {
            return;
        }
        let slot = exited.child.slot;
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.state = SlotState::Dead;
        }
        match exited.exit {
            Exit::GaveUp(failure) => return self.give_up(failure, ctx),
            Exit::Panicked => tracing::error!(slot, "encoder panicked, starting it again"),
            Exit::Stopped => tracing::warn!(slot, "encoder stopped, starting it again"),
        }
        counter!(names::ACTOR_RESTARTS_TOTAL, "actor" => "encoder").increment(1);
        match self.restarts.entry(slot).or_default().next_delay(Instant::now()) {
            Some(delay) => drop(ctx.notify_later(Respawn { slot }, delay)),
            None => {
                let message = format!("encoder {slot} died too often, see the panics before this line");
                self.give_up(Failure::retryable(message), ctx);
            }
        }
    }
}

impl Handler<Respawn> for EncoderPool {
    type Result = ();

    fn handle(&mut self, respawn: Respawn, ctx: &mut Self::Context) {
        self.spawn_encoder(respawn.slot, ctx);
        self.assign(ctx);
    }
}
