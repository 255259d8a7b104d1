//! `/metrics` of a worker that works: every metric of the contract, explained, and as Prometheus wants it.

use std::collections::BTreeSet;
use std::process::Command;

use actors::domain::checkpoint::JobStatus;
use actors::metrics::{METRICS, markdown_table};
use serde_json::json;

use super::{said, text, tool};
use crate::support::fleet::Fleet;
use crate::support::media::film;
use crate::support::transcode::uri;

/// Those that need a GPU are there only where one is.
const OF_GPUS: &str = "transcode_gpu_";

#[test]
fn the_table_of_the_docs_is_the_table_of_the_code() {
    let page = "docs/metrics.md";
    assert!(text(page).contains(&markdown_table()), "put this table into {page}:\n\n{}", markdown_table());
}

#[test]
fn names_are_unique_and_everything_is_explained() {
    let names: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
    assert_eq!(names.len(), METRICS.len());
    for metric in METRICS {
        assert!(metric.help.ends_with('.') && !metric.help.contains('|'), "{}", metric.name);
        assert!(metric.values.is_empty() || metric.labels.len() == 1, "{}", metric.name);
    }
}

/// A page of a worker that has completed a job, lost a stage, and put a job away.
async fn page() -> String {
    let fleet = Fleet::start(1, &[("CHUNK_SECONDS", "5"), ("ENCODER_POOL_SIZE", "2")]).await;
    let job = |job_id: &str, input: &std::path::Path| {
        let output = uri(&fleet.bench.path(&format!("{job_id}.mp4")));
        let video = json!({"codec": "h264", "height": 180, "preset": "medium"});
        json!({"job_id": job_id, "input": {"uri": uri(input)}, "outputs": [{"uri": output, "container": "mp4", "video": video}]})
    };
    fleet.publish(&job("movie", &film()));
    fleet.publish(&job("nothing", &fleet.bench.path("nothing.mp4")));
    fleet.chunks_done("movie", 1).await;
    let stage = *fleet.workers()[0].stages().first().expect("five more chunks are to be encoded");
    // SAFETY: a signal to a process that was a stage of our worker a moment ago.
    unsafe { libc::kill(stage as i32, libc::SIGKILL) };
    let ends = fleet.ends(&["movie", "nothing"]).await;
    assert_eq!(ends.iter().map(|last| last.status).collect::<Vec<_>>(), [JobStatus::Failed, JobStatus::Completed]);
    fleet.wait_for_no_lag();
    fleet.workers()[0].get("/metrics").expect("metrics").1
}

#[actix_rt::test]
async fn a_worker_shows_every_metric_with_its_meaning_and_promtool_has_no_objection() {
    let page = page().await;
    for metric in METRICS.iter().filter(|metric| !metric.name.starts_with(OF_GPUS)) {
        let (name, kind) = (metric.name, metric.kind.as_str());
        assert!(page.contains(&format!("# HELP {name} {}\n", metric.help)), "{name} is not explained:\n{page}");
        assert!(page.contains(&format!("# TYPE {name} {kind}\n")), "{name} is no {kind}:\n{page}");
        for value in metric.values {
            let series = format!("{name}{{{}=\"{value}\"}} ", metric.labels[0]);
            assert!(page.contains(&series), "{series} is missing:\n{page}");
        }
    }
    let explained = page.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next());
    let known: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
    for name in explained {
        assert!(known.contains(name), "{name} is not in the list");
    }
    for (series, least) in [
        ("transcode_jobs_total{outcome=\"completed\"} ", 1.0),
        ("transcode_jobs_total{outcome=\"failed\"} ", 1.0),
        ("transcode_child_exits_total{reason=\"killed\"} ", 1.0),
        ("transcode_dead_letters_total ", 1.0),
        ("transcode_pool_slots ", 4.0),
    ] {
        let value = page.lines().find_map(|line| line.strip_prefix(series)?.parse::<f64>().ok());
        assert!(value.is_some_and(|value| value >= least), "{series}is {value:?}:\n{page}");
    }
    let output = tool(Command::new("promtool").args(["check", "metrics"]), &page);
    assert!(output.status.success() && said(&output).is_empty(), "{}\n{page}", said(&output));
}
