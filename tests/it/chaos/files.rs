//! Files of the work storage vanish or are damaged, and the disk is full.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::films::Film;
use super::{VARIABLES, completes, completes_in_order};
use crate::support::fleet::Fleet;
use crate::support::media::text;
use crate::support::process::Owned;
use crate::support::service::PATIENCE;
use crate::support::transcode::{BINARY, Bench, uri};

/// Size of the disk that is filled: enough for the job.
const DISK: &str = "size=200m";
/// What is left on a disk on which a job can begin and not be cut.
const ROOM: usize = 8 << 20;

/// The files of a job in a directory of its work storage.
fn work_files(fleet: &Fleet, job: &str, directory: &str) -> Vec<PathBuf> {
    let list = |path: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(path).map(|entries| entries.flatten().map(|entry| entry.path()).collect()).unwrap_or_default()
    };
    let plans = list(&fleet.bench.path("work").join(job));
    let mut files: Vec<PathBuf> = plans.iter().flat_map(|plan| list(&plan.join(directory))).collect();
    files.retain(|file| !file.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')));
    files.sort();
    files
}

/// Changes a byte at a tenth of the file: whoever reads a part of it reads that.
fn damage(file: &Path) {
    let mut bytes = std::fs::read(file).expect("the file");
    let place = bytes.len() / 10;
    bytes[place] ^= 0x55;
    std::fs::write(file, bytes).expect("damaged");
}

/// A job in the middle of its chunks; they are many enough that something is left to do.
async fn in_the_middle() -> Fleet {
    let fleet = Fleet::start(1, &VARIABLES).await;
    fleet.publish(&Film::Ladder.job("movie", fleet.bench.root()));
    fleet.chunks_done("movie", 2).await;
    fleet
}

#[actix_rt::test]
async fn a_part_that_vanishes_is_encoded_again() {
    let fleet = in_the_middle().await;
    std::fs::remove_file(&work_files(&fleet, "movie", "parts")[0]).expect("removed");
    completes_in_order(&fleet, "movie", Film::Ladder).await;
    assert!(fleet.log().contains("parts are lost or damaged, making them again"), "{}", fleet.log());
}

#[actix_rt::test]
async fn a_part_that_is_damaged_is_encoded_again() {
    let fleet = in_the_middle().await;
    damage(&work_files(&fleet, "movie", "parts")[0]);
    completes_in_order(&fleet, "movie", Film::Ladder).await;
    assert!(fleet.log().contains("parts are lost or damaged, making them again"), "{}", fleet.log());
}

/// Loses every source of a job of which chunks are left to do: the next one of them finds it out.
async fn is_cut_again(lose: impl Fn(&Path)) {
    let fleet = in_the_middle().await;
    work_files(&fleet, "movie", "source").iter().for_each(|source| lose(source));
    completes_in_order(&fleet, "movie", Film::Ladder).await;
    assert!(fleet.log().contains("source is lost, cutting the input again"), "{}", fleet.log());
    assert!(fleet.dead_letters().is_empty(), "{:?}", fleet.dead_letters());
}

#[actix_rt::test]
async fn chunk_sources_that_vanish_are_cut_again() {
    is_cut_again(|source| std::fs::remove_file(source).expect("removed")).await;
}

#[actix_rt::test]
async fn chunk_sources_that_are_damaged_are_cut_again() {
    is_cut_again(damage).await;
}

/// A small disk of its own; gone when dropped.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: PathBuf) -> Self {
        std::fs::create_dir_all(&at).expect("a directory");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", DISK, "tmpfs"]).arg(&at).status();
        assert!(
            mounted.is_ok_and(|status| status.success()),
            "a disk can be mounted by root only: run the tests as root"
        );
        Self(at)
    }

    /// Writes until nothing fits any more.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = std::fs::File::create(&path).expect("a file");
        for size in [1 << 20, 1 << 12, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[actix_rt::test]
async fn a_full_disk_holds_the_job_up_until_there_is_room_and_costs_no_attempt() {
    let directory = tempfile::tempdir().expect("a directory");
    let disk = Disk::mount(directory.path().join("disk"));
    let work = uri(&disk.0);
    let variables = [&VARIABLES[..], &[("WORK_URL", work.as_str()), ("MAX_ATTEMPTS", "1")]].concat();
    let fleet = Fleet::start(1, &variables).await;
    fleet.publish(&Film::Ladder.job("movie", fleet.bench.root()));
    fleet.chunks_done("movie", 2).await;
    let filler = disk.fill();
    fleet.workers()[0].wait_unready("MiB free").await;
    fleet.wait_for_log("no space left").await;
    std::fs::remove_file(filler).expect("room again");
    fleet.workers()[0].wait_ready();
    let last = fleet.ends_within(super::LONG, &["movie"]).await.remove(0);
    assert_eq!(last.status, actors::domain::checkpoint::JobStatus::Completed, "{last:#?}");
    Film::Ladder.assert_same(&fleet, "movie");
    assert!(fleet.dead_letters().is_empty(), "{:?}", fleet.dead_letters());
    let left: Vec<_> = std::fs::read_dir(&disk.0).expect("the disk").flatten().collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(fleet.stop_all(), [Some(0)]);
}

#[actix_rt::test]
async fn a_job_that_was_done_before_its_files_vanished_stays_done() {
    let fleet = in_the_middle().await;
    completes(&fleet, "movie", Film::Ladder).await;
    let before = fleet.service.received().len();
    fleet.publish(&Film::Ladder.job("movie", fleet.bench.root()));
    fleet.wait_for_no_lag();
    assert_eq!(fleet.service.received().len(), before, "the job was done again");
}

#[tokio::test]
async fn a_transcode_on_a_full_disk_says_why_it_stands_still_and_goes_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let disk = Disk::mount(directory.path().join("disk"));
    let bench = Bench::new();
    let job = bench.job(&Film::Ladder.job("movie", bench.root()));
    let filler = disk.fill();
    // The embedded store lies on the same disk, and has to have its file.
    std::fs::write(&filler, vec![0; std::fs::metadata(&filler).expect("its size").len() as usize - ROOM])
        .expect("room");
    let said = bench.path("said");
    let running = Command::new(BINARY)
        .args(["transcode", "--job", text(&job), "--chunk-seconds", "2", "--work-dir", text(&disk.0)])
        .stderr(std::fs::File::create(&said).expect("a file"))
        .spawn();
    let mut running = Owned(running.expect("the program starts"));
    let end = Instant::now() + PATIENCE;
    while !std::fs::read_to_string(&said).is_ok_and(|said| said.contains("work waits for its surroundings")) {
        let so_far = || std::fs::read_to_string(&said).expect("text");
        assert!(running.0.try_wait().expect("its state").is_none(), "{}", so_far());
        assert!(Instant::now() < end, "it does not say why it stands still:\n{}", so_far());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    std::fs::remove_file(filler).expect("room again");
    assert!(running.0.wait().expect("its end").success(), "{}", std::fs::read_to_string(&said).expect("text"));
    Film::Ladder.assert_same_in(bench.root(), "movie");
}
