//! A way to an actor that survives the actor: when the supervisor has started a new one, the link leads there.
//! Questions that the old one did not answer are asked again, so they have to be safe to ask twice.

use actix::prelude::*;
use tokio::sync::watch;

/// The end where questions are asked.
pub struct Link<M: Message + Send>
where
    M::Result: Send,
{
    to: watch::Receiver<Option<Recipient<M>>>,
}

/// The end that the supervisor holds. Dropping it makes every open question end with [`Gone`].
pub struct Socket<M: Message + Send>
where
    M::Result: Send,
{
    to: watch::Sender<Option<Recipient<M>>>,
}

/// Nobody will ever answer: the worker ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

impl<M> Clone for Link<M>
where
    M: Message + Send,
    M::Result: Send,
{
    fn clone(&self) -> Self {
        Self { to: self.to.clone() }
    }
}

impl<M> Default for Socket<M>
where
    M: Message + Send,
    M::Result: Send,
{
    fn default() -> Self {
        Self { to: watch::Sender::new(None) }
    }
}

impl<M> Socket<M>
where
    M: Message + Send,
    M::Result: Send,
{
    /// A link to whoever is connected.
    pub fn link(&self) -> Link<M> {
        Link { to: self.to.subscribe() }
    }

    /// Connects an actor.
    pub fn connect(&self, to: Recipient<M>) {
        self.to.send_replace(Some(to));
    }

    /// The actor is dead; questions wait for the next one.
    pub fn disconnect(&self) {
        self.to.send_replace(None);
    }
}

impl<M> Link<M>
where
    M: Message + Clone + Send,
    M::Result: Send,
{
    /// Asks, and asks the successor if the actor dies before it has answered. Ends when the worker ends at the latest.
    ///
    /// # Errors
    /// [`Gone`] where no actor will be connected any more.
    pub async fn ask(&self, question: M) -> Result<M::Result, Gone> {
        let mut to = self.to.clone();
        loop {
            let recipient = to.wait_for(Option::is_some).await.map_err(|_| Gone)?.clone().ok_or(Gone)?;
            if let Ok(answer) = recipient.send(question.clone()).await {
                return Ok(answer);
            }
            drop(recipient);
            to.changed().await.map_err(|_| Gone)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Message)]
    #[rtype(result = "&'static str")]
    struct Who;

    struct Named(&'static str);
    impl Actor for Named {
        type Context = Context<Self>;
    }
    impl Handler<Who> for Named {
        type Result = ResponseActFuture<Self, &'static str>;
        fn handle(&mut self, _: Who, _: &mut Context<Self>) -> Self::Result {
            let name = self.0;
            Box::pin(async move { if name == "faulty" { panic!("as the test asked") } else { name } }.into_actor(self))
        }
    }

    #[actix::test]
    async fn a_question_that_killed_its_actor_is_answered_by_the_next_one() {
        let socket = Socket::default();
        let link = socket.link();
        socket.connect(Named("faulty").start().recipient());
        let asked = actix::spawn(async move { link.ask(Who).await });
        tokio::task::yield_now().await;
        socket.disconnect();
        socket.connect(Named("second").start().recipient());
        assert_eq!(asked.await.expect("asked"), Ok("second"));
    }

    #[actix::test]
    async fn a_question_ends_when_the_supervisor_does() {
        let socket = Socket::<Who>::default();
        let link = socket.link();
        drop(socket);
        assert_eq!(link.ask(Who).await, Err(Gone));
    }
}
