//! What a seed begins with: dice, jobs, films, the settings of its workers, how often something goes wrong.

use std::time::Duration;

use crate::domain::job::Container;
use crate::domain::plan::EncoderVersions;
use crate::domain::task::Stage;
use crate::gpu::GpuSettings;
use crate::supervisor::Settings;
use crate::testing::fleet::{Fleet, settings};
use crate::testing::life::Faults;
use crate::testing::stages::Film;
use crate::work::PoolSize;

/// Numbers that follow from a seed (the constants are those of Knuth's MMIX generator).
pub(super) struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        let mut dice = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        dice.roll(1);
        dice
    }

    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    pub fn one_in(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.index(of.len())]
    }

    pub fn index(&mut self, len: usize) -> usize {
        self.roll(len as u64) as usize
    }

    /// Up to `most`, in milliseconds.
    pub fn time(&mut self, most: Duration) -> Duration {
        Duration::from_millis(self.roll(most.as_millis() as u64 + 1))
    }
}

/// What is allowed in a world: some invariants are only as sharp as the adversary is tame.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub films: Vec<Film>,
    /// What each job is to give.
    pub containers: Vec<Vec<Container>>,
    /// Which jobs require a device; only where jobs may fail, because devices may be away for too long.
    pub requires: Vec<bool>,
    /// Some workers may have a device, now and then.
    pub may_have_devices: bool,
    /// Encoding sessions of a device.
    sessions: Option<u32>,
    pub num_workers: usize,
    /// Versions of encoders in the fleet: workers have them by turns, and whoever replaces one has the same.
    pub num_versions: usize,
    /// How many things the adversary does.
    pub num_acts: u64,
    /// The longest time between two of them.
    pub pause: Duration,
    pub faults: Faults,
    /// The store may come back empty.
    pub may_empty: bool,
    /// Somebody may cancel jobs.
    pub may_cancel: bool,
    /// Attempts of a task; more than the adversary can use up, unless jobs may fail.
    pub max_attempts: u32,
    lease_ttl: Duration,
    pool: PoolSize,
}

/// More attempts than the adversary can use up.
const ENOUGH: u32 = 1000;

impl World {
    pub fn new(dice: &mut Dice, num_versions: usize) -> Self {
        let num_jobs = 1 + dice.index(3);
        let films: Vec<Film> = (0..num_jobs).map(|_| film(dice)).collect();
        let max_attempts = if dice.one_in(3) { 3 } else { ENOUGH };
        let requires = films.iter().map(|_| max_attempts < ENOUGH && dice.one_in(4)).collect();
        Self {
            requires,
            containers: films.iter().map(|_| containers(dice)).collect(),
            films,
            may_have_devices: dice.one_in(2),
            sessions: dice.one_in(3).then_some(1),
            num_workers: 1 + dice.index(4),
            num_versions,
            num_acts: 3 + dice.roll(14),
            pause: Duration::from_millis(200 + dice.roll(5000)),
            faults: faults(dice),
            may_empty: dice.one_in(3),
            may_cancel: dice.one_in(5),
            max_attempts,
            lease_ttl: Duration::from_secs(2 + dice.roll(20)),
            pool: PoolSize { cpu: 1 + dice.index(3), io: 1 + dice.index(2) },
        }
    }

    /// Whether the adversary can use up the attempts of a task.
    pub fn may_fail(&self) -> bool {
        self.max_attempts < ENOUGH
    }

    pub fn settings(&self, worker: &str) -> Settings {
        Settings {
            pool: self.pool,
            max_attempts: self.max_attempts,
            lease_ttl: self.lease_ttl,
            drain_timeout: Duration::from_secs(8),
            gpu: GpuSettings { sessions: self.sessions, ..GpuSettings::default() },
            ..settings(worker)
        }
    }

    /// The versions of that number.
    pub fn versions(number: usize) -> EncoderVersions {
        let number = number.to_string();
        let names = ["x264", "x265", "nvcodec"].map(|name| (name, number.as_str()));
        names.into_iter().chain([("avenc_aac", "61"), ("gstreamer", "1.26.2")]).collect()
    }

    /// The name of a job.
    pub fn name(job: usize) -> String {
        format!("movie-{job}")
    }

    pub fn prepare(&self, fleet: &Fleet, dice: &mut Dice) {
        for (index, film) in self.films.iter().enumerate() {
            fleet.stages.film(&Self::name(index), *film);
        }
        for stage in [Stage::Split, Stage::Encode, Stage::Audio, Stage::Assemble] {
            fleet.stages.pace(stage, Duration::from_millis(100) + dice.time(Duration::from_secs(3)));
        }
    }
}

/// 1 to 60 chunks: most films are short, so that many of them fit into a test.
fn film(dice: &mut Dice) -> Film {
    let chunks = match dice.roll(40) {
        0 => 60,
        1 => 13 + dice.roll(48),
        2..8 => 5 + dice.roll(8),
        _ => 1 + dice.roll(4),
    };
    let parallelism = 1 + dice.roll(if chunks > 12 { 12 } else { 4 });
    Film { chunks: chunks as u32, parallelism: parallelism as u32, audio: !dice.one_in(3) }
}

fn containers(dice: &mut Dice) -> Vec<Container> {
    match dice.roll(3) {
        0 => vec![Container::Mpegts],
        1 => vec![Container::Mp4],
        _ => vec![Container::Mpegts, Container::Mp4],
    }
}

fn faults(dice: &mut Dice) -> Faults {
    match dice.roll(4) {
        0 => Faults::default(),
        1 => Faults { slow: 20, delay: Duration::from_millis(400), refused: 0, lost: 0 },
        2 => Faults { slow: 5, delay: Duration::from_secs(3), refused: 3, lost: 3 },
        _ => Faults { slow: 30, delay: Duration::from_millis(1500), refused: 10, lost: 10 },
    }
}
