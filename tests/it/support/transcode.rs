//! `gstreamer-worker transcode` as a user runs it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

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
        let output = self.run(args);
        assert!(
            output.status.success(),
            "{args:?} gave {:?}: {}",
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
