//! The horizontal autoscaler of Kubernetes, `autoscaling/v2`, as its documentation describes it: ratio, tolerance,
//! stabilisation, policies. Pure: it is given the time, the replicas and the readings, and answers with replicas.

use serde_json::Value;

/// Changes of less than this share of the target are not acted upon.
const TOLERANCE: f64 = 0.1;

/// A limit of how fast replicas may change.
#[derive(Clone, Copy, Debug)]
enum Policy {
    /// By so many per cent of those at the beginning of the period.
    Percent { value: f64, period: f64 },
    /// By so many.
    Pods { value: f64, period: f64 },
}

/// One direction of the behaviour.
#[derive(Clone, Debug)]
struct Direction {
    /// The gentlest recommendation of this time counts; seconds.
    window: f64,
    policies: Vec<Policy>,
}

/// The manifest of an autoscaler, with CPU as its first metric and an average value as its second.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    min: u32,
    max: u32,
    /// CPU, as a share of the request.
    cpu: f64,
    /// Records for each pod.
    pub(super) lag: f64,
    up: Direction,
    down: Direction,
}

impl Spec {
    pub(super) fn read(manifest: &Value) -> Self {
        let spec = &manifest["spec"];
        let number = |value: &Value| value.as_f64().or_else(|| value.as_str()?.parse().ok()).expect("a number");
        let direction = |direction: &Value| {
            assert_eq!(direction["selectPolicy"], "Max", "the only one that is known here");
            let policy = |policy: &Value| {
                let (value, period) = (number(&policy["value"]), number(&policy["periodSeconds"]));
                match policy["type"].as_str() {
                    Some("Percent") => Policy::Percent { value, period },
                    Some("Pods") => Policy::Pods { value, period },
                    other => panic!("a policy of type {other:?}"),
                }
            };
            let policies = direction["policies"].as_array().expect("policies").iter().map(policy).collect();
            Direction { window: number(&direction["stabilizationWindowSeconds"]), policies }
        };
        Self {
            min: number(&spec["minReplicas"]) as u32,
            max: number(&spec["maxReplicas"]) as u32,
            cpu: number(&spec["metrics"][0]["resource"]["target"]["averageUtilization"]) / 100.0,
            lag: number(&spec["metrics"][1]["external"]["target"]["averageValue"]),
            up: direction(&spec["behavior"]["scaleUp"]),
            down: direction(&spec["behavior"]["scaleDown"]),
        }
    }
}

/// What the metrics say at one moment; `None` where they say nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Readings {
    /// Average of the pods, as a share of the request.
    pub(super) cpu: Option<f64>,
    /// Records of all pods together.
    pub(super) lag: Option<f64>,
}

/// What the autoscaler remembers: recommendations and changes, each with its time in seconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    recommended: Vec<(f64, u32)>,
    changed: Vec<(f64, i64)>,
}

/// Replicas that the metrics alone ask for: the metric that asks for most. One that says nothing keeps pods from going.
fn asked_for(spec: &Spec, replicas: u32, readings: Readings) -> u32 {
    let now = f64::from(replicas);
    let by = |ratio: f64, wanted: f64| if (ratio - 1.0).abs() <= TOLERANCE { replicas } else { wanted.ceil() as u32 };
    let cpu = readings.cpu.map(|cpu| by(cpu / spec.cpu, now * cpu / spec.cpu));
    let lag = readings.lag.map(|lag| by(lag / (spec.lag * now), lag / spec.lag));
    let known = cpu.into_iter().chain(lag).max().unwrap_or(replicas);
    let wanted = if cpu.is_none() || lag.is_none() { known.max(replicas) } else { known };
    wanted.clamp(spec.min, spec.max)
}

/// The gentlest of the recommendations in the window of each direction.
fn stabilised(spec: &Spec, memory: &Memory, now: f64, replicas: u32, wanted: u32) -> u32 {
    let within = |window: f64| memory.recommended.iter().filter(move |(at, _)| *at > now - window).map(|(_, n)| *n);
    let up = within(spec.up.window).fold(wanted, u32::min);
    let down = within(spec.down.window).fold(wanted, u32::max);
    replicas.max(up).min(down.max(up))
}

/// As far as the policies let it go now.
fn limited(spec: &Spec, memory: &Memory, now: f64, replicas: u32, wanted: u32) -> u32 {
    // Replicas when the period of a policy began.
    let began = |period: f64| {
        let changed: i64 = memory.changed.iter().filter(|(at, _)| *at > now - period).map(|(_, by)| by).sum();
        (i64::from(replicas) - changed) as f64
    };
    if wanted > replicas {
        let limit = |policy: &Policy| match *policy {
            Policy::Percent { value, period } => (began(period) * (1.0 + value / 100.0)).ceil(),
            Policy::Pods { value, period } => began(period) + value,
        };
        let most = spec.up.policies.iter().map(limit).fold(0.0, f64::max) as u32;
        wanted.min(most.max(replicas))
    } else {
        let limit = |policy: &Policy| match *policy {
            Policy::Percent { value, period } => (began(period) * (1.0 - value / 100.0)).floor(),
            Policy::Pods { value, period } => began(period) - value,
        };
        let least = spec.down.policies.iter().map(limit).fold(f64::MAX, f64::min).max(0.0) as u32;
        wanted.max(least.min(replicas))
    }
}

/// One look at the metrics, `now` seconds after the beginning: the replicas that are to be, and what is remembered.
pub(super) fn sync(spec: &Spec, memory: &Memory, now: f64, replicas: u32, readings: Readings) -> (u32, Memory) {
    let wanted = asked_for(spec, replicas, readings);
    let stable = stabilised(spec, memory, now, replicas, wanted);
    let next = limited(spec, memory, now, replicas, stable);
    let mut memory = memory.clone();
    memory.recommended.push((now, wanted));
    if next != replicas {
        memory.changed.push((now, i64::from(next) - i64::from(replicas)));
    }
    (next, memory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::k8s::Objects;

    fn spec() -> Spec {
        Spec::read(Objects::of("k8s/base").one("HorizontalPodAutoscaler"))
    }

    fn readings(cpu: f64, lag: f64) -> Readings {
        Readings { cpu: Some(cpu), lag: Some(lag) }
    }

    /// Replicas after each look, one every 15 s.
    fn looks(spec: &Spec, mut replicas: u32, all: impl IntoIterator<Item = Readings>) -> Vec<u32> {
        let mut memory = Memory::default();
        let look = |(number, readings)| {
            (replicas, memory) = sync(spec, &memory, 15.0 * number as f64, replicas, readings);
            replicas
        };
        all.into_iter().enumerate().map(look).collect()
    }

    #[test]
    fn the_metric_that_asks_for_most_wins() {
        let spec = spec();
        for (replicas, cpu, lag, wanted) in [
            (3, 0.7, 300.0, 3),
            // Ratio: 3 × 0.9 / 0.7.
            (3, 0.9, 0.0, 4),
            (3, 0.1, 1000.0, 10),
            (10, 0.35, 880.0, 9),
            (10, 0.35, 100.0, 5),
            (3, 0.0, 0.0, 3),
            (3, 1.0, 1e6, 20),
        ] {
            assert_eq!(asked_for(&spec, replicas, readings(cpu, lag)), wanted, "{replicas} {cpu} {lag}");
        }
    }

    #[test]
    fn a_tenth_more_or_less_than_the_target_changes_nothing() {
        let spec = spec();
        assert_eq!(asked_for(&spec, 10, readings(0.0, 1090.0)), 10);
        assert_eq!(asked_for(&spec, 10, readings(0.0, 1110.0)), 12);
        assert_eq!(asked_for(&spec, 10, readings(0.76, 0.0)), 10);
        assert_eq!(asked_for(&spec, 10, readings(0.0, 910.0)), 10);
        assert_eq!(asked_for(&spec, 10, readings(0.0, 890.0)), 9);
    }

    #[test]
    fn a_metric_that_says_nothing_lets_pods_come_and_keeps_them_from_going() {
        let spec = spec();
        assert_eq!(asked_for(&spec, 10, Readings { cpu: Some(0.1), lag: None }), 10);
        assert_eq!(asked_for(&spec, 10, Readings { cpu: None, lag: Some(1500.0) }), 15);
        assert_eq!(asked_for(&spec, 10, Readings { cpu: None, lag: None }), 10);
    }

    #[test]
    fn a_burst_is_met_within_half_a_minute() {
        assert_eq!(looks(&spec(), 3, [readings(1.0, 5000.0); 4]), [7, 14, 20, 20]);
    }

    #[test]
    fn a_quiet_queue_gives_pods_back_after_five_minutes_and_two_a_minute() {
        let busy = [readings(1.0, 5000.0); 4];
        let quiet = [readings(0.0, 0.0); 80];
        let replicas = looks(&spec(), 3, busy.into_iter().chain(quiet));
        // The last look that asked for 20 was at 45 s.
        let first = replicas.iter().rposition(|n| *n == 20).expect("20 pods");
        assert_eq!(15 * (first + 1), 45 + 300);
        let minutes: Vec<u32> = replicas[first + 1..].iter().step_by(4).take(10).copied().collect();
        assert_eq!(minutes, [18, 16, 14, 12, 10, 8, 6, 4, 3, 3]);
    }

    #[test]
    fn a_queue_that_runs_low_for_a_moment_costs_no_pod() {
        let wave = |n: usize| readings(0.3, if n % 10 < 5 { 2000.0 } else { 0.0 });
        let replicas = looks(&spec(), 20, (0..100).map(wave));
        assert!(replicas.iter().all(|n| *n == 20), "{replicas:?}");
    }
}
