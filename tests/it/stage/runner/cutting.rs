//! Split.

use actors::domain::failure::FailureClass;
use actors::ports::WorkStorage as _;

use super::workshop::Workshop;

#[tokio::test]
async fn a_split_leaves_a_plan_with_all_its_sources_and_no_scratch() {
    let workshop = Workshop::new();
    let plan = workshop.split("film").await.expect("a plan");
    let directory = workshop.plan_directory(&plan);
    assert_eq!(workshop.names(&format!("{directory}/source")), ["audio.gdp", "v00000.gdp", "v00001.gdp", "v00002.gdp"]);
    assert_eq!(workshop.read(&format!("{directory}/source/v00001.gdp")), "film v00001.gdp");
    assert_eq!(workshop.names("work/movie-42"), [plan.fingerprint().0.clone()]);
    let stored = workshop.storage.plan(plan.job.job_id.clone(), plan.fingerprint().clone()).await.expect("an answer");
    assert_eq!(stored.as_ref(), Some(&plan));
}

#[tokio::test]
async fn the_first_plan_stays_when_a_job_is_split_again() {
    let workshop = Workshop::new();
    let first = workshop.split("film").await.expect("a plan");
    let file = workshop.path(&format!("{}/plan.json", workshop.plan_directory(&first)));
    let text = std::fs::read_to_string(&file).expect("a plan").replace("\"parallelism\":2", "\"parallelism\":9");
    std::fs::write(&file, text).expect("written");
    assert_eq!(workshop.split("film").await.expect("a plan").parallelism, 9);
}

#[tokio::test]
async fn a_damaged_plan_is_replaced() {
    let workshop = Workshop::new();
    let plan = workshop.split("film").await.expect("a plan");
    let file = workshop.path(&format!("{}/plan.json", workshop.plan_directory(&plan)));
    std::fs::write(&file, "{").expect("written");
    let missing = workshop.storage.plan(plan.job.job_id.clone(), plan.fingerprint().clone()).await.expect("an answer");
    assert_eq!(missing, None);
    assert_eq!(workshop.split("film").await.expect("a plan"), plan);
    let stored = workshop.storage.plan(plan.job.job_id.clone(), plan.fingerprint().clone()).await.expect("an answer");
    assert_eq!(stored, Some(plan));
}

#[tokio::test]
async fn an_input_that_changes_while_it_is_cut_gives_no_plan() {
    let workshop = Workshop::new();
    let failure = workshop.split("film-altered-input").await.expect_err("no plan");
    assert_eq!(failure.class, FailureClass::Retryable);
    assert!(failure.message.contains("changed while it was read"), "{failure}");
    assert_eq!(workshop.names("work/movie-42"), Vec::<String>::new());
}

#[tokio::test]
async fn a_stage_that_crashes_leaves_no_scratch() {
    let workshop = Workshop::new();
    workshop.split("segfault").await.expect_err("no plan");
    assert_eq!(workshop.names("work/movie-42"), Vec::<String>::new());
}

#[tokio::test]
async fn a_result_of_another_stage_is_refused() {
    let failure = Workshop::new().split("another").await.expect_err("no plan");
    assert_eq!(failure.class, FailureClass::Retryable);
    assert!(failure.message.contains("garbage on the protocol of the split stage"), "{failure}");
}

#[tokio::test]
async fn an_output_that_exists_is_refused_before_anything_is_done() {
    let workshop = Workshop::new();
    std::fs::create_dir(workshop.path("out")).expect("a directory");
    std::fs::write(workshop.path("out/360p.ts"), "somebody else's").expect("written");
    let failure = workshop.split("film").await.expect_err("no plan");
    assert_eq!(failure.class, FailureClass::Permanent);
    assert!(failure.message.contains("360p.ts exists"), "{failure}");
    assert_eq!(workshop.names("work"), Vec::<String>::new());
}

#[tokio::test]
async fn an_output_that_exists_may_be_replaced_where_that_is_asked_for() {
    let workshop = Workshop::overwriting();
    std::fs::create_dir(workshop.path("out")).expect("a directory");
    std::fs::write(workshop.path("out/360p.ts"), "old").expect("written");
    workshop.whole_job().await.expect("outputs");
    assert!(workshop.read("out/360p.ts").starts_with("film v00000.gdp at 640x360"));
}

#[tokio::test]
async fn an_output_of_this_job_is_not_in_its_own_way() {
    let workshop = Workshop::new();
    let first = workshop.whole_job().await.expect("outputs");
    assert_eq!(workshop.whole_job().await.expect("outputs"), first);
}
