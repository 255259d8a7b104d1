//! From URIs to storages: the only code that looks at a scheme. A further storage is a further line of [`STORAGES`].

use std::path::Path;

use actors::domain::failure::Failure;
use actors::domain::job::MediaUri;
use url::Url;

use super::local;
use super::objects::Location;

/// Says where a URI of one's own scheme points; `permanent` where it names no place that the worker can reach.
type Locate = fn(&str, &Url) -> Result<Location, Failure>;

/// The schemes that can be read and written, each with its storage.
const STORAGES: &[(&str, Locate)] = &[("file", local::locate)];

/// Where a URI points.
///
/// # Errors
/// `permanent` where it names no place that the worker can reach.
pub(super) fn locate(uri: &str) -> Result<Location, Failure> {
    let url = Url::parse(uri).map_err(|error| Failure::permanent(format!("`{uri}` is not a URI: {error}")))?;
    let Some((_, locate)) = STORAGES.iter().find(|(scheme, _)| *scheme == url.scheme()) else {
        let known: Vec<_> = STORAGES.iter().map(|(scheme, _)| *scheme).collect();
        return Err(Failure::permanent(format!(
            "`{uri}` has the scheme `{}`, which this worker does not know; known: {}",
            url.scheme(),
            known.join(", ")
        )));
    };
    locate(uri, &url)
}

/// The place of an object, which has a name of its own.
///
/// # Errors
/// As [`locate`], and where it names a directory.
pub(super) fn locate_file(uri: &MediaUri) -> Result<Location, Failure> {
    let location = locate(uri.as_str())?;
    if uri.as_str().ends_with('/') || Path::new(&location.name).file_name().is_none() {
        return Err(Failure::permanent(format!("`{uri}` names a directory, name a file in it")));
    }
    Ok(location)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actors::domain::failure::FailureClass;

    fn refused(uri: &str) -> String {
        let failure = locate_file(&uri.parse().expect("a URI")).expect_err(uri);
        assert_eq!(failure.class, FailureClass::Permanent, "{uri}");
        failure.message
    }

    #[test]
    fn an_unknown_scheme_is_refused_with_the_known_ones() {
        let message = refused("gopher://media/in.mp4");
        assert!(message.contains("`gopher`") && message.contains("known: file"), "{message}");
    }

    #[test]
    fn a_directory_is_no_object() {
        assert!(refused("file:///media/out/").contains("name a file"));
        assert!(refused("file:///media/..").contains("name a file"));
        assert_eq!(locate("file:///media/work/").expect("a location").name, "/media/work/");
    }
}
