//! Which resource was the limit: a guess with its evidence, from the first size that broke and those that held.

use crate::plan::{Unit, described, grouped, percent};
use crate::result::Step;

/// A share of the end-to-end time from which on something dominates it.
const MOST: f64 = 0.5;

/// A processor that is busier has nothing left.
pub(super) const BUSY: f64 = 0.9;

/// What takes so many times what it took at the first size is slower because of the load.
const SLOWER: f64 = 1.5;

/// Refusals of a larger share are what broke the size.
pub(super) const MANY_REFUSED: f64 = 0.01;

/// What a platform answers when it has too much to do.
const OVERLOAD: [&str; 5] = ["overloaded", "user-share-used", "address-share-used", "unavailable", "stopping"];

/// What the limit was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Too few, so that accepted tasks wait.
    Workers,
    /// What the workers call takes longer under load.
    Issuer,
    /// The machine of the platform (and of the generator, if they share it).
    Processor,
    /// The platform refused what would have been too much.
    Admission,
    /// Accepting itself became slow.
    Ledger,
    /// Something in front of the platform refused what would have reached it: nothing is known of the platform beyond.
    Gateway,
    /// The load could not be made: nothing is known of the platform beyond.
    Generator,
    /// Nothing that is measured stands out.
    Unknown,
}

impl Limit {
    /// Its name in the result.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Workers => "workers",
            Self::Issuer => "issuer",
            Self::Processor => "processor",
            Self::Admission => "admission",
            Self::Ledger => "ledger",
            Self::Gateway => "gateway",
            Self::Generator => "generator",
            Self::Unknown => "unknown",
        }
    }
}

/// What the guess is made from.
#[derive(Clone, Copy)]
pub(super) struct Steps<'a> {
    /// The first that was carried out: the platform at rest.
    pub(super) first: &'a Step,
    /// The largest that held.
    pub(super) good: Option<&'a Step>,
    /// The smallest that did not.
    pub(super) bad: &'a Step,
    /// Whether the generator had no processor left at the bad one.
    pub(super) saturated: bool,
    /// Whether the limit on requests at once held arrivals back: then it is the platform that they wait for.
    pub(super) held_back: bool,
    /// Whether generator and platform are on one machine.
    pub(super) shared: bool,
}

/// The first cause whose evidence is there, from the outside in: what happens before the platform can't be its limit.
pub(super) fn find(steps: Steps<'_>) -> (Limit, String) {
    let causes = [unsent, gateway, generator, admission, processor, queue, ledger, work];
    let found = causes.into_iter().find_map(|cause| cause(steps));
    found.unwrap_or_else(|| (Limit::Unknown, unknown(steps.bad)))
}

fn unknown(bad: &Step) -> String {
    match bad.main_error.as_deref().filter(|_| bad.error_rate >= MANY_REFUSED) {
        Some(code) => format!("{} of the requests failed, mostly as {code}", percent(bad.error_rate)),
        None => "no measurement stands out".to_owned(),
    }
}

/// A generator that falls behind on a full machine that it shares, and hardly uses, has not run out of anything itself:
/// see [`processor`].
fn generator(Steps { bad, saturated, held_back, shared, .. }: Steps<'_>) -> Option<(Limit, String)> {
    let sent = bad.offered_ratio.unwrap_or(1.0);
    let crowded = shared && bad.machine_cpu.is_some_and(|busy| busy >= BUSY);
    let behind = super::validity::is_behind(bad.offered_ratio, bad.late_starts) && !held_back && !crowded;
    (saturated || behind).then(|| {
        let (late, cpu) = (percent(bad.late_starts), percent(bad.generator_cpu));
        let because = format!(
            "{} of the planned arrivals were sent, {late} of them late, and the generator used {cpu} of all cores",
            percent(sent)
        );
        (Limit::Generator, because)
    })
}

fn unsent(Steps { bad, .. }: Steps<'_>) -> Option<(Limit, String)> {
    let unsent = grouped(bad.unsent);
    (bad.unsent > 0).then(|| (Limit::Generator, format!("this machine could not send {unsent} requests")))
}

fn gateway(Steps { bad, good, .. }: Steps<'_>) -> Option<(Limit, String)> {
    (bad.foreign_ratio >= MANY_REFUSED).then(|| {
        let before =
            good.map_or_else(String::new, |good| format!(", {} at the previous size", percent(good.foreign_ratio)));
        let most = bad.main_foreign.as_deref().unwrap_or("refusals");
        let because = format!(
            "{} of the answers came from a gateway or proxy{before}, mostly {most}",
            percent(bad.foreign_ratio)
        );
        (Limit::Gateway, because)
    })
}

fn admission(Steps { bad, good, .. }: Steps<'_>) -> Option<(Limit, String)> {
    let code = bad.main_error.as_deref().filter(|code| OVERLOAD.contains(code))?;
    let broke = bad.broke.as_deref().unwrap_or_default();
    (bad.error_rate >= MANY_REFUSED || broke.contains("errors ")).then(|| {
        let before =
            good.map_or_else(String::new, |good| format!(", {} at the previous size", percent(good.error_rate)));
        (
            Limit::Admission,
            format!("{} of the requests were refused{before}, mostly as {code}", percent(bad.error_rate)),
        )
    })
}

/// The processor that can be read is that of the machine that the load comes from: the platform's too only if they share
/// it.
fn processor(Steps { bad, shared, .. }: Steps<'_>) -> Option<(Limit, String)> {
    let busy = bad.machine_cpu.filter(|busy| *busy >= BUSY).map(percent)?;
    let own = percent(bad.generator_cpu);
    Some(if shared {
        (
            Limit::Processor,
            format!("the machine was {busy} busy; the generator shares it with the platform and used {own}"),
        )
    } else {
        (Limit::Generator, format!("the generator's machine was {busy} busy, {own} of it by the generator"))
    })
}

fn queue(Steps { first, bad, .. }: Steps<'_>) -> Option<(Limit, String)> {
    let share = part(bad.queue_wait_p95, bad.e2e_p95).filter(|share| *share >= MOST)?;
    let growth = match bad.backlog_growth {
        Some(growth) if growth <= 0.0 => return None,
        Some(growth) => format!(", and the backlog grew by {}", described(Unit::Count, growth.round())),
        None => String::new(),
    };
    let waited = format!(
        "tasks waited {} in the queue, {} of the end-to-end p95{growth}",
        described(Unit::Time, bad.queue_wait_p95),
        percent(share)
    );
    Some(if is_slower(first.work_p95, bad.work_p95) {
        (Limit::Issuer, format!("{waited}; the work itself took {}", instead(first.work_p95, bad.work_p95)))
    } else {
        (Limit::Workers, format!("{waited}; the work itself took {}", described(Unit::Time, bad.work_p95)))
    })
}

fn ledger(Steps { first, bad, good, .. }: Steps<'_>) -> Option<(Limit, String)> {
    let share = part(bad.accept_p95, bad.e2e_p95).filter(|share| *share >= MOST)?;
    let took = match good {
        Some(_) if is_slower(first.accept_p95, bad.accept_p95) => instead(first.accept_p95, bad.accept_p95),
        Some(_) => return None,
        None => described(Unit::Time, bad.accept_p95),
    };
    Some((Limit::Ledger, format!("accepting took {took}, {} of the end-to-end p95", percent(share.min(1.0)))))
}

fn work(Steps { first, bad, .. }: Steps<'_>) -> Option<(Limit, String)> {
    let share = part(bad.work_p95, bad.e2e_p95).filter(|share| *share >= MOST)?;
    if !is_slower(first.work_p95, bad.work_p95) {
        return None;
    }
    let took = instead(first.work_p95, bad.work_p95);
    Some((Limit::Issuer, format!("the work itself took {took}, {} of the end-to-end p95", percent(share.min(1.0)))))
}

fn is_slower(first: f64, bad: f64) -> bool {
    first > 0.0 && bad >= first * SLOWER
}

/// What part of an end-to-end time something is; all of it if no end was heard.
fn part(of: f64, whole: f64) -> Option<f64> {
    (of > 0.0).then(|| if whole > 0.0 { of / whole } else { 1.0 })
}

fn instead(before: f64, now: f64) -> String {
    format!("{} instead of {}", described(Unit::Time, now), described(Unit::Time, before))
}
