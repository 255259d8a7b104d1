//! Places of the command line as URIs, and what can be checked of local files before any work is done.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use actors::domain::job::{Container, JobSpec, MediaUri};
use url::Url;

use super::super::Trouble;
use super::super::exit::cannot;
use crate::storage::{file_path, file_uri};

/// What tells two versions of a local file apart: device, inode, size and time of the last change.
pub(super) type Version = (u64, u64, u64, i64, i64);

/// The container that the extension asks for.
pub(super) fn container(output: &Path) -> Result<Container, Trouble> {
    let name = match as_uri(output) {
        Some(uri) => Url::parse(&uri).map_or(uri.clone(), |url| url.path().to_owned()),
        None => output.to_string_lossy().into_owned(),
    };
    let extension = Path::new(&name).extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
    match extension.as_deref() {
        Some("ts") => Ok(Container::Mpegts),
        Some("mp4") => Ok(Container::Mp4),
        Some("m3u8") => Err(Trouble::usage(format!("{name}: HLS is not supported yet, .ts and .mp4 are"))),
        Some(other) => {
            Err(Trouble::usage(format!("{name}: no container has the extension .{other}, .ts and .mp4 have")))
        }
        None => Err(Trouble::usage(format!("{name}: the output needs an extension, .ts or .mp4"))),
    }
}

/// A URI as it is, a path as an absolute `file://` URI.
pub(super) fn uri(place: &Path) -> Result<MediaUri, Trouble> {
    match as_uri(place) {
        Some(uri) => uri.parse().map_err(Trouble::Usage),
        None => file_uri(place).map_err(|failure| Trouble::Usage(failure.message)),
    }
}

fn as_uri(place: &Path) -> Option<String> {
    place.to_str().filter(|text| text.contains("://")).map(str::to_owned)
}

/// The version of a local file; `None` for what cannot be looked at here.
pub(super) fn version(uri: &MediaUri) -> Option<Version> {
    let known = fs::metadata(file_path(uri.as_str())?).ok()?;
    Some((known.dev(), known.ino(), known.len(), known.mtime(), known.mtime_nsec()))
}

/// Finds what is wrong with the local files of a job before the worker starts.
pub(super) fn check(job: &JobSpec) -> Result<(), Trouble> {
    if let Some(input) = file_path(job.input.uri.as_str()) {
        check_input(&input)?;
    }
    for output in job.outputs.iter().filter_map(|output| file_path(output.uri.as_str())) {
        check_output(&output, &job.input.uri)?;
    }
    Ok(())
}

fn check_input(input: &Path) -> Result<(), Trouble> {
    let wrong = |what: String| Err(Trouble::usage(format!("input {}: {what}", input.display())));
    match fs::metadata(input) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => wrong("there is no such file".into()),
        Err(error) => wrong(format!("cannot be looked at: {error}")),
        Ok(found) if found.is_dir() => wrong("is a directory, a media file is needed".into()),
        Ok(found) if !found.is_file() => wrong("is not a regular file; it is read more than once".into()),
        Ok(found) if found.len() == 0 => wrong("is empty".into()),
        Ok(_) => fs::File::open(input).map(drop).or_else(|error| wrong(format!("cannot be read: {error}"))),
    }
}

fn check_output(output: &Path, input: &MediaUri) -> Result<(), Trouble> {
    let wrong = |what: &str| Err(Trouble::usage(format!("output {}: {what}", output.display())));
    if output.is_dir() {
        return wrong("is a directory, the name of a file is needed");
    }
    let same = |a: &Path, b: &Path| matches!((fs::canonicalize(a), fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b);
    if file_path(input.as_str()).is_some_and(|input| same(&input, output)) {
        return wrong("is the input itself");
    }
    match output.ancestors().skip(1).find(|ancestor| ancestor.exists()) {
        Some(ancestor) if !ancestor.is_dir() => wrong(&format!("{} is not a directory", ancestor.display())),
        _ => Ok(()),
    }
}

/// Makes the directories that outputs go to.
pub(super) fn create_output_directories(job: &JobSpec) -> Result<(), Trouble> {
    for output in job.outputs.iter().filter_map(|output| file_path(output.uri.as_str())) {
        if let Some(parent) = output.parent() {
            fs::create_dir_all(parent).map_err(|error| cannot(format!("directory {}", parent.display()), error))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_absolute_percent_encoded_uris_and_come_back() {
        for name in ["/media/in.mp4", "/media/my film, 100% (1).mp4", "/média/映画#?.mp4"] {
            let uri = uri(Path::new(name)).expect("a URI");
            assert!(uri.as_str().is_ascii() && uri.as_str().starts_with("file:///"), "{uri}");
            assert_eq!(file_path(uri.as_str()), Some(name.into()));
        }
        let relative = uri(Path::new("in.mp4")).expect("a URI");
        assert_eq!(file_path(relative.as_str()), Some(std::env::current_dir().expect("a directory").join("in.mp4")));
        assert_eq!(uri(Path::new("s3://bucket/in.mp4")).expect("a URI").as_str(), "s3://bucket/in.mp4");
    }

    #[test]
    fn the_extension_is_the_container() {
        for (name, expected) in
            [("a.ts", Container::Mpegts), ("a.b.MP4", Container::Mp4), ("s3://bucket/x/a.mp4", Container::Mp4)]
        {
            assert_eq!(container(Path::new(name)).expect("a container"), expected, "{name}");
        }
        for (name, words) in
            [("a.m3u8", "not supported yet"), ("a.avi", ".avi"), ("a", "extension"), ("dir.ts/a", "extension")]
        {
            let refused = container(Path::new(name)).expect_err("refused").to_string();
            assert!(refused.contains(words), "{refused}");
        }
    }
}
