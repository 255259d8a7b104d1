//! From URIs to places and back: the only code that does so. A further storage is a further scheme here.

use std::path::{Path, PathBuf};

use actors::domain::failure::Failure;
use actors::domain::job::MediaUri;
use url::Url;

/// The schemes that can be read and written.
pub const KNOWN_SCHEMES: &[&str] = &["file"];

/// Where a URI points. A remote storage will be a further variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Location {
    /// A file of this machine, or of a file system that is mounted here. Absolute and UTF-8.
    Local(PathBuf),
}

impl Location {
    /// Reads a URI.
    ///
    /// # Errors
    /// `permanent` where it names no place that the worker can reach.
    pub(super) fn parse(uri: &str) -> Result<Self, Failure> {
        let url = Url::parse(uri).map_err(|error| Failure::permanent(format!("`{uri}` is not a URI: {error}")))?;
        match url.scheme() {
            "file" => local_path(uri, &url).map(Self::Local),
            scheme => Err(Failure::permanent(format!(
                "`{uri}` has the scheme `{scheme}`, which this worker does not know; known: {}",
                KNOWN_SCHEMES.join(", ")
            ))),
        }
    }

    /// The place of a file, which has a name.
    ///
    /// # Errors
    /// As [`Self::parse`], and where it names a directory.
    pub(super) fn file(uri: &MediaUri) -> Result<Self, Failure> {
        let location = Self::parse(uri.as_str())?;
        let Self::Local(path) = &location;
        if uri.as_str().ends_with('/') || path.file_name().is_none() {
            return Err(Failure::permanent(format!("`{uri}` names a directory, name a file in it")));
        }
        Ok(location)
    }
}

fn local_path(uri: &str, url: &Url) -> Result<PathBuf, Failure> {
    if url.host_str().is_some_and(|host| host != "localhost") {
        return Err(Failure::permanent(format!(
            "`{uri}` names another machine, a file of this one begins with three slashes: file:///media/film.mp4"
        )));
    }
    // A browser would drop these; here they belong to the name and would lead to another file.
    for (part, sign, written) in [(url.query(), '?', "%3F"), (url.fragment(), '#', "%23")] {
        if part.is_some() {
            return Err(Failure::permanent(format!("`{uri}` has a `{sign}`, which a file URI writes as {written}")));
        }
    }
    let path = url.to_file_path().map_err(|()| Failure::permanent(format!("`{uri}` names no path")))?;
    // Stage processes are told of paths as text.
    if path.to_str().is_none_or(|text| text.contains('\0')) {
        return Err(Failure::permanent(format!("`{uri}` names a path that is not UTF-8, rename the file")));
    }
    Ok(path)
}

/// The URI of a file of this machine; a relative path is taken from the current directory.
///
/// # Errors
/// `permanent` where the path cannot be written as a URI.
pub fn file_uri(path: &Path) -> Result<MediaUri, Failure> {
    let wrong = |why: &str| Failure::permanent(format!("`{}` {why}", path.display()));
    if path.to_str().is_none() {
        return Err(wrong("is not UTF-8, rename the file"));
    }
    let absolute = std::path::absolute(path).map_err(|error| wrong(&format!("cannot be made absolute: {error}")))?;
    let url = Url::from_file_path(&absolute).map_err(|()| wrong("cannot be written as a URI"))?;
    url.as_str().parse().map_err(|error: String| wrong(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actors::domain::failure::FailureClass;
    use proptest::prelude::*;

    fn refused(uri: &str) -> String {
        let failure = Location::parse(uri).and_then(|_| Location::file(&uri.parse().expect("a URI"))).expect_err(uri);
        assert_eq!(failure.class, FailureClass::Permanent, "{uri}");
        failure.message
    }

    #[test]
    fn an_unknown_scheme_is_refused_with_the_known_ones() {
        let message = refused("gopher://media/in.mp4");
        assert!(message.contains("`gopher`") && message.contains("known: file"), "{message}");
    }

    #[test]
    fn a_uri_that_would_lead_to_another_file_is_refused_with_what_to_write() {
        assert!(refused("file://media/in.mp4").contains("three slashes"));
        assert!(refused("file:///media/film#1.mp4").contains("%23"));
        assert!(refused("file:///media/what?.mp4").contains("%3F"));
        assert!(refused("file:///media/%ff.mp4").contains("UTF-8"));
        assert!(refused("file:///media/a%00b.mp4").contains("UTF-8"));
        assert!(refused("file:///media/out/").contains("name a file"));
        assert!(refused("file:///media/..").contains("name a file"));
    }

    #[test]
    fn escapes_and_dots_are_resolved() {
        let path = |uri: &str| Location::parse(uri).expect(uri);
        assert_eq!(path("file:///a/My%20Film%231.mp4"), Location::Local("/a/My Film#1.mp4".into()));
        assert_eq!(path("file:///a/../b/./c.ts"), Location::Local("/b/c.ts".into()));
        assert_eq!(path("file://localhost/a.ts"), Location::Local("/a.ts".into()));
    }

    proptest! {
        #[test]
        fn a_path_comes_back_from_its_uri(name in "[^/\\x00-\\x1f\\x7f]{1,40}") {
            prop_assume!(name != "." && name != "..");
            let path = Path::new("/media").join(&name);
            let uri = file_uri(&path).expect("a URI");
            prop_assert_eq!(Location::file(&uri), Ok(Location::Local(path)));
        }
    }
}
