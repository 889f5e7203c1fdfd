//! A request is accepted, followed on the event stream to its end, and the card is there.

use card_client::observer::Observer;
use card_core::tasks::Status;
use card_kinds::replacement::CardStatus;
use tokio::time::{Instant, timeout};

use crate::client::Caller;
use crate::commands::smoke::runner::Miss;
use crate::commands::smoke::stage::{Stage, TASK_LIMIT};
use crate::commands::watch::PATIENCE;
use crate::commands::watch::screen::milliseconds;

/// An issuer may be set up to say no to some: one of so many is let through, or something is wrong.
const TRIES: u64 = 5;

pub(in crate::commands::smoke) async fn run(stage: &Stage) -> Result<String, Miss> {
    let observer = Observer::start(&stage.client, &stage.run, PATIENCE, |_, _| {}).await?;
    for number in 0..TRIES {
        let user = stage.user().await?;
        let begun = Instant::now();
        let task = stage.client.accept(&stage.replacements.get(number), stage.accept(&user, None)).await?;
        let end = timeout(TASK_LIMIT, observer.final_of(task.id)).await;
        let Some(end) = end.map_err(|_| Miss::Wrong(format!("{} is not final after 30 s", task.id)))? else {
            return Err(observer.lost().map_or_else(|| Miss::Unknown("the stream ended".to_owned()), Miss::from));
        };
        match end.status {
            Status::Succeeded => {
                let cards = stage.client.cards(Caller::User(&user.access_token)).await?;
                return match cards.as_slice() {
                    [card] if card.task == task.id && card.status == CardStatus::Active => Ok(format!(
                        "succeeded after {}, card …{} issued",
                        milliseconds(end.at.saturating_duration_since(begun)),
                        card.last4
                    )),
                    cards => Err(Miss::Incorrect(format!("{} succeeded and left {} cards", task.id, cards.len()))),
                };
            }
            Status::Declined => {}
            status => return Err(Miss::Wrong(format!("{} is {status}", task.id))),
        }
    }
    Err(Miss::Wrong(format!("{TRIES} of {TRIES} requests were declined")))
}
