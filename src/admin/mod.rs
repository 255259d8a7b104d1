//! Admin endpoint: `/metrics` for Prometheus, `/healthz` and `/readyz` for Kubernetes.
//!
//! It has a thread of its own, so that it answers also while the worker is stuck: that is when it is asked for. It
//! knows no actor; what is healthy it learns from a closure that must return at once.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpResponse, HttpServer, web};
use actors::domain::failure::Failure;
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;

/// How long a client may take to send its request.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(5);
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is wrong, one sentence each; nothing where all is well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Why the worker has to be restarted.
    pub not_live: Vec<String>,
    /// Why it may not be given work now.
    pub not_ready: Vec<String>,
}

/// Says how the worker is. Must return at once.
pub type AskHealth = Arc<dyn Fn() -> Health + Send + Sync>;

/// The running endpoint; it stops when dropped.
#[derive(Debug)]
pub struct Admin {
    address: SocketAddr,
    handle: ServerHandle,
}

impl Admin {
    /// Binds `port` on all addresses (0 takes a free one) and serves from a thread of its own.
    ///
    /// # Errors
    /// `permanent` where the port cannot be had.
    pub fn start(port: u16, metrics: PrometheusHandle, health: AskHealth) -> Result<Self, Failure> {
        let cannot = |error: std::io::Error| {
            Failure::permanent(format!("METRICS_PORT {port} cannot be used: {error}; choose another port"))
        };
        let listener = bind(port).map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        let (started, handle) = std::sync::mpsc::sync_channel(1);
        let serve = move || {
            // A server belongs to the runtime that makes it.
            actix_rt::System::new().block_on(async move {
                match server(listener, metrics, health) {
                    Ok(server) => {
                        // The starter waits for it.
                        let _ = started.send(Ok(server.handle()));
                        if let Err(error) = server.await {
                            tracing::error!(%error, "the admin endpoint ended");
                        }
                    }
                    Err(error) => drop(started.send(Err(error))),
                }
            });
        };
        std::thread::Builder::new().name("admin".into()).spawn(serve).map_err(cannot)?;
        let handle = handle.recv().map_err(|_| Failure::permanent("the admin endpoint ended before it began"))?;
        Ok(Self { address, handle: handle.map_err(cannot)? })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        // The command is sent at once; nobody has to wait for its answer.
        drop(self.handle.stop(false));
    }
}

/// All addresses of both families; only IPv4 where the machine has no IPv6.
fn bind(port: u16) -> std::io::Result<TcpListener> {
    TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).or_else(|_| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)))
}

fn server(
    listener: TcpListener,
    metrics: PrometheusHandle,
    health: AskHealth,
) -> std::io::Result<actix_web::dev::Server> {
    let app = move || {
        let (metrics, live, ready) = (metrics.clone(), health.clone(), health.clone());
        App::new()
            .route("/metrics", web::get().to(move || render(metrics.clone())))
            .route("/healthz", web::get().to(move || verdict(live().not_live)))
            .route("/readyz", web::get().to(move || verdict(ready().not_ready)))
    };
    let server = HttpServer::new(app).workers(1).disable_signals().client_request_timeout(CLIENT_TIMEOUT);
    Ok(server.listen(listener)?.run())
}

async fn render(metrics: PrometheusHandle) -> HttpResponse {
    HttpResponse::Ok().content_type(METRICS_TYPE).body(metrics.render())
}

/// The body of `/healthz` and `/readyz`.
#[derive(Serialize)]
struct Verdict {
    status: &'static str,
    reasons: Vec<String>,
}

fn verdict(reasons: Vec<String>) -> std::future::Ready<HttpResponse> {
    let (mut answer, status) = if reasons.is_empty() {
        (HttpResponse::Ok(), "ok")
    } else {
        (HttpResponse::ServiceUnavailable(), "unavailable")
    };
    std::future::ready(answer.json(Verdict { status, reasons }))
}
