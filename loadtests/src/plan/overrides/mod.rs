//! A plan with some of it changed, as the command line does with a preset.
//!
//! Sizes and times fit the plan they change: a spike of 1,000 users has its shape, and a search takes a size as its
//! upper end. A rate means the open model; nothing else changes the model by itself.

#[cfg(test)]
mod tests;

use std::time::Duration;

use super::{AbortRule, Mix, Model, Plan, Slo, Think};

/// More users than this are more than one generator can be.
pub const MOST_USERS: u64 = 100_000;

/// A higher rate than this is a slip of the pen.
pub const HIGHEST_RATE: f64 = 1_000_000.0;

/// What to change; what is none stays.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overrides {
    /// How arrivals come about.
    pub model: Option<Model>,
    /// Users at once, at the peak; the upper end of a search.
    pub users: Option<u64>,
    /// Arrivals a second, at the peak; the upper end of a search. Means the open model.
    pub rate: Option<f64>,
    /// How long the course takes after its first ramp; of a search, that of each step.
    pub duration: Option<Duration>,
    /// How long the first ramp takes; 0 is a jump.
    pub ramp: Option<Duration>,
    /// The same course at each of these sizes: users, or arrivals a second.
    pub steps: Option<Vec<f64>>,
    /// How long a user rests.
    pub think: Option<Think>,
    /// What is asked for.
    pub journey: Option<Mix>,
    /// More promises; they replace the plan's about the same figure from the same side.
    pub slo: Vec<Slo>,
    /// More rules to end before the time.
    pub abort_on: Vec<AbortRule>,
    /// A promise about fewer samples is not judged.
    pub min_samples: Option<u64>,
    /// How much slower than the first a step may be, as a fraction.
    pub max_degradation: Option<f64>,
    /// How long to wait at the end for what was accepted.
    pub drain: Option<Duration>,
}

/// What can't be carried out, with what can.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidPlan(String);

fn refuse<T>(why: impl Into<String>) -> Result<T, InvalidPlan> {
    Err(InvalidPlan(why.into()))
}

impl Plan {
    /// The plan with these changes.
    ///
    /// # Errors
    /// [`InvalidPlan`] if they contradict each other or the plan, or nobody could carry it out.
    pub fn with(mut self, changes: Overrides) -> Result<Self, InvalidPlan> {
        self.change_model(&changes)?;
        self.change_sizes(&changes)?;
        self.change_times(&changes)?;
        if let Some(journey) = changes.journey {
            self.journey = journey;
            if !self.journey.orders() {
                // What is built in about orders can't be judged of a load that has none.
                self.slo.retain(|known| !known.metric.is_of_orders());
                if self.growth.is_some() {
                    self.slo.extend(Slo::known(&["read.p95<500ms"]));
                }
            }
        }
        // What is typed takes the place of what is built in. Of two that are typed none takes the other's: both are judged.
        self.slo.retain(|known| !changes.slo.iter().any(|slo| known.rivals(slo)));
        for slo in changes.slo {
            if !self.slo.contains(&slo) {
                self.slo.push(slo);
            }
        }
        self.abort_on.extend(changes.abort_on);
        self.min_samples = changes.min_samples.unwrap_or(self.min_samples);
        self.max_degradation = changes.max_degradation.or(self.max_degradation);
        self.check()?;
        Ok(self)
    }

    /// Whether it is one ramp to one size, which is then held and measured.
    fn is_level(&self) -> bool {
        matches!(self.stages.as_slice(), [ramp, hold] if ramp.to == hold.to && ramp.over == self.warm_up)
    }

    fn change_model(&mut self, changes: &Overrides) -> Result<(), InvalidPlan> {
        let before = self.model;
        self.model = match (changes.model, changes.rate) {
            (Some(Model::Closed), Some(_)) => return refuse("a rate needs the open model; the closed model has users"),
            (_, Some(_)) => Model::Open,
            (Some(model), None) => model,
            (None, None) => before,
        };
        if self.model == Model::Closed {
            return Ok(());
        }
        if changes.users.is_some() {
            return refuse("users belong to the closed model; the open model has a rate, such as 200/s");
        }
        if changes.think.is_some_and(|think| !think.max.is_zero()) {
            return refuse("to think belongs to the closed model: arrivals in the open model wait for nobody");
        }
        let sized = changes.rate.is_some() || changes.steps.is_some() || self.growth.is_some();
        if before == Model::Closed && !sized {
            return refuse("the open model needs a rate, such as 200/s");
        }
        self.think = Think::default();
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "more than 100,000 users are refused")]
    fn change_sizes(&mut self, changes: &Overrides) -> Result<(), InvalidPlan> {
        let size = changes.rate.or(changes.users.map(|users| users as f64));
        if let Some(size) = size {
            self.check_size(size)?;
        }
        match (&changes.steps, size) {
            (Some(_), Some(_)) => refuse("the steps are the sizes: leave out the users or the rate"),
            (Some(steps), None) => self.change_steps(steps),
            (None, Some(size)) => match &mut self.growth {
                Some(growth) => {
                    (growth.from, growth.up_to) = (growth.from.min(size), size);
                    Ok(())
                }
                None => {
                    self.scale_to(size);
                    Ok(())
                }
            },
            (None, None) => Ok(()),
        }
    }

    fn change_steps(&mut self, steps: &[f64]) -> Result<(), InvalidPlan> {
        let name = self.preset.as_deref().unwrap_or("this");
        if self.growth.is_some() {
            return refuse(format!("{name} finds its sizes by itself: leave out the steps, or the preset"));
        }
        if !self.is_level() {
            return refuse(format!(
                "{name} has sizes of its own; steps need a level load such as baseline or no preset"
            ));
        }
        if steps.is_empty() {
            return refuse("at least one step is needed, such as 10,100,1000");
        }
        steps.iter().try_for_each(|step| self.check_size(*step))?;
        self.steps = steps.to_vec();
        self.stages.iter_mut().for_each(|stage| stage.to = 1.0);
        Ok(())
    }

    /// The same shape with another peak; users stay whole.
    fn scale_to(&mut self, size: f64) {
        let (closed, peak) = (self.model == Model::Closed, self.peak(1.0));
        for stage in &mut self.stages {
            let to = stage.to / peak * size;
            stage.to = if closed && stage.to > 0.0 { to.round().max(1.0) } else { to };
        }
    }

    fn change_times(&mut self, changes: &Overrides) -> Result<(), InvalidPlan> {
        if let (Some(ramp), [first, ..]) = (changes.ramp, self.stages.as_mut_slice()) {
            // The ramp that is not measured stays unmeasured; one that is (the ramp preset) stays in the figures.
            if self.warm_up == first.over {
                self.warm_up = ramp;
            }
            first.over = ramp;
        }
        if let (Some(duration), [_, rest @ ..]) = (changes.duration, self.stages.as_mut_slice()) {
            if duration.is_zero() {
                return refuse("a load needs a duration, such as 30s");
            }
            let before: Duration = rest.iter().map(|stage| stage.over).sum();
            let factor = duration.as_secs_f64() / before.as_secs_f64();
            for stage in rest {
                // As documents have it: a plan that was written and read is the same plan.
                stage.over = whole_millis(stage.over.mul_f64(factor));
            }
        }
        if let Some(think) = changes.think {
            if think.min > think.max {
                return refuse("the shortest time to think is longer than the longest");
            }
            self.think = think;
        }
        self.drain = changes.drain.unwrap_or(self.drain);
        Ok(())
    }

    fn check_size(&self, size: f64) -> Result<(), InvalidPlan> {
        if !size.is_finite() || size <= 0.0 {
            return refuse(match self.model {
                Model::Closed => "at least one user is needed",
                Model::Open => "a rate must be more than 0, such as 200/s",
            });
        }
        #[expect(clippy::cast_precision_loss, reason = "a constant of 100,000")]
        let most_users = MOST_USERS as f64;
        match self.model {
            Model::Closed if size.fract() != 0.0 => {
                refuse(format!("there are no {size} users: a whole number is needed"))
            }
            Model::Closed if size > most_users => refuse("more than 100,000 users are more than one generator can be"),
            Model::Open if size > HIGHEST_RATE => refuse("more than 1,000,000/s is more than one generator can send"),
            _ => Ok(()),
        }
    }

    fn check(&self) -> Result<(), InvalidPlan> {
        if self.course() <= self.warm_up {
            return refuse("nothing would be measured: the ramp is as long as all of the load");
        }
        self.check_degradation()
    }

    fn check_degradation(&self) -> Result<(), InvalidPlan> {
        match self.max_degradation {
            None => Ok(()),
            Some(most) if !most.is_finite() || most < 0.0 => refuse("a bound on degradation is a share such as 10%"),
            Some(_) if self.steps.len() < 2 && self.growth.is_none() => {
                refuse("degradation is measured from step to step: name at least two steps, such as 10,100")
            }
            Some(_) => Ok(()),
        }
    }
}

fn whole_millis(duration: Duration) -> Duration {
    Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(u64::from(!duration.is_zero())))
}
