//! Keeps one child running until it is told to stop.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::child::{Running, words};
use super::orders::Order;
use super::roster::{Condition, Roster};

/// A child that says nothing for so long is not going to.
const ANNOUNCE_LIMIT: Duration = Duration::from_secs(30);

/// What a keeper needs to know.
pub(super) struct Keeper<O> {
    pub(super) name: String,
    pub(super) roster: Arc<Roster>,
    /// Made anew for each start: where the issuer listens may have become known.
    pub(super) order: O,
    pub(super) stop: CancellationToken,
    /// What a child gets to end.
    pub(super) limit: Duration,
}

impl<O: Fn() -> Order + Send> Keeper<O> {
    /// Keeps it. When it returns, the child is gone and off the roster. Whether it exited unexpectedly when it was asked to.
    pub(super) async fn keep(self) -> bool {
        let ended_well = self.lives().await;
        self.roster.remove(&self.name);
        ended_well
    }

    async fn lives(&self) -> bool {
        let Self { name, roster, stop, .. } = self;
        let mut backoff = Backoff::new();
        loop {
            let begun = Instant::now();
            let how = match Running::start(&(self.order)()) {
                Ok(mut child) => {
                    let process = child.process();
                    roster
                        .update(name, |child| (child.condition, child.process) = (Condition::Starting, Some(process)));
                    let ended = tokio::select! {
                        how = self.life(&mut child) => Some(how),
                        () = stop.cancelled() => None,
                    };
                    match ended {
                        Some(how) => how,
                        None => {
                            roster.update(name, |child| child.condition = Condition::Draining);
                            return self.end(child).await;
                        }
                    }
                }
                Err(error) => format!("it can't be started: {error}"),
            };
            let wait = backoff.after(begun.elapsed());
            tracing::warn!(child = name, how, again_in_ms = wait.as_millis(), "a child process exited unexpectedly");
            roster.update(name, |child| {
                (child.condition, child.process, child.address) = (Condition::Waiting, None, None);
                child.last_exit = Some(how);
            });
            tokio::select! {
                () = sleep(wait) => {}
                () = stop.cancelled() => return true,
            }
            roster.update(name, |child| child.restarts += 1);
        }
    }

    /// From the start to an end that nobody asked for. How it ended.
    async fn life(&self, child: &mut Running) -> String {
        let Self { name, roster, .. } = self;
        let announced = timeout(ANNOUNCE_LIMIT, child.announcement()).await;
        let pid = child.process().pid;
        match announced {
            Ok(Some(announcement)) => {
                let address = announcement.address.to_string();
                tracing::info!(child = name, pid, address, "a child process is ready");
                roster.update(name, |child| (child.condition, child.address) = (Condition::Up, Some(address)));
                words(child.exit().await)
            }
            // What closes stdout without a word ends, or is of no use.
            Ok(None) => match timeout(ANNOUNCE_LIMIT, child.exit()).await {
                Ok(status) => format!("{} before it was ready", words(status)),
                Err(_) => self.useless(child).await,
            },
            Err(_) => self.useless(child).await,
        }
    }

    async fn useless(&self, child: &mut Running) -> String {
        tracing::error!(child = self.name, limit_ms = ANNOUNCE_LIMIT.as_millis(), "a child process does not start");
        child.kill().await;
        format!("killed, because it was not ready within {} s", ANNOUNCE_LIMIT.as_secs())
    }

    async fn end(&self, child: Running) -> bool {
        let pid = child.process().pid;
        let ended_well = child.end(self.limit).await;
        if ended_well {
            tracing::info!(child = self.name, pid, "a child process was stopped");
        } else {
            tracing::warn!(
                child = self.name,
                pid,
                limit_ms = self.limit.as_millis(),
                "a child process did not stop in time"
            );
        }
        ended_well
    }
}

#[cfg(test)]
mod tests {
    use card_core::process::Part;
    use nix::sys::signal::Signal;
    use tokio::task::JoinHandle;

    use super::super::roster::Child;
    use super::*;

    const READY: &str = r#"printf '{"v":1,"component":"worker","pid":1,"address":"127.0.0.1:9","version":"0"}\n'"#;
    const LIMIT: Duration = Duration::from_secs(20);

    struct Kept {
        roster: Arc<Roster>,
        stop: CancellationToken,
        keeping: JoinHandle<bool>,
    }

    /// Keeps a shell that runs a script.
    fn keep(script: &str, limit: Duration) -> Kept {
        let roster = Roster::new();
        let (name, stop) = roster.add(Part::Worker);
        let script = script.to_owned();
        let order = move || Order {
            program: "/bin/sh".into(),
            arguments: vec!["-c".to_owned(), script.clone()],
            variables: Vec::new(),
        };
        let keeper = Keeper { name, roster: Arc::clone(&roster), order, stop: stop.clone(), limit };
        Kept { roster, stop, keeping: tokio::spawn(keeper.keep()) }
    }

    impl Kept {
        async fn until(&self, holds: impl Fn(&Child) -> bool) -> Child {
            let mut changes = self.roster.changes();
            let found = timeout(LIMIT, async {
                loop {
                    if let Some(child) = self.roster.children().into_iter().find(&holds) {
                        return child;
                    }
                    changes.changed().await.unwrap();
                }
            });
            found.await.unwrap_or_else(|_| panic!("{:?}", self.roster.children()))
        }
    }

    #[tokio::test]
    async fn who_is_killed_is_started_again() {
        let kept = keep(&format!("{READY}; exec cat"), LIMIT);
        let first = kept.until(|child| child.condition == Condition::Up).await;
        assert_eq!((first.address.as_deref(), first.restarts), (Some("127.0.0.1:9"), 0));
        first.process.unwrap().signal(Signal::SIGKILL).unwrap();
        let second = kept.until(|child| child.condition == Condition::Up && child.restarts == 1).await;
        assert_ne!(second.process, first.process);
        assert_eq!(second.last_exit.as_deref(), Some("SIGKILL"));
    }

    #[tokio::test]
    async fn who_never_comes_up_is_tried_again_and_says_how_it_ended() {
        let kept = keep("exit 3", LIMIT);
        let waiting = kept.until(|child| child.condition == Condition::Waiting && child.restarts >= 1).await;
        assert_eq!(waiting.last_exit.as_deref(), Some("exit 3 before it was ready"));
        assert_eq!(waiting.process, None);
        kept.stop.cancel();
        assert!(timeout(LIMIT, kept.keeping).await.unwrap().unwrap());
    }

    #[tokio::test]
    async fn what_can_not_be_run_is_tried_again_as_well() {
        let roster = Roster::new();
        let (name, stop) = roster.add(Part::Server);
        let order = || Order { program: "/no/such/program".into(), arguments: Vec::new(), variables: Vec::new() };
        let keeping = tokio::spawn(Keeper { name, roster: Arc::clone(&roster), order, stop, limit: LIMIT }.keep());
        let kept = Kept { roster, stop: CancellationToken::new(), keeping };
        let waiting = kept.until(|child| child.condition == Condition::Waiting).await;
        assert!(waiting.last_exit.unwrap().starts_with("it can't be started: "));
        kept.keeping.abort();
    }

    #[tokio::test]
    async fn who_is_told_to_stop_finishes_and_leaves_the_roster() {
        let kept = keep(&format!("trap 'exit 0' TERM; {READY}; while :; do sleep 0.01; done"), LIMIT);
        let process = kept.until(|child| child.condition == Condition::Up).await.process.unwrap();
        kept.stop.cancel();
        assert!(timeout(LIMIT, kept.keeping).await.unwrap().unwrap());
        assert!(!process.is_alive());
        assert!(kept.roster.children().is_empty());
    }

    #[tokio::test]
    async fn who_does_not_stop_in_time_is_killed() {
        let kept = keep(&format!("trap '' TERM; {READY}; while :; do sleep 0.01; done"), Duration::from_millis(20));
        let process = kept.until(|child| child.condition == Condition::Up).await.process.unwrap();
        kept.stop.cancel();
        assert!(!timeout(LIMIT, kept.keeping).await.unwrap().unwrap());
        assert!(!process.is_alive());
    }

    #[tokio::test]
    async fn who_is_tied_ends_when_nobody_keeps_it() {
        let kept = keep(&format!("{READY}; exec cat"), LIMIT);
        let process = kept.until(|child| child.condition == Condition::Up).await.process.unwrap();
        kept.keeping.abort();
        assert!(process.wait_gone(LIMIT).await);
    }
}
