//! The values of variables, each parsed by one function. A parser says only *that* a text is wrong; what is accepted
//! stands in the variable, so that table and error cannot differ. Empty texts never come here.

use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use url::Url;

/// The word that starts the broker inside the process.
pub(super) const EMBEDDED: &str = "embedded";
/// The longest name: Kafka takes 249, and the longest of our suffixes has 14.
const MAX_KAFKA_NAME: usize = 200;
const MAX_POOL_SIZE: usize = 1024;

/// Where the records are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Brokers {
    /// A cluster, as `host:port` with commas.
    Cluster(String),
    /// In this process.
    Embedded,
}

/// Whether GPUs are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gpu {
    /// Where one works.
    Auto,
    /// One is expected to work; it is a finding if none does.
    On,
    /// Never.
    Off,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A URL without what can be secret in it: user, password, query, fragment.
pub struct Shown<'a>(pub &'a Url);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = self.0.clone();
        // Refused only by URLs that cannot have a user.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_query(None);
        url.set_fragment(None);
        f.write_str(url.as_str())
    }
}

/// A text from the environment as it may stand in an error: no user information, one line, not endless.
pub(super) fn shown(text: &str) -> String {
    let text = match text.rsplit_once('@') {
        Some((before, after)) => {
            let scheme = before.split_once("://").map_or(String::new(), |(scheme, _)| format!("{scheme}://"));
            format!("{scheme}***@{after}")
        }
        None => text.to_owned(),
    };
    let text = text.split('?').next().unwrap_or_default();
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(120).collect()
}

pub(super) fn brokers(text: &str) -> Option<Brokers> {
    if text == EMBEDDED {
        return Some(Brokers::Embedded);
    }
    let list: Option<Vec<_>> = text.split(',').map(str::trim).map(|one| host_and_port(one).then_some(one)).collect();
    list.map(|list| Brokers::Cluster(list.join(",")))
}

fn host_and_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(name, number)| {
        let name = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
        host(name).is_some() && port(number).is_some_and(|number| number > 0)
    })
}

pub(super) fn kafka_name(text: &str) -> Option<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let good = text.len() <= MAX_KAFKA_NAME && text.chars().all(allowed) && text != "." && text != "..";
    good.then(|| text.to_owned())
}

pub(super) fn host(text: &str) -> Option<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let good = text.parse::<std::net::IpAddr>().is_ok() || (!text.is_empty() && text.chars().all(allowed));
    good.then(|| text.to_owned())
}

pub(super) fn port(text: &str) -> Option<u16> {
    text.parse().ok()
}

/// Kubernetes sets `REDIS_PORT=tcp://10.0.0.1:6379` for a Service called `redis`, whether one wants it or not.
pub(super) fn redis_port(text: &str) -> Option<u16> {
    let number = text.strip_prefix("tcp://").and_then(|link| link.rsplit_once(':')).map_or(text, |(_, number)| number);
    port(number).filter(|number| *number > 0)
}

pub(super) fn secret(text: &str) -> Option<Secret> {
    Some(Secret(text.to_owned()))
}

/// A token travels in a header: spaces and line ends would break it.
pub(super) fn token(text: &str) -> Option<Secret> {
    text.chars().all(|c| c.is_ascii_graphic()).then(|| Secret(text.to_owned()))
}

pub(super) fn service_url(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// The work storage is a file system that all workers mount: sources and parts are published by renaming.
pub(super) fn work_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok().filter(|url| url.scheme() == "file" && text.contains("://"))?;
    let is_path = url.to_file_path().is_ok() && url.query().is_none() && url.fragment().is_none();
    is_path.then_some(url)
}

pub(super) fn gpu(text: &str) -> Option<Gpu> {
    match text.to_ascii_lowercase().as_str() {
        "auto" => Some(Gpu::Auto),
        "true" | "1" | "yes" | "on" => Some(Gpu::On),
        "false" | "0" | "no" | "off" => Some(Gpu::Off),
        _ => None,
    }
}

pub(super) fn log_format(text: &str) -> Option<LogFormat> {
    match text {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    }
}

pub(super) fn pool_size(text: &str) -> Option<NonZeroUsize> {
    if text == "cores" {
        // Counts the CPU limit of the container too. Where the machine does not say, one is always right.
        return Some(std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN));
    }
    text.parse::<NonZeroUsize>().ok().filter(|size| size.get() <= MAX_POOL_SIZE)
}

pub(super) fn number<const MIN: u32, const MAX: u32>(text: &str) -> Option<NonZeroU32> {
    text.parse::<NonZeroU32>().ok().filter(|number| (MIN..=MAX).contains(&number.get()))
}

pub(super) fn duration<const MIN: u64, const MAX: u64>(text: &str) -> Option<Duration> {
    let parsed = match text.parse::<u64>() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => humantime::parse_duration(text).ok(),
    };
    parsed.filter(|duration| (Duration::from_secs(MIN)..=Duration::from_secs(MAX)).contains(duration))
}
