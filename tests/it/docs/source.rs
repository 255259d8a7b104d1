//! The shape of the source: no circle of files that use each other, no file that has to be scrolled for long.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const CRATES: [&str; 2] = ["src", "actors/src"];
/// A longer file wants to be two.
const LONGEST: usize = 400;
/// Half of the files are shorter.
const MEDIAN: usize = 150;

/// All source files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            found.extend(files(&entry));
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            found.push(entry);
        }
    }
    found
}

/// Of what is built for production alone: tests may look at everything.
fn modules(root: &Path) -> BTreeMap<Vec<String>, String> {
    let of_tests = |path: &Path| {
        path.iter().any(|part| part == "tests" || part == "testing" || part == "tests.rs" || part == "testing.rs")
    };
    let mut found = BTreeMap::new();
    for path in files(root).into_iter().filter(|path| !of_tests(path)) {
        let inside = path.strip_prefix(root).expect("it is below").with_extension("");
        let mut name: Vec<String> = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        name.pop_if(|last| ["mod", "lib", "main"].contains(&last.as_str()));
        let text = fs::read_to_string(&path).expect("a source file");
        let production = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned();
        // `main.rs` beside `lib.rs` only calls it.
        found.entry(name).or_insert_with(String::new).push_str(&production);
    }
    found
}

/// The paths that a tree of `use` names.
fn paths(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((before, inside)) = tree.strip_suffix('}').and_then(|tree| tree.split_once('{')) else {
        return vec![tree.split(" as ").next().unwrap_or_default().to_owned()];
    };
    let (mut branches, mut branch, mut depth) = (Vec::new(), String::new(), 0);
    for letter in inside.chars().chain([',']) {
        match letter {
            ',' if depth == 0 => branches.push(std::mem::take(&mut branch)),
            _ => branch.push(letter),
        }
        depth += i32::from(letter == '{') - i32::from(letter == '}');
    }
    branches
        .iter()
        .filter(|branch| !branch.trim().is_empty())
        .flat_map(|one| paths(&format!("{before}{}", one.trim())))
        .collect()
}

/// The module that a path of `use` in `here` leads to.
fn target(here: &[String], path: &str, modules: &BTreeMap<Vec<String>, String>) -> Option<Vec<String>> {
    let mut parts: Vec<String> = path.split("::").map(|part| part.trim().to_owned()).collect();
    let mut base = here.to_vec();
    match parts[0].as_str() {
        "crate" => base.clear(),
        "self" => {}
        "super" => {
            while parts.first().is_some_and(|part| part == "super") {
                parts.remove(0);
                base.pop()?;
            }
            parts.insert(0, String::new());
        }
        child => {
            let mut below = here.to_vec();
            below.push(child.to_owned());
            modules.contains_key(&below).then_some(())?;
            parts.insert(0, String::new());
        }
    }
    parts.remove(0);
    base.extend(parts);
    while !modules.contains_key(&base) {
        base.pop()?;
    }
    (base != here && !base.is_empty()).then_some(base)
}

fn uses(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("use ") {
        let line = before.rsplit('\n').next().unwrap_or_default().trim();
        let is_item = line.is_empty() || (line.starts_with("pub") && !line.contains("//"));
        if let Some((tree, _)) = after.split_once(';').filter(|_| is_item) {
            found.extend(paths(&tree.split_whitespace().collect::<Vec<_>>().join(" ")));
        }
        rest = after;
    }
    found
}

/// Whom a module uses, and whom these use.
fn reached(from: &[String], edges: &BTreeMap<Vec<String>, BTreeSet<Vec<String>>>) -> BTreeSet<Vec<String>> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from.to_vec()]);
    while let Some(module) = open.pop() {
        for next in edges.get(&module).into_iter().flatten() {
            if seen.insert(next.clone()) {
                open.push(next.clone());
            }
        }
    }
    seen
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    for root in CRATES {
        let modules = modules(&Path::new(env!("CARGO_MANIFEST_DIR")).join(root));
        let edges = modules.iter().map(|(name, text)| {
            let targets = uses(text).into_iter().filter_map(|path| target(name, &path, &modules));
            (name.clone(), targets.collect::<BTreeSet<_>>())
        });
        let edges: BTreeMap<_, _> = edges.collect();
        assert!(
            edges.values().map(BTreeSet::len).sum::<usize>() > modules.len(),
            "{root}: hardly any file uses another"
        );
        let in_circles = edges.keys().filter(|name| reached(name, &edges).contains(*name));
        let in_circles: Vec<String> = in_circles.map(|name| name.join("::")).collect();
        assert_eq!(in_circles, Vec::<String>::new(), "{root}: these use each other in a circle");
    }
}

#[test]
fn no_file_is_long_and_most_are_short() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut lengths = Vec::new();
    for path in CRATES.iter().chain(&["tests"]).flat_map(|directory| files(&root.join(directory))) {
        let lines = fs::read_to_string(&path).expect("a source file").lines().count();
        assert!(lines <= LONGEST, "{} has {lines} lines", path.display());
        lengths.push(lines);
    }
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    assert!(median < MEDIAN, "half of the files have {median} lines or more");
}
