//! The HTTP client. `awc::Client` cannot leave its thread, so that it lives in one of its own behind a bounded queue;
//! a service that hangs stalls that thread's requests and nothing else.

use std::sync::Arc;
use std::time::Duration;

use actors::domain::failure::Failure;
use actors::domain::job::JobId;
use actors::domain::progress::Report;
use actors::ports::{Answer, StatusSink};
use awc::{Client, Connector};
use tokio::sync::{Semaphore, mpsc, oneshot};
use url::Url;

use super::answer::judge;
use super::settings::ServiceSettings;
use crate::config::Shown;

/// Reports that wait for a request. The reporter keeps one per job and tries again, so that little is enough.
const QUEUE: usize = 64;
/// Requests under way at once: enough for all jobs of a pod, few enough not to hammer a service that is ill.
const CONCURRENCY: usize = 8;
/// The most that is read of an answer, in bytes; the answer has no meaning beyond its status.
const MAX_ANSWER: usize = 16 * 1024;
const USER_AGENT: &str = concat!("gstreamer-worker/", env!("CARGO_PKG_VERSION"));

/// Delivers reports to the Transcoding Service. Its thread ends when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct HttpService {
    queue: mpsc::Sender<Order>,
}

/// A report on its way to the thread.
#[derive(Debug)]
struct Order {
    report: Report,
    answer: oneshot::Sender<Result<(), Failure>>,
}

impl HttpService {
    /// Starts the thread of the client. Does not call the service.
    ///
    /// # Errors
    /// `retryable` where the machine refuses a thread.
    pub fn start(settings: ServiceSettings) -> Result<Self, Failure> {
        let (queue, inbox) = mpsc::channel(QUEUE);
        std::thread::Builder::new()
            .name("service".into())
            .spawn(move || match actix_rt::Runtime::new() {
                Ok(runtime) => runtime.block_on(serve(settings, inbox)),
                Err(error) => tracing::error!(%error, "the client of the transcoding service cannot start"),
            })
            .map_err(|error| Failure::retryable(format!("no thread for the Transcoding Service's client: {error}")))?;
        Ok(Self { queue })
    }
}

impl StatusSink for HttpService {
    fn deliver(&self, report: Report) -> Answer<()> {
        let (answer, answered) = oneshot::channel();
        let sent = self.queue.try_send(Order { report, answer });
        Box::pin(async move {
            sent.map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => {
                    Failure::retryable(format!("{QUEUE} reports wait for the Transcoding Service already"))
                }
                mpsc::error::TrySendError::Closed(_) => gone(),
            })?;
            answered.await.unwrap_or_else(|_| Err(gone()))
        })
    }
}

fn gone() -> Failure {
    Failure::retryable("the client of the Transcoding Service has ended")
}

/// What every request needs.
struct Caller {
    client: Client,
    url: Url,
    connect_timeout: Duration,
    timeout: Duration,
}

async fn serve(settings: ServiceSettings, mut inbox: mpsc::Receiver<Order>) {
    let caller = std::rc::Rc::new(Caller::new(settings));
    let slots = Arc::new(Semaphore::new(CONCURRENCY));
    while let Some(order) = inbox.recv().await {
        // The semaphore is never closed.
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        // Nobody waits any more: the reporter has a newer one.
        if order.answer.is_closed() {
            continue;
        }
        let caller = caller.clone();
        actix_rt::spawn(async move {
            let _slot = slot;
            // The asker may have gone in the meantime.
            let _ = order.answer.send(caller.deliver(&order.report).await);
        });
    }
}

impl Caller {
    fn new(settings: ServiceSettings) -> Self {
        let ServiceSettings { url, token, connect_timeout, timeout } = settings;
        let connector = Connector::new().timeout(connect_timeout).handshake_timeout(connect_timeout).limit(CONCURRENCY);
        let client = Client::builder()
            .connector(connector)
            .timeout(timeout)
            .disable_redirects()
            .add_default_header(("user-agent", USER_AGENT));
        let client = match token {
            Some(token) => client.bearer_auth(token.expose()),
            None => client,
        };
        Self { client: client.finish(), url, connect_timeout, timeout }
    }

    async fn deliver(&self, report: &Report) -> Result<(), Failure> {
        let url = progress_url(&self.url, &report.job_id);
        let call = format!("POST {}", Shown(&url));
        // One limit over everything: the client's own does not count the body of the answer.
        match tokio::time::timeout(self.timeout, self.call(&url, &call, report)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure::retryable(format!("{call} got no answer in {:?}", self.timeout))),
        }
    }

    async fn call(&self, url: &Url, call: &str, report: &Report) -> Result<(), Failure> {
        let mut response =
            self.client.post(url.as_str()).send_json(report).await.map_err(|error| self.not_sent(call, &error))?;
        let status = response.status().as_u16();
        // A body that is too long or breaks off changes nothing: the status is the answer.
        let body = response.body().limit(MAX_ANSWER).await.unwrap_or_default();
        judge(call, status, &body)
    }

    fn not_sent(&self, call: &str, error: &awc::error::SendRequestError) -> Failure {
        use awc::error::{ConnectError, SendRequestError as E};
        Failure::retryable(match error {
            E::Connect(ConnectError::Timeout) => {
                format!("{call} got no connection in {:?}: check the address and the network", self.connect_timeout)
            }
            E::Connect(error) => format!("{call} got no connection: {error}; check that the service runs and its name"),
            E::Timeout => format!("{call} got no answer in {:?}", self.timeout),
            error => format!("{call} broke off: {error}"),
        })
    }
}

/// Asks for the base URL and returns the status of the answer: whatever it is, somebody is there.
///
/// # Errors
/// `retryable` where nobody answers in time. Has to run on a local task set, as every actix thread has one.
pub async fn reach(settings: ServiceSettings) -> Result<u16, Failure> {
    let url = settings.url.clone();
    let caller = Caller::new(settings);
    let call = format!("GET {}", Shown(&url));
    let answer = caller.client.get(url.as_str()).send().await.map_err(|error| caller.not_sent(&call, &error))?;
    Ok(answer.status().as_u16())
}

/// `{base}/jobs/{job_id}/progress`. A job id needs no escaping; a query of the base is kept.
fn progress_url(base: &Url, job_id: &JobId) -> Url {
    let mut url = base.clone();
    // Refused only by URLs without a host, which the configuration does not let through.
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["jobs", job_id.as_str(), "progress"]);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_appended_to_any_base() {
        let id: JobId = "movie-42".parse().expect("an id");
        for (base, whole) in [
            ("http://service:8080", "http://service:8080/jobs/movie-42/progress"),
            ("http://service/", "http://service/jobs/movie-42/progress"),
            ("https://service/api/v1", "https://service/api/v1/jobs/movie-42/progress"),
            ("https://service/api/v1/?key=k", "https://service/api/v1/jobs/movie-42/progress?key=k"),
        ] {
            assert_eq!(progress_url(&base.parse().expect("a URL"), &id).as_str(), whole);
        }
    }
}
