use super::*;

async fn pending(target: &Path) -> Pending {
    let files = LocalFiles::new(PathBuf::new(), Attempt::WriteOutput);
    files.pending(target.to_str().expect("text"), "0a1b").await.expect("a pending file")
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).expect("a directory");
    let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_published_file_is_whole_and_leaves_no_other_name() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("new/out.ts");
    let file = pending(&target).await;
    std::fs::write(file.path(), b"film").unwrap();
    let hidden = names(target.parent().unwrap());
    assert!(hidden.len() == 1 && hidden[0].starts_with(".out.ts.0a1b-") && hidden[0].ends_with(".part"), "{hidden:?}");
    file.publish().await.expect("published");
    assert_eq!(names(target.parent().unwrap()), ["out.ts"]);
    assert_eq!(std::fs::read(&target).unwrap(), b"film");
}

#[tokio::test]
async fn a_published_file_has_the_permissions_of_any_new_file() {
    let dir = tempfile::tempdir().unwrap();
    let ordinary = dir.path().join("ordinary");
    std::fs::write(&ordinary, b"").unwrap();
    let target = dir.path().join("out.ts");
    pending(&target).await.publish().await.expect("published");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&target), mode(&ordinary));
}

#[test]
fn only_the_stale_files_of_the_same_name_and_plan_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    for name in [".out.ts.0a1b-x.part", ".out.ts.9999-x.part", ".in.ts.0a1b-x.part", "out.ts", ".out.ts.0a1b-x.keep"] {
        std::fs::write(dir.path().join(name), b"").unwrap();
    }
    remove_stale(&dir.path().join("out.ts"), "0a1b");
    assert_eq!(names(dir.path()), [".in.ts.0a1b-x.part", ".out.ts.0a1b-x.keep", ".out.ts.9999-x.part", "out.ts"]);
}

#[tokio::test]
async fn the_longest_name_that_the_file_system_allows_can_be_published() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("é".repeat(127));
    pending(&target).await.publish().await.expect("published");
    assert!(target.exists());
}
