//! Apache Kafka in KRaft mode on loopback: one node, started from its Maven artifacts, which are fetched once into the
//! target directory. It dies with the test process, however that ends.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{LazyLock, Mutex, OnceLock};
use std::time::Duration;

mod asking;

pub use asking::{committed, create_topic, first_record, lag, num_partitions};

/// From the start of the process to the line that says so; a loaded machine takes ten times the usual 2 s.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A server of its own for a test that kills it. Others use [`Kafka::shared`].
pub struct Kafka {
    directory: PathBuf,
    port: u16,
    process: Mutex<Option<Child>>,
}

static SHARED: OnceLock<Kafka> = OnceLock::new();

impl Kafka {
    /// The server of all tests; stopped at exit. Give topics and groups names of their own, see [`unique`].
    pub fn shared() -> &'static Self {
        SHARED.get_or_init(|| {
            extern "C" fn stop() {
                if let Some(kafka) = SHARED.get() {
                    kafka.remove();
                }
            }
            // SAFETY: the handler takes nothing and touches only a static that is never dropped.
            unsafe { libc::atexit(stop) };
            remove_leftovers();
            Self::start()
        })
    }

    /// Starts a server with an empty directory.
    pub fn start() -> Self {
        let directory =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(unique(&format!("kafka-{}", std::process::id())));
        std::fs::create_dir_all(&directory).expect("a directory for Kafka");
        let ports = free_ports();
        std::fs::write(directory.join("server.properties"), properties(&directory, ports)).expect("server.properties");
        let format = ["kafka.tools.StorageTool", "format", "-t", "AAAAAAAAQACAAAAAAAAAAA", "-c", "server.properties"];
        let output = java(&directory).args(format).output().expect(INSTALL_JAVA);
        assert!(output.status.success(), "kafka format: {}", String::from_utf8_lossy(&output.stderr));
        let kafka = Self { directory, port: ports[0], process: Mutex::new(None) };
        kafka.restart();
        kafka
    }

    /// `host:port`.
    pub fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Kills the server as a power cut would.
    pub fn kill(&self) {
        if let Some(mut process) = self.process.lock().expect("not poisoned").take() {
            process.kill().expect("kill kafka");
            process.wait().expect("kafka's end");
        }
    }

    /// Starts the server, with the data that it had; comes back when it is ready.
    pub fn restart(&self) {
        self.kill();
        let mut command = java(&self.directory);
        command.args(["kafka.Kafka", "server.properties"]).stderr(Stdio::piped()).stdout(Stdio::null());
        let mut process = spawn(command);
        let log = process.stderr.take().expect("piped");
        *self.process.lock().expect("not poisoned") = Some(process);
        wait_for_start(log);
    }

    fn remove(&self) {
        self.kill();
        // Left behind, it is only in the target directory.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Directories of test runs that were killed.
fn remove_leftovers() {
    let entries = std::fs::read_dir(env!("CARGO_TARGET_TMPDIR")).expect("the target directory");
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix("kafka-").and_then(|rest| rest.split('-').next());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            // Another run may be faster.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        self.remove();
    }
}

/// A name that no other test of this run has.
pub fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{name}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

const INSTALL_JAVA: &str = "java, version 17 or later: apt-get install openjdk-21-jre-headless";

fn java(directory: &Path) -> Command {
    let mut command = Command::new("java");
    // Short-lived and small: the quick compiler alone, and a collector without threads.
    command.args(["-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]);
    command.args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]);
    command.args(["-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info"]);
    command.arg("-cp").arg(format!("{}/*", libraries().display())).current_dir(directory);
    command
}

/// The broker's jars, fetched by Maven at the first use.
fn libraries() -> &'static Path {
    static LIBRARIES: LazyLock<PathBuf> = LazyLock::new(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target directory");
        let libraries = target.join("kafka-lib");
        if !libraries.is_dir() {
            let fetched = target.join(format!("kafka-lib-{}", std::process::id()));
            let mut maven = Command::new("mvn");
            maven.args(["-B", "-q", "-f", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kafka/pom.xml")]);
            maven.args(["dependency:copy-dependencies", "-DincludeScope=runtime"]);
            maven.arg(format!("-DoutputDirectory={}", fetched.display()));
            let output = maven.output().expect("mvn, which fetches Kafka: apt-get install maven");
            assert!(output.status.success(), "fetching Kafka: {}", String::from_utf8_lossy(&output.stdout));
            // Where another run was faster, its copy is as good.
            let _ = std::fs::rename(&fetched, &libraries);
        }
        libraries
    });
    &LIBRARIES
}

fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("bound").port())
}

/// One node. The log cleaner's buffer of 128 MB would fill half of the heap and bring collections of 200 ms.
fn properties(directory: &Path, [port, controller]: [u16; 2]) -> String {
    format!(
        "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:{controller}\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}\ninter.broker.listener.name=PLAINTEXT\n\
         controller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\nlog.dirs={}\n\
         auto.create.topics.enable=false\noffsets.topic.num.partitions=1\noffsets.topic.replication.factor=1\n\
         transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
         group.initial.rebalance.delay.ms=0\ngroup.min.session.timeout.ms=1000\n\
         log.cleaner.dedupe.buffer.size=2097152\n",
        directory.join("data").display()
    )
}

/// Starts a process that the kernel kills when this one ends. The signal is bound to the thread that starts it, and the
/// threads of tests end early: so all are started by one thread that lives as long as the process.
fn spawn(mut command: Command) -> Child {
    type Order = (Command, Sender<Child>);
    static STARTER: LazyLock<Mutex<Sender<Order>>> = LazyLock::new(|| {
        let (orders, ordered) = channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, reply) in ordered {
                reply.send(command.spawn().expect(INSTALL_JAVA)).expect("somebody waits");
            }
        });
        Mutex::new(orders)
    });
    // SAFETY: between fork and exec, one system call that touches no memory of ours.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    let (reply, started) = channel();
    STARTER.lock().expect("not poisoned").send((command, reply)).expect("the starter lives");
    started.recv().expect("the process started")
}

/// Reads the log until the server says that it is ready, then goes on reading so that the pipe never fills.
fn wait_for_start(log: impl std::io::Read + Send + 'static) {
    let (ready, is_ready) = channel();
    std::thread::spawn(move || {
        let mut said = Vec::new();
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            if line.contains("Kafka Server started") {
                let _ = ready.send(Ok(()));
            }
            if said.len() < 200 {
                said.push(line);
            }
        }
        let _ = ready.send(Err(said.join("\n")));
    });
    match is_ready.recv_timeout(START_TIMEOUT) {
        Ok(Ok(())) => {}
        Ok(Err(said)) => panic!("Kafka ended early:\n{said}"),
        Err(_) => panic!("Kafka did not start within {START_TIMEOUT:?}"),
    }
}
