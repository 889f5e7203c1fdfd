//! What all charts over time share: how long it took, and what was going on when.

use maud::{Markup, html};

use super::axis::{time_label, time_ticks};
use super::{part, pixels};
use crate::report::format;
use crate::result::{Phase, Report};

/// The narrowest stretch that has room for its name, as a share of the width.
const ROOM: f64 = 0.09;

/// The course of a run.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Course {
    /// Seconds.
    pub(in super::super) end: f64,
    /// What was going on, from when until when.
    pub(in super::super) phases: Vec<(Phase, f64, f64)>,
    /// When each step began, and its size.
    pub(in super::super) steps: Vec<(f64, String)>,
    /// Whether the axis of time is labelled: of charts on top of each other, only the lowest is.
    pub(in super::super) labelled: bool,
}

impl Course {
    /// None of a run without a timeline.
    pub(in super::super) fn of(report: &Report) -> Option<Self> {
        let times = || report.timeline.iter().map(|sample| sample.t).filter(|t| t.is_finite());
        let end = times().reduce(f64::max)?;
        let mut phases: Vec<(Phase, f64, f64)> = Vec::new();
        for sample in report.timeline.iter().filter(|sample| sample.t.is_finite()) {
            let begun = phases.last().map_or(0.0, |(_, _, to)| *to);
            match phases.last_mut() {
                Some((phase, _, to)) if *phase == sample.phase => *to = sample.t,
                _ => phases.push((sample.phase, begun, sample.t)),
            }
        }
        let size = |step: &crate::result::Step| match (step.users, step.rate) {
            (Some(users), _) => format::count(users),
            (None, Some(rate)) => format::rate(rate),
            (None, None) => String::new(),
        };
        let steps = report.steps.iter().map(|step| (step.from_s, size(step))).collect();
        Some(Self { end: if end > 0.0 { end } else { 1.0 }, phases, steps, labelled: true })
    }

    /// Where a point of time lies: 0 at the left, 1 at the right.
    pub(super) fn share(&self, at: f64) -> f64 {
        (at / self.end).clamp(0.0, 1.0)
    }

    /// The ground of a plot from `top` on: phases, steps, and the labels of time below.
    pub(super) fn ground(&self, top: f64, height: f64) -> Markup {
        let bottom = top + height;
        html! {
            @for (phase, from, to) in &self.phases {
                @let (left, right) = (self.share(*from), self.share(*to));
                rect.(name(*phase)) x=(part(left)) width=(part(right - left)) y=(pixels(top)) height=(pixels(height)) {}
                @if *phase != Phase::Steady && right - left >= ROOM && self.steps.is_empty() {
                    text.phase x=(part(f64::midpoint(left, right))) y=(pixels(top - 6.0)) { (name(*phase)) }
                }
            }
            @for (index, (from, size)) in self.steps.iter().enumerate() {
                @let left = self.share(*from);
                @let right = self.steps.get(index + 1).map_or(1.0, |(next, _)| self.share(*next));
                line.step x1=(part(left)) x2=(part(left)) y1=(pixels(top - 14.0)) y2=(pixels(bottom)) {}
                @if right - left >= ROOM {
                    text.size x=(part(left)) dx="5" y=(pixels(top - 5.0)) { (size) }
                }
            }
            @for (index, at) in time_ticks(self.end).into_iter().enumerate() {
                @let x = part(self.share(at));
                line.tick x1=(x) x2=(x) y1=(pixels(bottom)) y2=(pixels(bottom + 4.0)) {}
                @if self.labelled {
                    text.time.odd[index % 2 == 1] x=(x) y=(pixels(bottom + 17.0)) { (time_label(at, self.end)) }
                }
            }
        }
    }
}

/// The name of a phase, which is its class too.
pub(in super::super) fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::Ramp => "ramp",
        Phase::Steady => "steady",
        Phase::Drain => "drain",
    }
}
