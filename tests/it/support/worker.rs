//! `gstreamer-worker run` as a pod runs it.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::process::children_of;
use super::transcode::BINARY;

/// A worker process; killed when dropped.
pub struct Worker {
    child: Child,
    name: String,
    port: u16,
    log: PathBuf,
}

impl Worker {
    /// Starts a worker with these variables and does not wait. Its log goes to `{directory}/{name}.log`.
    pub fn spawn(name: &str, directory: &Path, variables: &[(&str, &str)]) -> Self {
        let log = directory.join(format!("{name}.log"));
        let file = std::fs::File::create(&log).expect("a log file");
        let port = free_port();
        let mut command = Command::new(BINARY);
        // SAFETY: only a system call between fork and exec. The worker dies with the test that started it, whatever ends it.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            });
        }
        let child = command
            .arg("run")
            .env("METRICS_PORT", port.to_string())
            .env("HOSTNAME", name)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .expect("the worker starts");
        Self { child, name: name.into(), port, log }
    }

    /// Waits until `/readyz` says so.
    pub fn wait_ready(&self) {
        let end = Instant::now() + Duration::from_secs(60);
        while self.get("/readyz").is_none_or(|(status, _)| status != 200) {
            assert!(Instant::now() < end, "the worker is not ready after 60 s:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until `/readyz` says no, and gives `reason`.
    pub async fn wait_unready(&self, reason: &str) {
        let end = Instant::now() + Duration::from_secs(60);
        let unready = |page: &(u16, String)| page.0 == 503 && page.1.contains(reason);
        while !self.get("/readyz").as_ref().is_some_and(unready) {
            assert!(Instant::now() < end, "the worker is ready for 60 s, `{reason}` or not:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Status and body of a page of the admin endpoint, if it answers.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: worker\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let status = answer.split_whitespace().nth(1)?.parse().ok()?;
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())?;
        Some((status, body))
    }

    /// Sum of a metric over all its labels.
    pub fn metric(&self, name: &str) -> f64 {
        let (_, page) = self.get("/metrics").expect("the metrics");
        let values =
            page.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
        values.map(|line| line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()).expect("a value")).sum()
    }

    /// How the fleet knows it: owner of its leases.
    pub fn fleet_name(&self) -> String {
        format!("{}-{}", self.name, self.child.id())
    }

    /// The processes of the stages that run now.
    pub fn stages(&self) -> Vec<u32> {
        children_of(self.child.id())
    }

    /// A signal to the worker alone.
    pub fn signal(&self, signal: i32) {
        // SAFETY: a signal to a child that this struct owns and has not waited for.
        unsafe { libc::kill(self.child.id() as i32, signal) };
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().expect("the worker is killed");
        self.child.wait().expect("the worker's end");
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// SIGTERM, then waits for the end; returns the exit code.
    pub fn stop(mut self) -> Option<i32> {
        self.signal(libc::SIGTERM);
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(status) = self.child.try_wait().expect("the worker can be waited for") {
                return status.code();
            }
            assert!(Instant::now() < end, "the worker has not stopped 60 s after SIGTERM:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of {}:\n{}", self.log.display(), self.log());
        }
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}
