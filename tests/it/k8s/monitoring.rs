//! Alerts, dashboard and the rule of the adapter: they name metrics that the worker has, and do what they say.

use std::collections::BTreeSet;
use std::process::Command;

use actors::metrics::{Kind, METRICS, metric};
use serde_json::Value;

use super::selectors::{Named, named};
use super::{Objects, documents, said, text, tool};

/// Labels that Prometheus and the operator give every series.
const SCRAPED: [&str; 2] = ["namespace", "pod"];

/// Asserts that a text names metrics, labels and values that the worker has.
fn assert_known(place: &str, text: &str) -> BTreeSet<&'static str> {
    let found = named(text);
    assert!(!found.is_empty(), "{place} names no metric: {text}");
    let mut metrics = BTreeSet::new();
    for Named { name, labels } in found {
        let of_histogram = ["_bucket", "_sum", "_count"].iter().find_map(|end| metric(name.strip_suffix(end)?));
        let known = metric(&name).or(of_histogram).unwrap_or_else(|| panic!("{place}: nobody has {name}"));
        assert_eq!(known.kind == Kind::Histogram, known.name != name, "{place}: {name} is a {}", known.kind.as_str());
        for (label, values) in labels {
            assert!(known.labels.contains(&&*label) || SCRAPED.contains(&&*label), "{place}: {name} has no {label}");
            let listed = !known.values.is_empty() && known.labels.contains(&&*label);
            let all_known = values.iter().all(|value| known.values.contains(&&**value));
            assert!(!listed || all_known, "{place}: {label} of {name} is never one of {values:?}");
        }
        metrics.insert(known.name);
    }
    metrics
}

fn rules() -> Vec<Value> {
    let spec = Objects::of("k8s/monitoring").one("PrometheusRule")["spec"].clone();
    spec["groups"]
        .as_array()
        .expect("groups")
        .iter()
        .flat_map(|group| group["rules"].as_array().expect("rules"))
        .cloned()
        .collect()
}

#[test]
fn alerts_name_metrics_that_there_are() {
    for rule in rules() {
        assert_known(rule["alert"].as_str().expect("a name"), rule["expr"].as_str().expect("an expression"));
    }
    assert_known("alerts.test.yaml", &text("k8s/monitoring/alerts.test.yaml"));
}

#[test]
fn each_alert_says_what_to_do_and_how_bad_it_is_and_is_tested() {
    let tests = text("k8s/monitoring/alerts.test.yaml");
    for rule in rules() {
        let name = rule["alert"].as_str().expect("a name");
        for said in ["summary", "description"] {
            assert!(rule["annotations"][said].as_str().is_some_and(|text| !text.is_empty()), "{name} has no {said}");
        }
        assert!(["warning", "critical"].contains(&rule["labels"]["severity"].as_str().unwrap_or_default()), "{name}");
        assert!(tests.contains(&format!("alertname=\"{name}\"")), "{name} is not seen to fire");
    }
}

#[test]
fn alerts_fire_when_they_should_and_only_then() {
    let directory = tempfile::tempdir().expect("a directory");
    let spec = Objects::of("k8s/monitoring").one("PrometheusRule")["spec"].to_string();
    std::fs::write(directory.path().join("alerts.yaml"), spec).expect("written");
    std::fs::write(directory.path().join("test.yaml"), text("k8s/monitoring/alerts.test.yaml")).expect("written");
    let output = tool(Command::new("promtool").args(["test", "rules", "test.yaml"]).current_dir(&directory), "");
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn the_alert_of_a_growing_queue_begins_where_the_autoscaler_has_no_more_pods() {
    let base = Objects::of("k8s/base");
    let hpa = &base.one("HorizontalPodAutoscaler")["spec"];
    let most = hpa["maxReplicas"].as_u64().expect("a number");
    let each = hpa["metrics"][1]["external"]["target"]["averageValue"].as_str().and_then(|text| text.parse().ok());
    let limit = most * each.unwrap_or(0u64);
    let rule = rules().into_iter().find(|rule| rule["alert"] == "TranscodeLagGrowing").expect("the rule");
    let expression = rule["expr"].as_str().expect("an expression");
    assert!(expression.contains(&format!("> {limit} ")), "{limit} is not in {expression}");
}

#[test]
fn the_adapter_gives_the_autoscaler_the_metric_that_it_asks_for() {
    let values = documents(&text("k8s/monitoring/adapter-values.yaml")).remove(0);
    let rule = &values["rules"]["external"][0];
    let base = Objects::of("k8s/base");
    let asked = &base.one("HorizontalPodAutoscaler")["spec"]["metrics"][1]["external"]["metric"]["name"];
    assert_eq!(rule["name"]["as"], *asked);
    assert_known("the autoscaler", asked.as_str().expect("a name"));
    let series = assert_known("the adapter's series", rule["seriesQuery"].as_str().expect("a query"));
    let matched = rule["name"]["matches"].as_str().expect("a pattern").trim_matches(['^', '$']);
    assert_eq!(series.into_iter().collect::<Vec<_>>(), [matched]);
    let query = rule["metricsQuery"].as_str().expect("a query");
    let labels = metric(matched).expect("the metric").labels.join(", ");
    assert!(query.contains(&format!("max by ({labels}) (<<.Series>>")), "a partition must count once: {query}");
}

#[test]
fn the_dashboard_shows_every_metric_and_explains_every_panel() {
    let dashboard: Value = serde_json::from_str(&text("k8s/monitoring/dashboard.json")).expect("JSON");
    let mut shown = BTreeSet::new();
    for panel in dashboard["panels"].as_array().expect("panels").iter().filter(|panel| panel["type"] != "row") {
        let title = panel["title"].as_str().expect("a title");
        assert!(panel["description"].as_str().is_some_and(|text| !text.is_empty()), "{title} is not explained");
        for target in panel["targets"].as_array().expect("targets") {
            shown.extend(assert_known(title, target["expr"].as_str().expect("an expression")));
        }
    }
    let all: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
    assert_eq!(shown, all);
}

#[test]
fn every_expression_of_the_dashboard_can_be_read_by_prometheus() {
    let dashboard: Value = serde_json::from_str(&text("k8s/monitoring/dashboard.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let targets = panels.filter_map(|panel| panel["targets"].as_array()).flatten();
    let rules: Vec<Value> = targets.map(|target| serde_json::json!({"record": "x", "expr": target["expr"]})).collect();
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().expect("a file");
    let groups = serde_json::json!({"groups": [{"name": "dashboard", "rules": rules}]});
    std::fs::write(&file, groups.to_string()).expect("written");
    // All rules have one name here: duplicates are no matter.
    let output = tool(Command::new("promtool").args(["check", "rules", "--lint=none"]).arg(file.path()), "");
    assert!(output.status.success(), "{}", said(&output));
}
