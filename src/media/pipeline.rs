//! One owner builds, runs and ends a pipeline: state changes have a deadline, every wait watches for movement,
//! and however the owner goes the pipeline comes to `Null`. What the bus says becomes a [`BusEvent`] in one pure
//! function, and a GStreamer error a classified failure in another. Must never know what a pipeline is for.

mod gate;

use std::sync::mpsc;
use std::time::{Duration, Instant};

use actors::domain::failure::{Failure, FailureClass};
use gstreamer::prelude::*;
use gstreamer::{self as gst, glib};

pub use gate::Gate;

/// A state change that takes longer is stuck: files are local and encoders open in well under a second.
const STATE_TIMEOUT: Duration = Duration::from_secs(20);
/// How often a wait looks at movement and reports progress: five times a second.
const TICK: Duration = Duration::from_millis(200);
/// A pipeline in which nothing moves for so long is stuck. The worker's own `STALL_TIMEOUT` usually is shorter or
/// longer by the operator's will; this one is for the program that has no worker above it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Prepares GStreamer; calling it again does nothing.
///
/// # Errors
/// `retryable` where GStreamer cannot start at all (its registry or its libraries cannot be read).
pub fn init() -> Result<(), Failure> {
    gst::init()
        .map_err(|error| Failure::retryable(format!("GStreamer does not start: {error}; check its installation")))
}

/// Makes an element.
///
/// # Errors
/// `permanent` where no plugin has it.
pub fn element(factory: &str) -> Result<gst::Element, Failure> {
    gst::ElementFactory::make(factory)
        .build()
        .map_err(|_| Failure::permanent(format!("GStreamer has no element `{factory}` here, install its plugin")))
}

/// What a pipeline says on its bus.
#[derive(Debug)]
pub enum BusEvent {
    /// Every sink has everything.
    Ended,
    /// It cannot go on.
    Failed(Failure),
    /// There is no element for a stream; the text names what is missing.
    Missing(String),
    /// Somebody in this program asks the one who waits to look.
    Nudged,
    /// Something is wrong and it goes on.
    Warned(String),
    /// Nothing that concerns us.
    Other,
}

/// Translates a message of the bus.
pub fn interpret(message: &gst::MessageRef) -> BusEvent {
    use gst::MessageView;
    match message.view() {
        MessageView::Eos(_) => BusEvent::Ended,
        MessageView::Error(error) => {
            BusEvent::Failed(classify(message.src(), &error.error(), error.debug().as_deref().unwrap_or_default()))
        }
        MessageView::Warning(warning) => {
            BusEvent::Warned(format!("{}: {}", source_name(message.src()), warning.error().message()))
        }
        MessageView::Application(_) => BusEvent::Nudged,
        MessageView::Element(element) => match element.structure() {
            Some(said) if said.name() == "missing-plugin" => BusEvent::Missing(missing(said)),
            _ => BusEvent::Other,
        },
        _ => BusEvent::Other,
    }
}

fn missing(said: &gst::StructureRef) -> String {
    let caps = said.get::<gst::Caps>("detail").ok();
    let name = said.get::<String>("name").ok();
    match (name, caps.as_ref().and_then(|caps| caps.structure(0))) {
        (Some(name), Some(caps)) => format!("{name} ({})", caps.name()),
        (Some(name), None) => name,
        (None, Some(caps)) => caps.name().to_string(),
        (None, None) => "an element".into(),
    }
}

/// The class and the sentence of a GStreamer error that came from the element `from`.
pub fn classify(from: Option<&gst::Object>, error: &glib::Error, debug: &str) -> Failure {
    let class = if is_hardware(from) { FailureClass::Device } else { class_of(error) };
    // The last line of the debug text says what happened; the lines in front say where in GStreamer's source.
    let detail = debug.lines().last().map(str::trim).filter(|line| !line.is_empty() && !line.contains(".c("));
    let detail = detail.map(|line| format!(" ({line})")).unwrap_or_default();
    let said = error.message().trim_end_matches('.');
    Failure::of(class, format!("{}: {said}{detail}", source_name(from)))
}

fn class_of(error: &glib::Error) -> FailureClass {
    use gst::{CoreError, LibraryError, ResourceError, StreamError};
    if let Some(kind) = error.kind::<ResourceError>() {
        return match kind {
            ResourceError::NotFound
            | ResourceError::NotAuthorized
            | ResourceError::OpenRead
            | ResourceError::Settings => FailureClass::Permanent,
            _ => FailureClass::Retryable,
        };
    }
    if error.kind::<StreamError>().is_some() {
        return FailureClass::Permanent;
    }
    if let Some(kind) = error.kind::<CoreError>() {
        return match kind {
            CoreError::MissingPlugin | CoreError::Negotiation | CoreError::Caps | CoreError::NotImplemented => {
                FailureClass::Permanent
            }
            _ => FailureClass::Retryable,
        };
    }
    match error.kind::<LibraryError>() {
        Some(LibraryError::Settings | LibraryError::Encode) => FailureClass::Permanent,
        _ => FailureClass::Retryable,
    }
}

fn is_hardware(from: Option<&gst::Object>) -> bool {
    let factory = from.and_then(|object| object.downcast_ref::<gst::Element>()).and_then(|element| element.factory());
    factory.is_some_and(|factory| factory.klass().contains("Hardware"))
}

fn source_name(from: Option<&gst::Object>) -> String {
    let Some(object) = from else { return "the pipeline".into() };
    let factory = object.downcast_ref::<gst::Element>().and_then(|element| element.factory());
    factory.map_or_else(|| object.name().to_string(), |factory| factory.name().to_string())
}

/// Wakes the one who waits for a pipeline, from any thread.
#[derive(Clone, Debug)]
pub struct Nudge(gst::Bus);

impl Nudge {
    /// Wakes it.
    pub fn send(&self) {
        // A bus that is flushed has nobody who waits.
        let _ = self.0.post(gst::message::Application::new(gst::Structure::new_empty("look")));
    }
}

/// What a wait ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// End of stream in every sink.
    Ended,
    /// The caller's `tick` asked to stop.
    Stopped,
}

/// Owns a pipeline from the first element to `Null`.
pub struct Pipeline {
    inner: gst::Pipeline,
    bus: gst::Bus,
    patience: Duration,
}

impl Pipeline {
    /// An empty pipeline that runs as fast as it can: without a clock.
    pub fn new(name: &str) -> Self {
        let inner = gst::Pipeline::with_name(name);
        inner.use_clock(None::<&gst::Clock>);
        // A pipeline always has a bus of its own from the beginning.
        let bus = inner.bus().unwrap_or_default();
        Self { inner, bus, patience: PATIENCE }
    }

    /// Changes how long [`Self::wait`] looks at a pipeline in which nothing moves; [`PATIENCE`] at first.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The pipeline, to be built.
    pub fn bin(&self) -> &gst::Bin {
        self.inner.upcast_ref()
    }

    /// Adds an element of this factory.
    ///
    /// # Errors
    /// `permanent` where no plugin has it.
    pub fn add(&self, factory: &str) -> Result<gst::Element, Failure> {
        let element = element(factory)?;
        self.put(&element)?;
        Ok(element)
    }

    /// Adds an element that was made elsewhere.
    ///
    /// # Errors
    /// `permanent` where it already has another parent: a mistake of this program.
    pub fn put(&self, element: &impl IsA<gst::Element>) -> Result<(), Failure> {
        let name = element.as_ref().name();
        self.inner.add(element).map_err(|_| Failure::permanent(format!("`{name}` does not fit into the pipeline")))
    }

    /// Links `elements` in a row.
    ///
    /// # Errors
    /// `permanent`, naming the elements.
    pub fn link(&self, elements: &[&gst::Element]) -> Result<(), Failure> {
        gst::Element::link_many(elements.iter().copied()).map_err(|_| {
            let names: Vec<_> = elements.iter().map(|element| source_name(Some(element.upcast_ref()))).collect();
            Failure::permanent(format!("these elements do not go together: {}", names.join(" ! ")))
        })
    }

    /// Begins to play. Does not wait for the preroll, which may never come: [`Self::wait`] does, with an end.
    ///
    /// # Errors
    /// The error of the element that refused.
    pub fn start(&self) -> Result<(), Failure> {
        match self.inner.set_state(gst::State::Playing) {
            Ok(_) => Ok(()),
            Err(_) => Err(self.first_failure().unwrap_or_else(|| Failure::retryable("the pipeline does not start"))),
        }
    }

    /// The first error on the bus, if there is one by now.
    pub fn first_failure(&self) -> Option<Failure> {
        self.bus.iter().find_map(|message| match interpret(&message) {
            BusEvent::Failed(failure) => Some(failure),
            _ => None,
        })
    }

    /// What wakes [`Self::wait`].
    pub fn nudge(&self) -> Nudge {
        Nudge(self.bus.clone())
    }

    /// Waits for the end. `movement` gives a number that changes while anything moves; `tick` is called about five
    /// times a second and after every [`Nudge`] and returns `false` to stop; `heard` is told everything else that the bus says.
    ///
    /// # Errors
    /// The first error on the bus, or `retryable` where `movement` stood still for the patience.
    pub fn wait(
        &self,
        movement: &dyn Fn() -> u64,
        tick: &mut dyn FnMut() -> bool,
        heard: &mut dyn FnMut(BusEvent),
    ) -> Result<Wait, Failure> {
        let mut seen = movement();
        let mut moved_at = Instant::now();
        let mut ticked_at = Instant::now();
        loop {
            let mut nudged = false;
            let rest = TICK.saturating_sub(ticked_at.elapsed());
            let rest = gst::ClockTime::from_nseconds(u64::try_from(rest.as_nanos()).unwrap_or(0));
            if let Some(message) = self.bus.timed_pop(rest) {
                match interpret(&message) {
                    BusEvent::Ended => return Ok(Wait::Ended),
                    BusEvent::Failed(failure) => return Err(failure),
                    BusEvent::Nudged => nudged = true,
                    other => heard(other),
                }
            }
            if nudged || ticked_at.elapsed() >= TICK {
                ticked_at = Instant::now();
                if !tick() {
                    return Ok(Wait::Stopped);
                }
                let now = movement();
                if now != seen {
                    (seen, moved_at) = (now, Instant::now());
                } else if moved_at.elapsed() > self.patience {
                    let seconds = self.patience.as_secs_f32();
                    return Err(Failure::retryable(format!("nothing moved in the pipeline for {seconds:.0} s")));
                }
            }
        }
    }
}

impl Drop for Pipeline {
    /// Brings the pipeline to `Null`. Where an element hangs, the pipeline is left to its thread: the process ends soon.
    fn drop(&mut self) {
        let (done, finished) = mpsc::sync_channel(1);
        let pipeline = self.inner.clone();
        let stop = move || {
            // Nothing can be done about a pipeline that refuses to stop.
            let _ = pipeline.set_state(gst::State::Null);
            let _ = done.send(());
        };
        match std::thread::Builder::new().name("stop".into()).spawn(stop) {
            Ok(_) if finished.recv_timeout(STATE_TIMEOUT).is_err() => {
                tracing::error!(pipeline = %self.inner.name(), "pipeline does not stop, left behind");
            }
            Ok(_) => {}
            Err(_) => {
                let _ = self.inner.set_state(gst::State::Null);
            }
        }
    }
}

#[cfg(test)]
mod tests;
