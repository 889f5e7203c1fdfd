//! One line of a chart over time: as a path, as what the script reads out, and in words.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::thin::Point;
use super::{Course, Scale, pixels};
use crate::report::format;

/// How wide a plot is in its own coordinates; it is stretched to what room there is.
pub(super) const WIDTH: f64 = 1000.0;

/// A line.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What it says, as the legend names it.
    pub name: &'static str,
    /// Which of the styles of lines in `style.css`: each has a colour and a dash of its own.
    pub style: &'static str,
    /// In order of time.
    pub points: Vec<Point>,
    /// It holds its value until the next: a number of workers does not glide.
    pub stepped: bool,
}

impl Series {
    /// What is known of it.
    pub(super) fn known(&self) -> impl Iterator<Item = (f64, f64)> {
        self.points.iter().filter_map(|(at, value)| Some((*at, (*value).filter(|value| value.is_finite())?)))
    }

    /// What it began with, came up to and ended with.
    pub(super) fn describe(&self, say: fn(f64) -> String) -> String {
        let most = self.known().max_by(|a, b| a.1.total_cmp(&b.1));
        match (self.known().next(), most, self.known().last()) {
            (Some(first), Some(most), Some(last)) => format!(
                "{}: {} at first, at most {} at {}, {} at last.",
                self.name,
                say(first.1),
                say(most.1),
                format::point(most.0),
                say(last.1)
            ),
            _ => format!("{}: not measured.", self.name),
        }
    }
}

/// A piece of a line, for a legend.
pub(in super::super) fn sample(style: &str) -> Markup {
    html! {
        svg.sample aria-hidden="true" width="26" height="10" {
            line.(style) x1="1" x2="25" y1="5" y2="5" {}
        }
    }
}

/// The path. Where there is no value it breaks off; a value between two gaps is a dot.
pub(super) fn path(points: &[Point], stepped: bool, course: &Course, scale: &Scale, height: f64) -> String {
    let mut path = String::new();
    let mut broken = true;
    for (index, (at, value)) in points.iter().enumerate() {
        let Some(value) = value.filter(|value| value.is_finite()) else {
            broken = true;
            continue;
        };
        let x = pixels(course.share(*at) * WIDTH);
        let y = pixels(height * (1.0 - scale.share(value)));
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
pub(super) fn read(points: &[Point], say: fn(f64) -> String) -> String {
    let read = points.iter().filter_map(|(at, value)| Some(format!("{}={}", pixels(*at), say((*value)?))));
    read.collect::<Vec<_>>().join("|")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;
    use crate::result::{Report, Sample};

    #[test]
    fn a_missing_value_is_a_gap_and_no_zero() {
        let timeline = vec![Sample { t: 10.0, ..Sample::default() }];
        let course = Course::of(&Report { timeline, ..fixture::empty() }).unwrap();
        let scale = Scale::linear(100.0, 5);
        let points = [Some(50.0), Some(100.0), None, Some(0.0), None, Some(50.0), Some(50.0)];
        let points: Vec<Point> = points.into_iter().enumerate().map(|(at, value)| (at as f64, value)).collect();
        assert_eq!(path(&points, false, &course, &scale, 100.0), "M0 50L100 0M300 100h0M500 50L600 50");
        assert_eq!(path(&points[..2], true, &course, &scale, 100.0), "M0 50H100V0");
    }

    #[test]
    fn a_line_is_told_in_words() {
        let points = vec![(1.0, Some(2.0)), (2.0, None), (3.0, Some(9.0)), (4.0, Some(4.0))];
        let series = Series { name: "p95", style: "p95", points, stepped: false };
        let told = "p95: 2.00 ms at first, at most 9.00 ms at 3 s, 4.00 ms at last.";
        assert_eq!(series.describe(format::millis), told);
        assert_eq!(Series { points: Vec::new(), ..series }.describe(format::millis), "p95: not measured.");
    }
}
