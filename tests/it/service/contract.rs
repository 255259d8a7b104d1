//! What is sent is what the OpenAPI file describes.

use gstreamer_worker::service::OPENAPI;
use serde_json::{Value, json};

use super::reports;
use crate::support::service::report_contract;

type BreakIt = fn(&mut Value);

#[test]
fn reports_of_every_kind_are_as_the_openapi_file_says() {
    let contract = report_contract();
    for report in reports::every_kind() {
        let value = serde_json::to_value(&report).expect("json");
        let errors: Vec<String> =
            contract.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path)).collect();
        assert!(errors.is_empty(), "{value:#}\n{errors:#?}");
    }
}

#[test]
fn the_openapi_file_refuses_what_is_not_a_report() {
    let contract = report_contract();
    let good = serde_json::to_value(reports::last(8, &reports::completed())).expect("json");
    let broken: [(&str, BreakIt); 10] = [
        ("progress over 100", |v| v["progress"] = json!(100.1)),
        ("completed below 100", |v| v["progress"] = json!(99)),
        ("unknown status", |v| v["status"] = json!("done")),
        ("negative sequence", |v| v["sequence"] = json!(-1)),
        ("no worker", |v| drop(v.as_object_mut().map(|map| map.remove("worker")))),
        ("completed without outputs", |v| drop(v.as_object_mut().map(|map| map.remove("outputs")))),
        ("completed with an error", |v| v["error"] = json!({"class": "permanent", "message": "no"})),
        ("unknown field", |v| v["colour"] = json!("blue")),
        ("short digest", |v| v["outputs"][0]["sha256"] = json!("abc")),
        ("not an instant", |v| v["updated_at"] = json!("yesterday")),
    ];
    assert!(contract.is_valid(&good));
    for (what, break_it) in broken {
        let mut value = good.clone();
        break_it(&mut value);
        assert!(!contract.is_valid(&value), "{what}: {value:#}");
    }
    let mut failed =
        serde_json::to_value(reports::last(8, &actors::domain::checkpoint::Outcome::Cancelled)).expect("json");
    failed["status"] = json!("failed");
    assert!(!contract.is_valid(&failed), "failed without a reason");
}

#[test]
fn the_openapi_file_describes_the_one_call_there_is() {
    let document: Value = serde_json::from_str(OPENAPI).expect("json");
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().expect("paths");
    assert_eq!(paths.keys().collect::<Vec<_>>(), ["/jobs/{job_id}/progress"]);
    let call = &paths["/jobs/{job_id}/progress"]["post"];
    for promise in ["sequence", "never goes back", "at least once", "Redirects are not followed"] {
        assert!(call["description"].as_str().is_some_and(|text| text.contains(promise)), "{promise}");
    }
}
