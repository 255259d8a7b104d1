//! The store in Redis.

use std::sync::Arc;

use actors::testing::store_conformance::conforms;
use gstreamer_worker::store::RedisStore;

use crate::support::redis::Redis;

#[tokio::test]
async fn the_store_in_redis_conforms() {
    conforms(|checkpoint_ttl| Arc::new(RedisStore::new(&Redis::shared(), checkpoint_ttl).expect("settings"))).await;
}
