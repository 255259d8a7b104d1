//! Whether Redis answers, lets us in, and keeps what it was given.

use std::time::Duration;

use deadpool_redis::redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo as _, RedisConnectionInfo, RedisError, cmd,
};

use super::Finding;
use crate::config::{Secret, Store};

const TIMEOUT: Duration = Duration::from_secs(5);

pub(super) async fn check(store: &Store) -> Vec<Finding> {
    let Store::Redis { host, port, password } = store else {
        return vec![Finding::ok("redis", "not used, checkpoints are kept inside the process")];
    };
    match look(host, *port, password.as_ref()).await {
        Ok(memory) => judge(&format!("{host}:{port}"), &memory),
        Err(error) => vec![Finding::fail(
            "redis",
            format!("{host}:{port} does not answer: {error}"),
            "check that it runs, REDIS_HOST, REDIS_PORT and REDIS_PASSWORD",
        )],
    }
}

/// PING, then what Redis says of its memory; empty where it does not let us ask.
async fn look(host: &str, port: u16, password: Option<&Secret>) -> Result<String, RedisError> {
    let mut login = RedisConnectionInfo::default();
    if let Some(password) = password {
        login = login.set_password(password.expose());
    }
    let address = ConnectionAddr::Tcp(host.to_owned(), port).into_connection_info()?.set_redis_settings(login);
    let limits = AsyncConnectionConfig::new().set_connection_timeout(Some(TIMEOUT)).set_response_timeout(Some(TIMEOUT));
    let mut connection = Client::open(address)?.get_multiplexed_async_connection_with_config(&limits).await?;
    let _: String = cmd("PING").query_async(&mut connection).await?;
    Ok(cmd("INFO").arg("memory").query_async(&mut connection).await.unwrap_or_default())
}

fn judge(address: &str, memory: &str) -> Vec<Finding> {
    let policy = memory.lines().find_map(|line| line.trim().strip_prefix("maxmemory_policy:"));
    let reached = Finding::ok("redis", format!("{address} answers"));
    match policy {
        Some(policy) if policy.starts_with("allkeys") => vec![
            reached,
            Finding::warn(
                "redis memory",
                format!("maxmemory-policy {policy} throws checkpoints away when memory is short"),
                "set it to noeviction; nothing is lost, but work is looked up again in the work storage",
            ),
        ],
        _ => vec![reached],
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_cache_that_evicts_checkpoints_is_pointed_out() {
        let info = "# Memory\r\nused_memory:1\r\nmaxmemory_policy:allkeys-lru\r\n";
        assert_eq!(judge("redis:6379", info).last().map(|finding| finding.verdict), Some(Verdict::Warn));
        for fine in ["maxmemory_policy:noeviction\r\n", "maxmemory_policy:volatile-lru\r\n", ""] {
            assert_eq!(judge("redis:6379", fine).len(), 1, "{fine}");
        }
    }
}
