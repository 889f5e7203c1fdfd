//! Second by second: what was asked, what came of it, and what it cost, on one axis of time.

use maud::{Markup, html};

use super::super::chart::{Bound, Chart, Course, Scale, Series, name};
use super::table::{figures, table, text};
use super::{nothing, section};
use crate::plan::Metric;
use crate::report::format;
use crate::result::{Phase, Report, Sample};

const LEAD: &str = "All charts share one axis of time. Gaps are seconds in which there was nothing to measure.";
/// As many rows as the table behind the charts may have.
const ROWS: usize = 60;

pub(in super::super) fn timeline(report: &Report) -> Markup {
    let Some(course) = Course::of(report) else {
        return section("timeline", "Over time", None, "", &nothing("There is no timeline: nothing was sampled."));
    };
    let content = html! {
        (phases(&course))
        @for chart in charts(report, &course) { (chart.draw()) }
        (behind(report))
    };
    section("timeline", "Over time", None, LEAD, &content)
}

fn charts<'a>(report: &Report, course: &'a Course) -> Vec<Chart<'a>> {
    let line = |name, style, value: fn(&Sample) -> Option<f64>| Series {
        name,
        style,
        points: report.timeline.iter().map(|sample| (sample.t, value(sample))).collect(),
        stepped: false,
    };
    let draw =
        |id, title, height, scale: Axis, series: Vec<Series>, metrics: &[Metric], label, say: fn(f64) -> String| {
            let bounds = bounds(report, metrics);
            Chart {
                id,
                title,
                description: describe(&series, say),
                height,
                scale: scale.of(&series, &bounds),
                course,
                series,
                bounds,
                label,
                say,
            }
        };
    let stepped = |series: Series| Series { stepped: true, ..series };
    let millis: fn(&Scale, f64) -> String = Scale::millis;
    let plain: fn(&Scale, f64) -> String = |_, value| format::number(value);
    let share: fn(&Scale, f64) -> String = |_, value| format::percent(value);
    let accept = vec![
        line("p50", "p50", |sample| sample.accept_p50),
        line("p95", "p95", |sample| sample.accept_p95),
        line("p99", "p99", |sample| sample.accept_p99),
    ];
    let e2e = vec![
        line("p50", "p50", |sample| sample.e2e_p50),
        line("p95", "p95", |sample| sample.e2e_p95),
        line("p99", "p99", |sample| sample.e2e_p99),
    ];
    let rates = vec![
        line("offered", "offered", |sample| Some(sample.offered)),
        line("accepted", "accepted", |sample| Some(sample.accepted)),
        line("completed", "completed", |sample| Some(sample.completed)),
        line("errors", "errors", |sample| Some(sample.errors)),
    ];
    let backlog = vec![
        line("due or running", "backlog", |sample| sample.backlog.map(|tasks| tasks as f64)),
        line("held by workers", "held", |sample| sample.inflight.map(|tasks| tasks as f64)),
    ];
    let oldest = vec![line("age", "backlog", |sample| sample.oldest_age_ms.map(|age| age as f64))];
    let workers = vec![stepped(line("workers", "held", |sample| sample.workers.map(|workers| workers as f64)))];
    let processor = vec![
        line("machine", "machine", |sample| sample.machine_cpu),
        line("generator", "generator", |sample| Some(sample.generator_cpu)),
    ];
    vec![
        draw(
            "accept",
            "Accept latency, from the intended start",
            170.0,
            Axis::Fitting,
            accept,
            &[Metric::Accept, Metric::AcceptService],
            millis,
            format::millis,
        ),
        draw(
            "e2e",
            "End-to-end latency, from the intended start",
            170.0,
            Axis::Fitting,
            e2e,
            &[Metric::EndToEnd, Metric::EndToEndService],
            millis,
            format::millis,
        ),
        draw(
            "rates",
            "Requests and ends a second",
            170.0,
            Axis::Linear,
            rates,
            &[Metric::Offered, Metric::Accepted, Metric::Completed],
            plain,
            format::rate,
        ),
        draw("backlog", "Backlog, tasks", 130.0, Axis::Linear, backlog, &[Metric::Backlog], plain, format::number),
        draw(
            "oldest",
            "Age of the oldest waiting task",
            90.0,
            Axis::Linear,
            oldest,
            &[Metric::OldestAge],
            millis,
            format::millis,
        ),
        draw("workers", "Workers alive", 60.0, Axis::Linear, workers, &[], plain, format::number),
        draw("processor", "Processor in use", 110.0, Axis::Shares, processor, &[], share, format::percent),
    ]
}

/// Which kind of axis.
enum Axis {
    Linear,
    Fitting,
    Shares,
}

impl Axis {
    /// An axis for the lines, and for the promises that are not far beyond them.
    fn of(&self, series: &[Series], bounds: &[Bound]) -> Scale {
        let values: Vec<f64> =
            series.iter().flat_map(|series| series.points.iter().filter_map(|point| point.1)).collect();
        let largest = values.iter().copied().filter(|value| value.is_finite()).fold(0.0, f64::max);
        let near = bounds.iter().map(|bound| bound.value).filter(|bound| *bound <= largest * 2.5);
        let largest = near.fold(largest, f64::max);
        match self {
            Self::Linear => Scale::linear(largest),
            Self::Fitting => Scale::fitting(&values, largest),
            Self::Shares => Scale::shares(),
        }
    }
}

fn bounds(report: &Report, metrics: &[Metric]) -> Vec<Bound> {
    let promises = report.plan.slo.iter().filter(|slo| metrics.contains(&slo.metric) && slo.bound.is_finite());
    promises
        .map(|slo| Bound {
            text: slo.text.clone(),
            value: slo.bound,
            broken: report.slo.iter().find(|result| result.expr == slo.text).and_then(|result| result.broken_s),
        })
        .collect()
}

/// The lines in words: what each began with, came up to and ended with.
fn describe(series: &[Series], say: fn(f64) -> String) -> String {
    let describe = |series: &Series| {
        let known =
            || series.points.iter().filter_map(|(at, value)| Some((*at, (*value).filter(|value| value.is_finite())?)));
        match (known().next(), known().max_by(|a, b| a.1.total_cmp(&b.1)), known().last()) {
            (Some(first), Some(most), Some(last)) => format!(
                "{}: {} at first, at most {} at {}, {} at last.",
                series.name,
                say(first.1),
                say(most.1),
                format::point(most.0),
                say(last.1)
            ),
            _ => format!("{}: not measured.", series.name),
        }
    };
    series.iter().map(describe).collect::<Vec<_>>().join(" ")
}

fn phases(course: &Course) -> Markup {
    html! {
        ul.legend.phases {
            @for phase in [Phase::Ramp, Phase::Steady, Phase::Drain] {
                @let stretches: Vec<_> = course.phases.iter().filter(|(other, ..)| *other == phase).collect();
                @if !stretches.is_empty() {
                    li {
                        svg.sample aria-hidden="true" width="18" height="12" { rect.(name(phase)).framed width="18" height="12" {} }
                        span { (name(phase)) }
                        span.when {
                            @match stretches.as_slice() {
                                [(_, from, to)] => { (format::point(*from)) " to " (format::point(*to)) },
                                many => { (many.len()) " times" },
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The numbers behind the lines, for those who read tables; every so many seconds of a long run.
fn behind(report: &Report) -> Markup {
    let every = report.timeline.len().div_ceil(ROWS).max(1);
    let millis = |value: Option<f64>| text(value.map_or_else(|| format::NONE.to_owned(), format::millis));
    let count = |value: Option<u64>| text(value.map_or_else(|| format::NONE.to_owned(), format::count));
    let rows: Vec<_> = report
        .timeline
        .iter()
        .step_by(every)
        .map(|sample| {
            vec![
                text(format::point(sample.t)),
                text(name(sample.phase)),
                text(format::rate(sample.offered)),
                text(format::rate(sample.accepted)),
                text(format::rate(sample.completed)),
                text(format::rate(sample.errors)),
                millis(sample.accept_p95),
                millis(sample.e2e_p95),
                count(sample.backlog),
                text(sample.oldest_age_ms.map_or_else(|| format::NONE.to_owned(), format::whole_millis)),
                count(sample.workers),
                text(format::percent(sample.generator_cpu)),
            ]
        })
        .collect();
    let columns = [
        "At",
        "Phase",
        "Offered",
        "Accepted",
        "Completed",
        "Errors",
        "Accept p95",
        "End to end p95",
        "Backlog",
        "Oldest",
        "Workers",
        "Generator",
    ]
    .map(figures);
    let title = match every {
        1 => "The figures behind the charts, second by second".to_owned(),
        _ => format!("The figures behind the charts, every {every} seconds; all are in result.json"),
    };
    html! { details { summary { (title) } (table(&title, &columns, &rows)) } }
}
