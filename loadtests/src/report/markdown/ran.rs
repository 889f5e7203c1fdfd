//! What was run, so that somebody else can run it again.

use super::escape;
use crate::plan::{Model, Plan};
use crate::report::format::{self, whole_millis};
use crate::report::table::{Side, Table};
use crate::result::Report;

pub(super) fn section(report: &Report) -> String {
    let plan = &report.plan;
    let mut table = Table::new([("what", Side::Left), ("how", Side::Left)]);
    // As code: nothing in an address is a link, a mention or markup.
    let mut row = |what: &str, how: String| {
        table.row([what.to_owned(), if what == "target" { how } else { escape::text(&how) }]);
    };
    row("run", format!("{}, seed {}", report.run, report.seed));
    row("started", format!("{}, took {}", report.started_at, whole_millis(report.took_ms)));
    row("target", target(report));
    row("generator", generator(report));
    row("model", model(plan));
    row("load", load(plan));
    row("course", course(plan));
    if plan.model == Model::Closed {
        row("think", format!("{} to {}", format::duration(plan.think.min), format::duration(plan.think.max)));
    }
    row("journey", plan.journey.to_string());
    if !plan.abort_on.is_empty() {
        row("abort on", plan.abort_on.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
    }
    if let Some(reason) = &report.ended_early {
        row("ended early", reason.clone());
    }
    super::details("Configuration", &table.markdown())
}

fn target(report: &Report) -> String {
    let platform = &report.platform;
    let version = platform
        .version
        .as_deref()
        .map_or_else(|| "version unknown".to_owned(), |version| format!("version {version}"));
    let workers = platform.workers.map_or_else(String::new, |workers| format!(", {}", super::times(workers, "worker")));
    let url = if platform.url.is_empty() || platform.url == report.target {
        String::new()
    } else {
        format!(" at {}", escape::code(&platform.url))
    };
    format!("{}{url}, {}{workers}", escape::code(&report.target), escape::text(&version))
}

fn generator(report: &Report) -> String {
    let generator = &report.generator;
    let shared = if generator.shared { ", on the platform's machine" } else { "" };
    format!("version {}, {}{shared}", generator.version, super::times(generator.cores, "core"))
}

fn model(plan: &Plan) -> String {
    let model = match plan.model {
        Model::Closed => "closed: users wait for their answers",
        Model::Open => "open: arrivals at a rate, whatever the platform does",
    };
    plan.preset.as_ref().map_or_else(|| model.to_owned(), |preset| format!("{model} (preset {preset})"))
}

fn load(plan: &Plan) -> String {
    let size = |value: f64| format::size(plan.model, value);
    if let Some(growth) = &plan.growth {
        let refinements = super::times(growth.refinements.into(), "refinement");
        return format!(
            "{} and twice as much each step, up to {}, {refinements}",
            size(growth.from),
            size(growth.up_to)
        );
    }
    if plan.steps.is_empty() {
        return size(plan.peak(1.0));
    }
    plan.steps.iter().map(|step| size(*step)).collect::<Vec<_>>().join(", then ")
}

/// With steps the stages are factors.
fn course(plan: &Plan) -> String {
    let factors = plan.growth.is_some() || !plan.steps.is_empty();
    let to = |value: f64| if factors { format::percent(value) } else { format::number(value) };
    let stages = plan.stages.iter().map(|stage| format!("to {} in {}", to(stage.to), format::duration(stage.over)));
    let stages = stages.collect::<Vec<_>>().join(", ");
    format!("{stages}; measured after {}; drain up to {}", format::duration(plan.warm_up), format::duration(plan.drain))
}
