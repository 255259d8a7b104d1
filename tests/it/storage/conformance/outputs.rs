//! What jobs name: outputs that appear whole, and inputs that are read.

use gstreamer_worker::storage::Existing;

use super::{Subject, permanent, plan};

pub(super) async fn an_output_appears_whole_or_not_at_all(subject: &Subject) {
    let uri = subject.uri("new/deep/out.ts");
    let pending = subject.written(&uri, &plan("0a"), "film").await;
    assert_eq!(pending.bytes().await, Ok(4));
    assert_eq!(subject.existing(&uri, "film").await, Existing::Nothing);
    pending.publish().await.expect("published");
    assert_eq!(subject.existing(&uri, "film").await, Existing::Same);
    assert_eq!(subject.num_pending(), 0);
}

pub(super) async fn a_pending_output_that_is_dropped_leaves_nothing(subject: &Subject) {
    let uri = subject.uri("out.ts");
    let pending = subject.written(&uri, &plan("0a"), "film").await;
    let path = pending.path().to_owned();
    drop(pending);
    assert!(!path.exists());
    assert_eq!((subject.existing(&uri, "film").await, subject.num_pending()), (Existing::Nothing, 0));
}

pub(super) async fn publishing_replaces_but_publishing_new_does_not(subject: &Subject) {
    let (uri, plan) = (subject.uri("out.ts"), plan("0a"));
    assert_eq!(subject.written(&uri, &plan, "old").await.publish_new().await, Ok(true));
    assert_eq!(subject.written(&uri, &plan, "new").await.publish_new().await, Ok(false));
    assert_eq!(subject.existing(&uri, "old").await, Existing::Same);
    assert_eq!(subject.written(&uri, &plan, "new").await.publish().await, Ok(()));
    assert_eq!(subject.existing(&uri, "new").await, Existing::Same);
    assert_eq!(subject.num_pending(), 0);
}

pub(super) async fn of_many_that_publish_one_new_name_at_once_exactly_one_does(subject: &Subject) {
    let uri = subject.uri("out.ts");
    let mut tasks = Vec::new();
    for index in 0..16 {
        let content = format!("film {index}");
        let pending = subject.written(&uri, &plan("0a"), &content).await;
        tasks.push(tokio::spawn(async move { (content, pending.publish_new().await.expect("an answer")) }));
    }
    let mut winners = Vec::new();
    for task in tasks {
        let (content, published) = task.await.expect("an end");
        winners.extend(published.then_some(content));
    }
    assert_eq!(winners.len(), 1, "{winners:?}");
    assert_eq!(subject.existing(&uri, &winners[0]).await, Existing::Same);
    assert_eq!(subject.num_pending(), 0);
}

pub(super) async fn outputs_are_compared_by_size_and_content(subject: &Subject) {
    let uri = subject.uri("out.ts");
    assert_eq!(subject.existing(&uri, "film").await, Existing::Nothing);
    subject.written(&uri, &plan("0a"), "film").await.publish().await.expect("published");
    assert_eq!(subject.existing(&uri, "film").await, Existing::Same);
    assert_eq!(subject.existing(&uri, "milf").await, Existing::Other);
    assert_eq!(subject.existing(&uri, "a film").await, Existing::Other);
    assert_eq!(subject.existing(&uri, "").await, Existing::Other);
    // Below it there are objects, but there is none of this name.
    let above = subject.uri("directory");
    let below = subject.uri("directory/out.ts");
    subject.written(&below, &plan("0a"), "film").await.publish().await.expect("published");
    assert_ne!(subject.existing(&above, "film").await, Existing::Same);
}

pub(super) async fn only_the_stale_outputs_of_the_same_name_and_plan_are_removed(subject: &Subject) {
    let (uri, other_uri) = (subject.uri("out.ts"), subject.uri("in.ts"));
    // Its worker was killed.
    std::mem::forget(subject.written(&uri, &plan("0a"), "half a film").await);
    let others = [
        (&uri, subject.written(&uri, &plan("99"), "another plan's").await, "another plan's"),
        (&other_uri, subject.written(&other_uri, &plan("0a"), "another name's").await, "another name's"),
    ];
    subject.storage.remove_stale_outputs(&uri, &plan("0a")).await.expect("removed");
    // Others may lie on this machine alone until they are published.
    assert!(subject.num_pending() <= others.len(), "{}", subject.num_pending());
    for (uri, pending, content) in others {
        pending.publish().await.expect("published");
        assert_eq!(subject.existing(uri, content).await, Existing::Same);
    }
    subject.storage.remove_stale_outputs(&uri, &plan("99")).await.expect("nothing to remove");
    assert_eq!(subject.existing(&uri, "another plan's").await, Existing::Same);
}

pub(super) async fn an_output_is_proven_writable_and_leaves_nothing(subject: &Subject) {
    let uri = subject.uri("new/deep/out.ts");
    assert_eq!(subject.storage.check_output(&uri).await, Ok(false));
    assert_eq!((subject.existing(&uri, "").await, subject.num_pending()), (Existing::Nothing, 0));
    subject.written(&uri, &plan("0a"), "film").await.publish().await.expect("published");
    assert_eq!(subject.storage.check_output(&uri).await, Ok(true));
    assert_eq!((subject.existing(&uri, "film").await, subject.num_pending()), (Existing::Same, 0));
}

pub(super) async fn what_was_published_can_be_read_and_is_known_again(subject: &Subject) {
    let uri = subject.uri("My%20Film%20%231%20%2850%25%29.mp4");
    subject.written(&uri, &plan("0a"), "film").await.publish().await.expect("published");
    let input = subject.storage.fetch(&uri).await.expect("an input");
    assert_eq!(std::fs::read_to_string(input.path()).expect("a file of this machine"), "film");
    let first = subject.storage.identify(&uri).await.expect("an identity");
    assert_eq!(first.bytes, 4);
    assert_eq!(subject.storage.identify(&uri).await.expect("an identity"), first);
    drop(input);
    subject.written(&uri, &plan("0a"), "another film").await.publish().await.expect("published");
    assert_ne!(subject.storage.identify(&uri).await.expect("an identity"), first);
}

pub(super) async fn an_input_that_is_missing_or_empty_is_refused(subject: &Subject) {
    let (missing, empty) = (subject.uri("missing.mp4"), subject.uri("empty.mp4"));
    subject.written(&empty, &plan("0a"), "").await.publish().await.expect("published");
    for (uri, text) in [(missing, "does not exist"), (empty, "is empty")] {
        let message = permanent(subject.storage.identify(&uri).await);
        assert!(message.contains(text), "{message}");
        assert_eq!(permanent(subject.storage.fetch(&uri).await), message);
    }
}

pub(super) async fn a_directory_is_no_object(subject: &Subject) {
    let (uri, plan) = (subject.uri("out/"), plan("0a"));
    for message in [
        permanent(subject.storage.identify(&uri).await),
        permanent(subject.storage.fetch(&uri).await),
        permanent(subject.storage.check_output(&uri).await),
        permanent(subject.storage.pending_output(&uri, &plan).await),
        permanent(subject.storage.compare_output(&uri, 4, "00").await),
        permanent(subject.storage.remove_stale_outputs(&uri, &plan).await),
    ] {
        assert!(message.contains("names a directory"), "{message}");
    }
}
