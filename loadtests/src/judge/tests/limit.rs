use super::document::searched;
use crate::judge::limit::{Limit, Steps, find};
use crate::result::Step;

/// What is at 100/s: the platform at rest.
fn rest() -> Step {
    searched(&[100.0]).steps.remove(0)
}

/// A size that broke because ends took 2 s, for no reason that is measured.
fn bad() -> Step {
    Step { e2e_p95: 2000.0, ..rest() }
}

fn guess(bad: &Step, change: impl FnOnce(&mut Steps<'_>)) -> (Limit, String) {
    let first = rest();
    let mut steps = Steps { first: &first, good: Some(&first), bad, saturated: false, held_back: false, shared: true };
    change(&mut steps);
    find(steps)
}

#[test]
fn each_limit_has_its_evidence() {
    let waiting = || Step { queue_wait_p95: 1800.0, backlog_growth: Some(700.0), ..bad() };
    let refused = |code: &str, error_rate| Step { main_error: Some(code.to_owned()), error_rate, ..bad() };
    let cases = [
        ("late", Step { late_starts: 0.31, ..bad() }, Limit::Generator, "31% of them late"),
        ("not sent", Step { offered_ratio: Some(0.8), ..bad() }, Limit::Generator, "80% of the planned arrivals"),
        (
            "refused",
            refused("overloaded", 0.12),
            Limit::Admission,
            "12% of the requests were refused, 0% at the previous size",
        ),
        (
            "refused on the way",
            Step {
                foreign_ratio: 0.4,
                main_foreign: Some("http-429".to_owned()),
                accept_p95: 1200.0,
                machine_cpu: Some(0.97),
                ..bad()
            },
            Limit::Gateway,
            "40% of the answers came from a gateway or proxy, 0% at the previous size, mostly http-429",
        ),
        (
            "not sent from here",
            Step { unsent: 12, foreign_ratio: 0.4, ..bad() },
            Limit::Generator,
            "this machine could not send 12 requests",
        ),
        ("full", Step { machine_cpu: Some(0.97), ..bad() }, Limit::Processor, "97% busy; the generator shares it"),
        ("waiting", waiting(), Limit::Workers, "waited 1.8 s in the queue, 90% of the end-to-end p95, and the backlog"),
        (
            "waiting, unread",
            Step { backlog_growth: None, ..waiting() },
            Limit::Workers,
            "90% of the end-to-end p95; the",
        ),
        ("waiting for work", Step { work_p95: 300.0, ..waiting() }, Limit::Issuer, "300 ms instead of 40 ms"),
        ("working", Step { work_p95: 1500.0, ..bad() }, Limit::Issuer, "took 1.5 s instead of 40 ms, 75% of"),
        ("accepting", Step { accept_p95: 1200.0, ..bad() }, Limit::Ledger, "took 1.2 s instead of 20 ms, 60% of"),
        ("nothing", bad(), Limit::Unknown, "no measurement stands out"),
        ("failing", refused("internal", 0.2), Limit::Unknown, "20% of the requests failed, mostly as internal"),
    ];
    for (name, bad, limit, evidence) in cases {
        let (found, because) = guess(&bad, |_| {});
        assert_eq!(found, limit, "{name}: {because}");
        assert!(because.contains(evidence), "{name}: {because}");
    }
}

#[test]
fn what_is_not_quite_evidence_is_none() {
    for (name, bad) in [
        ("some late", Step { late_starts: 0.05, ..bad() }),
        ("nearly all sent", Step { offered_ratio: Some(0.99), ..bad() }),
        ("busy", Step { machine_cpu: Some(0.89), ..bad() }),
        ("few refused", Step { main_error: Some("overloaded".to_owned()), error_rate: 0.009, ..bad() }),
        ("a queue that does not grow", Step { queue_wait_p95: 1800.0, backlog_growth: Some(0.0), ..bad() }),
        ("a short queue", Step { queue_wait_p95: 900.0, backlog_growth: Some(700.0), ..bad() }),
        ("accepts as ever", Step { accept_p95: 29.0, e2e_p95: 40.0, ..bad() }),
        ("work as ever", Step { work_p95: 59.0, e2e_p95: 80.0, ..bad() }),
    ] {
        assert_eq!(guess(&bad, |_| {}).0, Limit::Unknown, "{name}");
    }
}

#[test]
fn a_generator_without_a_processor_is_the_limit_whatever_else_is_true() {
    let all = Step {
        generator_cpu: 0.96,
        machine_cpu: Some(1.0),
        queue_wait_p95: 1900.0,
        backlog_growth: Some(1.0),
        main_error: Some("overloaded".to_owned()),
        error_rate: 0.5,
        ..bad()
    };
    let (limit, because) = guess(&all, |steps| steps.saturated = true);
    assert!(limit == Limit::Generator && because.contains("96% of all cores"), "{because}");
    assert_eq!(guess(&all, |_| {}).0, Limit::Admission);
}

#[test]
fn arrivals_that_wait_for_a_slow_platform_are_not_the_generators_fault() {
    let late = Step { late_starts: 0.5, offered_ratio: Some(0.7), accept_p95: 1900.0, ..bad() };
    assert_eq!(guess(&late, |steps| steps.held_back = true).0, Limit::Ledger);
    assert_eq!(guess(&late, |_| {}).0, Limit::Generator);
}

#[test]
fn a_generator_that_is_late_on_a_full_machine_shares_the_limit_with_the_platform() {
    let late = Step { late_starts: 0.3, machine_cpu: Some(0.998), generator_cpu: 0.118, ..bad() };
    let (limit, because) = guess(&late, |_| {});
    let expected = "the machine was 99.8% busy; the generator shares it with the platform and used 11.8%";
    assert_eq!((limit, because.as_str()), (Limit::Processor, expected));
    assert_eq!(guess(&late, |steps| steps.shared = false).0, Limit::Generator);
}

#[test]
fn a_full_machine_that_only_the_load_comes_from_says_nothing_of_the_platform() {
    let full = Step { machine_cpu: Some(0.97), ..bad() };
    let (limit, because) = guess(&full, |steps| steps.shared = false);
    assert!(limit == Limit::Generator && because.contains("the generator's machine was 97% busy"));
}

#[test]
fn few_refusals_are_a_limit_if_they_are_what_broke() {
    let broke = Some("errors 0.5%, SLO < 0.1%".to_owned());
    let bad = Step { main_error: Some("overloaded".to_owned()), error_rate: 0.005, broke, ..bad() };
    assert_eq!(guess(&bad, |_| {}).0, Limit::Admission);
}

#[test]
fn the_first_size_has_nothing_to_be_compared_with() {
    let first = Step { accept_p95: 1500.0, ..bad() };
    let alone = Steps { first: &first, good: None, bad: &first, saturated: false, held_back: false, shared: true };
    let (limit, because) = find(alone);
    assert_eq!((limit, because.as_str()), (Limit::Ledger, "accepting took 1.5 s, 75% of the end-to-end p95"));
}

#[test]
fn without_any_end_what_was_measured_is_all_of_it() {
    let bad = Step { e2e_p95: 0.0, queue_wait_p95: 0.0, accept_p95: 900.0, ..bad() };
    assert_eq!(guess(&bad, |_| {}).0, Limit::Ledger);
}

#[test]
fn limits_have_the_names_of_the_result() {
    use Limit::{Admission, Generator, Issuer, Ledger, Processor, Unknown, Workers};
    let names = [Workers, Issuer, Processor, Admission, Ledger, Generator, Unknown].map(Limit::as_str);
    assert_eq!(names, ["workers", "issuer", "processor", "admission", "ledger", "generator", "unknown"]);
}
