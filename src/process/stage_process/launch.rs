//! Starts stage processes.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Stdio;

use actors::domain::failure::Failure;
use tokio::process::{Child, Command};

/// The program that is a stage process, with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launcher {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
}

impl Launcher {
    /// This program itself with the argument `stage`. Through `/proc`, so that it is the same program also after the file
    /// was replaced by a newer one; in a bundle that is the loader, which has to be told the rest again.
    pub fn own_binary() -> Self {
        let variable = |name| std::env::var_os(name);
        let bundle = (variable("WORKER_LOADER"), variable("WORKER_LIBRARY_PATH"), variable("WORKER_PROGRAM"));
        let (Some(loader), Some(libraries), Some(program)) = bundle else {
            return Self { program: "/proc/self/exe".into(), args: vec!["stage".into()] };
        };
        let args = vec!["--library-path".into(), libraries, program, "stage".into()];
        Self { program: loader.into(), args }
    }

    /// Starts a process with three pipes. It is killed when the handle is dropped.
    pub(super) fn launch(&self) -> Result<Child, Failure> {
        let mut command = Command::new(&self.program);
        command.args(&self.args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // In a group of its own: Ctrl-C in a terminal is for the worker, which stops its stages itself.
        command.kill_on_drop(true).process_group(0);
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_secret(name)) {
            command.env_remove(name);
        }
        command.spawn().map_err(|error| {
            Failure::retryable(format!("a stage process cannot be started from {}: {error}", self.program.display()))
        })
    }
}

/// Whether an environment variable is for the worker alone. Native code that reads media from strangers gets no password.
fn is_secret(name: &OsStr) -> bool {
    let name = name.to_string_lossy().to_ascii_uppercase();
    ["PASSWORD", "TOKEN", "SECRET", "CREDENTIAL"].iter().any(|word| name.contains(word))
        || ["KAFKA_", "REDIS_", "AWS_", "GOOGLE_"].iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_the_worker_are_told_from_settings_of_libraries() {
        for name in ["REDIS_PASSWORD", "TRANSCODING_SERVICE_TOKEN", "KAFKA_SASL_JAAS", "AWS_ACCESS_KEY_ID", "my_secret"]
        {
            assert!(is_secret(OsStr::new(name)), "{name}");
        }
        for name in ["PATH", "GST_DEBUG", "GST_PLUGIN_PATH", "NVIDIA_VISIBLE_DEVICES", "LD_LIBRARY_PATH", "RUST_LOG"] {
            assert!(!is_secret(OsStr::new(name)), "{name}");
        }
    }
}
