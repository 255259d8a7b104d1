//! The life of one worker, seen from the outside: each call that it makes on a port is an effect, and it can be told to
//! die at any of them, right before (nothing has happened) or right after (it has, but nobody learned of it).
//! A dead worker has no effects any more: its calls stay without an answer until somebody stops what is left of it.
//! A life has its own faults: calls and answers that take a while, calls that fail, answers that are lost.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use super::jitter::follow;
use crate::domain::failure::Failure;
use crate::ports::Answer;

/// On which side of an effect a worker dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Nothing has happened.
    Before,
    /// It has happened; the worker does not know.
    After,
}

/// When a worker dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Death {
    /// The effect of this name, or any.
    pub effect: Option<&'static str>,
    /// So many of them pass before.
    pub after: u64,
    /// On which side.
    pub moment: Moment,
}

/// How calls fare, each in percent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// They take up to [`Faults::delay`] on their way there, and as long on their way back.
    pub slow: u64,
    /// See above.
    pub delay: Duration,
    /// They do nothing and fail as `retryable`.
    pub refused: u64,
    /// They do their work and fail as `retryable`.
    pub lost: u64,
}

/// Whether the answer to a call can be a failure of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Through the faults.
    Network,
    /// On the same machine: it answers.
    Machine,
}

/// The life. Clones share it. The default is one without faults.
#[derive(Clone, Default)]
pub struct Life {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    death: Option<Death>,
    faults: Faults,
    dice: u64,
    on_death: Option<Box<dyn FnOnce() + Send>>,
    dead: bool,
}

/// What becomes of one call.
struct Fate {
    dies: Option<Moment>,
    there: Duration,
    back: Duration,
    refused: bool,
    lost: bool,
}

impl Life {
    /// A life whose faults follow from `seed`; `on_death` is called when it ends.
    pub fn new(seed: u64, on_death: impl FnOnce() + Send + 'static) -> Self {
        let state = State { dice: seed, on_death: Some(Box::new(on_death)), ..State::default() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Tells it when to die.
    pub fn die_at(&self, death: Death) {
        self.lock().death = Some(death);
    }

    /// Changes the faults.
    pub fn set_faults(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    /// Nothing is in store for it: neither death nor faults.
    pub fn calm(&self) {
        let mut state = self.lock();
        state.death = None;
        state.faults = Faults::default();
    }

    /// Ends it now.
    pub fn die(&self) {
        let told = {
            let mut state = self.lock();
            state.dead = true;
            state.on_death.take()
        };
        if let Some(tell) = told {
            tell();
        }
    }

    /// Ends it, and with it whoever waits for this.
    pub(super) async fn end(&self) {
        self.die();
        std::future::pending().await
    }

    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        self.lock().dead
    }

    /// A call with an answer. `call` is begun when it is there.
    pub(super) fn effect<T: Send + 'static>(
        &self,
        name: &'static str,
        way: Way,
        call: impl FnOnce() -> Answer<T> + Send + 'static,
    ) -> Answer<T> {
        let life = self.clone();
        Box::pin(self.clone().while_alive(async move {
            let fate = life.lock().next_fate(name, way);
            pause(fate.there).await;
            if fate.dies == Some(Moment::Before) {
                life.end().await;
            }
            if fate.refused {
                return Err(Failure::retryable(format!("{name} was refused by an injected fault")));
            }
            let answer = call().await;
            if fate.dies == Some(Moment::After) {
                life.end().await;
            }
            pause(fate.back).await;
            if fate.lost { Err(Failure::retryable(format!("the answer to {name} was lost"))) } else { answer }
        }))
    }

    /// A call without an answer.
    pub(super) fn act(&self, name: &'static str, call: impl FnOnce()) {
        if self.is_over() {
            return;
        }
        let dies = self.lock().next_fate(name, Way::Machine).dies;
        if dies == Some(Moment::Before) {
            return self.die();
        }
        call();
        if dies == Some(Moment::After) {
            self.die();
        }
    }

    /// `work`, which stands still for ever when the life ends.
    async fn while_alive<T>(self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        std::future::poll_fn(|cx| if self.is_over() { Poll::Pending } else { work.as_mut().poll(cx) }).await
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next_fate(&mut self, name: &'static str, way: Way) -> Fate {
        let dies = self.next_death(name);
        if way == Way::Machine || self.faults == Faults::default() {
            return Fate { dies, there: Duration::ZERO, back: Duration::ZERO, refused: false, lost: false };
        }
        let faults = self.faults;
        let delay =
            |state: &mut Self| if state.chance(faults.slow) { state.delay(faults.delay) } else { Duration::ZERO };
        let (there, back) = (delay(self), delay(self));
        Fate { dies, there, back, refused: self.chance(faults.refused), lost: self.chance(faults.lost) }
    }

    fn next_death(&mut self, name: &'static str) -> Option<Moment> {
        let death = self.death.as_mut().filter(|death| death.effect.is_none_or(|effect| effect == name))?;
        if death.after > 0 {
            death.after -= 1;
            return None;
        }
        self.death.take().map(|death| death.moment)
    }

    fn roll(&mut self, sides: u64) -> u64 {
        let (state, number) = follow(self.dice);
        self.dice = state;
        number % sides.max(1)
    }

    fn chance(&mut self, percent: u64) -> bool {
        percent > 0 && self.roll(100) < percent
    }

    fn delay(&mut self, most: Duration) -> Duration {
        Duration::from_millis(self.roll(u64::try_from(most.as_millis()).unwrap_or(u64::MAX)))
    }
}

async fn pause(delay: Duration) {
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
}
