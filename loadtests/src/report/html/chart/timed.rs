//! Lines over time.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::thin::{Point, thin};
use super::{Course, Scale, part, pixels};

/// Room above a plot for the sizes of steps, and below for the labels of time.
const ABOVE: f64 = 20.0;
const BELOW: f64 = 24.0;
/// How wide a plot is in its own coordinates; it is stretched to what room there is.
const WIDTH: f64 = 1000.0;

/// A line.
pub(in super::super) struct Series {
    /// What it says, as the legend names it.
    pub(in super::super) name: &'static str,
    /// Which of the styles of lines: each has a colour and a dash of its own.
    pub(in super::super) style: &'static str,
    /// In order of time.
    pub(in super::super) points: Vec<Point>,
    /// It holds its value until the next: a number of workers does not glide.
    pub(in super::super) stepped: bool,
}

/// A promise, as a line across.
pub(in super::super) struct Bound {
    /// As it was typed.
    pub(in super::super) text: String,
    /// In the chart's unit.
    pub(in super::super) value: f64,
    /// Seconds from and to which it was broken.
    pub(in super::super) broken: Option<(f64, f64)>,
}

/// A chart over time.
pub(in super::super) struct Chart<'a> {
    /// Unique on the page.
    pub(in super::super) id: &'static str,
    pub(in super::super) title: &'static str,
    /// What can be seen on it, in words, for those who can't see it.
    pub(in super::super) description: String,
    pub(in super::super) height: f64,
    pub(in super::super) course: &'a Course,
    pub(in super::super) scale: Scale,
    pub(in super::super) series: Vec<Series>,
    pub(in super::super) bounds: Vec<Bound>,
    /// A label of the axis.
    pub(in super::super) label: fn(&Scale, f64) -> String,
    /// A value, to be read out.
    pub(in super::super) say: fn(f64) -> String,
}

impl Chart<'_> {
    /// With its title and its legend.
    pub(in super::super) fn draw(&self) -> Markup {
        let beyond = self.bounds.iter().filter(|bound| !self.scale.holds(bound.value)).collect::<Vec<_>>();
        html! {
            figure.chart.timed id=(self.id) {
                figcaption {
                    h3 { (self.title) @if self.scale.is_logarithmic() { small { " logarithmic scale" } } }
                    (self.legend())
                }
                div.plot {
                    svg role="img" aria-labelledby={ (self.id) "-title " (self.id) "-desc" } width="100%"
                        height=(pixels(ABOVE + self.height + BELOW)) data-end=(pixels(self.course.end)) {
                        title id={ (self.id) "-title" } { (self.title) }
                        desc id={ (self.id) "-desc" } { (self.description) }
                        (self.course.ground(ABOVE, self.height))
                        (self.grid())
                        (self.lines())
                        @for bound in &self.bounds { (self.bound(bound)) }
                    }
                }
                @for bound in beyond {
                    p.aside { "The bound of " code { (bound.text) } " lies beyond this chart." }
                }
            }
        }
    }

    fn legend(&self) -> Markup {
        html! {
            ul.legend {
                @for series in &self.series {
                    li {
                        svg.sample aria-hidden="true" width="26" height="10" {
                            line.(series.style) x1="1" x2="25" y1="5" y2="5" {}
                        }
                        span { (series.name) }
                        output {}
                    }
                }
            }
        }
    }

    fn grid(&self) -> Markup {
        html! {
            @for tick in &self.scale.ticks {
                @let y = self.y(*tick);
                line.grid x1="0" x2="100%" y1=(pixels(y)) y2=(pixels(y)) {}
                text.value x="-8" y=(pixels(y)) dy=".34em" { ((self.label)(&self.scale, *tick)) }
            }
        }
    }

    fn lines(&self) -> Markup {
        html! {
            svg.lines x="0" y=(pixels(ABOVE)) width="100%" height=(pixels(self.height)) preserveAspectRatio="none"
                viewBox={ "0 0 " (pixels(WIDTH)) " " (pixels(self.height)) } {
                @for series in &self.series {
                    @let points = thin(&series.points);
                    path.(series.style) d=(self.path(&points, series.stepped)) data-read=(self.read(&points)) {}
                }
            }
        }
    }

    fn bound(&self, bound: &Bound) -> Markup {
        if !self.scale.holds(bound.value) {
            return html! {};
        }
        let y = self.y(bound.value);
        // Above the line, unless that would leave the plot.
        let above = if y - ABOVE < 14.0 { y + 13.0 } else { y - 5.0 };
        html! {
            line.bound x1="0" x2="100%" y1=(pixels(y)) y2=(pixels(y)) {}
            @if let Some((from, to)) = bound.broken {
                line.broken x1=(part(self.course.share(from))) x2=(part(self.course.share(to))) y1=(pixels(y)) y2=(pixels(y)) {}
            }
            text.bound x="100%" dx="-4" y=(pixels(above)) { (bound.text) }
        }
    }

    /// Where a value lies, in pixels from the top of the drawing.
    fn y(&self, value: f64) -> f64 {
        ABOVE + self.height * (1.0 - self.scale.share(value))
    }

    /// The line. Where there is no value it breaks off; a value between two gaps is a dot.
    fn path(&self, points: &[Point], stepped: bool) -> String {
        let mut path = String::new();
        let mut broken = true;
        let places = points.iter().map(|(at, value)| (self.course.share(*at), value.filter(|value| value.is_finite())));
        for (index, (across, value)) in places.enumerate() {
            let Some(value) = value else {
                broken = true;
                continue;
            };
            let x = pixels(across * WIDTH);
            let y = pixels(self.height * (1.0 - self.scale.share(value)));
            let alone = broken && points.get(index + 1).is_none_or(|(_, next)| next.is_none());
            // Writing into a string can't fail.
            let _ = match (broken, stepped) {
                (true, _) if alone => write!(path, "M{x} {y}h0"),
                (true, _) => write!(path, "M{x} {y}"),
                (false, true) => write!(path, "H{x}V{y}"),
                (false, false) => write!(path, "L{x} {y}"),
            };
            broken = false;
        }
        path
    }

    /// What the script reads out: `seconds=text`, separated by `|`.
    fn read(&self, points: &[Point]) -> String {
        let read = points.iter().filter_map(|(at, value)| Some(format!("{}={}", pixels(*at), (self.say)((*value)?))));
        read.collect::<Vec<_>>().join("|")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn course(end: f64) -> Course {
        let sample = crate::result::Sample { t: end, ..Default::default() };
        Course::of(&crate::result::Report { timeline: vec![sample], ..crate::report::fixture::empty() }).unwrap()
    }

    fn chart(course: &Course, points: Vec<Point>, bounds: Vec<Bound>) -> Chart<'_> {
        let largest = points.iter().filter_map(|point| point.1).fold(0.0, f64::max);
        Chart {
            id: "a",
            title: "A",
            description: String::new(),
            height: 100.0,
            course,
            scale: Scale::linear(largest),
            series: vec![Series { name: "a", style: "p50", points, stepped: false }],
            bounds,
            label: Scale::millis,
            say: crate::report::format::millis,
        }
    }

    #[test]
    fn a_missing_value_is_a_gap_and_no_zero() {
        let course = course(10.0);
        let points = [Some(50.0), Some(100.0), None, Some(0.0), None, Some(50.0), Some(50.0)];
        let points: Vec<Point> = points.into_iter().enumerate().map(|(at, value)| (at as f64, value)).collect();
        let chart = chart(&course, points.clone(), Vec::new());
        assert_eq!(chart.path(&points, false), "M0 50L100 0M300 100h0M500 50L600 50");
        assert_eq!(chart.path(&points[..2], true), "M0 50H100V0");
    }

    #[test]
    fn a_promise_is_drawn_at_the_height_of_its_value() {
        let course = course(10.0);
        let bound = Bound { text: "accept.p95<25ms".to_owned(), value: 25.0, broken: Some((2.0, 4.0)) };
        let drawn = chart(&course, vec![(1.0, Some(100.0))], vec![bound]).draw().into_string();
        // A quarter of 100 pixels above the bottom, which is 120 pixels down.
        assert!(drawn.contains(r#"<line class="bound" x1="0" x2="100%" y1="95" y2="95">"#), "{drawn}");
        assert!(drawn.contains(r#"<line class="broken" x1="20%" x2="40%" y1="95" y2="95">"#), "{drawn}");
    }

    #[test]
    fn a_promise_beyond_the_axis_is_told() {
        let course = course(10.0);
        let bound = Bound { text: "accept.p95<9s".to_owned(), value: 9000.0, broken: None };
        let drawn = chart(&course, vec![(1.0, Some(100.0))], vec![bound]).draw().into_string();
        assert!(!drawn.contains("line class=\"bound\"") && drawn.contains("lies beyond this chart"), "{drawn}");
    }

    proptest! {
        #[test]
        fn anything_can_be_drawn(
            end in 0.0f64..1e9,
            values in proptest::collection::vec((0.0f64..1e9, proptest::option::of(proptest::num::f64::ANY)), 0..1000)
        ) {
            let course = course(end);
            let drawn = chart(&course, values, Vec::new()).draw().into_string();
            prop_assert!(!drawn.contains("NaN") && !drawn.contains("inf"));
        }
    }
}
