//! The manifests: valid for Kubernetes, and in agreement with the worker and with each other.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use actors::supervisor::AFTER_DRAIN;
use gstreamer_worker::config::{Config, KAFKA_CONFIG_PREFIX, Need, VARIABLES, variable};
use serde_json::{Value, json};

use super::{Objects, documents, path, rendered, said, text, tool};

const BASE: &str = "k8s/base";
const KUSTOMIZATIONS: [&str; 4] = [BASE, "k8s/overlays/gpu", "k8s/overlays/keda", "k8s/monitoring"];
/// The oldest that is looked at, and the newest that the schemas know.
const KUBERNETES: [&str; 2] = ["1.27.0", "1.37.0"];

/// What the schemas of Kubernetes say against a file. Kinds that it does not have itself are not looked at.
fn objections(file: &std::path::Path, version: &str) -> Option<String> {
    let mut validate = Command::new(path("target/test-tools/kubernetes-validate"));
    let output = tool(validate.args(["--strict", "--no-warn", "-k", version]).arg(file), "");
    (!output.status.success()).then(|| said(&output))
}

#[test]
fn the_single_file_is_the_rendered_base() {
    assert!(text("k8s/gstreamer-deployment.yaml") == rendered(BASE), "run `make manifests`");
}

#[test]
fn every_manifest_is_valid_in_an_old_and_in_a_new_kubernetes() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut files = vec![path("k8s/base/secret.example.yaml")];
    for (number, kustomization) in KUSTOMIZATIONS.iter().enumerate() {
        let file = directory.path().join(format!("{number}.yaml"));
        std::fs::write(&file, rendered(kustomization)).expect("written");
        files.push(file);
    }
    for file in files {
        for version in KUBERNETES {
            assert_eq!(objections(&file, version), None, "{} in Kubernetes {version}", file.display());
        }
    }
}

#[test]
fn a_field_that_kubernetes_does_not_know_would_be_noticed() {
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().expect("a file");
    std::fs::write(&file, rendered(BASE).replace("maxReplicas", "maxReplica")).expect("written");
    let said = objections(file.path(), KUBERNETES[1]).expect("refused");
    assert!(said.contains("maxReplica"), "{said}");
}

/// Names and values of an object of variables.
fn pairs(data: &Value) -> Vec<(String, String)> {
    let pair = |(name, value): (&String, &Value)| {
        (name.clone(), value.as_str().unwrap_or_else(|| panic!("{name} is no text")).to_owned())
    };
    data.as_object().expect("variables").iter().map(pair).collect()
}

#[test]
fn every_variable_is_known_and_accepted_and_none_is_missing() {
    let secret = documents(&text("k8s/base/secret.example.yaml")).remove(0);
    let secrets = pairs(&secret["stringData"]);
    for kustomization in &KUSTOMIZATIONS[..3] {
        let objects = Objects::of(kustomization);
        let settings = pairs(&objects.one("ConfigMap")["data"]);
        for (name, _) in settings.iter().chain(&secrets) {
            assert!(variable(name).is_some() || name.starts_with(KAFKA_CONFIG_PREFIX), "{kustomization}: {name}");
        }
        for known in VARIABLES.iter().filter(|known| !known.name.ends_with('*')) {
            let place = if known.secret { &secrets } else { &settings };
            assert!(place.iter().any(|(name, _)| name == known.name), "{kustomization}: {} is missing", known.name);
        }
        // Without the Secret everything that is required is there too.
        for all in [settings.clone(), settings.into_iter().chain(secrets.clone()).collect()] {
            Config::from_vars(all).unwrap_or_else(|errors| panic!("{kustomization}: {errors}"));
        }
        assert_eq!(objects.container().get("env"), None, "variables are in the ConfigMap alone");
    }
    let needed: Vec<_> =
        VARIABLES.iter().filter(|known| known.need != Need::Optional).map(|known| known.name).collect();
    assert_eq!(
        needed,
        ["KAFKA_BROKERS", "REDIS_HOST"],
        "docs/operations.md, section Before the first apply, names what has to be changed"
    );
}

#[test]
fn the_secret_example_is_the_one_that_the_pods_read() {
    let secret = documents(&text("k8s/base/secret.example.yaml")).remove(0);
    let objects = Objects::of(BASE);
    assert_eq!(objects.container()["envFrom"][1]["secretRef"]["name"], secret["metadata"]["name"]);
    assert_eq!(objects.container()["envFrom"][0]["configMapRef"]["name"], objects.one("ConfigMap")["metadata"]["name"]);
    assert_eq!(objects.one("Deployment")["metadata"]["namespace"], secret["metadata"]["namespace"]);
}

#[test]
fn ports_and_paths_agree() {
    let objects = Objects::of(BASE);
    let port: u16 = objects.setting("METRICS_PORT").parse().expect("a port");
    let container = objects.container();
    assert_eq!(container["ports"], json!([{"name": "metrics", "containerPort": port}]));
    for (probe, path) in [("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")] {
        assert_eq!(container[probe]["httpGet"], json!({"path": path, "port": "metrics"}), "{probe}");
    }
    let service = &objects.one("Service")["spec"]["ports"][0];
    assert_eq!((&service["port"], &service["targetPort"]), (&json!(port), &json!("metrics")));
    let annotations = &objects.one("Deployment")["spec"]["template"]["metadata"]["annotations"];
    assert_eq!(annotations["prometheus.io/port"], json!(port.to_string()));
    assert_eq!(annotations["prometheus.io/path"], "/metrics");
    let monitor = Objects::of("k8s/monitoring").one("PodMonitor")["spec"]["podMetricsEndpoints"][0].clone();
    assert_eq!((&monitor["port"], &monitor["path"]), (&json!("metrics"), &json!("/metrics")));
    assert_eq!(objects.one("NetworkPolicy")["spec"]["ingress"], json!([{"ports": [{"port": "metrics"}]}]));
}

#[test]
fn the_network_policy_lets_the_worker_reach_what_its_settings_name() {
    let objects = Objects::of(BASE);
    let rules = objects.one("NetworkPolicy")["spec"]["egress"].as_array().expect("rules").clone();
    let open: BTreeSet<u64> = rules
        .iter()
        .flat_map(|rule| rule["ports"].as_array().expect("ports"))
        .map(|port| port["port"].as_u64().expect("a number"))
        .collect();
    let service: url::Url = objects.setting("TRANSCODING_SERVICE_URL").parse().expect("a URL");
    let mut needed = vec![53, objects.setting("REDIS_PORT").parse().expect("a port")];
    needed.push(u64::from(service.port_or_known_default().expect("a port")));
    let brokers = objects.setting("KAFKA_BROKERS").split(',');
    needed.extend(
        brokers.map(|broker| broker.rsplit(':').next().and_then(|port| port.parse::<u64>().ok()).expect("a port")),
    );
    for port in needed {
        assert!(open.contains(&port), "port {port} is not open: {open:?}");
    }
}

#[test]
fn a_pod_is_given_the_time_to_drain() {
    for kustomization in &KUSTOMIZATIONS[..3] {
        let objects = Objects::of(kustomization);
        let drain = humantime::parse_duration(objects.setting("DRAIN_TIMEOUT")).expect("a duration");
        let grace = objects.pod()["terminationGracePeriodSeconds"].as_u64().expect("a number");
        assert_eq!(Duration::from_secs(grace), drain + AFTER_DRAIN, "{kustomization}: for {drain:?}");
    }
}

#[test]
fn everybody_names_the_same_grace_period() {
    let rule = format!("DRAIN_TIMEOUT and {} s more", AFTER_DRAIN.as_secs());
    for name in ["docs/operations.md", "k8s/base/config.yaml", "k8s/monitoring/alerts.yaml", "docker/compose.yaml"] {
        let words = text(name).replace(['`', '#', '\n'], " ");
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(&rule), "{name} does not say `{rule}`");
    }
}

#[test]
fn a_pod_may_do_nothing_that_it_does_not_need() {
    for kustomization in &KUSTOMIZATIONS[..3] {
        let objects = Objects::of(kustomization);
        let (pod, container) = (objects.pod(), objects.container());
        assert_eq!(pod["automountServiceAccountToken"], false);
        assert_eq!(objects.one("ServiceAccount")["automountServiceAccountToken"], false);
        assert_eq!(pod["serviceAccountName"], objects.one("ServiceAccount")["metadata"]["name"]);
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["securityContext"]["seccompProfile"], json!({"type": "RuntimeDefault"}));
        let expected = json!({
            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
        });
        assert_eq!(container["securityContext"], expected);
        for kind in ["hostNetwork", "hostPID", "hostIPC"] {
            assert_eq!(pod.get(kind), None);
        }
        assert!(objects.0.iter().all(|object| !object["kind"].as_str().expect("a kind").contains("Role")));
        for bound in ["requests", "limits"] {
            for resource in ["cpu", "memory"] {
                assert!(container["resources"][bound][resource].is_string(), "{bound} of {resource}");
            }
        }
    }
}

#[test]
fn the_work_storage_is_a_volume_that_all_pods_share() {
    let objects = Objects::of(BASE);
    let work = objects.setting("WORK_URL").parse::<url::Url>().expect("a URL").to_file_path().expect("a path");
    let mounts = objects.container()["volumeMounts"].as_array().expect("mounts");
    let mount = mounts.iter().find(|mount| work.starts_with(mount["mountPath"].as_str().expect("a path")));
    let name = &mount.expect("the work storage is mounted")["name"];
    let volumes = objects.pod()["volumes"].as_array().expect("volumes");
    let claim =
        &volumes.iter().find(|volume| volume["name"] == *name).expect("it")["persistentVolumeClaim"]["claimName"];
    let claims = objects.0.iter().filter(|object| object["kind"] == "PersistentVolumeClaim");
    let claim = claims.into_iter().find(|object| object["metadata"]["name"] == *claim).expect("the claim");
    assert_eq!(claim["spec"]["accessModes"], json!(["ReadWriteMany"]));
}

#[test]
fn everything_that_selects_pods_selects_the_workers() {
    let objects = Objects::of(BASE);
    let labels = &objects.one("Deployment")["spec"]["template"]["metadata"]["labels"];
    assert!(labels.as_object().is_some_and(|labels| !labels.is_empty()));
    assert_eq!(objects.one("Deployment")["spec"]["selector"]["matchLabels"], *labels);
    assert_eq!(objects.one("Service")["spec"]["selector"], *labels);
    assert_eq!(objects.one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"], *labels);
    assert_eq!(objects.one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"], *labels);
    assert_eq!(objects.pod()["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"], *labels);
    let monitoring = Objects::of("k8s/monitoring");
    assert_eq!(monitoring.one("PodMonitor")["spec"]["selector"]["matchLabels"], *labels);
    assert_eq!(
        monitoring.one("PodMonitor")["metadata"]["namespace"],
        objects.one("Deployment")["metadata"]["namespace"]
    );
}

#[test]
fn the_autoscaler_has_the_limits_of_the_contract() {
    let objects = Objects::of(BASE);
    let spec = &objects.one("HorizontalPodAutoscaler")["spec"];
    assert_eq!((&spec["minReplicas"], &spec["maxReplicas"]), (&json!(3), &json!(20)));
    let cpu = json!({"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}});
    let lag =
        json!({"metric": {"name": "kafka_consumer_lag"}, "target": {"type": "AverageValue", "averageValue": "100"}});
    let expected = json!([{"type": "Resource", "resource": cpu}, {"type": "External", "external": lag}]);
    assert_eq!(spec["metrics"], expected);
    let deployment = objects.one("Deployment");
    assert_eq!(spec["scaleTargetRef"]["name"], deployment["metadata"]["name"]);
    assert_eq!(deployment["spec"].get("replicas"), None, "applying the file again must not undo the autoscaler");
}

#[test]
fn keda_scales_as_the_autoscaler_does_and_steps_into_no_trap() {
    let objects = Objects::of("k8s/overlays/keda");
    assert!(objects.0.iter().all(|object| object["kind"] != "HorizontalPodAutoscaler"), "two autoscalers fight");
    let base = Objects::of(BASE);
    let hpa = &base.one("HorizontalPodAutoscaler")["spec"];
    let keda = &objects.one("ScaledObject")["spec"];
    assert_eq!(keda["scaleTargetRef"]["name"], hpa["scaleTargetRef"]["name"]);
    assert_eq!(keda["minReplicaCount"], hpa["minReplicas"]);
    assert_eq!(keda["maxReplicaCount"], hpa["maxReplicas"]);
    assert_eq!(keda["advanced"]["horizontalPodAutoscalerConfig"]["behavior"], hpa["behavior"]);
    let (cpu, kafka) = (&keda["triggers"][0], &keda["triggers"][1]);
    assert_eq!((&cpu["type"], &cpu["metricType"]), (&json!("cpu"), &json!("Utilization")));
    assert_eq!(cpu["metadata"]["value"], "70");
    assert_eq!(kafka["type"], "kafka");
    assert_eq!(kafka["metadata"]["bootstrapServers"], objects.setting("KAFKA_BROKERS"));
    assert_eq!(kafka["metadata"]["consumerGroup"], objects.setting("KAFKA_GROUP_ID"));
    assert_eq!(kafka["metadata"]["lagThreshold"], hpa["metrics"][1]["external"]["target"]["averageValue"]);
    assert_eq!(kafka["metadata"].get("topic"), None, "jobs and tasks count together");
    // Otherwise a partition with a long task counts as empty, and pods go while the queue grows.
    assert_eq!(kafka["metadata"]["excludePersistentLag"], "false");
    assert_eq!(kafka["metadata"]["offsetResetPolicy"], "earliest");
}

#[test]
fn a_gpu_pod_asks_for_a_gpu_and_is_the_same_pod_otherwise() {
    let (base, gpu) = (Objects::of(BASE), Objects::of("k8s/overlays/gpu"));
    assert_eq!(gpu.container()["resources"]["limits"]["nvidia.com/gpu"], "1");
    assert_eq!(gpu.pod()["runtimeClassName"], "nvidia");
    assert_eq!(gpu.pod()["nodeSelector"], json!({"nvidia.com/gpu.present": "true"}));
    let tolerated = json!([{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]);
    assert_eq!(gpu.pod()["tolerations"], tolerated);
    assert_eq!(gpu.setting("GPU_ENABLED"), "true");
    let mut same = gpu.pod().clone();
    for field in ["runtimeClassName", "nodeSelector", "tolerations"] {
        same.as_object_mut().expect("a pod").remove(field);
    }
    same["containers"][0]["resources"]["limits"].as_object_mut().expect("limits").remove("nvidia.com/gpu");
    assert_eq!(same, *base.pod());
}
