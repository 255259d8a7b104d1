//! The image and the compose file agree with the worker and the manifests.

use std::process::Command;

use actors::supervisor::AFTER_DRAIN;
use gstreamer_worker::config::{Config, variable};
use serde_json::{Value, json};

use super::{Objects, documents, path, said, text, tool};

fn compose() -> Value {
    documents(&text("docker/compose.yaml")).remove(0)
}

/// The words after an instruction of the last stage of the Dockerfile.
fn instruction(name: &str) -> String {
    let file = text("docker/Dockerfile");
    let last = file.rsplit("\nFROM ").next().expect("a stage");
    let line = last.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("the last stage has no {name}")).to_owned()
}

#[test]
fn the_image_is_what_the_pods_expect() {
    let base = Objects::of("k8s/base");
    let pod = &base.pod()["securityContext"];
    assert_eq!(instruction("USER"), format!("{}:{}", pod["runAsUser"], pod["runAsGroup"]));
    assert_eq!(instruction("EXPOSE"), base.setting("METRICS_PORT"));
    assert_eq!(instruction("ENTRYPOINT"), r#"["gstreamer-worker"]"#);
    assert_eq!(instruction("CMD"), r#"["run"]"#);
    assert_eq!(base.container()["args"], json!(["run"]));
    assert!(text("docker/Dockerfile").contains(&format!("ARG VERSION={}\n", env!("CARGO_PKG_VERSION"))));
    let image = base.container()["image"].as_str().expect("an image");
    assert_eq!(image, concat!("gstreamer-worker:", env!("CARGO_PKG_VERSION")));
    // What is written at run time is written there.
    let registry = text("docker/Dockerfile")
        .lines()
        .find_map(|line| Some(line.trim_start().strip_prefix("ENV GST_REGISTRY=")?.to_owned()));
    assert!(registry.is_some_and(|registry| registry.starts_with("/tmp/")));
    let mounts = base.container()["volumeMounts"].as_array().expect("mounts");
    assert!(mounts.iter().any(|mount| mount["mountPath"] == "/tmp"));
}

#[test]
fn the_variables_of_the_compose_file_are_known_and_accepted() {
    let compose = compose();
    let worker = &compose["services"]["worker"];
    let variables = worker["environment"].as_object().expect("variables");
    let pair = |(name, value): (&String, &Value)| (name.clone(), value.as_str().expect("text").to_owned());
    variables.keys().for_each(|name| assert!(variable(name).is_some(), "{name}"));
    let config = Config::from_vars(variables.iter().map(pair)).unwrap_or_else(|errors| panic!("{errors}"));
    let grace = humantime::parse_duration(worker["stop_grace_period"].as_str().expect("text")).expect("a duration");
    assert_eq!(grace, config.drain_timeout + AFTER_DRAIN);
    for (variable, service) in
        [("KAFKA_BROKERS", "kafka"), ("REDIS_HOST", "redis"), ("TRANSCODING_SERVICE_URL", "transcoding-service")]
    {
        assert!(variables[variable].as_str().is_some_and(|value| value.contains(service)), "{variable}");
        assert!(compose["services"][service].is_object(), "{service}");
    }
}

#[test]
fn every_file_that_the_compose_file_mounts_is_there() {
    let compose = compose();
    let services = compose["services"].as_object().expect("services").values();
    let volumes = services.filter_map(|service| service["volumes"].as_array()).flatten();
    let files: Vec<&str> =
        volumes.map(|volume| volume.as_str().expect("text")).filter(|text| text.ends_with(":ro")).collect();
    assert_eq!(files.len(), 5);
    for file in files {
        let name = file.split(':').next().expect("a path");
        assert!(path("docker").join(name).is_file(), "{name}");
    }
}

#[test]
fn prometheus_reads_its_configuration_and_looks_at_the_port_of_the_workers() {
    let file = "docker/compose/prometheus.yaml";
    let output = tool(Command::new("promtool").args(["check", "config", "--lint=all"]).arg(path(file)), "");
    assert!(output.status.success(), "{}", said(&output));
    let job = &documents(&text(file)).remove(0)["scrape_configs"][0];
    let port = variable("METRICS_PORT").and_then(|port| port.default).expect("a default");
    assert_eq!(job["dns_sd_configs"][0]["port"].to_string(), port);
    assert_eq!(job["dns_sd_configs"][0]["names"], json!(["worker"]));
}
