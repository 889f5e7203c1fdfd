//! Which part of a load a generator makes, where several make it together.
//!
//! Nobody gets a plan of its own. All have the whole plan, and take turns in it: of four generators, the second makes
//! the arrivals 1, 5, 9 … and is the users 1, 5, 9 … (from 0). So the parts are the whole, at each moment of any
//! course, without a rounding; and the requests of a seed are the same, whoever sends them.
//!
//! Each has a run of its own ([`Share::run`]): its users are its own, its event stream tells of its own tasks, and its
//! audit knows every task that there may be.

mod barrier;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use card_core::ids::RunId;
use serde::{Deserialize, Serialize};

pub use self::barrier::{Barrier, BarrierError, Skew, Start};
use crate::plan::{AbortRule, Metric, Model, Plan};

/// More generators than this are a slip of the pen.
pub const MOST: u64 = 100;

/// The longest load that several generators, or one elsewhere, can make: its seconds are kept until they are fetched.
pub const LONGEST: Duration = Duration::from_secs(12 * 3600);

/// One of several parts: `2/4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Share {
    number: u64,
    of: u64,
}

/// Numbers that are no share, or text that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a number and a total, such as 2/4, up to {MOST}")]
pub struct InvalidShare;

/// A plan that so many generators can't make together, with what can.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Indivisible(String);

impl Share {
    /// All of it.
    pub const WHOLE: Self = Self { number: 1, of: 1 };

    /// A part; `number` counts from 1.
    ///
    /// # Errors
    /// There is no such part.
    pub const fn new(number: u64, of: u64) -> Result<Self, InvalidShare> {
        if number >= 1 && number <= of && of <= MOST { Ok(Self { number, of }) } else { Err(InvalidShare) }
    }

    /// Which, from 1.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.number
    }

    /// How many there are.
    #[must_use]
    pub const fn of(self) -> u64 {
        self.of
    }

    /// Whether nobody else has a part.
    #[must_use]
    pub const fn is_whole(self) -> bool {
        self.of == 1
    }

    /// The place in the whole (from 0) of this part's own user, arrival or visit with this number (from 0).
    #[must_use]
    pub const fn place(self, own: u64) -> u64 {
        self.number - 1 + own * self.of
    }

    /// How many of so many are this part's.
    #[must_use]
    pub const fn of_many(self, whole: u64) -> u64 {
        // Its last is the largest `place` below `whole`.
        (whole + self.of - self.number) / self.of
    }

    /// What this part's users and tasks are tagged with.
    #[must_use]
    pub fn run(self, whole: &RunId) -> RunId {
        self.tagged(whole, &self.number.to_string())
    }

    /// What the part's signs to the others before a course are tagged with; courses count from 1.
    #[must_use]
    pub fn barrier_run(self, whole: &RunId, course: usize) -> RunId {
        self.tagged(whole, &format!("barrier-{course}"))
    }

    fn tagged(self, whole: &RunId, with: &str) -> RunId {
        if self.is_whole() {
            return whole.clone();
        }
        // Ids that are made up here leave room for this; [`check`] has looked at those that are not.
        format!("{whole}-{with}").parse().unwrap_or_else(|_| whole.clone())
    }

    /// The rules by which this part ends the load. A rate is the whole's: whoever sees all parts looks at those.
    #[must_use]
    pub fn rules(self, plan: &Plan) -> Vec<AbortRule> {
        let of_a_part = |rule: &&AbortRule| {
            self.is_whole() || !matches!(rule.when.metric, Metric::Offered | Metric::Accepted | Metric::Completed)
        };
        plan.abort_on.iter().filter(of_a_part).cloned().collect()
    }
}

/// Whether so many generators can make a plan's load together.
///
/// # Errors
/// [`Indivisible`], with the way out.
pub fn check(plan: &Plan, run: &RunId, generators: u64) -> Result<(), Indivisible> {
    let refuse = |why: String| Err(Indivisible(why));
    if !(1..=MOST).contains(&generators) {
        return refuse(format!("must be 1 to {MOST} generators"));
    }
    if generators > 1 && plan.growth.is_some() {
        return refuse(
            "a breakpoint search needs a single generator, because each step depends on the one before".into(),
        );
    }
    let sizes = if plan.steps.is_empty() { &[1.0][..] } else { &plan.steps };
    let least = sizes.iter().map(|size| plan.peak(*size)).fold(f64::INFINITY, f64::min);
    #[expect(clippy::cast_precision_loss, reason = "at most a hundred")]
    let each_has_one = least >= generators as f64;
    if plan.model == Model::Closed && !each_has_one {
        return refuse(format!("{generators} generators need at least as many users, and the plan has {least}"));
    }
    let courses = u32::try_from(sizes.len()).unwrap_or(u32::MAX);
    if generators > 1 && plan.course().saturating_mul(courses) > LONGEST {
        return refuse("several generators can run for 12 hours at most".into());
    }
    if generators > 1 && run.as_str().len() > 48 {
        return refuse("the run id must have at most 48 characters to run several generators".into());
    }
    Ok(())
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl FromStr for Share {
    type Err = InvalidShare;

    fn from_str(text: &str) -> Result<Self, InvalidShare> {
        let (number, of) = text.split_once('/').ok_or(InvalidShare)?;
        let read = |text: &str| text.parse().map_err(|_| InvalidShare);
        Self::new(read(number)?, read(of)?)
    }
}

impl TryFrom<String> for Share {
    type Error = InvalidShare;

    fn try_from(text: String) -> Result<Self, InvalidShare> {
        text.parse()
    }
}

impl From<Share> for String {
    fn from(share: Share) -> Self {
        share.to_string()
    }
}

#[cfg(test)]
mod tests;
