use proptest::prelude::*;

use super::*;

fn slo(text: &str) -> Slo {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refusal(text: &str) -> String {
    text.parse::<Slo>().expect_err(text).message
}

#[test]
fn promises_are_read_with_their_units() {
    for (text, metric, stat, op, bound) in [
        ("e2e.p95<2s", Metric::EndToEnd, Some(Stat::P95), Op::Less, 2000.0),
        ("accept.p50 <= 250us", Metric::Accept, Some(Stat::P50), Op::AtMost, 0.25),
        ("accept-service.max<1.5 m", Metric::AcceptService, Some(Stat::Max), Op::Less, 90_000.0),
        ("e2e-service.mean>1ms", Metric::EndToEndService, Some(Stat::Mean), Op::More, 1.0),
        ("queue-wait.p99<1s", Metric::QueueWait, Some(Stat::P99), Op::Less, 1000.0),
        ("work.p90<1s", Metric::Work, Some(Stat::P90), Op::Less, 1000.0),
        ("errors<1%", Metric::Errors, None, Op::Less, 0.01),
        ("errors<=0", Metric::Errors, None, Op::AtMost, 0.0),
        ("dead<0.01", Metric::Dead, None, Op::Less, 0.01),
        ("declined < 100 %", Metric::Declined, None, Op::Less, 1.0),
        (" offered>=500/s ", Metric::Offered, None, Op::AtLeast, 500.0),
        ("accepted>=500", Metric::Accepted, None, Op::AtLeast, 500.0),
        ("completed>30/m", Metric::Completed, None, Op::More, 0.5),
        ("backlog<1000", Metric::Backlog, None, Op::Less, 1000.0),
        ("backlog.max<1000", Metric::Backlog, None, Op::Less, 1000.0),
        ("oldest-age<=30s", Metric::OldestAge, None, Op::AtMost, 30_000.0),
    ] {
        let read = slo(text);
        assert_eq!((read.metric, read.stat, read.op), (metric, stat, op), "{text}");
        assert!((read.bound - bound).abs() < 1e-9, "{text}: {}", read.bound);
        assert_eq!(read.to_string(), text.trim());
    }
}

#[test]
fn a_swapped_statistic_is_pointed_at_and_named() {
    let expected =
        "unknown statistic \"p59\"\n  e2e.p59<2s\n      ^^^ did you mean p95? known: p50 p90 p95 p99 max mean";
    assert_eq!(refusal("e2e.p59<2s"), expected);
}

#[test]
fn a_time_without_a_unit_is_pointed_at() {
    assert_eq!(refusal("e2e.p95 < 2"), "a time needs a unit\n  e2e.p95 < 2\n            ^ us, ms, s or m: 2ms");
}

#[test]
fn every_refusal_says_what_is_wrong_and_what_would_be_right() {
    for (text, wrong, right) in [
        ("", "no comparison", "e2e.p95<2s"),
        ("e2e.p95", "no comparison", "< <= > >="),
        ("e2e.p95=2s", "\"=\" is not a comparison", "did you mean <?"),
        ("e2e.p95=<2s", "\"=<\" is not a comparison", "did you mean <=?"),
        ("e2e.p95!=2s", "\"!=\" is not a comparison", "known: < <= > >="),
        ("e2e.p95≤2s", "\"≤\" is not a comparison", "known: < <= > >="),
        ("<2s", "the metric is missing", "known: accept e2e"),
        ("p95<2s", "\"p95\" is a statistic", "did you mean e2e.p95 or accept.p95?"),
        ("throughput>5", "unknown metric \"throughput\"", "did you mean completed?"),
        ("error_rate<1%", "unknown metric \"error_rate\"", "did you mean errors?"),
        ("acept.p95<2s", "unknown metric \"acept\"", "did you mean accept?"),
        ("http_req_duration.p95<2s", "unknown metric", "known: accept"),
        ("e2e<2s", "e2e needs a statistic", "such as e2e.p95"),
        ("e2e.<2s", "unknown statistic \"\"", "known: p50"),
        ("e2e.avg<2s", "unknown statistic \"avg\"", "did you mean mean?"),
        ("e2e.median<2s", "unknown statistic \"median\"", "did you mean p50?"),
        ("errors.p95<1%", "errors has no statistics", "write errors alone"),
        ("backlog.mean<1", "backlog has no statistics", "write backlog alone"),
        ("e2e.p95<", "the bound is missing", "such as 250ms"),
        ("e2e.p95<-2s", "a bound can't be negative", "such as 250ms"),
        ("e2e.p95<NaN", "\"NaN\" is not a bound", "such as 250ms"),
        ("e2e.p95<inf", "\"inf\" is not a bound", "such as 250ms"),
        ("e2e.p95<1.2.3s", "is not a bound", "such as 250ms"),
        ("e2e.p95<s", "is not a bound", "such as 250ms"),
        ("e2e.p95<2%", "e2e is a time, and \"%\" is not a unit of time", "us, ms, s or m"),
        ("e2e.p95<1e3ms", "\"e3ms\" is not a unit of time", "us, ms, s or m"),
        ("errors<1s", "errors is a share, and \"s\" is not a share", "1% or 0.01"),
        ("errors<5", "a bound can't be above 100%", "did you mean 5%? errors<5%"),
        ("errors<1", "1 without % is a fraction, and so 100%", "did you mean 1%? errors<1%"),
        ("errors <= 1.0", "1.0 without % is a fraction, and so 100%", "did you mean 1.0%? errors<=1.0%"),
        ("dead<1", "1 without % is a fraction", "dead<1%"),
        ("declined>=1", "1 without % is a fraction", "declined>=1%"),
        ("errors<101%", "a bound can't be above 100%", "such as 1%"),
        ("accepted>5ms", "accepted is a rate, and \"ms\" is not a unit of rate", "/s or /m"),
        ("backlog<5k", "backlog is a number, and \"k\" is a unit", "none"),
        ("oldest-age<30", "a time needs a unit", "30ms"),
        ("errors<0", "nothing is less than 0", "<="),
        ("errors>=0%", "everything is at least 0", ">"),
        ("errors>100%", "nothing is more than 100%", ">="),
        ("errors<=100%", "everything is at most 100%", "<"),
    ] {
        let message = refusal(text);
        let [first, shown, pointing] = message.lines().collect::<Vec<_>>()[..] else { panic!("{message}") };
        assert!(first.contains(wrong), "{text}: {message}");
        assert_eq!(shown, format!("  {text}"));
        assert!(pointing.contains('^') && pointing.contains(right), "{text}: {message}");
    }
    let long = format!("accepted>{}", "9".repeat(400));
    assert!(refusal(&long).starts_with("a bound must be finite"));
}

#[test]
fn a_promise_holds_up_to_its_bound_and_not_beyond() {
    let kept = |text: &str, actual| slo(text).holds(actual);
    assert_eq!([1.9, 2.0, 2.1].map(|s| kept("e2e.p95<2s", s * 1000.0)), [true, false, false]);
    assert_eq!([1.9, 2.0, 2.1].map(|s| kept("e2e.p95<=2s", s * 1000.0)), [true, true, false]);
    assert_eq!([499.0, 500.0, 501.0].map(|rate| kept("accepted>500/s", rate)), [false, false, true]);
    assert_eq!([499.0, 500.0, 501.0].map(|rate| kept("accepted>=500/s", rate)), [false, true, true]);
    assert!(!kept("e2e.p95<2s", f64::NAN) && !kept("accepted>=1", f64::NAN), "what is not a number keeps nothing");
}

#[test]
fn a_weaker_promise_is_one_that_is_easier_to_keep() {
    for (one, other) in [
        ("errors<5%", "errors<1%"),
        ("errors<=1%", "errors<1%"),
        ("errors<0.5", "errors<1%"),
        ("e2e.p95<2s", "e2e.p95<=1999ms"),
        ("accepted>=499/s", "accepted>=500/s"),
        ("accepted>=500/s", "accepted>500/s"),
    ] {
        assert!(slo(one).is_weaker_than(&slo(other)), "{one} {other}");
        assert!(!slo(other).is_weaker_than(&slo(one)) && !slo(one).is_weaker_than(&slo(one)), "{one} {other}");
    }
    assert!(!slo("errors<5%").is_weaker_than(&slo("dead<1%")), "about something else");
}

#[test]
fn figures_are_told_in_the_unit_of_the_promise() {
    assert_eq!((slo("e2e.p95<2s").describe(2310.4), slo("e2e.p95<2s").promised()), ("2.31 s".into(), "< 2 s".into()));
    assert_eq!((slo("errors<1%").describe(0.004), slo("errors<1%").promised()), ("0.4%".into(), "< 1%".into()));
    assert_eq!(slo("accepted>=500/s").describe(512.2), "512/s");
    assert_eq!(slo("backlog<10").describe(1200.0), "1,200");
    assert_eq!(slo("e2e.p95<=2s").describe(2000.4), "2.0004 s", "2 s would look kept");
    assert_eq!((slo("e2e.p95<2s").figure(), slo("errors<1%").figure()), ("e2e.p95".to_owned(), "errors".to_owned()));
    assert_eq!((slo("work.p95<2s").bound_ms(), slo("oldest-age<2s").bound_ms()), (Some(2000.0), None));
}

#[test]
fn a_second_has_the_figures_that_are_sampled() {
    use crate::result::Sample;
    let second = Sample {
        offered: 10.0,
        accepted: 8.0,
        completed: 4.0,
        errors: 2.0,
        accept_p95: Some(30.0),
        e2e_p99: Some(90.0),
        backlog: Some(7),
        ..Sample::default()
    };
    for (text, actual) in [
        ("errors<1%", Some(0.2)),
        ("accept.p95<1s", Some(30.0)),
        ("e2e.p99<1s", Some(90.0)),
        ("e2e.p50<1s", None),
        ("offered>1", Some(10.0)),
        ("accepted>1", Some(8.0)),
        ("completed>1", Some(4.0)),
        ("backlog<1", Some(7.0)),
        ("oldest-age<1s", None),
    ] {
        assert!(slo(text).is_by_the_second(), "{text}");
        assert_eq!(slo(text).in_second(&second), actual, "{text}");
    }
    for text in ["e2e.p90<1s", "e2e.max<1s", "work.p95<1s", "e2e-service.p95<1s", "dead<1%", "declined<1%"] {
        assert!(!slo(text).is_by_the_second() && slo(text).in_second(&second).is_none(), "{text}");
    }
    assert_eq!(slo("errors<1%").in_second(&Sample { errors: 3.0, ..Sample::default() }), None, "nothing was sent");
    assert_eq!(slo("errors<1%").in_second(&Sample { offered: 1.0, errors: 3.0, ..Sample::default() }), Some(1.0));
}

fn valid() -> impl Strategy<Value = String> {
    let parts = (0..Metric::ALL.len(), 0..Stat::ALL.len(), 0..Op::ALL.len(), 1_u32..1000, 0_usize..4, " ?");
    parts.prop_map(|(metric, stat, op, bound, unit, space)| {
        let (metric, op) = (Metric::ALL[metric], Op::ALL[op].as_str());
        let stat = if metric.is_latency() { format!(".{}", Stat::ALL[stat].as_str()) } else { String::new() };
        let bound = match metric.unit() {
            Unit::Time => format!("{bound}{}", ["us", "ms", "s", "m"][unit]),
            Unit::Share if unit < 2 => format!("{}%", f64::from(bound) / 10.0),
            Unit::Share => format!("0.{bound:03}"),
            Unit::Rate => format!("{bound}{}", ["", "/s", "/m", "/s"][unit]),
            Unit::Count => bound.to_string(),
        };
        format!("{}{stat}{space}{op}{space}{bound}", metric.as_str())
    })
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC*") {
        let _ = text.parse::<Slo>();
    }

    #[test]
    fn no_text_that_begins_well_makes_the_parser_panic(text in "(e2e|errors|é)[.<>=]{0,3}\\PC{0,6}[<>]\\PC{0,6}") {
        let _ = text.parse::<Slo>();
    }

    #[test]
    fn what_is_printed_is_read_back(text in valid()) {
        let read = slo(&text);
        prop_assert_eq!(slo(&read.to_string()), read.clone());
        let json = serde_json::to_string(&read).unwrap();
        prop_assert_eq!(&json, &serde_json::to_string(&text).unwrap());
        prop_assert_eq!(serde_json::from_str::<Slo>(&json).unwrap(), read);
    }

    #[test]
    fn a_figure_is_never_told_so_that_it_looks_kept_when_it_is_not(actual in 0.0..4000.0_f64) {
        let slo = slo("e2e.p95<2s");
        let told = slo.describe(actual);
        let (number, unit) = told.split_once(' ').unwrap();
        let size = match unit { "us" => 0.001, "ms" => 1.0, _ => 1000.0 };
        let read = number.replace(',', "").parse::<f64>().unwrap() * size;
        prop_assert_eq!(slo.holds(read), slo.holds(actual), "{} told as {}", actual, told);
    }
}
