//! A plan in one line.

use card_core::time::format_duration;
use card_loadtests::plan::{Model, Plan};
use card_loadtests::report::format;

/// The line: what it began with, how much, for how long, of what.
pub(super) fn in_words(plan: &Plan) -> String {
    let mut parts: Vec<String> = plan.preset.iter().cloned().collect();
    parts.push(sizes(plan));
    let measured = plan.course().saturating_sub(plan.warm_up);
    let each = if plan.steps.is_empty() && plan.growth.is_none() { "" } else { " each" };
    parts.push(format!("for {}{each}", format_duration(measured)));
    if !plan.warm_up.is_zero() {
        parts.push(format!("after a ramp of {}", format_duration(plan.warm_up)));
    }
    if !plan.think.max.is_zero() {
        let (min, max) = (format_duration(plan.think.min), format_duration(plan.think.max));
        parts.push(if min == max { format!("thinking {min}") } else { format!("thinking {min} to {max}") });
    }
    format!("{}, {} ({})", parts.join(" "), plan.journey, model(plan.model))
}

fn sizes(plan: &Plan) -> String {
    let size = |value| format::size(plan.model, value);
    if let Some(growth) = plan.growth {
        return format!("from {} to {} at most", size(growth.from), size(growth.up_to));
    }
    match plan.steps.split_last() {
        None => size(plan.peak(1.0)),
        Some((last, [])) => size(*last),
        Some((last, others)) => {
            let others: Vec<_> = others.iter().map(|step| format::number(*step)).collect();
            format!("{} and {}", others.join(", "), size(*last))
        }
    }
}

const fn model(model: Model) -> &'static str {
    match model {
        Model::Closed => "closed",
        Model::Open => "open",
    }
}

#[cfg(test)]
mod tests {
    use card_loadtests::plan::{Overrides, Preset, presets};

    use super::*;

    #[test]
    fn a_plan_fits_a_line() {
        let steps = Overrides { steps: Some(vec![10.0, 100.0, 1000.0]), ..Overrides::default() };
        let stepped = presets::custom().with(steps).unwrap();
        for (plan, words) in [
            (presets::custom(), "50 users for 30s after a ramp of 5s, submit (closed)"),
            (stepped, "10, 100 and 1,000 users for 30s each after a ramp of 5s, submit (closed)"),
        ] {
            assert_eq!(in_words(&plan), words);
        }
        for preset in Preset::ALL {
            assert!(in_words(&preset.plan()).starts_with(preset.as_str()), "{preset}");
        }
    }
}
