//! Which handler does which kind.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use card_core::settings;
use card_core::tasks::Kind;
use card_kinds::breaker::Admission;
use card_kinds::{Handler, InvalidIssuer, Registry};

/// The handlers of a process. Clones share them, so that several workers share one breaker and one connection pool.
#[derive(Clone)]
pub struct Handlers {
    handlers: Arc<BTreeMap<Kind, Box<dyn Handler>>>,
}

/// Why there are no handlers.
#[derive(Debug, thiserror::Error)]
pub enum InvalidHandlers {
    /// The issuer's URL can't be used, an empty one included: whoever composes a process fills in the address of its own.
    #[error(transparent)]
    Issuer(#[from] InvalidIssuer),
    /// A kind that this version does not know.
    #[error("worker.kinds names {name:?}; the kinds are {known}")]
    Kind {
        /// What was named.
        name: String,
        /// What could be.
        known: String,
    },
}

/// What may be claimed now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Claimable {
    /// As many as there is room for.
    pub(crate) freely: Vec<Kind>,
    /// One, to find out whether what it depends on works again.
    pub(crate) probing: Vec<Kind>,
    /// How long until this may have changed.
    pub(crate) review: Option<Duration>,
}

/// How soon to look again while a probe is under way.
const PROBE_REVIEW: Duration = Duration::from_millis(50);

impl Handlers {
    /// Those of the kinds that `settings.kinds` names, or of every kind that is registered, with an issuer at
    /// `settings.issuer.url` if one of them needs it.
    ///
    /// # Errors
    /// See [`InvalidHandlers`].
    pub fn new(registry: &Registry, settings: &settings::Worker) -> Result<Self, InvalidHandlers> {
        let wrong = |name: &str| InvalidHandlers::Kind { name: name.to_owned(), known: registry.names() };
        let kinds = settings.kinds().map_err(wrong)?;
        if let Some(unknown) = kinds.iter().find(|kind| registry.get(**kind).is_none()) {
            return Err(wrong(unknown.as_str()));
        }
        let chosen = registry.all().filter(|one| kinds.is_empty() || kinds.contains(&one.kind));
        let handlers = chosen.map(|one| one.handler(settings)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self::of(handlers))
    }

    /// A choice of handlers. Of two for one kind the later wins.
    #[must_use]
    pub fn of(handlers: impl IntoIterator<Item = Box<dyn Handler>>) -> Self {
        Self { handlers: Arc::new(handlers.into_iter().map(|handler| (handler.kind(), handler)).collect()) }
    }

    pub(crate) fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.handlers.keys().copied()
    }

    pub(crate) fn handler(&self, kind: Kind) -> Option<&dyn Handler> {
        self.handlers.get(&kind).map(Box::as_ref)
    }

    pub(crate) fn claimable(&self) -> Claimable {
        let mut claimable = Claimable::default();
        for (kind, handler) in self.handlers.iter() {
            let review = match handler.gate().map_or(Admission::Free, |gate| gate.admission()) {
                Admission::Free => {
                    claimable.freely.push(*kind);
                    continue;
                }
                Admission::Probe => {
                    claimable.probing.push(*kind);
                    continue;
                }
                Admission::Probing => PROBE_REVIEW,
                Admission::Closed { wait } => wait,
            };
            claimable.review = Some(claimable.review.map_or(review, |sooner| sooner.min(review)));
        }
        claimable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_handler() {
        let mut settings = settings::Settings::default().worker;
        settings.issuer.url = "http://127.0.0.1:1".to_owned();
        let registry = Registry::default();
        let handlers = Handlers::new(&registry, &settings).unwrap();
        for one in registry.all() {
            assert_eq!(handlers.handler(one.kind).map(Handler::kind), Some(one.kind));
        }
        let mut freely: Vec<_> = registry.all().map(|one| one.kind).collect();
        freely.sort();
        assert_eq!(handlers.claimable(), Claimable { freely, probing: Vec::new(), review: None });
    }

    #[test]
    fn a_worker_of_some_kinds_has_their_handlers_and_needs_no_more() {
        let mut settings = settings::Settings::default().worker;
        for (kinds, wanted) in [("purchase", vec!["purchase"]), (" add, purchase", vec!["add", "purchase"])] {
            settings.kinds = kinds.to_owned();
            let handlers = Handlers::new(&Registry::default(), &settings).unwrap();
            let found: Vec<_> = handlers.kinds().map(|kind| kind.to_string()).collect();
            assert_eq!(found, wanted, "and no issuer, which none of them asks");
        }
        for (kinds, wrong) in [("purchase,purchases", "purchases"), (",", ""), (" ", ""), ("add,", ""), ("a b", "a b")]
        {
            settings.kinds = kinds.to_owned();
            let refused = Handlers::new(&Registry::default(), &settings).err().unwrap().to_string();
            let wanted = format!("worker.kinds names {wrong:?}; the kinds are replacement, add, purchase");
            assert_eq!(refused, wanted, "and not all of them by an oversight");
        }
    }

    #[test]
    fn an_issuer_without_an_address_is_refused() {
        let settings = settings::Settings::default().worker;
        assert!(Handlers::new(&Registry::default(), &settings).is_err());
    }
}
