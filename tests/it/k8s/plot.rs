//! A picture of lag and replicas over time, as SVG.

use std::fmt::Write as _;

/// One moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Seconds on the clock of the autoscaler.
    pub(super) at: f64,
    /// Records that wait.
    pub(super) lag: f64,
    /// Replicas that the autoscaler wants.
    pub(super) replicas: u32,
    /// Workers that run.
    pub(super) processes: usize,
}

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 320.0;
/// Left and right of the curves, and above and below them.
const MARGIN_X: f64 = 60.0;
const MARGIN_Y: f64 = 40.0;

/// Draws the moments; `title` stands above them.
pub(super) fn svg(title: &str, moments: &[Moment]) -> String {
    let end = moments.last().map_or(1.0, |last| last.at.max(1.0));
    let most_lag = round_up(moments.iter().map(|moment| moment.lag).fold(1.0, f64::max));
    let most_pods = round_up(moments.iter().map(|moment| f64::from(moment.replicas)).fold(1.0, f64::max));
    let x = |at: f64| MARGIN_X + at / end * (WIDTH - 2.0 * MARGIN_X);
    let y = |share: f64| HEIGHT - MARGIN_Y - share * (HEIGHT - 2.0 * MARGIN_Y);
    let steps = |value: &dyn Fn(&Moment) -> f64| {
        let mut path = String::new();
        for moment in moments {
            let (at, level) = (x(moment.at), y(value(moment)));
            let _ =
                if path.is_empty() { write!(path, "M{at:.1} {level:.1}") } else { write!(path, "H{at:.1}V{level:.1}") };
        }
        path
    };
    let lag = steps(&|moment| moment.lag / most_lag);
    let replicas = steps(&|moment| f64::from(moment.replicas) / most_pods);
    let processes = steps(&|moment| moment.processes as f64 / most_pods);
    let (first, last, floor) = (x(0.0), x(end), y(0.0));
    let mut ticks = String::new();
    for quarter in 0..=4 {
        let share = f64::from(quarter) / 4.0;
        let (level, at) = (y(share), x(end * share));
        let _ = writeln!(
            ticks,
            "<path d='M{first} {level:.1}H{last}' stroke='#ddd'/>\
             <text x='{:.0}' y='{:.0}' text-anchor='end' fill='#b45309'>{:.0}</text>\
             <text x='{:.0}' y='{:.0}' fill='#1d4ed8'>{:.0}</text>\
             <text x='{at:.0}' y='{:.0}' text-anchor='middle' fill='#555'>{:.0} min</text>",
            first - 8.0,
            level + 4.0,
            most_lag * share,
            last + 8.0,
            level + 4.0,
            most_pods * share,
            floor + 18.0,
            end * share / 60.0,
        );
    }
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' font-family='sans-serif' font-size='12'>\n\
         <rect width='100%' height='100%' fill='white'/>\n{ticks}\
         <path d='{lag}V{floor}H{first}Z' fill='#fde68a' stroke='#b45309'/>\n\
         <path d='{replicas}' fill='none' stroke='#1d4ed8' stroke-width='2'/>\n\
         <path d='{processes}' fill='none' stroke='#059669' stroke-width='2' stroke-dasharray='4 3'/>\n\
         <text x='{first}' y='20' fill='#333'>{title}: \
         <tspan fill='#b45309'>records that wait</tspan>, <tspan fill='#1d4ed8'>replicas</tspan>, \
         <tspan fill='#059669'>of them real processes</tspan></text>\n</svg>\n"
    )
}

/// To a number whose quarters are whole.
fn round_up(value: f64) -> f64 {
    (value / 4.0).ceil() * 4.0
}

#[test]
fn a_picture_has_a_step_for_every_moment_and_its_scales() {
    let moment = |at, lag, replicas| Moment { at, lag, replicas, processes: 3 };
    let svg = svg("a burst", &[moment(0.0, 0.0, 3), moment(60.0, 250.0, 20), moment(120.0, 0.0, 3)]);
    let curves: Vec<&str> = svg.lines().filter(|line| line.starts_with("<path d='M") && line.contains('V')).collect();
    assert_eq!(curves.len(), 3);
    // A step for each moment after the first; the area under the lag is closed by one more.
    assert_eq!(curves.iter().map(|curve| curve.matches('H').count()).collect::<Vec<_>>(), [3, 2, 2], "{svg}");
    assert!(svg.contains(">252<") && svg.contains(">20<") && svg.contains(">2 min<"), "{svg}");
}
