//! Which charts there are, and what is drawn on each.

use crate::plan::Metric;
use crate::report::chart::{Axis, Bound, Chart, Course, Scale, Series};
use crate::report::format;
use crate::result::{Report, Sample};

/// What a line shows of a second.
type Value = fn(&Sample) -> Option<f64>;

pub(super) fn charts<'a>(report: &'a Report, course: &'a Course) -> Vec<Chart<'a>> {
    let easel = Easel { report, course };
    let mut charts = vec![
        easel.latency(
            "accept",
            "Accept latency, from the intended start",
            [|at| at.accept_p50, |at| at.accept_p95, |at| at.accept_p99],
            &[Metric::Accept, Metric::AcceptService],
        ),
        easel.latency(
            "e2e",
            "End-to-end latency, from the intended start",
            [|at| at.e2e_p50, |at| at.e2e_p95, |at| at.e2e_p99],
            &[Metric::EndToEnd, Metric::EndToEndService],
        ),
        easel.rates(),
    ];
    let reads = report.timeline.iter().any(|second| second.reads > 0.0);
    if reads {
        let values: [Value; 3] = [|at| at.read_p50, |at| at.read_p95, |at| at.read_p99];
        charts.insert(2, easel.latency("read", "Read latency, from the intended start", values, &[Metric::Read]));
    }
    if !report.plan.journey.orders() {
        charts.retain(|chart| !["accept", "e2e"].contains(&chart.id));
    }
    if report.timeline.iter().any(|second| second.errors > 0.0) {
        charts.push(easel.errors());
    }
    charts.extend([easel.backlog(), easel.oldest(), easel.workers(), easel.processor()]);
    charts
}

/// What all charts are drawn from.
#[derive(Clone, Copy)]
struct Easel<'a> {
    report: &'a Report,
    course: &'a Course,
}

impl<'a> Easel<'a> {
    fn latency(self, id: &'static str, title: &'static str, values: [Value; 3], metrics: &[Metric]) -> Chart<'a> {
        let [p50, p95, p99] = values;
        let series = vec![self.line("p50", "p50", p50), self.line("p95", "p95", p95), self.line("p99", "p99", p99)];
        Chart { height: 170.0, axis: Axis::Fitting, ..self.chart(id, title, series, self.bounds(metrics)) }
    }

    fn rates(self) -> Chart<'a> {
        let mut series = vec![
            self.line("offered", "offered", |at| Some(at.offered)),
            self.line("accepted", "accepted", |at| Some(at.accepted)),
            self.line("completed", "completed", |at| Some(at.completed)),
        ];
        if self.report.timeline.iter().any(|second| second.reads > 0.0) {
            series.push(self.line("read", "machine", |at| Some(at.reads)));
        }
        let bounds = self.bounds(&[Metric::Offered, Metric::Accepted, Metric::Completed]);
        let chart = self.chart("rates", "Requests and ends, a second", series, bounds);
        Chart { height: 170.0, label: plain, say: format::rate, ..chart }
    }

    fn errors(self) -> Chart<'a> {
        let series = vec![self.line("failed", "errors", |at| Some(at.errors))];
        let chart = self.chart("errors", "Errors, a second", series, Vec::new());
        Chart { height: 60.0, label: plain, say: format::rate, ..chart }
    }

    fn backlog(self) -> Chart<'a> {
        let series = vec![
            self.line("due or running", "backlog", |at| at.backlog.map(|tasks| tasks as f64)),
            self.line("held by workers", "held", |at| at.inflight.map(|tasks| tasks as f64)),
        ];
        let chart = self.chart("backlog", "Backlog, tasks", series, self.bounds(&[Metric::Backlog]));
        Chart { height: 130.0, label: plain, say: format::number, ..chart }
    }

    fn oldest(self) -> Chart<'a> {
        let series = vec![self.line("age", "backlog", |at| at.oldest_age_ms.map(|age| age as f64))];
        self.chart("oldest", "Age of the oldest waiting task", series, self.bounds(&[Metric::OldestAge]))
    }

    fn workers(self) -> Chart<'a> {
        let line = self.line("alive", "held", |at| at.workers.map(|workers| workers as f64));
        let chart = self.chart("workers", "Workers", vec![Series { stepped: true, ..line }], Vec::new());
        Chart { height: 60.0, label: plain, say: format::number, ..chart }
    }

    fn processor(self) -> Chart<'a> {
        let series = vec![
            self.line("machine", "machine", |at| at.machine_cpu),
            self.line("generator", "generator", |at| Some(at.generator_cpu)),
        ];
        let chart = self.chart("processor", "Processor in use", series, Vec::new());
        Chart {
            height: 110.0,
            axis: Axis::Shares,
            label: |_, value| format::percent(value),
            say: format::percent,
            ..chart
        }
    }

    /// Times on a linear axis, unless it says otherwise.
    fn chart(self, id: &'static str, title: &'static str, series: Vec<Series>, bounds: Vec<Bound>) -> Chart<'a> {
        let (label, say) = (Scale::millis, format::millis);
        Chart { id, title, height: 90.0, course: self.course, axis: Axis::Linear, series, bounds, label, say }
    }

    fn line(self, name: &'static str, style: &'static str, value: Value) -> Series {
        let points = self.report.timeline.iter().map(|second| (second.t, value(second))).collect();
        Series { name, style, points, stepped: false }
    }

    fn bounds(self, metrics: &[Metric]) -> Vec<Bound> {
        let promises = self.report.plan.slo.iter().filter(|slo| metrics.contains(&slo.metric) && slo.bound.is_finite());
        let broken = |text: &str| self.report.slo.iter().find(|result| result.expr == text)?.broken_s;
        promises.map(|slo| Bound { text: slo.text.clone(), value: slo.bound, broken: broken(&slo.text) }).collect()
    }
}

fn plain(_: &Scale, value: f64) -> String {
    format::number(value)
}
