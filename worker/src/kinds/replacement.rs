//! `replacement`: asks the issuer for a new card. The task's id is the idempotency key, so however often the step runs
//! there is one card.

use std::sync::Arc;
use std::time::Duration;

use card_core::cards::{IssueRequest, IssuedCard};
use card_core::engine::Claim;
use card_core::settings;
use card_core::tasks::{Effect, Kind, Outcome, Replacement, TaskError};
use futures::FutureExt;

use crate::breaker::{Breaker, Rules};
use crate::gate::Gate;
use crate::issuer_client::{Answer, IssuerClient};
use crate::step::{Begun, Handler, Step, invalid_payload, payload, succeeded, task_error};

/// Deferred tasks come back spread over this long, so that a bureau that has just recovered is not run over.
const SPREAD: Duration = Duration::from_millis(500);

/// Does `replacement` tasks.
pub struct CardReplacement {
    issuer: Arc<IssuerClient>,
    gate: Arc<Gate>,
}

impl CardReplacement {
    /// With an issuer and the breaker's settings for it.
    #[must_use]
    pub fn new(issuer: IssuerClient, settings: &settings::IssuerClient) -> Self {
        Self { issuer: Arc::new(issuer), gate: Arc::new(Gate::new("issuer", Breaker::new(Rules::from(settings)))) }
    }
}

impl Handler for CardReplacement {
    fn kind(&self) -> Kind {
        Kind::Replacement
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
    // While the bureau is down for everybody, a failed call says nothing about this task: it does not count.
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
        Answer::Issued(card) => {
            let IssuedCard { card_ref, last4, network } = card.clone();
            succeeded(&card, Some(Effect::Card { card_ref, last4, network }))
        }
        Answer::Declined => Step::Settle(Outcome::Declined {
            error: task_error("issuer-declined", "the issuer declined to issue a card"),
        }),
        // The issuer has read this very request and can't take it: it never will.
        Answer::Unacceptable { status } => Step::GiveUp(task_error(
            "issuer-refused-request",
            format!("the issuer can't accept this request (HTTP {status})"),
        )),
        // Wrong address, credentials or method: about the platform's settings or a bureau in the middle of a roll-out,
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
    use card_core::cards::Network;

    use super::*;

    #[test]
    fn an_issued_card_is_result_and_effect() {
        let card = IssuedCard { card_ref: "iss_1".into(), last4: "0042".into(), network: Network::Visa };
        let Step::Settle(Outcome::Succeeded { result, effect }) = step_for(Answer::Issued(card.clone())) else {
            panic!()
        };
        assert_eq!(serde_json::from_str::<IssuedCard>(result.get()).unwrap(), card);
        let Some(Effect::Card { card_ref, last4, network }) = effect else { panic!() };
        assert_eq!((card_ref, last4, network), (card.card_ref, card.last4, card.network));
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
}
