//! Whether two runs are of the same shape. What is not makes the difference of their figures meaningless, or worth a note.

use std::fmt::Display;
use std::time::Duration;

use crate::judge::INTERRUPTED;
use crate::plan::{Model, Plan, Stage, Think};
use crate::result::{Report, Step, Verdict};

/// Why the two can't be compared, each in words: `users 50, here 100`.
pub(super) fn unlike(before: &Report, after: &Report) -> Vec<String> {
    let (then, now) = (&before.plan, &after.plan);
    let mut unlike = Differences::default();
    unlike.add("the model", model(then), model(now));
    match (sizes(then), sizes(now)) {
        (before, after) if then.model != now.model => {
            unlike.add("the size", format!("{before} {}", unit(then)), format!("{after} {}", unit(now)));
        }
        (before, after) if stepped(then) || stepped(now) => unlike.add("the sizes", before, after),
        (before, after) => unlike.add(unit(now), before, after),
    }
    if now.growth.is_some() && then.growth == now.growth {
        // A search goes on from what it finds, and the figures are over all that it tried.
        unlike.add("the sizes tested", tried(before), tried(after));
    }
    unlike.add("the load profile", course(&then.stages), course(&now.stages));
    unlike.add("the warm-up", time(then.warm_up), time(now.warm_up));
    unlike.add("the think time", think(&then.think), think(&now.think));
    unlike.add("the journey", &then.journey, &now.journey);
    unlike.add("the target", kind(&before.target), kind(&after.target));
    for (run, report) in [("the baseline", before), ("this run", after)] {
        // A search goes on after a rule that ended one of its sizes.
        let early =
            report.ended_early.iter().filter(|reason| report.plan.growth.is_none() || reason.starts_with(INTERRUPTED));
        unlike.0.extend(early.map(|reason| format!("{run} ended early: {reason}")));
        if report.correctness.verdict == Verdict::Fail {
            unlike.0.push(format!("{run} lost, duplicated or left tasks, so its measurements are not meaningful"));
        }
        if report.validity.verdict != Verdict::Pass {
            let reasons = report.validity.reasons.join("; ");
            let because = if reasons.is_empty() { String::new() } else { format!(": {reasons}") };
            unlike.0.push(format!("the measurements of {run} are not valid{because}"));
        }
    }
    unlike.0
}

/// What may well have changed on purpose, and should be known.
pub(super) fn notes(before: &Report, after: &Report) -> Vec<String> {
    let mut notes = Differences::default();
    let said = |what: Option<&str>| what.unwrap_or("unknown").to_owned();
    notes.add(
        "the platform's version",
        said(before.platform.version.as_deref()),
        said(after.platform.version.as_deref()),
    );
    let workers = |count: Option<u64>| count.map_or_else(|| "unknown".to_owned(), |count| count.to_string());
    notes.add("workers", workers(before.platform.workers), workers(after.platform.workers));
    notes.add("the generator's cores", before.generator.cores, after.generator.cores);
    notes.add("the generator's version", &before.generator.version, &after.generator.version);
    let shared = |shared| if shared { "the platform's" } else { "different from the platform's" };
    notes.add("the generator's machine", shared(before.generator.shared), shared(after.generator.shared));
    // A platform that became slower keeps it busier too, so this is no reason to refuse.
    if let (Some(before), Some(after)) = (before.validity.machine_cpu, after.validity.machine_cpu)
        && (before - after).abs() > 0.1
    {
        let busy = |share: f64| format!("{:.0}% busy", share * 100.0);
        notes.add("the machine", busy(before), busy(after));
    }
    notes.add("the seed", before.seed, after.seed);
    if kind(&before.target) == kind(&after.target) {
        notes.add("the address", &before.target, &after.target);
    }
    notes.0
}

#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    fn add(&mut self, what: &str, before: impl Display, after: impl Display) {
        let (before, after) = (before.to_string(), after.to_string());
        if before != after {
            self.0.push(format!("{what} {before}, here {after}"));
        }
    }
}

fn model(plan: &Plan) -> &'static str {
    match plan.model {
        Model::Closed => "closed",
        Model::Open => "open",
    }
}

fn unit(plan: &Plan) -> &'static str {
    match plan.model {
        Model::Closed => "users",
        Model::Open => "arrivals a second",
    }
}

fn stepped(plan: &Plan) -> bool {
    plan.growth.is_some() || !plan.steps.is_empty()
}

/// With steps or growth the stages are factors.
fn sizes(plan: &Plan) -> String {
    if let Some(growth) = plan.growth {
        return format!("{}, doubled up to {}, with {} refinements", growth.from, growth.up_to, growth.refinements);
    }
    if plan.steps.is_empty() {
        return plan.peak(1.0).to_string();
    }
    plan.steps.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn tried(report: &Report) -> String {
    #[expect(clippy::cast_precision_loss, reason = "numbers of users are far below 2^52")]
    let size = |step: &Step| step.rate.or(step.users.map(|users| users as f64)).unwrap_or_default().to_string();
    report.steps.iter().map(size).collect::<Vec<_>>().join(",")
}

/// The shape alone, as shares of its peak: another height is said once.
fn course(stages: &[Stage]) -> String {
    let peak = stages.iter().map(|stage| stage.to).fold(0.0, f64::max);
    let share = |to: f64| if peak > 0.0 { (to / peak * 1000.0).round() / 10.0 } else { 0.0 };
    let stages = stages.iter().map(|stage| format!("{}% in {}", share(stage.to), time(stage.over)));
    stages.collect::<Vec<_>>().join(" → ")
}

fn think(think: &Think) -> String {
    format!("{}..{}", time(think.min), time(think.max))
}

fn kind(target: &str) -> &'static str {
    match target {
        "embedded" => "embedded",
        "processes" => "processes",
        _ => "an address",
    }
}

/// As durations are typed: `250ms`, `30s`, `5m`.
fn time(time: Duration) -> String {
    match (time.as_millis(), time.as_secs()) {
        (millis, _) if millis % 1000 != 0 => format!("{millis}ms"),
        (_, seconds) if seconds >= 60 && seconds % 60 == 0 => format!("{}m", seconds / 60),
        (_, seconds) => format!("{seconds}s"),
    }
}
