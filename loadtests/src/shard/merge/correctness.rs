//! The audits of all generators as one. Each knows all that its run may have, so they add up.

use crate::result::{Audit, Verdict};
use crate::shard::Shard;

/// The sum; the findings keep their ids.
pub(super) fn sum(shards: &[Shard]) -> Audit {
    let mut sum = Audit { verdict: Verdict::Pass, ..Audit::default() };
    for shard in shards {
        let of = &shard.correctness;
        sum.verdict = worse(sum.verdict, of.verdict);
        sum.accepted += of.accepted;
        sum.succeeded += of.succeeded;
        sum.declined += of.declined;
        sum.dead += of.dead;
        sum.cancelled += of.cancelled;
        sum.lost += of.lost;
        sum.duplicate += of.duplicate;
        sum.stuck += of.stuck;
        sum.reads += of.reads;
        sum.stale += of.stale;
        sum.unverified += of.unverified;
        sum.unanswered += of.unanswered;
        sum.drain_ms = sum.drain_ms.max(of.drain_ms);
        sum.settle_ms = sum.settle_ms.max(of.settle_ms);
        sum.audit_ms = sum.audit_ms.max(of.audit_ms);
        sum.findings.extend(of.findings.iter().cloned());
    }
    let reasons = shards.iter().filter_map(|shard| {
        let reason = shard.correctness.unverified_reason.as_ref()?;
        Some(if shard.share.is_whole() {
            reason.clone()
        } else {
            format!("generator {}: {reason}", shard.share.number())
        })
    });
    sum.unverified_reason = Some(reasons.collect::<Vec<_>>().join("; ")).filter(|reasons| !reasons.is_empty());
    sum
}

fn worse(one: Verdict, other: Verdict) -> Verdict {
    match (one, other) {
        (Verdict::Fail, _) | (_, Verdict::Fail) => Verdict::Fail,
        (Verdict::Inconclusive, _) | (_, Verdict::Inconclusive) => Verdict::Inconclusive,
        _ => Verdict::Pass,
    }
}
