//! The end of each test: nothing that was accepted is lost, doubled or stuck, and nothing is held any more.

use std::collections::BTreeSet;

use card_core::ids::TaskId;
use card_core::tasks::Status;

use crate::load::Ended;
use crate::part::Part;
use crate::platform::Platform;

impl Platform {
    /// Proves a load of so many requests that was watched to its end, then stops what still runs. Whatever the fault was,
    /// each request was accepted in the end, and succeeded.
    pub(crate) async fn prove(self, count: u64, load: Ended, parts: impl IntoIterator<Item = Part>) {
        let said = &load.document;
        assert_eq!(load.code, Some(0), "{}\n{}", summary(&load), self.logs());
        for (what, count) in [("accepted", count), ("succeeded", count), ("pending", 0), ("lost", 0), ("duplicate", 0)]
        {
            assert_eq!(said[what], count, "{what}: {}\n{}", summary(&load), self.logs());
        }
        assert_eq!((&said["unverified"], &said["errors"]), (&().into(), &().into()), "{}", summary(&load));
        self.prove_tasks(load.run(), &load.tasks(), parts).await;
    }

    /// Proves these tasks, all that the platform was ever given, then stops what still runs.
    pub(crate) async fn prove_tasks(self, run: &str, tasks: &BTreeSet<TaskId>, parts: impl IntoIterator<Item = Part>) {
        let found = self.prove_run(run, parts).await;
        assert!(found == *tasks, "lost: {:?}, unasked: {:?}", tasks - &found, &found - tasks);
    }

    /// Proves what the platform has of a run, all that it was ever given, and says which tasks these are; stops what
    /// still runs.
    pub(crate) async fn prove_run(self, run: &str, parts: impl IntoIterator<Item = Part>) -> BTreeSet<TaskId> {
        let stats = self.until("all is settled", |stats| stats.accepted_total == stats.settled_total).await;
        self.until("nothing is open", |stats| {
            let queue = &stats.queue;
            (queue.ready, queue.running, queue.retrying, queue.dead) == (0, 0, 0, 0)
        })
        .await;
        let tasks = self.prove_effects(run).await;
        assert_eq!(stats.accepted_total, tasks.len() as u64);
        self.until_redis_is_empty().await;
        for part in parts {
            part.stop().await;
        }
        tasks
    }

    /// Each of a run's tasks succeeded once, with one effect.
    async fn prove_effects(&self, run: &str) -> BTreeSet<TaskId> {
        let mut found = BTreeSet::new();
        let mut cursor = None;
        loop {
            let page = self.client.effects(&run.parse().unwrap(), cursor.as_deref()).await.unwrap();
            for item in page.items {
                assert_eq!((item.status, item.effects, item.finals), (Status::Succeeded, 1, 1), "{item:?}");
                assert!(found.insert(item.task), "{} is given twice", item.task);
            }
            cursor = page.next;
            if cursor.is_none() {
                return found;
            }
        }
    }
}

/// What the load said, without the tasks.
fn summary(load: &Ended) -> String {
    let mut said = load.document.clone();
    if let Some(said) = said.as_object_mut() {
        let tasks = said.remove("tasks");
        let open =
            tasks.iter().flat_map(|tasks| tasks.as_array()).flatten().filter(|task| task["status"] != "succeeded");
        said.insert("not succeeded".into(), open.cloned().collect());
    }
    said.to_string()
}
