//! What an answer of the service means for the report.

use actors::domain::failure::Failure;

/// How much of a refusal is shown to the reader, in characters.
const SHOWN_BODY: usize = 200;

/// `Ok` where the service took the report. `call` names the call without secrets.
pub(super) fn judge(call: &str, status: u16, body: &[u8]) -> Result<(), Failure> {
    let said = said(body);
    match status {
        200..300 => Ok(()),
        401 | 403 => Err(Failure::retryable(format!(
            "{call} was refused with {status}{said}: the service does not accept this worker, check TRANSCODING_SERVICE_TOKEN"
        ))),
        408 | 425 | 429 => Err(Failure::retryable(format!("{call} was put off with {status}{said}"))),
        400..500 => Err(Failure::permanent(format!(
            "{call} was refused with {status}{said}: the service does not want this report, look there for the reason"
        ))),
        300..400 => Err(Failure::retryable(format!(
            "{call} was redirected with {status}, which is not followed: set TRANSCODING_SERVICE_URL to the final address"
        ))),
        _ => Err(Failure::retryable(format!("{call} failed with {status}{said}: the service is in trouble"))),
    }
}

/// The beginning of a body on one line.
fn said(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() {
        return String::new();
    }
    let shown: String = line.chars().filter(|c| !c.is_control()).take(SHOWN_BODY).collect();
    format!(" (`{shown}`)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use actors::domain::failure::FailureClass::{self, Permanent, Retryable};

    fn class(status: u16) -> Option<FailureClass> {
        judge("POST http://service/jobs/j/progress", status, b"").err().map(|failure| failure.class)
    }

    #[test]
    fn only_a_refusal_of_the_report_itself_is_for_good() {
        for good in [200, 201, 202, 204] {
            assert_eq!(class(good), None, "{good}");
        }
        for refused in [400, 404, 405, 409, 410, 413, 415, 422, 451] {
            assert_eq!(class(refused), Some(Permanent), "{refused}");
        }
        for trouble in [101, 301, 302, 307, 308, 401, 403, 408, 425, 429, 500, 502, 503, 504, 599] {
            assert_eq!(class(trouble), Some(Retryable), "{trouble}");
        }
    }

    #[test]
    fn what_the_service_said_is_shown_on_one_short_line() {
        let body = format!("{{\"error\":\n \"no such job\"}}\u{7}{}", "x".repeat(5000));
        let failure = judge("POST http://service/jobs/j/progress", 404, body.as_bytes()).expect_err("refused");
        assert!(failure.message.contains(r#"404 (`{"error": "no such job"}xxx"#), "{failure}");
        assert!(failure.message.len() < 450 && !failure.message.contains(['\n', '\u{7}']), "{failure}");
    }
}
