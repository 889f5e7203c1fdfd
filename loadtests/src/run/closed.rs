//! The closed model: goose's users, one transaction of whom is one turn (rest, visit, wait for the end).
//!
//! Goose starts the users, keeps them going and stops them. What it measures is left off: it times requests to their
//! headers only, in whole milliseconds, and knows nothing of a task's end; the same meters serve both models here.
//! Its users share one pool of connections (ours): a client each costs 2.5 ms and 125 KB before the first request.
//! All users are there when the clock starts; each knows by the plan when it is its turn to be active, so that ramps
//! and jumps are as exact as the plan, where goose's own are whole seconds.

use std::sync::Arc;
use std::time::Duration;

use goose::client::GooseClientBuilder;
use goose::config::GooseConfiguration;
use goose::goose::{GooseUser, Scenario, Transaction, TransactionFunction};
use goose::{GooseAttack, GooseError, trigger_killswitch};
use rand::RngExt;
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use super::drive::Drive;
use crate::journeys::Went;

/// Goose can be stopped in one way only, and that stops every attack of the process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// Goose looks for its end only between turns: a user with nothing left to do gives it the turns it needs, slowly.
const PARKED: Duration = Duration::from_millis(100);

/// The runtime's timers have a grain of a millisecond, and end after it.
const GRAIN: Duration = Duration::from_millis(2);

/// How many users are there; the clock waits for all of them.
struct Turns {
    drive: Arc<Drive>,
    present: watch::Sender<usize>,
    /// When each user's last turn ended; none before its first.
    last: Vec<std::sync::Mutex<Option<Instant>>>,
}

/// Runs until the drive is over. When this returns, nothing is being sent any more.
///
/// # Errors
/// Goose can't start.
pub(super) async fn run(drive: &Arc<Drive>) -> Result<(), GooseError> {
    let _alone = ONE_AT_A_TIME.lock().await;
    keep_goose_quiet();
    let users = users(drive);
    let shared = Arc::new(Turns {
        drive: Arc::clone(drive),
        present: watch::Sender::new(0),
        last: std::iter::repeat_with(std::sync::Mutex::default).take(users).collect(),
    });
    let attack = GooseAttack::initialize_with_config(configuration(drive, users))?
        .set_client_builder_without_cookies(GooseClientBuilder::new().without_cookies().gzip(false))?
        .register_scenario(Scenario::new("visits").register_transaction(Transaction::new(turns(shared))));
    let stop = async {
        drive.over.cancelled().await;
        loop {
            // Again and again: an attack that is only starting forgets that it was stopped.
            trigger_killswitch("the course is over");
            tokio::time::sleep(PARKED).await;
        }
    };
    tokio::select! {
        outcome = attack.execute() => outcome.map(drop),
        never = stop => never,
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "plans have at most 100,000 users")]
fn users(drive: &Drive) -> usize {
    let all = drive.plan.peak(drive.size).ceil().max(1.0) as u64;
    drive.crew.share.of_many(all).max(1) as usize
}

fn configuration(drive: &Drive, users: usize) -> GooseConfiguration {
    let mut configuration = GooseConfiguration::default();
    configuration.host = Some(drive.crew.client.url().to_owned());
    configuration.users = Some(users);
    // All at once: without it, one a second.
    configuration.increase_rate = Some("1000000000".to_owned());
    // It would listen for commands, on every address; the one by WebSocket is off by itself.
    configuration.no_telnet = true;
    configuration.no_metrics = true;
    configuration.no_transaction_metrics = true;
    configuration.no_scenario_metrics = true;
    configuration.no_print_metrics = true;
    configuration.no_error_summary = true;
    configuration.no_status_codes = true;
    configuration.no_gzip = true;
    configuration.quiet = 2;
    configuration
}

/// Goose installs a logger that writes to stdout unless there is one.
fn keep_goose_quiet() {
    struct Nowhere;
    impl log::Log for Nowhere {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            false
        }
        fn log(&self, _: &log::Record<'_>) {}
        fn flush(&self) {}
    }
    // Somebody else's logger will do as well.
    let _ = log::set_logger(&Nowhere);
}

fn turns(shared: Arc<Turns>) -> TransactionFunction {
    Arc::new(move |user: &mut GooseUser| {
        let shared = Arc::clone(&shared);
        let number = user.weighted_users_index;
        Box::pin(async move {
            if !shared.turn(number).await {
                tokio::time::sleep(PARKED).await;
            }
            Ok(())
        })
    })
}

impl Turns {
    /// One turn of a user; false if the course is over.
    async fn turn(&self, user: usize) -> bool {
        let Some(begun) = self.begun().await else { return false };
        let drive = &self.drive;
        let last = *self.last(user);
        let mut intended = last.unwrap_or(begun) + self.rest(last.is_none());
        // Not active yet, or not any more.
        while let Some(into) = self.due(user, intended.saturating_duration_since(begun)) {
            let due = begun + into;
            if due <= intended {
                if !drive.until(intended).await {
                    return false;
                }
                // A rest is no appointment: that a timer has a grain only makes it a little longer. What comes later
                // than that is this process's fault, and counts.
                let woke = Instant::now();
                let intended = if woke - intended <= GRAIN { woke } else { intended };
                let ended = self.visit(intended).await;
                *self.last(user) = Some(ended);
                return true;
            }
            // Those that a jump wakes together would stay together, and ask in bursts that no plan asked for.
            intended = due + self.rest(true);
        }
        drive.over.cancelled().await;
        false
    }

    fn last(&self, user: usize) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.last[user % self.last.len()].lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn visit(&self, intended: Instant) -> Instant {
        // A box of its own: the many who rest need not hold the room that a visit takes.
        let went = Box::pin(self.drive.visit(intended)).await;
        if let Went::Refused(pause) = went {
            self.drive.until(Instant::now() + pause).await;
        }
        Instant::now()
    }

    /// When the course began: when every user is there.
    async fn begun(&self) -> Option<Instant> {
        if let Some(begun) = self.drive.begun() {
            return (!self.drive.over.is_cancelled()).then_some(begun);
        }
        self.present.send_modify(|present| *present += 1);
        let mut present = self.present.subscribe();
        tokio::select! {
            _ = present.wait_for(|present| *present >= self.last.len()) => Some(self.drive.begin()),
            () = self.drive.over.cancelled() => None,
        }
    }

    /// How long to rest before a visit; before the first, any part of that, so that users do not move in step.
    fn rest(&self, first: bool) -> Duration {
        let think = self.drive.plan.think;
        if think.max.is_zero() {
            return Duration::ZERO;
        }
        let rest = if think.min < think.max { rand::rng().random_range(think.min..=think.max) } else { think.max };
        if first { rest.mul_f64(rand::random()) } else { rest }
    }

    /// The first point of the course from `from` on at which a user is to be active; none if it is not again.
    #[expect(clippy::cast_precision_loss, reason = "a number of users")]
    fn due(&self, user: usize, from: Duration) -> Option<Duration> {
        self.drive.plan.exceeds(self.drive.size, self.drive.crew.share.place(user as u64) as f64, from)
    }
}
