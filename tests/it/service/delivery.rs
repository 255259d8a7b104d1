//! The client against a service that behaves, and one that does not.

use std::time::{Duration, Instant};

use actors::domain::checkpoint::JobStatus;
use actors::domain::failure::FailureClass::{Permanent, Retryable};
use actors::ports::StatusSink as _;
use futures_util::future::join_all;
use gstreamer_worker::config::Secret;
use gstreamer_worker::service::{HttpService, NoService, ServiceSettings};

use super::reports;
use crate::support::service::{Answer, StandIn};

const TOKEN: &str = "t0ken-of-the-worker";

/// A client with limits that a test can wait for.
fn client(url: url::Url) -> HttpService {
    let settings = ServiceSettings {
        connect_timeout: Duration::from_millis(500),
        timeout: Duration::from_millis(1500),
        ..ServiceSettings::new(url, Some(Secret::new(TOKEN)))
    };
    HttpService::start(settings).expect("a client")
}

#[tokio::test]
async fn every_kind_of_report_arrives_as_it_was_with_the_token() {
    let service = StandIn::start();
    let client = client(service.url());
    for report in reports::every_kind() {
        client.deliver(report).await.expect("delivered");
    }
    let received = service.received();
    assert_eq!(received.iter().map(|one| one.report.clone()).collect::<Vec<_>>(), reports::every_kind());
    assert!(received.iter().all(|one| one.token.as_deref() == Some(TOKEN) && one.confirmed));
}

#[tokio::test]
async fn the_answer_decides_whether_trying_again_can_help() {
    let service = StandIn::start();
    let client = client(service.url());
    for (answer, class) in [
        (Answer::Status(200), None),
        (Answer::Status(202), None),
        (Answer::Status(500), Some(Retryable)),
        (Answer::Status(503), Some(Retryable)),
        (Answer::Status(408), Some(Retryable)),
        (Answer::Status(425), Some(Retryable)),
        (Answer::Status(429), Some(Retryable)),
        (Answer::Status(401), Some(Retryable)),
        (Answer::Status(302), Some(Retryable)),
        (Answer::Status(400), Some(Permanent)),
        (Answer::Status(404), Some(Permanent)),
        (Answer::Status(409), Some(Permanent)),
        (Answer::Slow(Duration::from_millis(200)), None),
    ] {
        service.script([answer]);
        let outcome = client.deliver(reports::report(1, JobStatus::Encoding, 10.0)).await;
        assert_eq!(outcome.err().map(|failure| failure.class), class, "{answer:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_told_with_the_words_of_the_service_and_no_secret() {
    let service = StandIn::start();
    service.script([Answer::Says(404, "no such job")]);
    let mut url = service.url();
    url.set_password(Some("pa55word")).expect("a URL with a host");
    url.set_query(Some("key=k3y"));
    let failure = client(url).deliver(reports::report(1, JobStatus::Encoding, 10.0)).await.expect_err("refused");
    assert!(failure.message.contains("/api/jobs/movie-42/progress was refused with 404 (`no such job`)"), "{failure}");
    for secret in [TOKEN, "pa55word", "k3y"] {
        assert!(!failure.message.contains(secret), "{failure}");
    }
}

#[tokio::test]
async fn a_service_that_hangs_is_given_up_in_time_and_does_not_hold_others_up() {
    let service = StandIn::start();
    let client = client(service.url());
    service.script([Answer::Hang; 3]);
    let begun = Instant::now();
    let outcomes = join_all((0..6).map(|n| client.deliver(reports::report(n, JobStatus::Encoding, 10.0)))).await;
    let (good, bad): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!((good.len(), bad.len()), (3, 3));
    assert!(bad.into_iter().all(|outcome| outcome.is_err_and(|failure| failure.class == Retryable)));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn after_an_outage_the_same_client_delivers_again() {
    let mut service = StandIn::start();
    let client = client(service.url());
    client.deliver(reports::report(1, JobStatus::Splitting, 0.0)).await.expect("delivered");
    service.go_away().await;
    for _ in 0..3 {
        let failure = client.deliver(reports::report(2, JobStatus::Encoding, 10.0)).await.expect_err("nobody there");
        assert_eq!(failure.class, Retryable);
        assert!(failure.message.starts_with("POST http://127.0.0.1:"), "{failure}");
    }
    service.come_back();
    client.deliver(reports::last(3, &reports::completed())).await.expect("delivered");
    let received = service.wait_for("the last report", |all| all.iter().any(|one| one.report.sequence == 3)).await;
    assert_eq!(received.len(), 2);
    service.assert_in_order();
}

#[tokio::test]
async fn more_reports_than_the_queue_holds_are_refused_at_once() {
    let service = StandIn::start();
    service.otherwise(Answer::Hang);
    let client = client(service.url());
    let outcomes: Vec<_> = (0..500).map(|n| client.deliver(reports::report(n, JobStatus::Encoding, 10.0))).collect();
    // Dropping the ones that wait takes them out of the queue; the last one was refused before it was sent.
    let last = outcomes.into_iter().next_back().expect("one").await.expect_err("refused");
    assert_eq!(last.class, Retryable);
    assert!(last.message.contains("64 reports wait"), "{last}");
}

#[tokio::test]
async fn a_name_that_nobody_has_is_told_with_what_to_check() {
    let client = client("http://no-such-host.invalid:8080".parse().expect("a URL"));
    let failure = client.deliver(reports::report(1, JobStatus::Encoding, 10.0)).await.expect_err("nobody there");
    assert_eq!(failure.class, Retryable);
    assert!(failure.message.contains("no-such-host.invalid:8080"), "{failure}");
}

#[tokio::test]
async fn without_a_service_every_report_counts_as_delivered() {
    for report in reports::every_kind() {
        NoService.deliver(report).await.expect("delivered");
    }
}
