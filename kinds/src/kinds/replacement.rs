//! `replacement`: asks the issuer for a new card. The task's id is the idempotency key, so however often the step runs
//! there is one card.
//!
//! Cards are known here as far as this platform may know them: never a full number (P7).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use card_core::engine::Claim;
use card_core::ids::{CardId, TaskId, UserId};
use card_core::problem::Code;
use card_core::settings;
use card_core::tasks::{Effect, Kind, StoredEffect, TaskError, UnknownName};
use card_core::time::Instant;
use futures::FutureExt;
use rand::RngExt;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::breaker::{Breaker, Rules};
use crate::gate::Gate;
use crate::issuer_client::{Answer, InvalidIssuer, IssuerClient};
use crate::step::{Begun, Handler, Step, declined, invalid_payload, payload, succeeded, task_error};
use crate::{Exclusive, TaskKind};

/// Its name.
pub const KIND: Kind = Kind::new("replacement");

/// The kind.
#[derive(Debug, Clone, Copy)]
pub struct CardReplacement;

/// What is asked for; also the body of `POST /replacements`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Replacement {
    /// Why.
    pub reason: Reason,
}

impl TaskKind for CardReplacement {
    const KIND: Kind = KIND;
    const SUMMARY: &'static str = "Replaces a user's card: asks the issuer for a new one and blocks the one before.";
    type Payload = Replacement;
    type Output = IssuedCard;

    const IS_OWNED: bool = true;
    const EXCLUSIVE: Option<Exclusive> = Some(Exclusive { problem: Code::ReplacementOpen, noun: "replacement" });
    const HAS_EFFECT: bool = true;
    const ERRORS: &'static [(&'static str, &'static str)] = &[
        ("issuer-declined", "The issuer declined to issue a card."),
        ("issuer-unavailable", "The issuer can't be reached at the moment."),
        ("issuer-timeout", "The issuer did not answer in time."),
        ("issuer-refused-request", "The issuer could not process the request."),
        ("issuer-answered-garbage", "The issuer could not process the request."),
    ];

    /// A card, in the place of the owner's last one.
    fn effect(card: &IssuedCard) -> Option<Effect> {
        let data = serde_json::value::to_raw_value(card).ok()?;
        Some(Effect { slot: Some("card".to_owned()), data })
    }

    fn sample(random: &mut StdRng) -> Replacement {
        Replacement { reason: Reason::ALL[random.random_range(0..Reason::ALL.len())] }
    }

    fn handler(settings: &settings::Worker) -> Result<Box<dyn Handler>, InvalidIssuer> {
        let settings = &settings.issuer;
        let gate = Gate::new("issuer", Breaker::new(Rules::from(settings)));
        Ok(Box::new(Replacing { issuer: Arc::new(IssuerClient::new(settings)?), gate: Arc::new(gate) }))
    }
}

/// Why a card has to be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The holder can't find it.
    Lost,
    /// Somebody else has it.
    Stolen,
    /// It does not work any more.
    Damaged,
    /// Its date has passed.
    Expired,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 4] = [Self::Lost, Self::Stolen, Self::Damaged, Self::Expired];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Stolen => "stolen",
            Self::Damaged => "damaged",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Reason {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let found = Self::ALL.into_iter().find(|one| one.as_str() == text);
        found.ok_or_else(|| UnknownName { allowed: Self::ALL.map(Self::as_str).join(", ") })
    }
}

/// Whose rails a card runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// Visa.
    Visa,
    /// Mastercard.
    Mastercard,
    /// American Express.
    Amex,
}

impl Network {
    /// Every network.
    pub const ALL: [Self; 3] = [Self::Visa, Self::Mastercard, Self::Amex];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Visa => "visa",
            Self::Mastercard => "mastercard",
            Self::Amex => "amex",
        }
    }
}

/// Whether a card can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CardStatus {
    /// It can. At most one per user.
    Active,
    /// It was replaced.
    Blocked,
}

/// A card as the wire shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Card {
    /// Its id.
    pub id: CardId,
    /// The last four digits.
    pub last4: String,
    /// The network.
    pub network: Network,
    /// Whether it can be used.
    pub status: CardStatus,
    /// When it was issued.
    pub issued_at: Instant,
    /// The card that it replaced, if the user had one.
    pub replaces: Option<CardId>,
    /// The task that issued it. One task issues at most one card: the ledger enforces it (P2).
    pub task: TaskId,
}

impl Card {
    /// The card that a replacement left behind; none if the effect is not one.
    #[must_use]
    pub fn of(effect: &StoredEffect) -> Option<Self> {
        let issued: IssuedCard = serde_json::from_str(effect.data.get()).ok()?;
        Some(Self {
            id: CardId::from_uuid(effect.id),
            last4: issued.last4,
            network: issued.network,
            status: if effect.is_active { CardStatus::Active } else { CardStatus::Blocked },
            issued_at: effect.at,
            replaces: effect.replaces.map(CardId::from_uuid),
            task: effect.task,
        })
    }
}

/// `POST /issue` to the issuer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssueRequest {
    /// The task's id: asking twice gets one card.
    pub idempotency_key: TaskId,
    /// Whose card.
    pub user: UserId,
    pub reason: Reason,
}

/// What the issuer answers. Also the `result` of a replacement that succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IssuedCard {
    /// The issuer's name for the card.
    pub card_ref: String,
    /// The last four digits.
    pub last4: String,
    /// The network.
    pub network: Network,
}

/// Deferred tasks come back spread over this long, so that an issuer that has just recovered is not run over.
const SPREAD: Duration = Duration::from_millis(500);

/// Does the tasks.
struct Replacing {
    issuer: Arc<IssuerClient>,
    gate: Arc<Gate>,
}

impl Handler for Replacing {
    fn kind(&self) -> Kind {
        KIND
    }

    fn begin(&self, claim: &Claim) -> Begun {
        let Replacement { reason } = match payload(claim) {
            Ok(payload) => payload,
            Err(step) => return Begun::Done(step),
        };
        let Some(user) = claim.owner else {
            return Begun::Done(invalid_payload("a replacement needs an owner, whose card it is"));
        };
        let request = IssueRequest { idempotency_key: claim.lease.task, user, reason };
        Begun::Running(replace(Arc::clone(&self.issuer), Arc::clone(&self.gate), request).boxed())
    }

    fn gate(&self) -> Option<&Gate> {
        Some(&self.gate)
    }
}

async fn replace(issuer: Arc<IssuerClient>, gate: Arc<Gate>, request: IssueRequest) -> Step {
    let passing = match gate.pass() {
        Ok(passing) => passing,
        Err(wait) => {
            return defer(wait, task_error("issuer-unavailable", "the issuer is down; waiting until it is back"));
        }
    };
    let answer = issuer.issue(&request).await;
    // While the issuer is down for everybody, a failed call says nothing about this task: it does not count.
    let outage = if answer.says_the_issuer_is_down() { passing.failed() } else { passing.worked() };
    match (step_for(answer), outage) {
        (Step::Retry(error), Some(wait)) => defer(wait, error),
        (step, _) => step,
    }
}

fn defer(wait: Duration, error: TaskError) -> Step {
    Step::Defer { wait: wait + SPREAD.mul_f64(rand::random()), error }
}

/// What follows from the issuer's answer.
fn step_for(answer: Answer) -> Step {
    match answer {
        Answer::Issued(card) => succeeded::<CardReplacement>(&card),
        Answer::Declined => declined("issuer-declined", "the issuer declined to issue a card"),
        // The issuer has read this very request and can't take it: it never will.
        Answer::Unacceptable { status } => Step::GiveUp(task_error(
            "issuer-refused-request",
            format!("the issuer can't accept this request (HTTP {status})"),
        )),
        // Wrong address, credentials or method: about the platform's settings or an issuer in the middle of a roll-out,
        // not about this task.
        Answer::Refused { status } => Step::Retry(task_error(
            "issuer-refused-request",
            format!("the issuer refused the platform's request (HTTP {status}); check worker.issuer.url"),
        )),
        Answer::Unavailable { status: Some(status) } => {
            Step::Retry(task_error("issuer-unavailable", format!("the issuer answered HTTP {status}")))
        }
        Answer::Unavailable { status: None } => {
            Step::Retry(task_error("issuer-unavailable", "the connection to the issuer failed"))
        }
        Answer::TimedOut => Step::Retry(task_error("issuer-timeout", "the issuer did not answer in time")),
        Answer::Garbage => {
            Step::Retry(task_error("issuer-answered-garbage", "the issuer's answer is not one that it documents"))
        }
    }
}

#[cfg(test)]
mod tests {
    use card_core::tasks::Outcome;

    use super::*;

    #[test]
    fn an_issued_card_is_result_and_effect() {
        let card = IssuedCard { card_ref: "iss_1".into(), last4: "0042".into(), network: Network::Visa };
        let Step::Settle(Outcome::Succeeded { result, effect }) = step_for(Answer::Issued(card.clone())) else {
            panic!()
        };
        assert_eq!(serde_json::from_str::<IssuedCard>(result.get()).unwrap(), card);
        let effect = effect.unwrap();
        assert_eq!(effect.slot.as_deref(), Some("card"), "the one before is blocked");
        assert_eq!(serde_json::from_str::<IssuedCard>(effect.data.get()).unwrap(), card);
    }

    #[test]
    fn only_a_decline_and_an_unacceptable_request_are_final() {
        assert!(matches!(step_for(Answer::Declined), Step::Settle(Outcome::Declined { .. })));
        assert!(matches!(step_for(Answer::Unacceptable { status: 422 }), Step::GiveUp(_)));
        let retried = [
            (Answer::Refused { status: 404 }, "issuer-refused-request"),
            (Answer::Unavailable { status: Some(503) }, "issuer-unavailable"),
            (Answer::Unavailable { status: None }, "issuer-unavailable"),
            (Answer::TimedOut, "issuer-timeout"),
            (Answer::Garbage, "issuer-answered-garbage"),
        ];
        for (answer, code) in retried {
            let Step::Retry(error) = step_for(answer) else { panic!("{code}") };
            assert_eq!(error.code, code);
        }
    }

    #[test]
    fn reasons_are_what_the_wire_says() {
        for reason in Reason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
        let error = "lsot".parse::<Reason>().unwrap_err();
        // Not what was given: it may be anything, and whoever gave it knows it.
        assert_eq!(error.to_string(), "must be one of lost, stolen, damaged, expired");
    }
}
