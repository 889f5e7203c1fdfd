//! From text to promise.

use super::super::flaw::{Flaw, Part, suggestion};
use super::{Metric, Op, Slo, Stat, Unit};

/// What other tools call a metric.
const ELSEWHERE: [(&str, &str); 10] = [
    ("throughput", "completed"),
    ("rps", "accepted"),
    ("rate", "accepted"),
    ("latency", "e2e"),
    ("duration", "e2e"),
    ("end-to-end", "e2e"),
    ("error-rate", "errors"),
    ("failures", "errors"),
    ("lag", "oldest-age"),
    ("depth", "backlog"),
];

/// Reads a promise; `text` has no spaces around it.
pub(in crate::plan) fn parse(text: &str) -> Result<Slo, Flaw> {
    let (figure, op, bound) = comparison(Part::whole(text))?;
    let (metric, stat) = metric_and_stat(figure.trim())?;
    let (op_part, op) = op;
    let bound_part = bound.trim();
    let bound = number(bound_part, metric, |bound| format!("{}{}{bound}", figure.trim().text, op_part.text))?;
    can_be_kept_and_broken(op_part, op, bound, metric)?;
    Ok(Slo { metric, stat, op, bound, text: text.to_owned() })
}

type Compared<'a> = (Part<'a>, (Part<'a>, Op), Part<'a>);

fn comparison(text: Part<'_>) -> Result<Compared<'_>, Flaw> {
    const SIGNS: [char; 6] = ['<', '>', '=', '!', '≤', '≥'];
    let Some(begin) = text.text.find(SIGNS) else {
        return Err(text.flaw("there is no comparison", "one of < <= > >= is needed, such as e2e.p95<2s"));
    };
    let (figure, rest) = text.split_at(begin);
    let end = rest.text.find(|letter| !SIGNS.contains(&letter)).unwrap_or(rest.text.len());
    let (sign, bound) = rest.split_at(end);
    match Op::ALL.into_iter().find(|op| op.as_str() == sign.text) {
        Some(op) => Ok((figure, (sign, op), bound)),
        None => {
            let hint = suggestion(sign.text, Op::ALL.iter().map(|op| op.as_str()));
            Err(sign.flaw(format!("{:?} is not a comparison", sign.text), hint))
        }
    }
}

fn metric_and_stat(figure: Part<'_>) -> Result<(Metric, Option<Stat>), Flaw> {
    let (name, stat) = match figure.text.find('.') {
        Some(point) => {
            let (name, stat) = figure.split_at(point);
            (name.trim(), Some(stat.split_at(1).1.trim()))
        }
        None => (figure, None),
    };
    let metric = Metric::ALL.into_iter().find(|metric| metric.as_str() == name.text);
    let metric = metric.ok_or_else(|| unknown_metric(name))?;
    Ok((metric, statistic(metric, name, stat)?))
}

fn unknown_metric(name: Part<'_>) -> Flaw {
    let known = Metric::ALL.iter().map(|metric| metric.as_str());
    if name.text.is_empty() {
        return name.flaw("the metric is missing", format!("such as e2e.p95<2s; known: {}", join(known)));
    }
    if stat_named(name.text).is_some() {
        let what = format!("{:?} is a statistic without a metric", name.text);
        return name.flaw(what, format!("did you mean e2e.{0} or accept.{0}?", name.text));
    }
    let what = format!("unknown metric {:?}", name.text);
    let plain = name.text.to_lowercase().replace('_', "-");
    match ELSEWHERE.iter().find(|(elsewhere, _)| *elsewhere == plain) {
        Some((_, here)) => name.flaw(what, format!("did you mean {here}? known: {}", join(known))),
        None => name.flaw(what, suggestion(&plain, known)),
    }
}

fn statistic(metric: Metric, name: Part<'_>, stat: Option<Part<'_>>) -> Result<Option<Stat>, Flaw> {
    let known = || Stat::ALL.iter().map(|stat| stat.as_str());
    let metric_name = metric.as_str();
    match stat {
        None if metric.is_latency() => Err(name.flaw(
            format!("{metric_name} needs a statistic"),
            format!("such as {metric_name}.p95; known: {}", join(known())),
        )),
        None => Ok(None),
        Some(stat) if metric.is_latency() => match stat_named(stat.text) {
            Some(stat) => Ok(Some(stat)),
            None => {
                let hint = match stat.text {
                    "avg" | "average" => format!("did you mean mean? known: {}", join(known())),
                    "median" | "med" => format!("did you mean p50? known: {}", join(known())),
                    other => suggestion(other, known()),
                };
                Err(stat.flaw(format!("unknown statistic {:?}", stat.text), hint))
            }
        },
        // These two are the largest value anyway; saying so is no mistake.
        Some(stat) if stat.text == "max" && matches!(metric, Metric::Backlog | Metric::OldestAge) => Ok(None),
        Some(stat) => Err(stat.flaw(format!("{metric_name} has no statistics"), format!("write {metric_name} alone"))),
    }
}

/// `whole` makes a promise of another bound, for a hint.
fn number(part: Part<'_>, metric: Metric, whole: impl Fn(&str) -> String) -> Result<f64, Flaw> {
    let such_as = match metric.unit() {
        Unit::Time => "such as 250ms or 2s",
        Unit::Share => "such as 1% or 0.01",
        Unit::Rate => "such as 500/s",
        Unit::Count => "such as 1000",
    };
    if part.text.is_empty() {
        return Err(part.flaw("the bound is missing", such_as));
    }
    let begin = part.text.find(|letter: char| letter.is_alphabetic() || "%/".contains(letter));
    let (digits, unit) = part.split_at(begin.unwrap_or(part.text.len()));
    let (digits, unit) = (digits.trim(), unit.trim());
    if digits.text.starts_with('-') {
        return Err(part.flaw("a bound can't be negative", such_as));
    }
    let plain = !digits.text.is_empty() && digits.text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let value = digits.text.parse().ok().filter(|_| plain);
    let value: f64 = value.ok_or_else(|| part.flaw(format!("{:?} is not a bound", part.text), such_as))?;
    let bound = value * factor(unit, digits, metric)?;
    if !bound.is_finite() {
        return Err(part.flaw("a bound must be finite", such_as));
    }
    if metric.unit() == Unit::Share {
        let percent = format!("{}%", digits.text);
        let meant = || format!("did you mean {percent}? {}", whole(&percent));
        if bound > 1.0 {
            let hint = if unit.text.is_empty() { meant() } else { such_as.to_owned() };
            return Err(part.flaw("a bound can't be above 100%", hint));
        }
        // Whoever means all of them says so with the sign; without it, it was forgotten.
        if bound >= 1.0 && unit.text.is_empty() {
            return Err(part.flaw(format!("{} without % is a fraction, and so 100%", digits.text), meant()));
        }
    }
    Ok(bound)
}

/// How much 1 of the typed unit is in the metric's own.
fn factor(unit: Part<'_>, digits: Part<'_>, metric: Metric) -> Result<f64, Flaw> {
    let name = metric.as_str();
    match (metric.unit(), unit.text) {
        (Unit::Time, "us") => Ok(0.001),
        (Unit::Time, "s") => Ok(1000.0),
        (Unit::Time, "m") => Ok(60_000.0),
        (Unit::Share, "%") => Ok(0.01),
        (Unit::Rate, "/m") => Ok(1.0 / 60.0),
        (Unit::Time, "ms") | (Unit::Rate, "/s") | (Unit::Share | Unit::Rate | Unit::Count, "") => Ok(1.0),
        (Unit::Time, "") => Err(digits.flaw("a time needs a unit", format!("us, ms, s or m: {}ms", digits.text))),
        (Unit::Time, other) => {
            Err(unit.flaw(format!("{name} is a time, and {other:?} is not a unit of time"), "us, ms, s or m"))
        }
        (Unit::Share, other) => {
            Err(unit.flaw(format!("{name} is a share, and {other:?} is not a share"), "1% or 0.01"))
        }
        (Unit::Rate, other) => {
            Err(unit.flaw(format!("{name} is a rate, and {other:?} is not a unit of rate"), "/s or /m"))
        }
        (Unit::Count, other) => Err(unit.flaw(format!("{name} is a number, and {other:?} is a unit"), "none")),
    }
}

/// A promise that can't be kept, or can't be broken, is a slip of the pen.
fn can_be_kept_and_broken(sign: Part<'_>, op: Op, bound: f64, metric: Metric) -> Result<(), Flaw> {
    let (least, most) = (bound == 0.0, metric.unit() == Unit::Share && bound >= 1.0);
    match op {
        Op::Less if least => Err(sign.flaw("nothing is less than 0", "did you mean <=?")),
        Op::AtLeast if least => Err(sign.flaw("everything is at least 0", "did you mean >?")),
        Op::More if most => Err(sign.flaw("nothing is more than 100%", "did you mean >=?")),
        Op::AtMost if most => Err(sign.flaw("everything is at most 100%", "did you mean <?")),
        _ => Ok(()),
    }
}

fn stat_named(name: &str) -> Option<Stat> {
    Stat::ALL.into_iter().find(|stat| stat.as_str() == name)
}

fn join<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(" ")
}
