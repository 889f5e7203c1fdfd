//! What is said at the end: the verdict with its reason, and what each part of it is made of.

mod steps;

use card_loadtests::judge::why;
use card_loadtests::report::format;
use card_loadtests::result::{Audit, Regression, Report, SloResult, Validity, Verdict};

use super::super::word;
use super::place::{Place, Written};
use crate::failure::Failure;
use crate::output::{Paint, Printer, home};
use card_core::exit::Exit;

/// The widest title, and the widest verdict.
const TITLE: usize = 11;
const WORD: usize = 12;
/// Findings that are shown; all are in the reports.
const FINDINGS: usize = 5;

/// Writes it.
pub(super) fn show(
    report: &Report,
    exit: Exit,
    place: &Place,
    written: &Written,
    printer: &Printer,
) -> Result<(), Failure> {
    let paint = printer.out();
    let why = match exit {
        Exit::Interrupted => format!("interrupted; {}", why(report)),
        Exit::Terminated => format!("terminated; {}", why(report)),
        _ => why(report),
    };
    let verdict = word::painted(report.verdict, paint);
    printer.text(format!("{}  {verdict} (exit {})  {}", paint.bold("RESULT"), exit as u8, still(&why)))?;
    for line in correctness(&report.correctness, paint) {
        printer.text(line)?;
    }
    let widest = report.slo.iter().map(|slo| slo.expr.chars().count()).max().unwrap_or(0);
    for (index, slo) in report.slo.iter().enumerate() {
        let title = if index == 0 { "slo" } else { "" };
        printer.text(line(title, Some(slo.verdict), promise(report, slo, widest), paint))?;
    }
    if let Some(table) = steps::table(report, printer) {
        printer.text(format!(" {}", paint.bold("steps")))?;
        printer.text(table.behind("   "))?;
    }
    if let Some(found) = &report.breakpoint {
        let (verdict, sentence) = steps::breakpoint(report, found);
        printer.text(line("breakpoint", Some(verdict), sentence, paint))?;
    }
    for line in report.regression.iter().flat_map(|found| regression(found, paint)) {
        printer.text(line)?;
    }
    printer.text(line("latency", None, latency(report), paint))?;
    if let Some(reads) = &report.reads {
        printer.text(line("reads", None, format::reads(reads), paint))?;
    }
    for line in validity(&report.validity, report, paint) {
        printer.text(line)?;
    }
    printer.text(line("reports", None, reports(place, written), paint))
}

/// What a platform said must not move or colour a terminal.
fn still(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// A title, a verdict and what there is to say.
fn line(title: &str, verdict: Option<Verdict>, text: impl AsRef<str>, paint: Paint) -> String {
    // The styles take no room: the padding is put outside of them.
    let padding = " ".repeat(WORD - verdict.map_or(0, |verdict| word::plain(verdict).len()));
    let verdict = verdict.map(|verdict| word::painted(verdict, paint)).unwrap_or_default();
    let title = if title.is_empty() { " ".repeat(TITLE) } else { paint.bold(title) + &" ".repeat(TITLE - title.len()) };
    format!(" {title} {verdict}{padding} {}", still(text.as_ref())).trim_end().to_owned()
}

fn correctness(of: &Audit, paint: Paint) -> Vec<String> {
    let done = of.sound();
    let mut text = format!(
        "{} accepted, {} done; {} lost, {} duplicate, {} stuck, {} unverified; drain {}",
        format::count(of.accepted),
        format::count(done),
        format::count(of.lost),
        format::count(of.duplicate),
        format::count(of.stuck),
        format::count(of.unverified),
        format::whole_millis(of.drain_ms),
    );
    for (count, what) in [
        (of.declined, "declined"),
        (of.dead, "dead"),
        (of.cancelled, "cancelled"),
        (of.unanswered, "requests without an answer"),
    ] {
        if count > 0 {
            text.push_str(&format!("; {} {what}", format::count(count)));
        }
    }
    if of.reads > 0 {
        text.push_str(&format!("; {} of {} reads stale", format::count(of.stale), format::count(of.reads)));
    }
    let mut lines = vec![line("correctness", Some(of.verdict), text, paint)];
    let more = |text: String| line("", None, text, paint);
    for finding in of.findings.iter().take(FINDINGS) {
        lines.push(more(format!("{:<9} {}  {}", finding.verdict, finding.task, finding.detail)));
    }
    if let Some(hidden) = of.findings.len().checked_sub(FINDINGS).filter(|hidden| *hidden > 0) {
        lines.push(more(format!("and {hidden} more in the reports")));
    }
    lines.extend(of.unverified_reason.iter().map(|reason| more(format!("unverified: {reason}"))));
    lines
}

fn promise(report: &Report, slo: &SloResult, widest: usize) -> String {
    let mut text =
        format!("{:<widest$}  {:<8} n={}", slo.expr, format::actual(&report.plan, slo), format::count(slo.n));
    if let Some((from, to)) = slo.broken_s {
        text.push_str(&format!("  missed from {} to {}", format::point(from), format::point(to)));
    }
    text
}

fn regression(of: &Regression, paint: Paint) -> Vec<String> {
    let changes = of.changes.iter().filter(|change| change.counts).map(|change| {
        let by = change.change.map_or_else(|| format::figure(&change.figure, change.after), format::change);
        format!("{} {by}", change.figure)
    });
    let changes = changes.collect::<Vec<_>>().join(", ");
    let first = match of.unlike.is_empty() {
        true => format!("{changes} against {} (tolerance {})", of.baseline, format::percent(of.tolerance)),
        false => format!("not comparable with {}", of.baseline),
    };
    let more = of.unlike.iter().chain(&of.notes).map(|text| line("", None, text, paint));
    std::iter::once(line("regression", Some(of.verdict), first, paint)).chain(more).collect()
}

fn latency(report: &Report) -> String {
    let of = |name: &str, of: &card_client::latency::Percentiles| {
        let [p50, p95, p99] = [of.p50, of.p95, of.p99]
            .map(|value| if of.n == 0 { format::NONE.to_owned() } else { format::millis(value) });
        format!("{name} p50 {p50}  p95 {p95}  p99 {p99}")
    };
    let rates = &report.rates;
    format!(
        "{};  {};  {} accepted",
        of("accept", &report.accept_intended_ms),
        of("e2e", &report.e2e_intended_ms),
        format::rate(rates.accepted)
    )
}

fn validity(of: &Validity, report: &Report, paint: Paint) -> Vec<String> {
    let mut parts = Vec::new();
    parts.extend(of.offered_ratio.map(|ratio| format!("{} of the planned arrivals", format::percent(ratio))));
    parts.push(format!(
        "generator cpu {} (max {})",
        format::percent(of.generator_cpu),
        format::percent(of.generator_cpu_max)
    ));
    parts.push(format!("late starts {}", format::percent(of.late_starts)));
    if let Some((code, count)) = report.errors.by_code.iter().max_by_key(|(_, count)| **count) {
        parts.push(format!("errors {} (most: {} {code})", format::percent(report.errors.rate), format::count(*count)));
    }
    for (name, count) in &report.errors.by_gateway {
        parts.push(format!("{} answered with {name} by a gateway", format::count(*count)));
    }
    if report.errors.resent > 0 {
        parts.push(format!("{} resent", format::count(report.errors.resent)));
    }
    if of.unsent > 0 {
        parts.push(format!("{} not sent by this machine", format::count(of.unsent)));
    }
    let mut lines = vec![line("validity", Some(of.verdict), parts.join(", "), paint)];
    lines.extend(of.reasons.iter().chain(&of.notes).map(|text| line("", None, text, paint)));
    lines
}

fn reports(place: &Place, written: &Written) -> String {
    match written.names.split_first() {
        None => "none could be written".to_owned(),
        Some((first, others)) => {
            let path = place.dir().join(first);
            std::iter::once(home(&path))
                .chain(others.iter().map(|name| (*name).to_owned()))
                .collect::<Vec<_>>()
                .join("  ")
        }
    }
}
