//! `doctor`: looks at everything that the worker needs and says what to do about each finding.
//!
//! Every check has a deadline and runs apart from the others, so that a server that hangs or a plugin that crashes the
//! scanner costs one line of the answer.

mod capabilities;
mod gstreamer;
mod kafka;
mod redis;
mod service;
mod storage;

use std::collections::BTreeMap;
use std::time::Duration;

use actors::ports::PathCapability;
use serde::Serialize;
use tokio::sync::oneshot;

use super::exit::cannot;
use super::{Context, Exit, Trouble, Wiring};
use crate::config::{Config, ConfigErrors, counts_locally, variable};
use crate::process::probe::nvidia_is_visible;

/// For a check of a server, connection included.
const SERVER_DEADLINE: Duration = Duration::from_secs(15);
/// The first look at the plugins of a machine loads every one of them.
const PLUGINS_DEADLINE: Duration = Duration::from_secs(60);

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

/// What a check found.
#[derive(Clone, Debug, Serialize)]
struct Finding {
    check: String,
    verdict: Verdict,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
    /// The row of the table of capabilities that this is.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<PathCapability>,
    /// What version was found, where that is what was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
}

impl Finding {
    fn ok(check: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            check: check.into(),
            verdict: Verdict::Ok,
            detail: detail.into(),
            advice: None,
            path: None,
            version: None,
        }
    }

    fn warn(check: impl Into<String>, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            check: check.into(),
            verdict: Verdict::Warn,
            detail: detail.into(),
            advice: Some(advice.into()),
            path: None,
            version: None,
        }
    }

    fn fail(check: impl Into<String>, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fail, ..Self::warn(check, detail, advice) }
    }

    fn line(&self) -> String {
        let mark = match self.verdict {
            Verdict::Ok => "ok  ",
            Verdict::Warn => "warn",
            Verdict::Fail => "FAIL",
        };
        let line = format!("{mark}  {:<15} {}", self.check, self.detail);
        match &self.advice {
            Some(advice) => format!("{line}\n      {:<15} -> {advice}", ""),
            None => line,
        }
    }
}

pub(super) async fn doctor(context: &Context<'_>) -> Result<Exit, Trouble> {
    let (config, mut findings) = configuration(context);
    let wiring = context.wiring;
    let for_probe = match &config {
        Some(config) => config.clone(),
        None => {
            let local = |env| Config::local(&std::env::temp_dir(), &[], env);
            local(context.env.clone()).or_else(|_| local(BTreeMap::new()))?
        }
    };
    let (plugins, encoders) = tokio::join!(
        in_thread("gstreamer", PLUGINS_DEADLINE, gstreamer::check),
        encoders(wiring, &for_probe, PLUGINS_DEADLINE)
    );
    findings.extend(plugins);
    findings.extend(encoders);
    if let Some(config) = &config {
        findings.extend(servers(config, wiring).await);
    }
    show(&findings, context)?;
    let failed = findings.iter().any(|finding| finding.verdict == Verdict::Fail);
    Ok(if failed { Exit::Failed } else { Exit::Done })
}

/// A machine where nothing is set can still run `transcode`; one where something is set is meant to run a pod.
fn configuration(context: &Context<'_>) -> (Option<Config>, Vec<Finding>) {
    let check = "configuration";
    let for_a_pod = |name: &str| !counts_locally(name) && variable(name).is_some();
    let anything_set = context.env.keys().any(|name| for_a_pod(name));
    match context.config() {
        Ok(config) => (Some(config), vec![Finding::ok(check, "accepted")]),
        Err(_) if !anything_set => {
            let advice = "fine for `transcode`; set KAFKA_BROKERS and the rest for `run`, `submit`, `status`, `cancel`";
            (None, vec![Finding::warn(check, "no variable is set: servers and storage are not checked", advice)])
        }
        Err(ConfigErrors(errors)) => {
            let findings = errors.into_iter().map(|error| {
                Finding::fail(
                    check,
                    error.to_string(),
                    "correct the variable; servers and storage are checked after that",
                )
            });
            (None, findings.collect())
        }
    }
}

async fn servers(config: &Config, wiring: &dyn Wiring) -> Vec<Finding> {
    let for_kafka = config.kafka.clone();
    let (kafka, redis, service, storage) = tokio::join!(
        in_thread("kafka", SERVER_DEADLINE, move || kafka::check(&for_kafka)),
        in_time("redis", SERVER_DEADLINE, redis::check(&config.store)),
        in_time("service", SERVER_DEADLINE, service::check(config.service.as_ref())),
        in_time("work storage", SERVER_DEADLINE, storage::check(config, wiring)),
    );
    [kafka, redis, service, storage].concat()
}

/// The table of what works, each row seen in a stage process.
async fn encoders(wiring: &dyn Wiring, config: &Config, deadline: Duration) -> Vec<Finding> {
    let gpu = config.gpu;
    let probe = wiring.probe(config);
    in_time("encoders", deadline, async move { capabilities::judge(probe.await, gpu, nvidia_is_visible()) }).await
}

/// A check that awaits. A check that is not done in time is left where it is.
async fn in_time(check: &str, deadline: Duration, run: impl Future<Output = Vec<Finding>>) -> Vec<Finding> {
    tokio::time::timeout(deadline, run).await.unwrap_or_else(|_| vec![late(check, deadline)])
}

/// A check that blocks. The thread of one that is not done in time ends with the process.
async fn in_thread(
    check: &'static str,
    deadline: Duration,
    run: impl FnOnce() -> Vec<Finding> + Send + 'static,
) -> Vec<Finding> {
    let (sender, answer) = oneshot::channel();
    let spawned = std::thread::Builder::new().name(check.into()).spawn(move || sender.send(run()));
    if let Err(error) = spawned {
        return vec![Finding::fail(check, format!("no thread: {error}"), "raise the limit of threads (`ulimit -u`)")];
    }
    let died = || vec![Finding::fail(check, "the check crashed", "see standard error for the reason")];
    in_time(check, deadline, async move { answer.await.unwrap_or_else(|_| died()) }).await
}

fn late(check: &str, deadline: Duration) -> Finding {
    Finding::fail(
        check,
        format!("no answer within {deadline:?}"),
        "see whether it hangs or is only slow, then try again",
    )
}

fn show(findings: &[Finding], context: &Context<'_>) -> Result<(), Trouble> {
    if context.json {
        context.say(&serde_json::to_string(findings).map_err(|error| cannot("the findings cannot be printed", error))?);
        return Ok(());
    }
    for finding in findings {
        context.say(&finding.line());
    }
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    context.say(&format!(
        "{} fine, {} to look at, {} failed",
        count(Verdict::Ok),
        count(Verdict::Warn),
        count(Verdict::Fail)
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(findings: &[Finding]) -> Vec<Verdict> {
        findings.iter().map(|finding| finding.verdict).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_that_hangs_costs_one_line() {
        let findings = in_time("redis", SERVER_DEADLINE, std::future::pending()).await;
        assert_eq!(verdicts(&findings), [Verdict::Fail]);
        assert!(findings[0].detail.contains("15s"), "{}", findings[0].detail);
    }

    #[tokio::test]
    async fn a_check_that_panics_costs_one_line() {
        let findings = in_thread("kafka", SERVER_DEADLINE, || panic!("on purpose")).await;
        assert_eq!(verdicts(&findings), [Verdict::Fail]);
    }

    #[test]
    fn every_finding_that_is_not_fine_says_what_to_do() {
        let line = Finding::fail("redis", "no answer", "start it").line();
        assert!(line.starts_with("FAIL  redis") && line.contains("-> start it"), "{line}");
    }
}
