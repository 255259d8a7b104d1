//! Links lead to files and headings that are there, and every page is linked.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{code_spans, pages, prose, root, text};

/// Folders of the repository, as paths in the pages begin.
const FOLDERS: [&str; 8] = ["actors/", "benches/", "bundle/", "docker/", "docs/", "k8s/", "src/", "tests/"];

/// The targets of a page's links.
fn links(page: &str) -> Vec<&str> {
    prose(page)
        .flat_map(|line| line.split("](").skip(1))
        .map(|rest| rest.split_once(')').unwrap_or_else(|| panic!("a link without an end: {rest}")).0)
        .collect()
}

/// The anchor that a heading gets where the page is shown: small letters, hyphens for spaces, no punctuation.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors(page: &str) -> BTreeSet<String> {
    prose(page).filter(|line| line.starts_with('#')).map(|line| anchor(line.trim_start_matches('#'))).collect()
}

/// Where a relative link leads; `None` for one to another site.
fn target(page: &Path, link: &str) -> Option<(PathBuf, Option<String>)> {
    if link.contains("://") {
        return None;
    }
    let (file, heading) = match link.split_once('#') {
        Some((file, heading)) => (file, Some(heading.to_owned())),
        None => (link, None),
    };
    let directory = page.parent().expect("a file");
    Some((if file.is_empty() { page.to_owned() } else { directory.join(file) }, heading))
}

/// What is wrong with the links of a page.
fn dead_links(page: &Path) -> Vec<String> {
    let page_text = text(page);
    let is_dead = |link: &&str| match target(page, link) {
        Some((file, _)) if !file.exists() => true,
        Some((file, Some(heading))) => !anchors(&text(&file)).contains(&heading),
        Some((_, None)) | None => false,
    };
    links(&page_text).into_iter().filter(is_dead).map(|link| format!("{}: {link}", page.display())).collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_are_there() {
    let dead: Vec<String> = pages().iter().flat_map(|page| dead_links(page)).collect();
    assert!(dead.is_empty(), "links that lead nowhere:\n{}", dead.join("\n"));
}

#[test]
fn a_link_that_leads_nowhere_is_noticed() {
    let directory = tempfile::tempdir().expect("a directory");
    let page = directory.path().join("page.md");
    let other = directory.path().join("other.md");
    std::fs::write(&other, "# A `name`, and more\n\n```\n# no heading\n```\n").expect("written");
    let good = "[a](other.md) [b](other.md#a-name-and-more) [c](#here) [d](https://example.com/x)\n\n## Here\n";
    std::fs::write(&page, good).expect("written");
    assert_eq!(dead_links(&page), Vec::<String>::new());
    for dead in ["gone.md", "other.md#gone", "other.md#no-heading", "#gone"] {
        std::fs::write(&page, format!("{good}\n[e]({dead})\n")).expect("written");
        assert_eq!(dead_links(&page), [format!("{}: {dead}", page.display())]);
    }
}

#[test]
fn every_page_is_linked_from_another_one() {
    let real = |path: PathBuf| path.canonicalize().unwrap_or(path);
    let linked: BTreeSet<PathBuf> = pages()
        .iter()
        .flat_map(|page| {
            let page_text = text(page);
            let targets = links(&page_text).into_iter().filter_map(|link| target(page, link));
            targets.map(|(file, _)| real(file)).filter(|file| *file != real(page.clone())).collect::<Vec<_>>()
        })
        .collect();
    for page in pages().into_iter().skip(1) {
        assert!(linked.contains(&real(page.clone())), "{} is linked from nowhere", page.display());
    }
}

#[test]
fn every_file_that_a_page_names_is_there() {
    let mut gone = Vec::new();
    for page in pages() {
        for span in code_spans(&text(&page)) {
            let name = span.split_whitespace().next().unwrap_or_default();
            if FOLDERS.iter().any(|folder| name.starts_with(folder)) && !root().join(name).exists() {
                gone.push(format!("{}: {name}", page.display()));
            }
        }
    }
    assert!(gone.is_empty(), "files that are not there:\n{}", gone.join("\n"));
}
