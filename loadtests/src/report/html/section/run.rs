//! What was run: enough to run it again.

use std::time::Duration;

use maud::{Markup, html};

use super::table::{code, text};
use super::{facts, section};
use crate::plan::{Model, Plan, Stage};
use crate::report::format;
use crate::result::Report;

pub(in super::super) fn run(report: &Report) -> Markup {
    let content = html! {
        (facts(&identity(report)))
        h3 { "Plan" }
        (facts(&plan(&report.plan)))
    };
    section("run", "Configuration", None, "", &content)
}

fn identity(report: &Report) -> Vec<(&'static str, Markup)> {
    let none = || format::NONE.to_owned();
    let (platform, generator) = (&report.platform, &report.generator);
    let machine = if generator.shared { "the platform's own machine" } else { "a machine of its own" };
    vec![
        ("Run", code(&report.run)),
        ("Seed", code(report.seed.to_string())),
        ("Target", code(&report.target)),
        ("Platform", if platform.url.is_empty() { text(none()) } else { code(&platform.url) }),
        ("Platform's version", text(platform.version.clone().unwrap_or_else(none))),
        ("Workers at the start", text(platform.workers.map_or_else(none, format::count))),
        ("Generator", text(format!("{}, {} cores, on {machine}", generator.version, format::count(generator.cores)))),
        ("Started", html! { time datetime=(report.started_at) { (report.started_at) } }),
        ("Took", text(format::whole_millis(report.took_ms))),
        ("Exit code", text(report.exit.to_string())),
    ]
}

fn plan(plan: &Plan) -> Vec<(&'static str, Markup)> {
    let listed = |texts: Vec<&str>| match texts.as_slice() {
        [] => text("none"),
        texts => html! { @for (at, each) in texts.iter().enumerate() { @if at > 0 { " " } code { (each) } } },
    };
    let mut facts = vec![
        ("Preset", text(plan.preset.as_deref().unwrap_or("none"))),
        (
            "Model",
            text(match plan.model {
                Model::Closed => "closed: users that wait for their answers",
                Model::Open => "open: arrivals at a rate, whatever the platform does",
            }),
        ),
        ("Course", text(course(plan))),
        ("Warm-up", text(format::duration(plan.warm_up))),
        ("Journey", code(plan.journey.to_string())),
    ];
    if plan.model == Model::Closed {
        facts.push((
            "Think time",
            text(match (plan.think.min, plan.think.max) {
                (Duration::ZERO, Duration::ZERO) => "none".to_owned(),
                (min, max) if min == max => format::duration(min),
                (min, max) => format!("{} to {}", format::duration(min), format::duration(max)),
            }),
        ));
    } else {
        facts.push(("Requests at once, at most", text(format::count(plan.max_in_flight))));
    }
    if !plan.steps.is_empty() {
        let sizes: Vec<_> = plan.steps.iter().map(|size| format::size(plan.model, *size)).collect();
        facts.push(("Steps", text(sizes.join(", "))));
    }
    if let Some(growth) = &plan.growth {
        let (from, up_to) = (format::size(plan.model, growth.from), format::size(plan.model, growth.up_to));
        facts.push(("Search", text(format!("from {from} up to {up_to}, {} halvings", growth.refinements))));
    }
    facts.extend([
        ("SLOs", listed(plan.slo.iter().map(|slo| slo.text.as_str()).collect())),
        ("Ends early on", listed(plan.abort_on.iter().map(|rule| rule.text.as_str()).collect())),
        ("Samples needed", text(format::count(plan.min_samples))),
        ("Degradation, at most", text(plan.max_degradation.map_or_else(|| "any".to_owned(), format::percent))),
        ("Drain, at most", text(format::duration(plan.drain))),
        ("Settle window", text(format::duration(plan.settle))),
        ("Timeout of one task", text(format::duration(plan.patience))),
    ]);
    facts
}

/// `to 50 users within 5.00 s, hold for 30.0 s`.
fn course(plan: &Plan) -> String {
    let factors = !plan.steps.is_empty() || plan.growth.is_some();
    let size =
        |to: f64| if factors { format!("{} of the size", format::percent(to)) } else { format::size(plan.model, to) };
    let mut from = 0.0;
    let describe = |stage: &Stage| {
        let stays = (stage.to - from).abs() < f64::EPSILON;
        from = stage.to;
        match stage.over {
            Duration::ZERO => format!("jump to {}", size(stage.to)),
            over if stays => format!("hold for {}", format::duration(over)),
            over => format!("to {} within {}", size(stage.to), format::duration(over)),
        }
    };
    let stages: Vec<_> = plan.stages.iter().map(describe).collect();
    if stages.is_empty() { "nothing".to_owned() } else { stages.join(", ") }
}
