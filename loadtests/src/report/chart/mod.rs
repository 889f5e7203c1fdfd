//! Charts as SVG that takes the width it is given: places across are percentages, places down are pixels, so that text
//! keeps its size on a phone, on paper and on a wide screen.

mod axis;
#[cfg(test)]
mod contrast;
mod course;
mod histogram;
mod line;
mod sizes;
mod thin;
pub(super) mod timed;

pub(super) use self::axis::Scale;
pub(super) use self::course::{Course, name};
pub(super) use self::histogram::{Heap, Mark, histogram};
pub use self::line::Series;
pub(super) use self::line::sample;
pub(super) use self::sizes::{Size, marks, sizes};
pub use self::thin::Point;
pub(super) use self::timed::{Axis, Bound, Chart};

use crate::report::format::short;

/// Of paper, ink and lines, in light and dark.
pub(super) const COLOURS: &str = include_str!("colours.css");
/// How what is drawn here looks, in those colours.
pub(super) const STYLE: &str = include_str!("style.css");

/// A place across.
fn part(share: f64) -> String {
    format!("{}%", short(share.clamp(0.0, 1.0) * 100.0, 2))
}

/// A place down, or in the coordinates of a plot.
fn pixels(value: f64) -> String {
    short(value, 1)
}
