//! The store in Redis.

use std::sync::Arc;
use std::time::Duration;

use actors::testing::store_conformance::conforms;
use gstreamer_worker::store::RedisStore;

use super::steps::agrees_with_the_fake;
use crate::support::redis::Redis;

const LONG: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn the_store_in_redis_conforms() {
    conforms(|checkpoint_ttl| Arc::new(RedisStore::new(&Redis::shared(), checkpoint_ttl).expect("settings"))).await;
}

#[test]
fn the_scripts_take_every_step_as_the_pure_rules_do() {
    agrees_with_the_fake(Arc::new(RedisStore::new(&Redis::shared(), LONG).expect("settings")), 256);
}
