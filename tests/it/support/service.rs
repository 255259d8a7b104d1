//! A Transcoding Service on loopback: takes reports, answers as a script says, and checks every request against the
//! OpenAPI file. Dropping it fails the test where a request broke the contract.

use std::collections::{BTreeMap, VecDeque};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use actors::domain::progress::Report;
use gstreamer_worker::service::OPENAPI;
use serde_json::{Value, json};
use tokio::sync::watch;

/// The longest that a test waits for something that has to happen.
/// Twice as long as it would be alone on the machine: two tests run on each core.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// What the stand-in does with a request.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    /// Answers with this status.
    Status(u16),
    /// Answers with this status and body.
    Says(u16, &'static str),
    /// Answers with 204, later.
    Slow(Duration),
    /// Never answers.
    Hang,
}

/// A request that was taken.
#[derive(Clone, Debug)]
pub struct Received {
    /// The body.
    pub report: Report,
    /// The bearer token.
    pub token: Option<String>,
    /// Whether it was answered with 2xx.
    pub confirmed: bool,
}

#[derive(Default)]
struct State {
    received: Vec<Received>,
    violations: Vec<String>,
    script: VecDeque<Answer>,
    otherwise: Option<Answer>,
}

#[derive(Clone)]
struct Shared {
    state: Arc<Mutex<State>>,
    changes: watch::Sender<usize>,
    connections: watch::Sender<usize>,
    contract: Arc<jsonschema::Validator>,
}

/// The running stand-in.
pub struct StandIn {
    address: SocketAddr,
    shared: Shared,
    server: Option<ServerHandle>,
}

/// Validates the body of a report as the OpenAPI file describes it.
pub fn report_contract() -> jsonschema::Validator {
    let mut document: Value = serde_json::from_str(OPENAPI).expect("the OpenAPI file is JSON");
    let components = document["components"].take();
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$ref": "#/components/schemas/Report",
        "components": components,
    });
    jsonschema::options().should_validate_formats(true).build(&schema).expect("the schemas are valid")
}

impl StandIn {
    /// Starts on a free port; answers everything with 204.
    pub fn start() -> Self {
        let shared = Shared {
            state: Arc::default(),
            changes: watch::Sender::new(0),
            connections: watch::Sender::new(0),
            contract: Arc::new(report_contract()),
        };
        let mut stand_in = Self { address: ([127, 0, 0, 1], 0).into(), shared, server: None };
        stand_in.come_back();
        stand_in
    }

    /// The base URL.
    pub fn url(&self) -> url::Url {
        format!("http://{}/api", self.address).parse().expect("a URL")
    }

    /// The next answers; after them everything is answered with 204 or as [`Self::otherwise`] says.
    pub fn script(&self, answers: impl IntoIterator<Item = Answer>) {
        self.state().script.extend(answers);
    }

    /// The answer where the script has none.
    pub fn otherwise(&self, answer: Answer) {
        self.state().otherwise = Some(answer);
    }

    /// Closes the port and all connections.
    pub async fn go_away(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop(false).await;
            let mut connections = self.shared.connections.subscribe();
            let closed = tokio::time::timeout(PATIENCE, connections.wait_for(|open| *open == 0)).await;
            assert!(closed.is_ok_and(|closed| closed.is_ok()), "connections stay open");
        }
    }

    /// Listens again, on the same port.
    pub fn come_back(&mut self) {
        let listener = TcpListener::bind(self.address).expect("a port");
        self.address = listener.local_addr().expect("an address");
        let (sender, handle) = std::sync::mpsc::channel();
        let shared = self.shared.clone();
        std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let connections = shared.connections.clone();
                let app = move || App::new().app_data(web::Data::new(shared.clone())).default_service(web::to(take));
                let server = HttpServer::new(app)
                    .on_connect(move |_, extensions| drop(extensions.insert(Connection::open(&connections))))
                    .workers(1)
                    .disable_signals()
                    .listen(listener)
                    .expect("a server")
                    .run();
                sender.send(server.handle()).expect("the test waits");
                server.await.expect("the server ends in peace");
            });
        });
        self.server = Some(handle.recv().expect("a running server"));
    }

    /// Everything that was received so far.
    pub fn received(&self) -> Vec<Received> {
        self.state().received.clone()
    }

    /// Waits until what was received is as `enough` wants it.
    pub async fn wait_for(&self, what: &str, enough: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        self.wait_within(PATIENCE, what, enough).await
    }

    /// [`Self::wait_for`] something that takes longer.
    pub async fn wait_within(
        &self,
        patience: Duration,
        what: &str,
        enough: impl Fn(&[Received]) -> bool,
    ) -> Vec<Received> {
        let mut changes = self.shared.changes.subscribe();
        let wait = changes.wait_for(|_| enough(&self.state().received));
        if tokio::time::timeout(patience, wait).await.is_err() {
            let received = self.received();
            let last = &received[received.len().saturating_sub(5)..];
            panic!("{what} did not happen in {patience:?}; the last reports of {}: {last:#?}", received.len());
        }
        self.received()
    }

    /// Checks what the contract says about the order of the reports of each job.
    pub fn assert_in_order(&self) {
        let mut jobs: BTreeMap<String, Vec<Report>> = BTreeMap::new();
        for Received { report, .. } in self.received() {
            jobs.entry(report.job_id.to_string()).or_default().push(report);
        }
        for (job_id, mut reports) in jobs {
            reports.sort_by_key(|report| report.sequence);
            for pair in reports.windows(2) {
                let (before, after) = (&pair[0], &pair[1]);
                if before.sequence == after.sequence {
                    assert!(
                        before.status.is_terminal() && before == after,
                        "{job_id}: two reports with one sequence: {pair:#?}"
                    );
                    continue;
                }
                assert!(!before.status.is_terminal(), "{job_id}: something follows the end: {pair:#?}");
                assert!(before.progress <= after.progress, "{job_id}: progress went back: {pair:#?}");
                assert!(before.status.rank() <= after.status.rank(), "{job_id}: status went back: {pair:#?}");
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().expect("no panic while the state was held")
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            drop(server.stop(false));
        }
        if !std::thread::panicking() {
            assert_eq!(self.state().violations, Vec::<String>::new(), "requests broke the contract");
        }
    }
}

/// Counts an open connection; the server drops it with the connection.
struct Connection(watch::Sender<usize>);

impl Connection {
    fn open(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count.clone())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

async fn take(request: HttpRequest, body: web::Bytes, shared: web::Data<Shared>) -> HttpResponse {
    let answer = shared.take(&request, &body);
    shared.changes.send_modify(|count| *count += 1);
    match answer {
        Answer::Status(status) => HttpResponse::build(status_code(status)).finish(),
        Answer::Says(status, body) => HttpResponse::build(status_code(status)).body(body),
        Answer::Slow(delay) => {
            actix_rt::time::sleep(delay).await;
            HttpResponse::NoContent().finish()
        }
        Answer::Hang => std::future::pending().await,
    }
}

fn status_code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).expect("a status")
}

impl Shared {
    fn take(&self, request: &HttpRequest, body: &[u8]) -> Answer {
        let mut state = self.state.lock().expect("no panic while the state was held");
        let answer = state.script.pop_front().or(state.otherwise).unwrap_or(Answer::Status(204));
        match self.read(request, body) {
            Ok(report) => {
                let token =
                    header(request, "authorization").and_then(|value| value.strip_prefix("Bearer ").map(str::to_owned));
                let confirmed =
                    matches!(answer, Answer::Status(200..300) | Answer::Says(200..300, _) | Answer::Slow(_));
                state.received.push(Received { report, token, confirmed });
            }
            Err(violation) => state.violations.push(violation),
        }
        answer
    }

    fn read(&self, request: &HttpRequest, body: &[u8]) -> Result<Report, String> {
        let call = format!("{} {}", request.method(), request.path());
        if request.method() != "POST" || header(request, "content-type").as_deref() != Some("application/json") {
            return Err(format!("{call}: not a POST of application/json"));
        }
        let value: Value = serde_json::from_slice(body).map_err(|error| format!("{call}: {error}"))?;
        let errors: Vec<String> =
            self.contract.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path)).collect();
        if !errors.is_empty() {
            return Err(format!("{call}: {}", errors.join("; ")));
        }
        let report: Report = serde_json::from_value(value).map_err(|error| format!("{call}: {error}"))?;
        match request.path() == format!("/api/jobs/{}/progress", report.job_id) {
            true => Ok(report),
            false => Err(format!("{call}: not the path of job {}", report.job_id)),
        }
    }
}

fn header(request: &HttpRequest, name: &str) -> Option<String> {
    request.headers().get(name)?.to_str().ok().map(str::to_owned)
}
