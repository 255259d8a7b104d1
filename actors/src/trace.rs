//! Trace context (W3C): whoever publishes a job may give it the header `traceparent`. It goes on with every record that
//! follows, and its trace id is in every line of the log about the job. Never changes what is done: a header that cannot
//! be read counts as none. It travels in a task-local, so that handlers publish without knowing of it.

use std::future::Future;

/// Name of the header.
pub const TRACEPARENT: &str = "traceparent";

/// A header `traceparent` that can be read: version, trace id, id of the span that caused the work, flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceParent(String);

impl TraceParent {
    /// Reads a header value. Versions after the first may have more fields at the end.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?;
        let mut fields = text.splitn(5, '-');
        let (version, trace_id) = (hex(fields.next()?, 2)?, hex(fields.next()?, 32)?);
        let (span_id, _flags) = (hex(fields.next()?, 16)?, hex(fields.next()?, 2)?);
        let known = match version {
            "ff" => false,
            "00" => fields.next().is_none(),
            _ => text.len() <= MAX_BYTES,
        };
        let zero = |id: &str| id.bytes().all(|digit| digit == b'0');
        (known && !zero(trace_id) && !zero(span_id)).then(|| Self(text.to_owned()))
    }

    /// That of a record.
    pub fn of(headers: &[(String, Vec<u8>)]) -> Option<Self> {
        let (_, value) = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(TRACEPARENT))?;
        Self::parse(value)
    }

    /// The trace that the work belongs to: 32 hexadecimal digits.
    pub fn trace_id(&self) -> &str {
        &self.0[3..35]
    }

    /// Gives a record this context, unless it has one.
    pub fn add_to(&self, headers: &mut Vec<(String, Vec<u8>)>) {
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(TRACEPARENT)) {
            headers.push((TRACEPARENT.into(), self.0.clone().into_bytes()));
        }
    }
}

/// The longest value that is passed on.
const MAX_BYTES: usize = 256;

/// `digits` lower-case hexadecimal digits.
fn hex(text: &str, digits: usize) -> Option<&str> {
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (text.len() == digits && text.bytes().all(is_hex)).then_some(text)
}

tokio::task_local! {
    static CURRENT: Option<TraceParent>;
}

/// Works under a context; what is published meanwhile carries it on.
pub async fn under<F: Future>(context: Option<TraceParent>, work: F) -> F::Output {
    CURRENT.scope(context, work).await
}

/// The context of the work that asks.
pub fn current() -> Option<TraceParent> {
    CURRENT.try_with(Clone::clone).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_context_is_read_and_goes_on_as_it_came() {
        let headers = [("other".into(), b"x".to_vec()), ("Traceparent".into(), GIVEN.into())];
        let context = TraceParent::of(&headers).expect("a context");
        assert_eq!(context.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        let mut more = Vec::new();
        context.add_to(&mut more);
        context.add_to(&mut more);
        assert_eq!(more, [(TRACEPARENT.to_owned(), GIVEN.as_bytes().to_vec())]);
        assert!(TraceParent::parse(b"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more").is_some());
    }

    #[test]
    fn what_is_no_context_counts_as_none() {
        let long = format!("01{}-{}", &GIVEN[2..], "x".repeat(MAX_BYTES));
        for bad in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473\u{e9}-00f067aa0ba902b7-01",
            &long,
        ] {
            assert_eq!(TraceParent::parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(TraceParent::parse(b"\xff\xfe"), None);
    }

    #[tokio::test]
    async fn a_context_is_seen_by_the_work_under_it_alone() {
        let context = TraceParent::parse(GIVEN.as_bytes());
        let seen = under(context.clone(), async {
            tokio::task::yield_now().await;
            current()
        });
        assert_eq!(seen.await, context);
        assert_eq!(current(), None);
    }
}
