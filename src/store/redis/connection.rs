//! The connections to Redis, and what is said when it does not do what it should.

use std::fmt;
use std::time::Duration;

use actors::domain::failure::Failure;
use actors::ports::Answer;
use deadpool_redis::redis::{self, ErrorKind, FromRedisValue, RedisError, Script, ScriptInvocation, ToRedisArgs};
use deadpool_redis::{
    ConnectionAddr, ConnectionInfo, Hook, Manager, Pool, PoolBuilder, PoolConfig, PoolError, RedisConnectionInfo,
    Runtime, TimeoutType, Timeouts,
};

/// Where Redis is, and how long it may take.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisSettings {
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The password, if it wants one.
    pub password: Option<String>,
    /// Number of the database.
    pub db: u16,
    /// Connections at most, 1 or more.
    pub pool_size: usize,
    /// Longest wait for a new connection; more than one second has no effect.
    pub connect_timeout: Duration,
    /// Longest wait for an answer.
    pub response_timeout: Duration,
}

impl RedisSettings {
    /// Calls are short and few (some per chunk): this many never wait for each other in a pod.
    pub const POOL_SIZE: usize = 8;
    /// With the next one: a Redis that is away is noticed within two seconds.
    pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
    /// A script takes well under a millisecond; a second is a Redis in trouble.
    pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(1);

    /// Settings with all defaults.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
            password: None,
            db: 0,
            pool_size: Self::POOL_SIZE,
            connect_timeout: Self::CONNECT_TIMEOUT,
            response_timeout: Self::RESPONSE_TIMEOUT,
        }
    }
}

/// Shows everything but the password.
impl fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let password = self.password.as_ref().map_or("none", |_| "set");
        write!(
            f,
            "redis://{}:{}/{} (password {password}, {} connections)",
            self.host, self.port, self.db, self.pool_size
        )
    }
}

/// A script with what it is given.
pub(super) struct Call {
    what: &'static str,
    key: String,
    invocation: ScriptInvocation<'static>,
}

impl Call {
    /// `what` completes the sentence "Redis could not …"; `key` is the first key, and named in failures.
    pub fn new(what: &'static str, script: &'static Script, key: impl Into<String>) -> Self {
        let key = key.into();
        Self { what, invocation: script.key(&key), key }
    }

    /// A further key.
    pub fn key(mut self, key: &str) -> Self {
        self.invocation.key(key);
        self
    }

    /// A further argument.
    pub fn arg(mut self, value: impl ToRedisArgs) -> Self {
        self.invocation.arg(value);
        self
    }
}

/// The pool, and the name of what it leads to.
#[derive(Clone)]
pub(super) struct Link {
    pool: Pool,
    place: String,
    has_password: bool,
    deadline: Duration,
}

impl Link {
    pub fn new(settings: &RedisSettings) -> Result<Self, Failure> {
        let place = format!("Redis at {}:{}", settings.host, settings.port);
        let deadline = settings.connect_timeout + settings.response_timeout;
        let response_timeout = settings.response_timeout;
        let unusable = |error: &dyn fmt::Display| Failure::retryable(format!("{place} cannot be used: {error}"));
        let pool = builder(settings)
            .map_err(|error| unusable(&error))?
            .post_create(Hook::sync_fn(move |connection: &mut redis::aio::MultiplexedConnection, _| {
                connection.set_response_timeout(response_timeout);
                Ok(())
            }))
            .build()
            .map_err(|error| unusable(&error))?;
        Ok(Self { pool, place, has_password: settings.password.is_some(), deadline })
    }

    /// Runs a script and reads its answer, all within the deadline.
    pub async fn invoke<T: FromRedisValue>(&self, call: Call) -> Result<T, Failure> {
        let work = async {
            let mut connection = self.pool.get().await.map_err(|error| self.unreachable(error))?;
            let answer = call.invocation.invoke_async(&mut *connection).await;
            answer.map_err(|error| self.refused(&format!("{} ({})", call.what, call.key), &error))
        };
        self.within(work).await
    }

    /// Sends a PING.
    pub fn ping(&self) -> Answer<()> {
        let this = self.clone();
        Box::pin(async move {
            let work = async {
                let mut connection = this.pool.get().await.map_err(|error| this.unreachable(error))?;
                let pong = redis::cmd("PING").query_async::<String>(&mut *connection).await;
                pong.map(|_| ()).map_err(|error| this.refused("be asked for a sign of life", &error))
            };
            this.within(work).await
        })
    }

    /// Says that a key holds what no worker wrote.
    pub fn foreign(&self, key: &str, why: String) -> Failure {
        Failure::retryable(format!(
            "the key {key} in {} cannot be read, {why}: another program wrote it, remove or rename it",
            self.place
        ))
    }

    async fn within<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let late = |_| Failure::retryable(format!("{} did not answer within {:?}", self.place, self.deadline));
        tokio::time::timeout(self.deadline, work).await.map_err(late)?
    }

    fn unreachable(&self, error: PoolError) -> Failure {
        match error {
            PoolError::Timeout(TimeoutType::Wait) => Failure::retryable(format!(
                "all {} connections to {} are in use: it is slow, or they are too few",
                self.pool.status().max_size,
                self.place
            )),
            PoolError::Backend(error) => self.refused("be connected to", &error),
            other => Failure::retryable(format!("{} could not be connected to: {other}", self.place)),
        }
    }

    /// The failure that a Redis error is. Its text comes from the server or the system and holds no secret.
    fn refused(&self, what: &str, error: &RedisError) -> Failure {
        let place = &self.place;
        let message = match (error.kind(), error.code()) {
            (ErrorKind::AuthenticationFailed, _) | (_, Some("WRONGPASS" | "NOAUTH")) if self.has_password => {
                format!("{place} does not accept the password: check REDIS_PASSWORD")
            }
            (ErrorKind::AuthenticationFailed, _) | (_, Some("NOAUTH")) => {
                format!("{place} wants a password: set REDIS_PASSWORD")
            }
            (_, Some("WRONGTYPE" | "FOREIGN")) => {
                format!("{place} could not {what}, another program wrote this key: remove or rename it")
            }
            (ErrorKind::Parse | ErrorKind::UnexpectedReturnType, _) => {
                format!(
                    "{place} could not {what}, the answer makes no sense ({error}): did another program write this key?"
                )
            }
            (ErrorKind::Io, _) => format!("{place} could not {what}, it is not there or does not answer: {error}"),
            _ => format!("{place} could not {what}: {error}"),
        };
        Failure::retryable(message)
    }
}

fn builder(settings: &RedisSettings) -> Result<PoolBuilder, RedisError> {
    let redis = RedisConnectionInfo {
        db: i64::from(settings.db),
        password: settings.password.clone(),
        ..RedisConnectionInfo::default()
    };
    let manager =
        Manager::new(ConnectionInfo { addr: ConnectionAddr::Tcp(settings.host.clone(), settings.port), redis })?;
    let timeouts = Timeouts {
        wait: Some(settings.response_timeout),
        create: Some(settings.connect_timeout),
        recycle: Some(settings.response_timeout),
    };
    let pool = PoolConfig { max_size: settings.pool_size.max(1), timeouts, ..PoolConfig::default() };
    Ok(Pool::builder(manager).config(pool).runtime(Runtime::Tokio1))
}
