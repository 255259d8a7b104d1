//! What every storage has to do, whatever its scheme is: run on the places that its URIs name, through the storage that
//! the worker uses. Each case gets an empty place of its own.

mod outputs;
mod work;

use actors::domain::failure::{Failure, FailureClass};
use actors::domain::fingerprint::Fingerprint;
use actors::domain::job::{JobId, MediaUri, hex};
use futures_util::future::LocalBoxFuture;
use gstreamer_worker::storage::{Existing, Pending, Storage};
use sha2::{Digest as _, Sha256};

/// An empty place in a storage.
pub struct Place {
    /// Of the place itself, without a slash at the end.
    pub uri: String,
    /// How many pending objects lie in it that nobody published, counted without the worker.
    pub pending: Box<dyn Fn() -> usize>,
}

/// A place and the storage that has its work there.
struct Subject {
    place: Place,
    storage: Storage,
}

struct Case {
    name: &'static str,
    run: for<'a> fn(&'a Subject) -> LocalBoxFuture<'a, ()>,
}

macro_rules! cases {
    ($($module:ident :: $name:ident),* $(,)?) => {
        [$(Case { name: stringify!($name), run: |subject| Box::pin($module::$name(subject)) }),*]
    };
}

/// Runs all cases, each on a place made by `make`. Panics on the first promise that is not kept; the name of the case is
/// the last line printed.
pub async fn conforms(mut make: impl FnMut() -> Place) {
    for case in cases![
        outputs::an_output_appears_whole_or_not_at_all,
        outputs::a_pending_output_that_is_dropped_leaves_nothing,
        outputs::publishing_replaces_but_publishing_new_does_not,
        outputs::of_many_that_publish_one_new_name_at_once_exactly_one_does,
        outputs::outputs_are_compared_by_size_and_content,
        outputs::only_the_stale_outputs_of_the_same_name_and_plan_are_removed,
        outputs::an_output_is_proven_writable_and_leaves_nothing,
        outputs::what_was_published_can_be_read_and_is_known_again,
        outputs::an_input_that_is_missing_or_empty_is_refused,
        outputs::a_directory_is_no_object,
        work::sources_are_found_once_they_are_published,
        work::sources_of_which_one_is_missing_can_be_published_again,
        work::a_part_is_found_under_its_digest_and_with_its_size_alone,
        work::a_part_that_is_discarded_is_not_recorded_until_it_is_made_again,
        work::the_first_choice_of_devices_stays_until_the_job_is_removed,
        work::of_many_that_choose_devices_at_once_all_are_told_of_one_choice,
        work::everything_of_a_job_is_removed_and_nothing_else,
        work::what_was_stored_is_there_for_whoever_opens_the_storage_next,
        work::a_name_that_leads_elsewhere_is_refused,
    ] {
        println!("{}", case.name);
        (case.run)(&Subject::new(make())).await;
    }
}

impl Subject {
    fn new(place: Place) -> Self {
        let storage = open(&place);
        Self { place, storage }
    }

    /// An object that is not in the work storage.
    fn uri(&self, name: &str) -> MediaUri {
        format!("{}/media/{name}", self.place.uri).parse().expect("a URI")
    }

    fn num_pending(&self) -> usize {
        (self.place.pending)()
    }

    /// An output of `plan` with this content, not published.
    async fn written(&self, uri: &MediaUri, plan: &Fingerprint, content: &str) -> Pending {
        let pending = self.storage.pending_output(uri, plan).await.expect("a pending output");
        write(&pending, content);
        pending
    }

    async fn existing(&self, uri: &MediaUri, content: &str) -> Existing {
        let sha256 = hex(&Sha256::digest(content));
        self.storage.compare_output(uri, content.len() as u64, &sha256).await.expect("an answer")
    }
}

fn open(place: &Place) -> Storage {
    Storage::open(&format!("{}/work", place.uri)).expect("a work storage")
}

fn write(pending: &Pending, content: &str) {
    std::fs::write(pending.path(), content).expect("written");
}

fn plan(letters: &str) -> Fingerprint {
    Fingerprint(letters.repeat(32))
}

fn job(name: &str) -> JobId {
    name.parse().expect("an id")
}

fn permanent<T: std::fmt::Debug>(result: Result<T, Failure>) -> String {
    let failure = result.expect_err("a failure");
    assert_eq!(failure.class, FailureClass::Permanent, "{failure}");
    failure.message
}
