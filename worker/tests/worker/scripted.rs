//! A handler that does what a test says.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use card_core::engine::Claim;
use card_core::tasks::{Kind, Outcome, TaskError};
use card_kinds::replacement;
use card_kinds::{Begun, Handler, Step};
use card_worker::Handlers;
use futures::FutureExt;
use serde_json::value::RawValue;

pub(crate) struct Scripted<F>(pub(crate) Kind, pub(crate) F);

impl<F: Fn(&Claim) -> Begun + Send + Sync + 'static> Handler for Scripted<F> {
    fn kind(&self) -> Kind {
        self.0
    }

    fn begin(&self, claim: &Claim) -> Begun {
        (self.1)(claim)
    }
}

/// A registry with the real `add` and a replacement that does what the test says.
pub(crate) fn replacing(step: impl Fn(&Claim) -> Begun + Send + Sync + 'static) -> Handlers {
    Handlers::of([Box::new(card_kinds::add::Addition) as Box<dyn Handler>, Box::new(Scripted(replacement::KIND, step))])
}

/// Replacements alone: nobody else needs a permit.
pub(crate) fn alone(step: impl Fn(&Claim) -> Begun + Send + Sync + 'static) -> Handlers {
    Handlers::of([Box::new(Scripted(replacement::KIND, step)) as Box<dyn Handler>])
}

pub(crate) fn running(step: impl Future<Output = Step> + Send + 'static) -> Begun {
    Begun::Running(step.boxed())
}

pub(crate) fn done() -> Step {
    let result = RawValue::from_string("{}".to_owned()).unwrap();
    Step::Settle(Outcome::Succeeded { result, effect: None })
}

pub(crate) fn failed() -> Step {
    Step::Retry(TaskError { code: "some-error".into(), message: "it failed".into() })
}

/// Counts how many are alive at once.
#[derive(Clone, Default)]
pub(crate) struct Gauge(Arc<(AtomicUsize, AtomicUsize)>);

pub(crate) struct Alive(Gauge);

impl Gauge {
    pub(crate) fn enter(&self) -> Alive {
        let now = self.0.0.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.1.fetch_max(now, Ordering::SeqCst);
        Alive(self.clone())
    }

    pub(crate) fn now(&self) -> usize {
        self.0.0.load(Ordering::SeqCst)
    }

    pub(crate) fn most(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}
