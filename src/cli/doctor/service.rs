//! Whether the Transcoding Service can be reached. It is not told anything.

use super::Finding;
use crate::config::{Service, Shown};
use crate::service::{ServiceSettings, reach};

pub(super) async fn check(service: Option<&Service>) -> Vec<Finding> {
    let Some(Service { url, token }) = service else {
        return vec![Finding::ok("service", "none (TRANSCODING_SERVICE_URL is not set), progress is logged")];
    };
    let finding = match reach(ServiceSettings::new(url.clone(), token.clone())).await {
        Ok(status @ (401 | 403)) => {
            Finding::warn("service", format!("{} answers with {status}", Shown(url)), "check TRANSCODING_SERVICE_TOKEN")
        }
        Ok(status @ 500..) => Finding::warn(
            "service",
            format!("{} answers with {status}", Shown(url)),
            "the service is in trouble; reports wait until it is back",
        ),
        Ok(status) => Finding::ok("service", format!("{} answers ({status})", Shown(url))),
        Err(failure) => Finding::fail(
            "service",
            failure.message,
            "check TRANSCODING_SERVICE_URL; jobs are done without it, but silently",
        ),
    };
    vec![finding]
}
