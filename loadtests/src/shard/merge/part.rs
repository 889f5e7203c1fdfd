//! What is said of each generator by itself.

use super::{Missing, merge};
use crate::judge::judge;
use crate::result::Part;
use crate::shard::Shard;
use crate::share::Share;

/// All of them, those that are missing too, by number.
pub(super) fn parts(shards: &[Shard], missing: &[Missing]) -> Vec<Part> {
    let mut parts: Vec<Part> = shards.iter().map(there).collect();
    parts.extend(missing.iter().map(|missing| gone(missing, shards)));
    parts.sort_by_key(|part| part.number);
    parts
}

fn there(shard: &Shard) -> Part {
    let late = shard.courses.iter().map(|course| course.late_ms).reduce(f64::max);
    let cpu = alone(shard);
    Part {
        number: shard.share.number(),
        run: shard.own_run.clone(),
        accepted: Some(shard.correctness.accepted),
        cores: Some(shard.generator.cores),
        generator_cpu: cpu.as_ref().map(|(cpu, _)| *cpu),
        clock_ahead_ms: shard.skew.map(|skew| skew.ms),
        clock_within_ms: shard.skew.map(|skew| skew.within_ms),
        late_ms: late,
        reasons: cpu.map(|(_, reasons)| reasons).unwrap_or_default(),
        ..Part::default()
    }
}

/// Its figures as if it had been the only one: its processor, and why they can't be believed.
fn alone(shard: &Shard) -> Option<(f64, Vec<String>)> {
    let mut only = shard.clone();
    only.share = Share::WHOLE;
    let nothing_planned = only.courses.iter().all(|course| course.planned == Some(0));
    let mut report = merge(vec![only], &[], None).ok()?;
    judge(&mut report);
    let validity = report.validity;
    Some((validity.generator_cpu, if nothing_planned { Vec::new() } else { validity.reasons }))
}

fn gone(missing: &Missing, shards: &[Shard]) -> Part {
    let run = shards.first().and_then(|shard| {
        let share = Share::new(missing.number, shard.share.of()).ok()?;
        Some(share.run(&shard.run.parse().ok()?).to_string())
    });
    Part {
        number: missing.number,
        run: run.unwrap_or_default(),
        missing: Some(missing.why.clone()),
        last_lines: missing.last_lines.clone(),
        ..Part::default()
    }
}
