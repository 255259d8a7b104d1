//! What an operator puts into a cluster: manifests, metrics, alerts, dashboard, autoscaling. Each of them names things that
//! the worker has; these tests fail when they drift apart.

mod autoscaling;
mod hpa;
mod images;
mod manifests;
mod metrics;
mod monitoring;
mod plot;
mod selectors;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A file of the repository.
fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// All documents of a YAML file.
fn documents(yaml: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(yaml).unwrap_or_else(|error| panic!("YAML: {error}"))
}

/// Runs a tool of `make test-deps` with this on its standard input.
fn tool(command: &mut Command, input: &str) -> Output {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{name}: {error}: run `make test-deps`"));
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("it reads");
    child.wait_with_output().expect("it ends")
}

/// What a tool printed, for messages.
fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A kustomization as it would be applied.
fn rendered(kustomization: &str) -> String {
    let output = tool(Command::new(path("target/test-tools/kustomize")).arg("build").arg(path(kustomization)), "");
    assert!(output.status.success(), "{kustomization}: {}", said(&output));
    String::from_utf8(output.stdout).expect("text")
}

/// The objects of a kustomization.
struct Objects(Vec<Value>);

impl Objects {
    fn of(kustomization: &str) -> Self {
        Self(documents(&rendered(kustomization)))
    }

    /// The only object of a kind.
    fn one(&self, kind: &str) -> &Value {
        let all: Vec<&Value> = self.0.iter().filter(|object| object["kind"] == kind).collect();
        assert_eq!(all.len(), 1, "objects of kind {kind}");
        all[0]
    }

    fn pod(&self) -> &Value {
        &self.one("Deployment")["spec"]["template"]["spec"]
    }

    fn container(&self) -> &Value {
        let containers = self.pod()["containers"].as_array().expect("containers");
        assert_eq!(containers.len(), 1);
        &containers[0]
    }

    /// A value of the ConfigMap of the workers.
    fn setting(&self, name: &str) -> &str {
        self.one("ConfigMap")["data"][name].as_str().unwrap_or_else(|| panic!("{name} is no text in the ConfigMap"))
    }
}
