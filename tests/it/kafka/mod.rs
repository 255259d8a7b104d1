//! Kafka adapter on a real broker and on the embedded one.

mod bench;

/// Runs each scenario on both brokers, so that the embedded one cannot drift from the real thing.
macro_rules! on_both_brokers {
    ($($scenario:ident),* $(,)?) => {
        mod on_apache_kafka {
            $(#[tokio::test] async fn $scenario() { super::$scenario(super::Kind::Apache).await; })*
        }
        mod on_the_embedded_broker {
            $(#[tokio::test] async fn $scenario() { super::$scenario(super::Kind::Embedded).await; })*
        }
    };
}
use on_both_brokers;

mod consuming;
mod control;
mod failing;
mod letters;
mod publishing;
mod rebalancing;
