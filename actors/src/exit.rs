//! How a parent learns that a child actor ended, and whether it may be started again.
//!
//! actix neither restarts an actor that panicked nor tells anybody. But it drops it, even while unwinding: so each
//! child owns an [`ExitGuard`], whose drop is the signal. The parent makes a new child from a factory after
//! [`Backoff::RESPAWN`], unless the child died too often ([`Restarts`]).

use std::collections::VecDeque;
use std::time::Duration;

use actix::prelude::*;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::backoff::Backoff;
use crate::domain::failure::Failure;

/// Names a child of a parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Child {
    /// The kind of actor, as in `transcode_actor_restarts_total`.
    pub actor: &'static str,
    /// Which one of its kind, from 0.
    pub slot: usize,
}

/// How an actor ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It panicked.
    Panicked,
    /// It stopped, without saying why.
    Stopped,
    /// It cannot do its work; a new one could not do it either.
    GaveUp(Failure),
}

/// A child ended.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct ChildExited {
    /// Which one.
    pub child: Child,
    /// How.
    pub exit: Exit,
}

/// Owned by a child; tells the parent when the child is dropped.
#[derive(Debug)]
pub struct ExitGuard {
    child: Child,
    parent: Recipient<ChildExited>,
    gave_up: Option<Failure>,
}

impl ExitGuard {
    /// A guard for `child`, which tells `parent`.
    pub fn new(actor: &'static str, slot: usize, parent: Recipient<ChildExited>) -> Self {
        Self { child: Child { actor, slot }, parent, gave_up: None }
    }

    /// The child stops because of `failure`, and starting it again would not help.
    pub fn give_up(&mut self, failure: Failure) {
        self.gave_up = Some(failure);
    }
}

impl Drop for ExitGuard {
    fn drop(&mut self) {
        let exit = match self.gave_up.take() {
            _ if std::thread::panicking() => Exit::Panicked,
            Some(failure) => Exit::GaveUp(failure),
            None => Exit::Stopped,
        };
        // Control message: may pass a full mailbox.
        self.parent.do_send(ChildExited { child: self.child, exit });
    }
}

/// Stops the actor of `ctx` when `end` is cancelled, whatever else keeps it alive (intervals, streams, addresses).
pub fn stop_with<A>(ctx: &mut Context<A>, end: &CancellationToken)
where
    A: Actor<Context = Context<A>>,
{
    let ended = fut::wrap_future::<_, A>(end.clone().cancelled_owned());
    ctx.spawn(ended.map(|(), _, ctx| ctx.stop()));
}

/// The restart intensity of one child: how often it died recently.
#[derive(Debug, Default)]
pub struct Restarts {
    at: VecDeque<Instant>,
}

impl Restarts {
    /// Deaths that are answered with a new child within [`Self::WINDOW`]; one more ends the parent.
    pub const MAX: usize = 5;
    /// A death is forgotten after this time.
    pub const WINDOW: Duration = Duration::from_secs(60);

    /// Notes a death, and says how long to wait before the next start; `None` where there is to be none.
    pub fn next_delay(&mut self, now: Instant) -> Option<Duration> {
        self.at.retain(|at| now.duration_since(*at) < Self::WINDOW);
        self.at.push_back(now);
        let deaths = self.at.len();
        (deaths <= Self::MAX).then(|| Backoff::RESPAWN.jittered(u32::try_from(deaths).unwrap_or(u32::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix::test]
    async fn deaths_far_apart_are_always_answered_and_a_burst_is_not() {
        tokio::time::pause();
        let mut restarts = Restarts::default();
        for _ in 0..100 {
            assert!(restarts.next_delay(Instant::now()).is_some());
            tokio::time::advance(Duration::from_secs(15)).await;
        }
        let burst: Vec<_> = (0..7).map(|_| restarts.next_delay(Instant::now()).is_some()).collect();
        assert_eq!(burst.iter().filter(|restarted| **restarted).count(), Restarts::MAX - 3);
    }

    struct Parent(tokio::sync::mpsc::UnboundedSender<Exit>);
    impl Actor for Parent {
        type Context = Context<Self>;
    }
    impl Handler<ChildExited> for Parent {
        type Result = ();
        fn handle(&mut self, exited: ChildExited, _: &mut Context<Self>) {
            self.0.send(exited.exit).expect("the test listens");
        }
    }

    struct Short(ExitGuard, Option<Exit>);
    impl Actor for Short {
        type Context = Context<Self>;
        fn started(&mut self, ctx: &mut Self::Context) {
            match self.1.take() {
                Some(Exit::Panicked) | None => panic!("as the test asked"),
                Some(Exit::GaveUp(failure)) => self.0.give_up(failure),
                Some(Exit::Stopped) => {}
            }
            ctx.stop();
        }
    }

    #[actix::test]
    async fn the_parent_learns_how_a_child_ended() {
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let parent = Parent(tell).start();
        for exit in [Exit::Stopped, Exit::GaveUp(Failure::permanent("no")), Exit::Panicked] {
            Short(ExitGuard::new("short", 0, parent.clone().recipient()), Some(exit.clone())).start();
            assert_eq!(told.recv().await, Some(exit));
        }
    }
}
