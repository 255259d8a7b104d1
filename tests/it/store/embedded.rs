//! The store in a file.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actors::testing::store_conformance::conforms;
use gstreamer_worker::store::EmbeddedStore;

use super::steps::agrees_with_the_fake;

const LONG: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn the_embedded_store_conforms() {
    let dirs = Mutex::new(Vec::new());
    conforms(|checkpoint_ttl| {
        let dir = tempfile::tempdir().expect("a directory");
        let store = EmbeddedStore::open(dir.path(), checkpoint_ttl).expect("a new store");
        dirs.lock().expect("the directories").push(dir);
        Arc::new(store)
    })
    .await;
}

#[test]
fn the_embedded_store_takes_every_step_as_the_pure_rules_do() {
    let dir = tempfile::tempdir().expect("a directory");
    agrees_with_the_fake(Arc::new(EmbeddedStore::open(dir.path(), LONG).expect("a new store")), 48);
}
