//! `gstreamer-worker transcode` as a user runs it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use super::media::text;

/// The program under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_gstreamer-worker");

/// A directory of its own for each test: outputs in it, work files beside them.
pub struct Bench {
    directory: tempfile::TempDir,
}

impl Bench {
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a directory") }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn root(&self) -> &Path {
        self.directory.path()
    }

    /// The command, with a work directory of its own.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.arg("transcode").args(args).args(["--work-dir", text(&self.path("work"))]);
        command
    }

    /// Runs the command, whatever comes of it.
    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the program starts")
    }

    /// Runs the command, which has to succeed.
    pub fn transcode(&self, args: &[&str]) {
        Self::succeeds(&mut self.command(args));
    }

    /// [`Self::transcode`] with no plugins but those of the image.
    pub fn transcode_as_in_the_image(&self, args: &[&str]) {
        let plugins = image_plugins();
        let registry = plugins.join("registry.bin");
        let system = ("GST_PLUGIN_SYSTEM_PATH_1_0", plugins);
        Self::succeeds(self.command(args).envs([system, ("GST_REGISTRY", &registry)]));
    }

    fn succeeds(command: &mut Command) {
        let output = command.output().expect("the program starts");
        assert!(
            output.status.success(),
            "{command:?} gave {:?}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Writes a job file and returns its path.
    pub fn job(&self, json: &serde_json::Value) -> PathBuf {
        let path = self.path("job.json");
        std::fs::write(&path, json.to_string()).expect("the job is written");
        path
    }

    /// Names of all files in the directory that are not work files.
    pub fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.root()).expect("the directory");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")).collect();
        names.retain(|name| name != "work");
        names.sort();
        names
    }
}

/// URI of a local file.
pub fn uri(path: &Path) -> String {
    format!("file://{}", text(path))
}

/// A directory with the plugins that `docker/collect` puts into the image.
fn image_plugins() -> &'static Path {
    static PLUGINS: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let script = std::fs::read_to_string(root.join("docker/collect")).expect("docker/collect");
        let list =
            script.split_once("\nplugins=(\n").and_then(|(_, rest)| rest.split_once("\n)")).expect("its plugins").0;
        let names = list.lines().flat_map(|line| line.split('#').next().unwrap_or_default().split_whitespace());
        let libraries = std::fs::read_dir("/usr/lib").expect("/usr/lib").flatten().map(|entry| entry.path());
        let installed = libraries.map(|path| path.join("gstreamer-1.0")).find(|path| path.is_dir()).expect("plugins");
        let directory = tempfile::tempdir().expect("a directory");
        for name in names {
            let file = format!("libgst{name}.so");
            assert!(installed.join(&file).exists(), "{file} is missing: run `make test-deps`");
            std::os::unix::fs::symlink(installed.join(&file), directory.path().join(&file)).expect("a link");
        }
        directory
    });
    PLUGINS.path()
}
