//! Charts over time in rows and columns, as one SVG file: for documentation, where runs stand side by side.
//!
//! Owns where things stand; the charts are those of the report. A row has one axis for all its columns, and all charts
//! have one axis of time, so that what looks the same is the same. The drawing brings its own paper and follows the
//! reader's choice of light or dark.

#[cfg(test)]
mod tests;

use maud::{Markup, PreEscaped, html};

use super::chart::timed::{ABOVE, BELOW};
use super::chart::{Axis, Bound, COLOURS, Chart, Course, STYLE as CHARTS, Scale, sample};
pub use super::chart::{Point, Series};
use super::format::{number, short};
use crate::result::Phase;

const STYLE: &str = include_str!("style.css");

const WIDTH: f64 = 960.0;
/// Room for the labels of the axes, and at the right for the last label of time.
const LEFT: f64 = 56.0;
const GAP: f64 = 60.0;
const RIGHT: f64 = 18.0;
/// Down to the first row.
const HEAD: f64 = 126.0;
/// From the top of a row to its charts.
const NAME: f64 = 26.0;
/// From a chart to the next row.
const FOOT: f64 = 22.0;
/// Of a letter, on average: legends are set by it.
const LETTER: f64 = 6.6;
/// Of a legend's piece of a line, and what follows it.
const SAMPLE: f64 = 32.0;

/// What is drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Sheet {
    /// What it shows.
    pub title: String,
    /// How it came about.
    pub lead: String,
    /// Seconds that the axis of time spans.
    pub end: f64,
    /// When each stretch of the load begins, and what it is called.
    pub stretches: Vec<(f64, String)>,
    /// When the load is over and only what it left behind goes on.
    pub over: f64,
    /// What stands side by side.
    pub columns: Vec<Column>,
    /// What stands one above the other.
    pub rows: Vec<Row>,
}

/// One run.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// What is different about it.
    pub heading: String,
    /// What came of it.
    pub finding: String,
}

/// One measure, with a chart for each column.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What is measured, with its unit.
    pub title: &'static str,
    /// Of its charts, in pixels.
    pub height: f64,
    /// A value that is aimed at, and what it is called.
    pub target: Option<(String, f64)>,
    /// The lines of each column; the same lines everywhere.
    pub charts: Vec<Vec<Series>>,
    /// What is to be seen in the chart of each column; none for none.
    pub notes: Vec<String>,
}

impl Sheet {
    /// The whole file.
    #[must_use]
    pub fn draw(&self) -> String {
        let tops: Vec<f64> =
            self.rows.iter().scan(HEAD, |top, row| Some(std::mem::replace(top, *top + row.room()))).collect();
        let height = HEAD + self.rows.iter().map(Row::room).sum::<f64>() + 10.0;
        let findings = self.columns.iter().map(|column| format!("{}: {}.", column.heading, column.finding));
        let drawing = html! {
            svg.plot xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="title desc"
                viewBox={ "0 0 " (short(WIDTH, 1)) " " (short(height, 1)) } width=(short(WIDTH, 1)) height=(short(height, 1)) {
                title id="title" { (self.title) }
                desc id="desc" { (self.lead) " " (findings.collect::<Vec<_>>().join(" ")) }
                style { (PreEscaped([COLOURS, CHARTS, STYLE].concat())) }
                rect.paper x="0.5" y="0.5" width=(short(WIDTH - 1.0, 1)) height=(short(height - 1.0, 1)) rx="8" {}
                text.title x="16" y="33" { (self.title) }
                text.lead x="16" y="54" { (self.lead) }
                @for (index, column) in self.columns.iter().enumerate() {
                    @let left = short(self.left(index), 1);
                    text.heading x=(left) y="89" { (column.heading) }
                    text.finding x=(left) y="108" { (column.finding) }
                }
                @for (index, (row, top)) in self.rows.iter().zip(tops).enumerate() {
                    (row.name(top))
                    @for (column, note) in row.notes.iter().enumerate() {
                        text.note x=(short(self.left(column) + self.width(), 1)) y=(short(top + 10.0, 1)) { (note) }
                    }
                    @for (column, series) in row.charts.iter().enumerate() {
                        svg x=(short(self.left(column), 1)) y=(short(top + NAME - ABOVE, 1)) width=(short(self.width(), 1))
                            height=(short(ABOVE + row.height + BELOW, 1)) {
                            (self.chart(row, index, series))
                        }
                    }
                }
            }
        };
        drawing.into_string() + "\n"
    }

    fn chart(&self, row: &Row, index: usize, series: &[Series]) -> Markup {
        let (first, last) = (index == 0, index + 1 == self.rows.len());
        let named = |(from, name): &(f64, String)| (*from, if first { name.clone() } else { String::new() });
        let course = Course {
            end: self.end,
            phases: vec![(Phase::Steady, 0.0, self.over), (Phase::Drain, self.over, self.end)],
            steps: self.stretches.iter().map(named).collect(),
            labelled: last,
        };
        let bound = |(text, value): &(String, f64)| Bound { text: text.clone(), value: *value, broken: None };
        Chart {
            id: "",
            title: row.title,
            height: row.height,
            course: &course,
            axis: Axis::To(row.largest()),
            series: series.to_vec(),
            bounds: row.target.iter().map(bound).collect(),
            label: |_: &Scale, value| number(value),
            say: number,
        }
        .inside(false)
    }

    fn width(&self) -> f64 {
        let columns = self.columns.len().max(1) as f64;
        (WIDTH - LEFT - RIGHT - GAP * (columns - 1.0)) / columns
    }

    fn left(&self, column: usize) -> f64 {
        LEFT + column as f64 * (self.width() + GAP)
    }
}

impl Row {
    fn room(&self) -> f64 {
        NAME + self.height + FOOT
    }

    /// Of everything in the row: one axis for all.
    fn largest(&self) -> f64 {
        let values = self.charts.iter().flatten().flat_map(|series| series.points.iter().filter_map(|point| point.1));
        let target = self.target.iter().map(|(_, value)| *value);
        values.chain(target).filter(|value| value.is_finite()).fold(0.0, f64::max)
    }

    /// The title with the legend beside it; one line needs none.
    fn name(&self, top: f64) -> Markup {
        let legend = self.charts.first().map(Vec::as_slice).filter(|series| series.len() > 1).unwrap_or_default();
        let width = |text: &str, letter: f64| text.chars().count() as f64 * letter;
        let begin = 16.0 + width(self.title, LETTER + 0.8) + 20.0;
        let next =
            |x: &mut f64, series: &Series| Some(std::mem::replace(x, *x + SAMPLE + width(series.name, LETTER) + 18.0));
        let places = legend.iter().scan(begin, next);
        html! {
            text.name x="16" y=(short(top + 10.0, 1)) { (self.title) }
            @for (series, x) in legend.iter().zip(places) {
                g transform={ "translate(" (short(x, 1)) " " (short(top + 1.0, 1)) ")" } { (sample(series.style)) }
                text.entry x=(short(x + SAMPLE, 1)) y=(short(top + 10.0, 1)) { (series.name) }
            }
        }
    }
}
