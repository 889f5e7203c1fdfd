//! The kinds that a process knows.

use std::sync::Arc;

use card_core::engine::{CANCELLED, KnownKind};
use card_core::tasks::{Kind, TaskError};

use crate::definition::Definition;
use crate::kinds;

/// The kinds that a process knows, by code. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Registry(Arc<[Definition]>);

impl Default for Registry {
    /// Every kind of this version.
    fn default() -> Self {
        Self(kinds::ALL.into())
    }
}

impl Registry {
    /// With another kind, which may come from elsewhere, such as a test.
    #[must_use]
    pub fn with(&self, definition: Definition) -> Self {
        let mut all = self.0.to_vec();
        all.push(definition);
        all.sort_by_key(|one| one.code);
        Self(all.into())
    }

    /// Without a kind, as a version before it.
    #[must_use]
    pub fn without(&self, kind: Kind) -> Self {
        Self(self.0.iter().filter(|one| one.kind != kind).copied().collect())
    }

    /// All of them.
    pub fn all(&self) -> impl ExactSizeIterator<Item = &Definition> {
        self.0.iter()
    }

    /// One, if this process knows it.
    #[must_use]
    pub fn get(&self, kind: Kind) -> Option<&Definition> {
        self.0.iter().find(|one| one.kind == kind)
    }

    /// What a ledger has to know of them.
    #[must_use]
    pub fn known(&self) -> Vec<KnownKind> {
        self.0.iter().map(Definition::known).collect()
    }

    /// Their names, with commas between them.
    #[must_use]
    pub fn names(&self) -> String {
        self.0.iter().map(|one| one.kind.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// An error as the task's owner may see it: the code, and our own sentence for it. The message is for operators: one of
    /// them may have written into it why a dead letter was discarded, which the owner must not learn, and what others
    /// answered may stand in it.
    #[must_use]
    pub fn error_for_owner(&self, kind: Kind, error: &TaskError) -> TaskError {
        let own = self.get(kind).into_iter().flat_map(|one| one.errors).find(|(code, _)| *code == error.code);
        let message = match (own, error.code.as_str()) {
            (Some((_, sentence)), _) => sentence,
            (None, CANCELLED) => "It was called off before it was done.",
            (None, "invalid-payload") => "The request can't be carried out as it was given.",
            (None, "step-panicked" | "worker-stopped" | "unknown-kind" | "internal") => {
                "Something went wrong on our side."
            }
            (None, _) => "This did not work.",
        };
        TaskError { code: error.code.clone(), message: message.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::testing::Gift;

    /// With one that the product has not.
    fn everything() -> Registry {
        Registry::default().with(Definition::of::<Gift>(200))
    }

    #[test]
    fn every_kind_takes_what_it_gives_as_a_sample_and_repeats_it() {
        for one in everything().all() {
            for seed in 0..200 {
                let sample = one.sample(&mut StdRng::seed_from_u64(seed));
                let read = one.read(sample.get().as_bytes()).unwrap_or_else(|error| panic!("{one:?}: {error:?}"));
                assert_eq!(read.get(), sample.get(), "{one:?}: there is one spelling");
                assert_eq!(one.sample(&mut StdRng::seed_from_u64(seed)).get(), sample.get(), "{one:?}");
            }
        }
    }

    #[test]
    fn every_kind_refuses_what_is_no_payload() {
        for one in everything().all() {
            for odd in ["", "{", "null", "[]", "1", r#"{"no-such-field": 1}"#, "\u{0}"] {
                assert!(one.read(odd.as_bytes()).is_err(), "{one:?}: {odd}");
            }
        }
    }

    #[test]
    fn every_kind_describes_itself() {
        for one in everything().all() {
            assert!(one.summary.ends_with('.') && one.summary.starts_with(char::is_uppercase), "{one:?}");
            let mut others = Vec::new();
            one.payload_schema(&mut others);
            one.output_schema(&mut others);
            for (code, sentence) in one.errors {
                assert!(sentence.ends_with('.'), "{one:?}: {code}");
            }
        }
    }

    #[test]
    fn an_owner_reads_nothing_that_others_wrote() {
        let registry = Registry::default();
        let own = registry.all().flat_map(|one| one.errors.iter().map(|(code, _)| (one.kind, *code)));
        let other = [
            (Kind::new("add"), "internal"),
            (Kind::new("replacement"), CANCELLED),
            (Kind::new("of-a-later-version"), "a-code-of-it"),
        ];
        for (kind, code) in own.chain(other) {
            let error = TaskError { code: code.into(), message: "503 (discarded: suspected mule account)".into() };
            let told = registry.error_for_owner(kind, &error);
            assert_eq!(told.code, code);
            assert!(!told.message.is_empty() && !told.message.contains("mule") && !told.message.contains("503"));
        }
    }
}
