//! A load test while it runs: a block that is drawn again and again on a terminal, now and then a line elsewhere, and
//! each second as a line of data under `-o jsonl`.

mod block;
mod line;
mod row;

use std::time::Duration;

use card_loadtests::moment::{Doing, Moment};
use card_loadtests::plan::Model;
use card_loadtests::report::format;
use card_loadtests::result::Sample;
use serde::Serialize;
use tokio::time::Instant;

use self::line::Lines;
use crate::failure::Failure;
use crate::output::{Bar, Block, Format, Printer};

/// Faster than the eye needs, slower than a terminal suffers from.
const FRAME: Duration = Duration::from_millis(100);

#[derive(Serialize)]
struct Second<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    sample: &'a Sample,
}

/// What shows it.
pub(super) struct Live<'a> {
    printer: &'a Printer,
    block: Option<Bar>,
    drawn: Option<Instant>,
    lines: Lines,
    model: Model,
    /// The end of the last second that was told as data.
    told: f64,
}

impl<'a> Live<'a> {
    pub(super) fn new(printer: &'a Printer, model: Model) -> Self {
        let block = printer.bar("{msg}");
        Self { printer, block, drawn: None, lines: Lines::default(), model, told: 0.0 }
    }

    /// Shows what is new.
    pub(super) fn show(&mut self, moment: &Moment) -> Result<(), Failure> {
        if let Some(block) = &self.block
            && self.drawn.is_none_or(|drawn| drawn.elapsed() >= FRAME)
        {
            self.drawn = Some(Instant::now());
            block.show(Block::of(block::render(moment, self.model, columns(), self.printer.err())));
        }
        if let Some(line) = self.lines.next(moment, self.model) {
            self.printer.step(line);
        }
        self.tell(moment.second.iter())
    }

    /// The seconds that nobody looked at in time.
    pub(super) fn rest(&mut self, timeline: &[Sample]) -> Result<(), Failure> {
        self.tell(timeline.iter())
    }

    fn tell<'s>(&mut self, seconds: impl Iterator<Item = &'s Sample>) -> Result<(), Failure> {
        for sample in seconds {
            // Half a second: of several generators, the same second is known better at the end, and its place a little.
            if self.printer.format() == Format::Jsonl && sample.t > self.told + 0.5 * sample.lasted {
                self.told = sample.t;
                self.printer.data(&Second { kind: "second", sample })?;
            }
        }
        Ok(())
    }
}

/// What is being done, in a word.
fn word(doing: Doing) -> &'static str {
    match doing {
        Doing::Preparing => "preparing",
        Doing::Ramp => "ramp",
        Doing::Steady => "steady",
        Doing::Drain => "drain",
        Doing::Settle => "settle",
        Doing::Audit => "audit",
    }
}

/// Which step is at work: `step 2 of 3: 100 users`.
fn step(moment: &Moment, model: Model) -> Option<String> {
    // After the last one there is none, though it stays the last that there was.
    let step = moment.step.filter(|_| !matches!(moment.doing, Doing::Settle | Doing::Audit))?;
    let of = step.of.map(|of| format!(" of {of}")).unwrap_or_default();
    Some(format!("step {}{of}: {}", step.number, format::size(model, step.size)))
}

/// `01:05`, or `1:01:05`.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes:02}:{seconds:02}") }
}

/// The width of the terminal that progress is drawn on.
fn columns() -> usize {
    terminal_size::terminal_size_of(std::io::stderr()).map_or(80, |(width, _)| usize::from(width.0))
}
