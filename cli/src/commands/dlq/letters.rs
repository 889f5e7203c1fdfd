//! The dead letters that an operation means: found before the first is changed.

use std::collections::{BTreeMap, HashSet, VecDeque};

use card_core::ids::TaskId;
use card_core::problem::Code;
use card_core::tasks::{Status, Task};

use crate::client::{BulkFilter, Client, Refused};
use crate::commands::tasks::named::named;
use crate::context::Context;
use crate::failure::Failure;

const PAGE: u64 = 1000;
/// Shown, of however many.
const SAMPLE: usize = 10;

/// A million of them must fit into memory, so only what is needed of each is kept.
#[derive(Debug, Default)]
pub(super) struct Letters {
    letters: Vec<Letter>,
    codes: Vec<String>,
    /// Some of them.
    pub(super) sample: Vec<Task>,
    /// Tasks that were named and are no dead letters.
    pub(super) refused: Vec<Refused>,
}

#[derive(Debug, Clone, Copy)]
struct Letter {
    task: TaskId,
    /// Its place in `codes`.
    code: usize,
}

impl Letters {
    /// Those that a filter means, newest first.
    ///
    /// # Errors
    /// The platform does not answer, or the command was interrupted.
    pub(super) async fn matching(
        context: &Context,
        client: &Client,
        filter: &BulkFilter,
        limit: Option<u64>,
    ) -> Result<Self, Failure> {
        let mut letters = Self::default();
        let mut cursor = None::<String>;
        loop {
            let room = limit.map_or(PAGE, |limit| (limit - letters.count()).min(PAGE));
            let page = tokio::select! {
                page = client.dead_letters(filter, Some(room as usize), cursor.as_deref()) => page?,
                () = context.stop.cancelled() => return Err(context.interruption().left("nothing was changed")),
            };
            page.items.into_iter().for_each(|task| letters.add(task));
            cursor = page.next;
            if cursor.is_none() || limit.is_some_and(|limit| letters.count() >= limit) {
                return Ok(letters);
            }
            if letters.count() % (50 * PAGE) == 0 {
                context.printer.step(format!("{} dead letters found so far", letters.count()));
            }
        }
    }

    /// Those that are named, in this order.
    ///
    /// # Errors
    /// There is no such task, the platform does not answer, or the command was interrupted.
    pub(super) async fn named(context: &Context, client: &Client, names: &[TaskId]) -> Result<Self, Failure> {
        let mut letters = Self::default();
        for task in named(context, client, names).await? {
            match task.status {
                Status::Dead => letters.add(task),
                _ => letters.refused.push(Refused { task: task.id, code: Code::NotDead, open_task: None }),
            }
        }
        Ok(letters)
    }

    fn add(&mut self, task: Task) {
        let code = task.error.as_ref().map_or("unknown", |error| &error.code);
        let code = self.codes.iter().position(|known| known == code).unwrap_or_else(|| {
            self.codes.push(code.to_owned());
            self.codes.len() - 1
        });
        self.letters.push(Letter { task: task.id, code });
        if self.sample.len() < SAMPLE {
            self.sample.push(task);
        }
    }

    /// How many they are.
    pub(super) fn count(&self) -> u64 {
        self.letters.len() as u64
    }

    /// How many have which error code.
    pub(super) fn errors(&self) -> BTreeMap<String, u64> {
        let mut counts = vec![0; self.codes.len()];
        self.letters.iter().for_each(|letter| counts[letter.code] += 1);
        self.codes.iter().cloned().zip(counts).collect()
    }

    /// All, in their order.
    pub(super) fn tasks(&self) -> Vec<TaskId> {
        self.letters.iter().map(|letter| letter.task).collect()
    }

    /// `canaries` of them, and the others in their order. The canaries have one of each error first, then another of
    /// each: of one error alone they would say nothing about the rest.
    pub(super) fn split(&self, canaries: usize) -> (Vec<TaskId>, Vec<TaskId>) {
        let mut by_code = vec![VecDeque::new(); self.codes.len()];
        for (place, letter) in self.letters.iter().enumerate() {
            // No more of one error than could ever be picked.
            if by_code[letter.code].len() < canaries {
                by_code[letter.code].push_back(place);
            }
        }
        let mut picked = Vec::with_capacity(canaries.min(self.letters.len()));
        while picked.len() < canaries && by_code.iter().any(|places| !places.is_empty()) {
            let round = by_code.iter_mut().filter_map(VecDeque::pop_front);
            picked.extend(round.take(canaries - picked.len()));
        }
        let places: HashSet<usize> = picked.iter().copied().collect();
        let rest = self.letters.iter().enumerate().filter(|(place, _)| !places.contains(place));
        (picked.iter().map(|place| self.letters[*place].task).collect(), rest.map(|(_, letter)| letter.task).collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn letters(codes: &[usize]) -> Letters {
        let known = codes.iter().max().map_or(0, |max| max + 1);
        Letters {
            letters: codes.iter().map(|code| Letter { task: TaskId::new(), code: *code }).collect(),
            codes: (0..known).map(|code| code.to_string()).collect(),
            ..Letters::default()
        }
    }

    #[test]
    fn canaries_are_of_each_error_before_there_is_a_second_of_one() {
        let letters = letters(&[0, 0, 0, 1, 0, 2]);
        let all = letters.tasks();
        let (canaries, rest) = letters.split(4);
        assert_eq!(canaries, [all[0], all[3], all[5], all[1]]);
        assert_eq!(rest, [all[2], all[4]]);
        assert_eq!(letters.errors(), [("0".into(), 4), ("1".into(), 1), ("2".into(), 1)].into());
    }

    proptest! {
        #[test]
        fn a_split_loses_none_and_doubles_none(codes in prop::collection::vec(0_usize..4, 0..40), canaries in 1_usize..50) {
            let letters = letters(&codes);
            let (picked, rest) = letters.split(canaries);
            prop_assert_eq!(picked.len(), canaries.min(codes.len()));
            let mut all: Vec<TaskId> = picked.into_iter().chain(rest).collect();
            let mut expected = letters.tasks();
            all.sort();
            expected.sort();
            prop_assert_eq!(all, expected);
        }
    }
}
