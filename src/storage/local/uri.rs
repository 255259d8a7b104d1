//! File URIs and the paths that they name: the only code that turns one into the other.

use std::path::{Path, PathBuf};

use actors::domain::failure::Failure;
use actors::domain::job::MediaUri;
use url::Url;

/// The path that a file URI names, as text: absolute.
pub(super) fn path_of(uri: &str, url: &Url) -> Result<String, Failure> {
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
    let path = path(url).ok_or_else(|| Failure::permanent(format!("`{uri}` names no path")))?;
    // Stage processes are told of paths as text.
    let text = path.into_os_string().into_string().ok().filter(|text| !text.contains('\0'));
    text.ok_or_else(|| Failure::permanent(format!("`{uri}` names a path that is not UTF-8, rename the file")))
}

/// The path of a `file://` URI, for those who look at local files beside the storage; `None` for all other URIs. The
/// storage itself refuses more of them, and says why.
pub fn file_path(uri: &str) -> Option<PathBuf> {
    path(&Url::parse(uri).ok().filter(|url| url.scheme() == "file")?)
}

/// As the `url` crate has it, which takes the end of `/media/Part A:` for the name of a drive and writes a slash behind it.
fn path(url: &Url) -> Option<PathBuf> {
    let path = url.to_file_path().ok()?;
    let is_directory = url.path().ends_with('/');
    let text = path.to_str().filter(|_| !is_directory).and_then(|text| text.strip_suffix('/'));
    Some(text.map(PathBuf::from).unwrap_or(path))
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

    fn path(uri: &str) -> Result<String, Failure> {
        path_of(uri, &Url::parse(uri).expect(uri))
    }

    fn refused(uri: &str) -> String {
        let failure = path(uri).expect_err(uri);
        assert_eq!(failure.class, FailureClass::Permanent, "{uri}");
        failure.message
    }

    #[test]
    fn a_uri_that_would_lead_to_another_file_is_refused_with_what_to_write() {
        assert!(refused("file://media/in.mp4").contains("three slashes"));
        assert!(refused("file:///media/film#1.mp4").contains("%23"));
        assert!(refused("file:///media/what?.mp4").contains("%3F"));
        assert!(refused("file:///media/%ff.mp4").contains("UTF-8"));
        assert!(refused("file:///media/a%00b.mp4").contains("UTF-8"));
    }

    #[test]
    fn escapes_and_dots_are_resolved() {
        assert_eq!(path("file:///a/My%20Film%231.mp4"), Ok("/a/My Film#1.mp4".into()));
        assert_eq!(path("file:///a/../b/./c.ts"), Ok("/b/c.ts".into()));
        assert_eq!(path("file://localhost/a.ts"), Ok("/a.ts".into()));
        assert_eq!(path("file:///media/Part%20A:"), Ok("/media/Part A:".into()), "no drive");
        assert_eq!(path("file:///media/work/"), Ok("/media/work/".into()));
    }

    #[test]
    fn only_a_file_uri_has_a_path() {
        assert_eq!(file_path("file:///a/My%20Film.mp4"), Some("/a/My Film.mp4".into()));
        assert_eq!(file_path("s3://bucket/a.mp4"), None);
        assert_eq!(file_path("/a/film.mp4"), None);
    }

    proptest! {
        #[test]
        fn a_path_comes_back_from_its_uri(name in "[^/\\x00-\\x1f\\x7f]{1,40}") {
            prop_assume!(name != "." && name != "..");
            let text = format!("/media/{name}");
            let uri = file_uri(Path::new(&text)).expect("a URI");
            prop_assert_eq!(file_path(uri.as_str()), Some(PathBuf::from(&text)));
            prop_assert_eq!(path(uri.as_str()), Ok(text));
        }
    }
}
