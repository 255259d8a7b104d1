//! The control topic.

use actors::domain::record::Queue;
use actors::ports::SourceEvent;

use super::bench::{Bench, Kind, Member};

super::on_both_brokers!(a_cancel_reaches_every_member_and_garbage_reaches_none);

async fn a_cancel_reaches_every_member_and_garbage_reaches_none(kind: Kind) {
    let bench = Bench::new(kind, 2).await;
    // From before their time: not for them.
    bench.publish(Queue::Control, "old", r#"{"type":"cancel","job_id":"old"}"#).await;
    let (mut first, mut second) = (bench.join(), bench.join());
    first.assigned(3).await;
    second.assigned(3).await;
    for garbage in ["", "null", "[]", r#"{"type":"explode","job_id":"movie-41"}"#, r#"{"type":"cancel"}"#] {
        bench.publish(Queue::Control, "garbage", garbage).await;
    }
    let cancel = r#"{"type":"cancel","job_id":"movie-42","requested_at":"2026-11-22T00:00:00Z","reason":"wrong film"}"#;
    bench.publish(Queue::Control, "movie-42", cancel).await;
    for member in [&mut first, &mut second] {
        assert_eq!(next_cancel(member).await, "movie-42");
    }
}

async fn next_cancel(member: &mut Member) -> String {
    let pick = |event: &SourceEvent| match event {
        SourceEvent::Cancelled(job_id) => Some(job_id.to_string()),
        _ => None,
    };
    member.wait("a cancel", pick).await
}
