//! What a user does, once: the code that both models share. Goose's users and the open model's arrivals come here.

mod look;
mod order;
mod submit_status;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use card_core::ids::TaskId;
use card_core::problem::Code;
use card_core::tasks::Kind;
use card_kinds::Registry;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::meter::{Meter, Start};
use crate::plan::{Journey, Mix};
use crate::share::Share;
use card_client::identities::Identities;
use card_client::observer::{Final, Observer};
use card_client::orders::Orders;
use card_client::reads::Reads;
use card_client::sender::{Sender, Sent};
use card_client::{Client, ClientError, SyntheticUser};

/// What the users of a load share.
pub struct Crew {
    /// Talks to the platform.
    pub client: Client,
    /// Sends and keeps the ledger.
    pub sender: Sender,
    /// Who they are.
    pub identities: Arc<Identities>,
    /// What is asked for, of each kind.
    pub orders: BTreeMap<Kind, Orders>,
    /// Who hears of the ends.
    pub observer: Observer,
    /// What they know, and what of what they read went back behind it.
    pub reads: Reads,
    /// What they do.
    pub mix: Mix,
    /// How long one waits for the end of a task.
    pub patience: Duration,
    /// How many visits there were: each has a number, and with it its journey and its order.
    pub visits: AtomicU64,
    /// Which of all visits are this crew's.
    pub share: Share,
}

/// One visit of one user.
pub struct Visit {
    /// When it should have begun.
    pub intended: Instant,
    /// Where it is counted.
    pub meter: Arc<Meter>,
    /// What ends the waiting of its user: not the measuring of what it has sent.
    pub over: CancellationToken,
}

/// How a visit went on for its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Went {
    /// As it should.
    Well,
    /// It was refused: a user who is told so waits before it asks again, as long as the platform says.
    Refused(Duration),
    /// It was not sent: the load is over.
    Not,
}

/// A user whose request was refused waits at least so long: a refusal is no invitation to hammer.
const PAUSE: Duration = Duration::from_millis(100);
/// And at most so long, whatever it is told: a load test is no customer that goes home.
const PAUSE_LIMIT: Duration = Duration::from_secs(5);

impl Crew {
    /// Carries out the next visit.
    ///
    /// # Errors
    /// The sender's ledger can't be written: nothing more may be sent.
    pub async fn visit(self: &Arc<Self>, visit: &Visit) -> io::Result<Went> {
        let user = match self.identities.next().await {
            Ok(user) => user,
            Err(error) => {
                visit.meter.begun(Start { intended: visit.intended, begun: Instant::now() });
                visit.meter.visit_failed(&error);
                return Ok(Went::Refused(pause(&error)));
            }
        };
        let number = self.share.place(self.visits.fetch_add(1, Ordering::Relaxed));
        let (went, user) = match self.mix.pick(number) {
            Journey::Order(kind) => order::run(self, visit, user, number, kind).await?,
            Journey::SubmitStatus => submit_status::run(self, visit, user, number).await?,
            Journey::History => look::history(self, visit, user, number).await?,
            Journey::Browse => (look::browse(self, visit, &user, number).await, Some(user)),
        };
        if let Some(user) = user {
            self.identities.give_back(user);
        }
        Ok(went)
    }

    /// Orders of every kind, by a seed.
    #[must_use]
    pub fn orders(seed: u64) -> BTreeMap<Kind, Orders> {
        Registry::default().all().map(|one| (one.kind, Orders::samples(seed, one))).collect()
    }

    /// Sends an order of a kind and has its end measured, whenever that comes. The task and its end, if it was accepted.
    async fn order(
        &self,
        visit: &Visit,
        user: &SyntheticUser,
        number: u64,
        kind: Kind,
    ) -> io::Result<Result<(TaskId, oneshot::Receiver<Final>), Unsent>> {
        let Some(order) = self.orders.get(&kind).map(|orders| orders.get(number)) else {
            // A mix is made of kinds that are registered.
            return Ok(Err(Unsent { went: Went::Not, spoilt: false }));
        };
        let start = Start { intended: visit.intended, begun: Instant::now() };
        let meter = &visit.meter;
        // Counted before the answer: a platform that stands still is asked all the same.
        meter.begun(start);
        Ok(match self.sender.send(user, number, &order, |attempt| meter.failed(attempt)).await? {
            Sent::Accepted { task, took, .. } => {
                meter.accepted(start, took);
                let (tell, ended) = oneshot::channel();
                let meter = Arc::clone(meter);
                self.observer.when_final(task.id, move |end| {
                    meter.ended(start, end);
                    // Its user may have stopped waiting.
                    let _ = tell.send(*end);
                });
                Ok((task.id, ended))
            }
            Sent::Refused(error) => {
                meter.error(&error);
                let spoilt = matches!(error, ClientError::Unauthorised(_))
                    || matches!(error.code(), Some(Code::ReplacementOpen | Code::TaskOpen | Code::NotFound));
                Err(Unsent { went: Went::Refused(pause(&error)), spoilt })
            }
            Sent::Unanswered(error) => {
                meter.error(&error);
                // Its order may be open: nobody else asks in its name.
                Err(Unsent { went: Went::Refused(pause(&error)), spoilt: true })
            }
            Sent::Stopped => Err(Unsent { went: Went::Not, spoilt: false }),
        })
    }

    /// Waits for an end; none if the user's patience, or the load, is over first.
    async fn ended(&self, visit: &Visit, ended: oneshot::Receiver<Final>) -> Option<Final> {
        tokio::select! {
            end = tokio::time::timeout(self.patience, ended) => end.ok()?.ok(),
            () = visit.over.cancelled() => None,
        }
    }
}

/// An order that was not accepted.
struct Unsent {
    went: Went,
    /// Whether its user can't be used again.
    spoilt: bool,
}

impl Unsent {
    /// How the visit of this user went on, and the user if it can be used again.
    fn by(self, user: SyntheticUser) -> (Went, Option<SyntheticUser>) {
        (self.went, (!self.spoilt).then_some(user))
    }
}

fn pause(error: &ClientError) -> Duration {
    error.retry_after().unwrap_or(PAUSE).clamp(PAUSE, PAUSE_LIMIT)
}
