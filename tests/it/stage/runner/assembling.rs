//! Assemble.

use std::sync::{Arc, Mutex};

use actors::domain::failure::FailureClass;
use actors::domain::unit::UnitId;
use actors::ports::{AssembleOutcome, AssembleRequest, RunStage as _, WorkStorage as _};
use tokio_util::sync::CancellationToken;

use super::workshop::Workshop;

const LARGE: &str =
    "film v00000.gdp at 1280x720\nfilm v00001.gdp at 1280x720\nfilm v00002.gdp at 1280x720\nfilm sounds\n";
const SMALL: &str = "film v00000.gdp at 640x360\nfilm v00001.gdp at 640x360\nfilm v00002.gdp at 640x360\n";

#[tokio::test]
async fn the_outputs_of_a_job_get_their_final_names_and_nothing_else_is_left_beside_them() {
    let workshop = Workshop::new();
    let reports = workshop.whole_job().await.expect("outputs");
    assert_eq!(workshop.names("out"), ["360p.ts", "720p.ts"]);
    assert_eq!((workshop.read("out/720p.ts").as_str(), workshop.read("out/360p.ts").as_str()), (LARGE, SMALL));
    let uris: Vec<_> = reports.iter().map(|report| report.uri.as_str()).collect();
    assert_eq!(uris, workshop.job.outputs.iter().map(|output| output.uri.as_str()).collect::<Vec<_>>());
    assert_eq!((reports[0].bytes, reports[0].duration), (LARGE.len() as u64, 30.0));
}

#[tokio::test]
async fn assembling_again_gives_the_same_reports_also_where_one_output_was_not_published() {
    let workshop = Workshop::new();
    let plan = workshop.split("film").await.expect("a plan");
    let parts = workshop.parts(&plan).await;
    let first = workshop.assemble(&plan, &parts).await.expect("outputs");
    std::fs::remove_file(workshop.path("out/360p.ts")).expect("removed");
    assert_eq!(workshop.assemble(&plan, &parts).await.expect("outputs"), first);
    assert_eq!(workshop.read("out/360p.ts"), SMALL);
}

#[tokio::test]
async fn an_output_of_the_same_content_without_a_record_is_taken_for_ours() {
    let workshop = Workshop::new();
    let plan = workshop.split("film").await.expect("a plan");
    let parts = workshop.parts(&plan).await;
    let first = workshop.assemble(&plan, &parts).await.expect("outputs");
    std::fs::remove_dir_all(workshop.path(&format!("{}/outputs", workshop.plan_directory(&plan)))).expect("removed");
    assert_eq!(workshop.assemble(&plan, &parts).await.expect("outputs"), first);
}

#[tokio::test]
async fn a_name_that_was_taken_meanwhile_is_refused_before_any_output_is_published() {
    let workshop = Workshop::new();
    let plan = workshop.split("film").await.expect("a plan");
    let parts = workshop.parts(&plan).await;
    std::fs::write(workshop.path("out/360p.ts"), "somebody else's").expect("written");
    let failure = workshop.assemble(&plan, &parts).await.expect_err("refused");
    assert_eq!(failure.class, FailureClass::Permanent);
    assert_eq!(workshop.names("out"), ["360p.ts"]);
    assert_eq!(workshop.read("out/360p.ts"), "somebody else's");
}

#[tokio::test]
async fn missing_parts_are_named_and_forgotten() {
    let workshop = Workshop::new();
    let plan = workshop.split("film").await.expect("a plan");
    let mut parts = workshop.parts(&plan).await;
    parts.remove(&UnitId::Chunk(0));
    let name = &parts[&UnitId::Chunk(2)].parts[1].file.name;
    std::fs::remove_file(workshop.path(&format!("{}/parts/{name}", workshop.plan_directory(&plan)))).expect("removed");
    let lost = workshop.assemble(&plan, &parts).await.expect("an outcome");
    assert_eq!(lost, AssembleOutcome::PartsLost(vec![UnitId::Chunk(0), UnitId::Chunk(2)]));
    assert_eq!(workshop.names("out"), Vec::<String>::new());
}

#[tokio::test]
async fn a_part_that_was_altered_is_found_made_again_and_then_the_output_is_whole() {
    let workshop = Workshop::new();
    let plan = workshop.split("film").await.expect("a plan");
    let mut parts = workshop.parts(&plan).await;
    let name = &parts[&UnitId::Chunk(1)].parts[0].file.name;
    let file = workshop.path(&format!("{}/parts/{name}", workshop.plan_directory(&plan)));
    let altered = std::fs::read_to_string(&file).expect("a part").replace("film", "milf");
    std::fs::write(&file, altered).expect("written");
    let lost = workshop.assemble(&plan, &parts).await.expect("an outcome");
    assert_eq!(lost, AssembleOutcome::PartsLost(vec![UnitId::Chunk(1)]));
    assert!(workshop.recorded(&plan).await.iter().all(|record| record.unit != UnitId::Chunk(1)));
    parts.insert(UnitId::Chunk(1), workshop.unit("film", &plan, UnitId::Chunk(1)).await.expect("a part"));
    workshop.assemble(&plan, &parts).await.expect("outputs");
    assert_eq!(workshop.read("out/720p.ts"), LARGE);
}

#[tokio::test]
async fn what_a_killed_worker_left_beside_an_output_is_removed() {
    let workshop = Workshop::new();
    let plan = workshop.split("film").await.expect("a plan");
    let parts = workshop.parts(&plan).await;
    let left = format!("out/.720p.ts.{}-abcdef.part", &plan.fingerprint().0[..12]);
    std::fs::write(workshop.path(&left), "half a film").expect("written");
    std::fs::write(workshop.path("out/.720p.ts.0123456789ab-abcdef.part"), "another job's").expect("written");
    workshop.assemble(&plan, &parts).await.expect("outputs");
    assert_eq!(workshop.names("out"), [".720p.ts.0123456789ab-abcdef.part", "360p.ts", "720p.ts"]);
}

#[tokio::test]
async fn removing_a_job_leaves_its_outputs_alone() {
    let workshop = Workshop::new();
    let plan = workshop.split("film").await.expect("a plan");
    let left = format!("out/.360p.ts.{}-abcdef.part", &plan.fingerprint().0[..12]);
    std::fs::write(workshop.path(&left), "half a film").expect("written");
    let parts = workshop.parts(&plan).await;
    std::fs::write(workshop.path("out/720p.ts"), "finished").expect("written");
    drop(parts);
    workshop.storage.remove(workshop.job.job_id.clone()).await.expect("removed");
    workshop.storage.remove(workshop.job.job_id.clone()).await.expect("removed again");
    assert_eq!((workshop.names("work"), workshop.names("out")), (Vec::new(), vec!["720p.ts".to_string()]));
    let gone = workshop.storage.plan(plan.job.job_id.clone(), plan.fingerprint().clone()).await.expect("an answer");
    assert_eq!(gone, None);
}

#[tokio::test]
async fn progress_goes_once_over_the_length_of_the_film_for_all_outputs_together() {
    let workshop = Workshop::new();
    let plan = workshop.split("film").await.expect("a plan");
    let parts = workshop.parts(&plan).await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&told);
    let progress = Box::new(move |ns| sink.lock().expect("a lock").push(ns));
    let request = AssembleRequest { plan: Arc::clone(&plan), parts };
    workshop.runner("film").run(request, progress, CancellationToken::new()).await.expect("outputs");
    let told = told.lock().expect("a lock");
    assert!(told.is_sorted() && told.last() == Some(&plan.duration_ns()), "{told:?}");
}
