//! The chart of `docs/scaling.md`: a column for each run, a row for each measure.

use card_loadtests::report::format::{count, number};
use card_loadtests::report::sheet::{Column, Point, Row, Series, Sheet};

use super::plan::{
    BOUNDS, CONCURRENCY, LATENCY, STAGES, TARGET_AGE, TARGET_BACKLOG, TARGET_CPU, rush_rate, worker_rate,
};
use super::sample::Sample;
use super::side::Metric;
use super::{Experiment, Side};

/// What a line shows of a second.
type Value = fn(&Sample) -> Option<f64>;

/// A line's name, its style, whether it goes in steps, and its values.
type Line = (&'static str, &'static str, bool, Value);

const RATES: [Line; 2] =
    [("offered", "offered", false, |at| Some(at.offered)), ("completed", "completed", false, |at| Some(at.completed))];
const BACKLOG: [Line; 1] = [("backlog", "backlog", false, |at| at.backlog.map(|tasks| tasks as f64))];
const AGE: [Line; 1] = [("age", "backlog", false, |at| at.oldest_age_s)];
const WORKERS: [Line; 2] = [
    ("ready to work", "accepted", true, |at| Some(at.workers as f64)),
    ("wanted by CPU alone", "held", true, |at| at.cpu_wants.map(|workers| workers as f64)),
];
const CPU: [Line; 1] = [("mean", "machine", false, |at| at.cpu)];

/// The whole file.
pub(super) fn draw(experiment: &Experiment) -> String {
    let sides = &experiment.sides;
    let row = |title, height, target: Option<(String, f64)>, lines: &[Line], note: fn(&Side) -> String| {
        let charts = sides.iter().map(|side| lines.iter().map(|line| series(side, line)).collect()).collect();
        Row { title, height, target, charts, notes: sides.iter().map(note).collect() }
    };
    let (mut stretches, mut over) = (Vec::new(), 0.0);
    for (rate, seconds) in STAGES {
        stretches.push((over, format!("{}/s", number(rate))));
        over += seconds as f64;
    }
    stretches.push((over, "no arrivals".to_owned()));
    let (min, max) = BOUNDS;
    let (age, cpu) = ((format!("target {TARGET_AGE} s"), TARGET_AGE), (format!("target {TARGET_CPU}"), TARGET_CPU));
    Sheet {
        title: "The same load, the same rule, two metrics".to_owned(),
        lead: format!(
            "{} ms at the issuer and {CONCURRENCY} at once: a worker does at most {} a second. {min} to {max} workers by the \
             rule of Kubernetes’ HPA.",
            LATENCY[0].as_millis(),
            number(worker_rate()),
        ),
        end: sides.iter().map(|side| worked(side).last().map_or(0.0, |last| last.t)).fold(over, f64::max),
        stretches,
        over,
        columns: sides.iter().map(column).collect(),
        rows: vec![
            row("Tasks a second", 120.0, None, &RATES, |_| String::new()),
            row("Backlog, tasks", 100.0, None, &BACKLOG, |side| format!("at most {}", count(side.largest_backlog()))),
            row("Oldest that waits, seconds", 100.0, Some(age), &AGE, |side| {
                format!("at most {} s", number(side.oldest_age()))
            }),
            row("Workers", 90.0, None, &WORKERS, |side| format!("at most {}", side.most_workers())),
            row("CPU of a worker, cores", 90.0, Some(cpu), &CPU, |side| format!("at most {}", number(side.most_cpu()))),
        ],
    }
    .draw()
}

fn series(side: &Side, (name, style, stepped, value): &Line) -> Series {
    let points: Vec<Point> = worked(side).iter().map(|sample| (sample.t, value(sample))).collect();
    Series { name, style, points, stepped: *stepped }
}

fn column(side: &Side) -> Column {
    let heading = match side.metric {
        Metric::Cpu => format!("Scaled on CPU: {TARGET_CPU} cores for each worker"),
        Metric::Backlog => format!("Scaled on backlog: {TARGET_BACKLOG} tasks for each worker"),
    };
    let [_, p95, _] = side.end_to_end_s;
    let done = number(side.completed_in_rush().round());
    let finding = format!("In the rush {done} of {}/s are done; end to end p95 {} s", number(rush_rate()), number(p95));
    Column { heading, finding }
}

/// Until the last of the backlog was worked off: what comes after that is the audit.
fn worked(side: &Side) -> &[Sample] {
    let last = side.samples.iter().rposition(|sample| sample.backlog.is_some_and(|backlog| backlog > 0));
    let end = last.map_or(side.samples.len(), |last| (last + 2).min(side.samples.len()));
    &side.samples[..end]
}
