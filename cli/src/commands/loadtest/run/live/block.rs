//! A load test as a block of four lines, for a terminal.

use card_client::latency::Percentiles;
use card_loadtests::moment::{Doing, Moment};
use card_loadtests::plan::Model;
use card_loadtests::report::format;

use super::row::Row;
use super::{clock, step, word};
use crate::commands::watch::screen::bar;
use crate::output::Paint;

/// The longest picture of the backlog, and the shortest that says anything.
const PICTURE: usize = 30;
const SMALLEST_PICTURE: usize = 5;
/// What is left for the figures behind the picture.
const BEHIND_PICTURE: usize = 56;

/// The block, each line of it at most so wide.
pub(super) fn render(moment: &Moment, model: Model, columns: usize, paint: Paint) -> Vec<String> {
    [phase(moment, model, columns, paint), rates(moment, columns, paint), latencies(moment, columns, paint)]
        .into_iter()
        .chain([platform(moment, columns, paint)])
        .collect()
}

fn phase(moment: &Moment, model: Model, columns: usize, paint: Paint) -> String {
    let row = Row::new(columns).styled(format!("{:<9}", word(moment.doing)), |text| paint.bold(text));
    let row = if moment.course.is_zero() || matches!(moment.doing, Doing::Drain | Doing::Settle | Doing::Audit) {
        row.add(clock(moment.elapsed))
    } else {
        let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let drawn = bar(millis(moment.into_course), millis(moment.course), paint);
        let plain = bar(millis(moment.into_course), millis(moment.course), Paint::plain());
        row.styled(plain, |_| drawn).add(format!("{}/{}", clock(moment.into_course), clock(moment.course)))
    };
    let row = match step(moment, model) {
        Some(step) => row.add(step),
        None => row,
    };
    let open = moment.accepted.saturating_sub(moment.completed);
    match moment.doing {
        Doing::Drain if open > 0 => row.add(format!("waiting for {}", format::count(open))),
        _ => row,
    }
    .done()
}

fn rates(moment: &Moment, columns: usize, paint: Paint) -> String {
    let rate = |of: Option<f64>| format!("{:>8}", of.map_or_else(|| format::NONE.to_owned(), format::rate));
    let second = moment.second.as_ref();
    let row = Row::new(columns)
        .figure(paint, "offered  ", rate(second.map(|second| second.offered)))
        .figure(paint, "accepted ", rate(second.map(|second| second.accepted)))
        .figure(paint, "completed ", rate(second.map(|second| second.completed)));
    let errors = format::count(moment.errors);
    match moment.errors {
        0 => row.figure(paint, "errors", errors),
        _ => row.styled(format!("errors {errors}"), |text| paint.bad(text)),
    }
    .done()
}

fn latencies(moment: &Moment, columns: usize, paint: Paint) -> String {
    let spread = |of: &Percentiles| {
        let [p50, p95, p99] = [of.p50, of.p95, of.p99]
            .map(|value| if of.n == 0 { format::NONE.to_owned() } else { format::millis(value) });
        format!("p50 {p50:>7}  p95 {p95:>7}  p99 {p99:>7}")
    };
    Row::new(columns)
        .figure(paint, "accept   ", spread(&moment.accept))
        .figure(paint, "e2e", spread(&moment.e2e))
        .done()
}

fn platform(moment: &Moment, columns: usize, paint: Paint) -> String {
    let Some(second) = &moment.second else { return paint.dim("backlog") };
    let row = Row::new(columns);
    let room = row.room().saturating_sub(BEHIND_PICTURE).min(PICTURE);
    let backlog = second.backlog.map_or_else(|| format::NONE.to_owned(), format::count);
    let row = match room >= SMALLEST_PICTURE && !moment.backlog.is_empty() {
        true => row.figure(paint, "backlog  ", format!("{} {backlog}", picture(&moment.backlog, room))),
        false => row.figure(paint, "backlog  ", backlog),
    };
    let row = match second.oldest_age_ms {
        Some(age) => row.figure(paint, "oldest", format::whole_millis(age)),
        None => row,
    };
    let row = match second.workers {
        Some(workers) => row.figure(paint, "workers", workers.to_string()),
        None => row,
    };
    row.figure(paint, "generator cpu", format::percent((second.generator_cpu * 100.0).round() / 100.0)).done()
}

/// The last values as columns, the newest at the right; full height is the largest of them.
fn picture(values: &[u64], most: usize) -> String {
    const COLUMNS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let shown = &values[values.len().saturating_sub(most)..];
    let largest = shown.iter().copied().max().unwrap_or(0).max(1);
    let height = |value: u64| usize::try_from(value.saturating_mul(7).div_ceil(largest)).unwrap_or(0).min(7);
    shown.iter().map(|value| COLUMNS[height(*value)]).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use card_loadtests::moment::AtStep;
    use card_loadtests::result::Sample;

    use super::*;

    fn moment() -> Moment {
        let latency = Percentiles { n: 9, p50: 4.1, p95: 11.0, p99: 19.2, ..Percentiles::default() };
        Moment {
            doing: Doing::Steady,
            elapsed: Duration::from_secs(31),
            course: Duration::from_secs(60),
            into_course: Duration::from_secs(31),
            step: Some(AtStep { number: 2, of: Some(3), size: 100.0 }),
            second: Some(Sample {
                offered: 200.0,
                accepted: 199.8,
                completed: 176.0,
                backlog: Some(402),
                oldest_age_ms: Some(1900),
                workers: Some(4),
                generator_cpu: 0.414,
                ..Sample::default()
            }),
            accept: latency,
            e2e: Percentiles { p50: 310.0, p95: 1420.0, p99: 1960.0, ..latency },
            backlog: vec![0, 20, 100, 200, 300, 402],
            ..Moment::default()
        }
    }

    #[test]
    fn a_block_has_four_lines() {
        let expected = "\
steady      ━━━━━━━━━━━━────────────   00:31/01:00   step 2 of 3: 100 users
offered      200/s   accepted   199.8/s   completed     176/s   errors 0
accept    p50 4.10 ms  p95 11.0 ms  p99 19.2 ms   e2e p50  310 ms  p95  1.42 s  p99  1.96 s
backlog   ▁▂▃▅▇█ 402   oldest 1.90 s   workers 4   generator cpu 41%";
        assert_eq!(render(&moment(), Model::Closed, 120, Paint::plain()).join("\n"), expected);
    }

    #[test]
    fn a_block_fits_the_terminal() {
        for columns in 1..140 {
            let block = render(&moment(), Model::Closed, columns, Paint::plain());
            assert_eq!(block.len(), 4, "{columns}");
            assert!(block.iter().all(|line| line.chars().count() <= columns.max(7)), "{columns}\n{block:?}");
        }
    }

    #[test]
    fn before_the_first_second_nothing_is_made_up() {
        let block = render(&Moment::default(), Model::Open, 80, Paint::plain()).join("\n");
        assert!(block.starts_with("preparing") && block.contains("offered          –"), "{block}");
    }

    #[test]
    fn a_picture_shows_the_newest() {
        assert_eq!(picture(&[9, 9, 0, 1, 2, 4], 4), "▁▃▅█");
        assert_eq!(picture(&[0, 0], 9), "▁▁");
    }
}
