//! Charts over time.

use maud::{Markup, html};

use super::line::{Series, WIDTH, path, read, sample};
use super::thin::thin;
use super::{Course, Scale, part, pixels};

/// Room above a plot for the sizes of steps, and below for the labels of time.
pub(in super::super) const ABOVE: f64 = 20.0;
pub(in super::super) const BELOW: f64 = 24.0;

/// A promise, as a line across.
pub(in super::super) struct Bound {
    /// As it was typed.
    pub(in super::super) text: String,
    /// In the chart's unit.
    pub(in super::super) value: f64,
    /// Seconds from and to which it was broken.
    pub(in super::super) broken: Option<(f64, f64)>,
}

/// Which kind of axis.
pub(in super::super) enum Axis {
    /// From 0.
    Linear,
    /// Linear or logarithmic, as the values ask for.
    Fitting,
    /// From 0 to at least this, whatever the values: charts side by side can be compared.
    To(f64),
    /// From 0 to 1.
    Shares,
}

/// A chart over time.
pub(in super::super) struct Chart<'a> {
    /// Unique on the page.
    pub(in super::super) id: &'static str,
    pub(in super::super) title: &'static str,
    pub(in super::super) height: f64,
    pub(in super::super) course: &'a Course,
    pub(in super::super) axis: Axis,
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
        let scale = self.scale();
        let told: Vec<String> = self.series.iter().map(|series| series.describe(self.say)).collect();
        html! {
            figure.chart.timed id={ "chart-" (self.id) } {
                figcaption {
                    h3 { (self.title) @if scale.is_logarithmic() { small { " logarithmic scale" } } }
                    (self.legend())
                }
                div.plot {
                    svg role="img" aria-labelledby={ (self.id) "-title " (self.id) "-desc" } width="100%"
                        height=(pixels(ABOVE + self.height + BELOW)) data-end=(pixels(self.course.end)) {
                        title id={ (self.id) "-title" } { (self.title) }
                        desc id={ (self.id) "-desc" } { (told.join(" ")) }
                        (self.inside(true))
                    }
                }
                @for bound in self.bounds.iter().filter(|bound| !scale.holds(bound.value)) {
                    p.aside { "The bound of " code { (bound.text) } " lies beyond this chart." }
                }
            }
        }
    }

    /// What is in the drawing, as wide as what it is put into. Values are there to be read out if there is a script that
    /// does.
    pub(in super::super) fn inside(&self, readable: bool) -> Markup {
        let scale = self.scale();
        html! {
            (self.course.ground(ABOVE, self.height))
            (self.grid(&scale))
            (self.lines(&scale, readable))
            @for bound in self.bounds.iter().filter(|bound| scale.holds(bound.value)) {
                (self.bound(bound, &scale))
            }
        }
    }

    /// For the lines, and for the promises that are not far beyond them.
    fn scale(&self) -> Scale {
        let values: Vec<f64> = self.series.iter().flat_map(Series::known).map(|(_, value)| value).collect();
        let largest = values.iter().copied().fold(0.0, f64::max);
        let near = self.bounds.iter().map(|bound| bound.value).filter(|bound| *bound <= largest * 2.5);
        let largest = near.fold(largest, f64::max);
        match self.axis {
            // A label needs some height of its own.
            Axis::Linear => Scale::linear(largest, self.steps()),
            Axis::To(least) => Scale::linear(least, self.steps()),
            Axis::Fitting => Scale::fitting(&values, largest),
            Axis::Shares => Scale::shares(),
        }
    }

    fn steps(&self) -> u32 {
        if self.height < 80.0 { 2 } else { 5 }
    }

    fn legend(&self) -> Markup {
        html! {
            ul.legend {
                @for series in &self.series {
                    li {
                        (sample(series.style))
                        span { (series.name) }
                        output {}
                    }
                }
            }
        }
    }

    fn grid(&self, scale: &Scale) -> Markup {
        html! {
            @for tick in &scale.ticks {
                @let y = pixels(self.y(*tick, scale));
                line.grid x1="0" x2="100%" y1=(y) y2=(y) {}
                text.value x="-8" y=(y) dy=".34em" { ((self.label)(scale, *tick)) }
            }
        }
    }

    fn lines(&self, scale: &Scale, readable: bool) -> Markup {
        html! {
            svg.lines x="0" y=(pixels(ABOVE)) width="100%" height=(pixels(self.height)) preserveAspectRatio="none"
                viewBox={ "0 0 " (pixels(WIDTH)) " " (pixels(self.height)) } {
                @for series in &self.series {
                    @let points = thin(&series.points);
                    path.(series.style) d=(path(&points, series.stepped, self.course, scale, self.height))
                        data-read=[readable.then(|| read(&points, self.say))] {}
                }
            }
        }
    }

    fn bound(&self, bound: &Bound, scale: &Scale) -> Markup {
        let y = self.y(bound.value, scale);
        // Above the line, unless that would leave the plot.
        let text = if y - ABOVE < 14.0 { y + 13.0 } else { y - 5.0 };
        html! {
            line.bound x1="0" x2="100%" y1=(pixels(y)) y2=(pixels(y)) {}
            @if let Some((from, to)) = bound.broken {
                line.broken x1=(part(self.course.share(from))) x2=(part(self.course.share(to)))
                    y1=(pixels(y)) y2=(pixels(y)) {}
            }
            text.bound x="0" dx="5" y=(pixels(text)) { (bound.text) }
        }
    }

    /// Where a value lies, in pixels from the top of the drawing.
    fn y(&self, value: f64, scale: &Scale) -> f64 {
        ABOVE + self.height * (1.0 - scale.share(value))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::thin::Point;
    use super::*;
    use crate::report::{fixture, format};
    use crate::result::{Report, Sample};

    fn course(end: f64) -> Course {
        let timeline = vec![Sample { t: end, ..Sample::default() }];
        Course::of(&Report { timeline, ..fixture::empty() }).unwrap()
    }

    fn drawn(course: &Course, points: Vec<Point>, bounds: Vec<Bound>) -> String {
        let series = vec![Series { name: "p50", style: "p50", points, stepped: false }];
        let (label, say) = (Scale::millis, format::millis);
        Chart { id: "a", title: "A", height: 100.0, course, axis: Axis::Linear, series, bounds, label, say }
            .draw()
            .into_string()
    }

    #[test]
    fn a_promise_is_drawn_at_the_height_of_its_value() {
        let bound = Bound { text: "accept.p95<25ms".to_owned(), value: 25.0, broken: Some((2.0, 4.0)) };
        let drawn = drawn(&course(10.0), vec![(1.0, Some(100.0))], vec![bound]);
        // A quarter of 100 pixels above the bottom, which is 120 pixels down.
        assert!(drawn.contains(r#"<line class="bound" x1="0" x2="100%" y1="95" y2="95">"#), "{drawn}");
        assert!(drawn.contains(r#"<line class="broken" x1="20%" x2="40%" y1="95" y2="95">"#), "{drawn}");
    }

    #[test]
    fn the_axis_makes_room_for_a_promise_that_is_near() {
        let bound = |value| vec![Bound { text: "accept.p95<x".to_owned(), value, broken: None }];
        let near = drawn(&course(10.0), vec![(1.0, Some(100.0))], bound(200.0));
        assert!(near.contains(r#"<line class="bound" x1="0" x2="100%" y1="20" y2="20">"#), "{near}");
        let far = drawn(&course(10.0), vec![(1.0, Some(100.0))], bound(9000.0));
        assert!(!far.contains("line class=\"bound\"") && far.contains("lies beyond this chart"), "{far}");
    }

    proptest! {
        #[test]
        fn anything_can_be_drawn(
            end in 0.0f64..1e9,
            values in proptest::collection::vec((0.0f64..1e9, proptest::option::of(proptest::num::f64::ANY)), 0..1000)
        ) {
            let drawn = drawn(&course(end), values, Vec::new());
            prop_assert!(!drawn.contains("NaN") && !drawn.contains("inf"));
        }
    }
}
