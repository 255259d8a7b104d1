//! A Redis server on loopback, for one test or shared by those that only need a database.
//! It never outlives the test run, however that ends.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{LazyLock, mpsc};
use std::time::{Duration, Instant};

use gstreamer_worker::store::RedisSettings;
use tempfile::TempDir;

const READY_WITHIN: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(5);
const DATABASES: u16 = 4096;
/// Another process can take the port between our choice and the server's bind.
const PORTS_TRIED: usize = 5;

/// A server of its own. Dropping it ends it.
pub struct Redis {
    child: Option<Child>,
    port: u16,
    dir: TempDir,
    options: Vec<String>,
}

impl Redis {
    /// Starts a server that keeps nothing on disk.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server that keeps each write, for [`Redis::restart`] with its data.
    pub fn start_durable() -> Self {
        Self::start_with(&["--appendonly", "yes", "--appendfsync", "always"])
    }

    /// Starts a server with more options of `redis-server`.
    pub fn start_with(options: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        for _ in 0..PORTS_TRIED {
            let port = free_port();
            if let Some(child) = launch(port, dir.path(), &options) {
                return Self { child: Some(child), port, dir, options };
            }
        }
        panic!("redis-server found no free port in {PORTS_TRIED} tries");
    }

    /// Settings of a store on an empty database of a server that the whole test run shares.
    pub fn shared() -> RedisSettings {
        static SERVER: LazyLock<u16> = LazyLock::new(|| {
            let tries = || (0..PORTS_TRIED).map(|_| free_port());
            // It writes no file, so that the directory does not matter; the child ends with this process.
            let started = tries().find(|port| launch(*port, &std::env::temp_dir(), &[]).is_some());
            started.expect("redis-server found no free port")
        });
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let db = NEXT.fetch_add(1, Ordering::Relaxed);
        assert!(db < DATABASES, "more than {DATABASES} databases were asked for");
        RedisSettings { db, ..RedisSettings::new("127.0.0.1", *SERVER) }
    }

    /// The port on 127.0.0.1; it stays the same over a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Settings of a store on this server.
    pub fn settings(&self) -> RedisSettings {
        RedisSettings::new("127.0.0.1", self.port)
    }

    /// Ends the server in good order.
    pub fn stop(&mut self) {
        self.end(libc::SIGTERM);
    }

    /// Ends the server as a crash does.
    pub fn kill(&mut self) {
        self.end(libc::SIGKILL);
    }

    /// Starts the server again on the same port, with what it had on disk or `empty`.
    pub fn restart(&mut self, empty: bool) {
        self.kill();
        if empty {
            for entry in std::fs::read_dir(self.dir.path()).expect("the directory of the server").flatten() {
                remove(&entry.path());
            }
        }
        self.child = launch(self.port, self.dir.path(), &self.options);
        assert!(self.child.is_some(), "port {} of the stopped server was taken by another process", self.port);
    }

    /// Freezes the server: connections are accepted by the kernel, nothing is answered.
    pub fn freeze(&self) {
        self.signal(libc::SIGSTOP);
    }

    /// Lets a frozen server go on.
    pub fn thaw(&self) {
        self.signal(libc::SIGCONT);
    }

    fn signal(&self, signal: i32) {
        if let Some(child) = &self.child {
            // SAFETY: a signal to a child that was not waited for yet, so that its id is still its own.
            unsafe { libc::kill(child.id() as libc::pid_t, signal) };
        }
    }

    fn end(&mut self, signal: i32) {
        self.signal(signal);
        if let Some(mut child) = self.child.take() {
            child.wait().expect("the end of redis-server");
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.end(libc::SIGKILL);
    }
}

fn remove(path: &Path) {
    let removed = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    removed.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// Starts a server and waits for its first answer; `None` where it could not have the port.
fn launch(port: u16, dir: &Path, options: &[String]) -> Option<Child> {
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--databases"]);
    // Nothing that happens to lie in the directory is loaded.
    command
        .arg(DATABASES.to_string())
        .args(["--dbfilename", &format!("redis-{port}.rdb")])
        .arg("--dir")
        .arg(dir)
        .args(options);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = spawn(command).unwrap_or_else(|error| {
        panic!("redis-server does not start ({error}): install it with `apt-get install redis-server` or `make deps`")
    });
    let begun = Instant::now();
    while !answers(port) {
        if child.try_wait().expect("the state of redis-server").is_some() {
            return None;
        }
        assert!(begun.elapsed() < READY_WITHIN, "redis-server on port {port} did not answer within {READY_WITHIN:?}");
        std::thread::sleep(POLL);
    }
    // Another server may have the port, and ours may just have noticed.
    child.try_wait().expect("the state of redis-server").is_none().then_some(child)
}

/// Whether a server that has loaded its data answers a PING, be it with a request for the password.
fn answers(port: u16) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(READY_WITHIN))?;
        stream.write_all(b"PING\r\n")?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        Ok::<_, std::io::Error>(line.starts_with("+PONG") || line.starts_with("-NOAUTH"))
    };
    ask().unwrap_or(false)
}

/// Spawns from a thread that lives as long as the test run: the kernel's signal at the death of a parent comes when the
/// thread dies that forked, and the thread of a test dies with its test.
fn spawn(mut command: Command) -> std::io::Result<Child> {
    type Request = (Command, mpsc::Sender<std::io::Result<Child>>);
    static KEEPER: LazyLock<mpsc::Sender<Request>> = LazyLock::new(|| {
        let (sender, requests) = mpsc::channel::<Request>();
        std::thread::spawn(move || {
            for (mut command, answer) in requests {
                // Whoever asked has panicked where nobody takes the child; its server then ends with the test run.
                let _ = answer.send(command.spawn());
            }
        });
        sender
    });
    // SAFETY: prctl is safe to call between fork and exec.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    let (answer, child) = mpsc::channel();
    KEEPER.send((command, answer)).expect("the thread that starts servers");
    child.recv().expect("the thread that starts servers")
}
