//! The kinds of a ledger: rows hold a code instead of a name, and the ledger itself says which is which.
//!
//! Each process brings the kinds that it knows when it opens the ledger. What others have brought is known by name as
//! well, so it can be listed, streamed, counted and swept; only claims are for those who know what to do.

use std::sync::{Arc, PoisonError, RwLock};

use super::{EngineError, ErrorKind};
use crate::tasks::Kind;

/// A kind, as it is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KnownKind {
    /// Stands in rows, for ever: see `card-kinds`.
    pub code: u8,
    /// Its name.
    pub kind: Kind,
    /// Whether each success leaves an effect. The audit counts those, and results otherwise.
    pub has_effect: bool,
}

/// What a ledger knows of kinds. Only grows.
#[derive(Debug, Default)]
pub(super) struct Kinds(RwLock<Arc<Vec<KnownKind>>>);

impl Kinds {
    /// All of them, by code.
    pub(super) fn all(&self) -> Arc<Vec<KnownKind>> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn learn(&self, mut kinds: Vec<KnownKind>) {
        kinds.sort_unstable_by_key(|known| known.code);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(kinds);
    }

    /// The kind with a code, if it was heard of.
    pub(super) fn of(&self, code: i64) -> Option<KnownKind> {
        self.find(|known| i64::from(known.code) == code)
    }

    /// The code of a kind.
    pub(super) fn code(&self, kind: Kind) -> Option<u8> {
        self.find(|known| known.kind == kind).map(|known| known.code)
    }

    /// A kind that is to be written or claimed.
    ///
    /// # Errors
    /// `Invalid`: nobody has brought it to this ledger.
    pub(super) fn known(&self, kind: Kind) -> Result<KnownKind, EngineError> {
        self.find(|known| known.kind == kind)
            .ok_or_else(|| EngineError::new(ErrorKind::Invalid, format!("this ledger has no tasks of kind {kind}")))
    }

    fn find(&self, which: impl Fn(&&KnownKind) -> bool) -> Option<KnownKind> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).iter().find(which).copied()
    }
}

/// Which of a process' kinds a ledger has yet to be told of.
///
/// # Errors
/// `Broken`: it has one of the codes, or names, for something else.
pub(super) fn missing(ours: &[KnownKind], ledger: &[KnownKind]) -> Result<Vec<KnownKind>, EngineError> {
    for our in ours {
        if let Some(theirs) = ledger.iter().find(|their| their.code == our.code || their.kind == our.kind)
            && theirs != our
        {
            let KnownKind { code, kind, .. } = our;
            let message = if theirs.code != our.code {
                format!("the ledger has the kind {kind} under the code {}, and this program under {code}", theirs.code)
            } else if theirs.kind != our.kind {
                format!("the ledger has the code {code} for the kind {}, and this program for {kind}", theirs.kind)
            } else {
                format!("the ledger and this program differ on whether tasks of kind {kind} have an effect")
            };
            return Err(EngineError::new(ErrorKind::Broken, message)
                .fixed_by("the code of a kind is never used again: give the new kind the next free one"));
        }
    }
    Ok(ours.iter().filter(|our| !ledger.contains(our)).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn known(code: u8, name: &'static str) -> KnownKind {
        KnownKind { code, kind: Kind::new(name), has_effect: false }
    }

    #[test]
    fn a_code_or_a_name_that_means_something_else_is_refused_by_name() {
        let ledger = [known(0, "replacement"), known(1, "add"), known(7, "later")];
        let new = known(2, "purchase");
        assert_eq!(missing(&[known(1, "add"), new], &ledger).unwrap(), vec![new]);
        for (ours, named) in [(known(1, "sum"), "add"), (known(2, "add"), "code 1")] {
            let error = missing(&[ours], &ledger).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Broken);
            assert!(error.to_string().contains(named), "{error}");
        }
        let effect = KnownKind { has_effect: true, ..known(1, "add") };
        assert!(missing(&[effect], &ledger).unwrap_err().to_string().contains("effect"));
    }
}
