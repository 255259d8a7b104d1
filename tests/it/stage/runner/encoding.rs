//! Encode and audio.

use std::sync::Arc;

use actors::domain::failure::FailureClass;
use actors::domain::fingerprint::Fingerprint;
use actors::domain::part::Part;
use actors::domain::plan::testing::video_of;
use actors::domain::plan::{PinnedPlan, Plan};
use actors::domain::unit::UnitId;
use actors::ports::WorkStorage as _;

use super::workshop::Workshop;

#[tokio::test]
async fn a_part_has_a_file_for_each_rendition_named_by_its_digest() {
    let workshop = Workshop::new();
    let plan = workshop.split("film").await.expect("a plan");
    let record = workshop.unit("film", &plan, UnitId::Chunk(1)).await.expect("a part");
    assert_eq!(record.worker, "worker-1");
    let names: Vec<_> = record.parts.iter().map(|part| part.file.name.as_str()).collect();
    for (rendition, Part { file, .. }) in record.parts.iter().enumerate() {
        assert_eq!(file.name, format!("v{rendition}-v00001-{}.gdp", &file.sha256[..16]));
    }
    let parts = format!("{}/parts", workshop.plan_directory(&plan));
    assert_eq!(workshop.names(&parts), names);
    assert_eq!(workshop.read(&format!("{parts}/{}", names[1])), "film v00001.gdp at 640x360\n");
    assert_eq!(workshop.recorded(&plan).await, [record]);
}

#[tokio::test]
async fn the_audio_is_one_part() {
    let workshop = Workshop::new();
    let plan = workshop.split("film").await.expect("a plan");
    let record = workshop.unit("film", &plan, UnitId::Audio(0)).await.expect("a part");
    assert_eq!(record.unit, UnitId::Audio(0));
    assert!(record.parts.len() == 1 && record.parts[0].file.name.starts_with("a0-audio-"), "{record:?}");
}

#[tokio::test]
async fn a_stage_that_writes_less_than_it_tells_gives_no_part() {
    let workshop = Workshop::new();
    let plan = workshop.split("film").await.expect("a plan");
    let failure = workshop.unit("film-cut-short", &plan, UnitId::Chunk(0)).await.expect_err("no part");
    assert!(failure.class == FailureClass::Retryable && failure.message.contains("and wrote 1"), "{failure}");
    assert_eq!(workshop.names(&format!("{}/parts", workshop.plan_directory(&plan))), Vec::<String>::new());
    assert_eq!(workshop.recorded(&plan).await, []);
}

#[tokio::test]
async fn a_source_that_is_missing_or_damaged_is_lost_and_can_be_made_again_by_a_split() {
    let workshop = Workshop::new();
    let plan = workshop.split("film").await.expect("a plan");
    let source = workshop.path(&format!("{}/source/v00002.gdp", workshop.plan_directory(&plan)));
    let whole = std::fs::read(&source).expect("a source");
    std::fs::remove_file(&source).expect("removed");
    assert!(workshop.lost("film", &plan, UnitId::Chunk(2)).await.contains("v00002"));
    std::fs::write(&source, "milf").expect("damaged");
    assert!(workshop.lost("film", &plan, UnitId::Chunk(2)).await.contains("v00002"));
    assert_eq!(workshop.names(&format!("{}/parts", workshop.plan_directory(&plan))), Vec::<String>::new());
    assert_eq!(workshop.split("film").await.expect("a plan"), plan);
    assert_eq!(std::fs::read(&source).expect("a source"), whole);
    workshop.unit("film", &plan, UnitId::Chunk(2)).await.expect("a part");
}

#[tokio::test]
async fn a_unit_that_the_plan_does_not_have_is_refused() {
    let workshop = Workshop::new();
    let plan = workshop.split("film").await.expect("a plan");
    let failure = workshop.unit("film", &plan, UnitId::Chunk(3)).await.expect_err("no part");
    assert!(failure.class == FailureClass::Permanent && failure.message.contains("v00003"), "{failure}");
}

#[tokio::test]
async fn a_record_counts_only_while_its_files_are_whole() {
    let workshop = Workshop::new();
    let plan = workshop.split("film").await.expect("a plan");
    let parts = workshop.parts(&plan).await;
    let in_order: Vec<_> = parts.values().collect();
    let mut recorded = workshop.recorded(&plan).await;
    recorded.sort_by_key(|record| record.unit);
    assert_eq!(recorded.iter().collect::<Vec<_>>(), in_order);
    let file = |unit: UnitId| {
        workshop.path(&format!("{}/parts/{}", workshop.plan_directory(&plan), parts[&unit].parts[0].file.name))
    };
    std::fs::remove_file(file(UnitId::Audio(0))).expect("removed");
    std::fs::write(file(UnitId::Chunk(0)), "short").expect("written");
    let left: Vec<_> = workshop.recorded(&plan).await.iter().map(|record| record.unit).collect();
    assert_eq!(left, [UnitId::Chunk(1), UnitId::Chunk(2)]);
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_is_refused() {
    let workshop = Workshop::new();
    let elsewhere = Fingerprint("../../../etc".into());
    let failure = workshop.storage.plan(workshop.job.job_id.clone(), elsewhere).await.expect_err("refused");
    assert_eq!(failure.class, FailureClass::Permanent);
    let mut plan = Plan::clone(&*workshop.split("film").await.expect("a plan"));
    video_of(&mut plan).chunks[0].source = "../../../in.mp4".into();
    let plan = PinnedPlan::new(plan).expect("a plan");
    let failure = workshop.unit("film", &Arc::new(plan), UnitId::Chunk(0)).await.expect_err("refused");
    assert_eq!(failure.class, FailureClass::Permanent);
}
