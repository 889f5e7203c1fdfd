//! Looks at what the user has, and holds it against what the user knows: buys first (`history`), or only looks (`browse`).

use std::io;

use card_core::tasks::Status;
use card_kinds::purchase;
use tokio::time::Instant;

use super::{Crew, Visit, Went, pause};
use crate::meter::Start;
use card_client::reads::{Asked, View};
use card_client::{Caller, ClientError, SyntheticUser};

pub(super) async fn history(
    crew: &Crew,
    visit: &Visit,
    user: SyntheticUser,
    number: u64,
) -> io::Result<(Went, Option<SyntheticUser>)> {
    match crew.order(visit, &user, number, purchase::KIND).await? {
        Ok((task, ended)) => {
            if let Some(end) = crew.ended(visit, ended).await {
                if end.status == Status::Succeeded {
                    crew.reads.told(&user, task, end.sequence);
                }
                for view in [View::Purchases, View::Summary] {
                    // What fails is counted there: the purchase went well.
                    let _ = look(crew, visit, &user, view, number).await;
                }
            }
            Ok((Went::Well, Some(user)))
        }
        Err(unsent) => Ok(unsent.by(user)),
    }
}

pub(super) async fn browse(crew: &Crew, visit: &Visit, user: &SyntheticUser, number: u64) -> Went {
    visit.meter.begun(Start { intended: visit.intended, begun: Instant::now() });
    for view in [View::Purchases, View::Summary, View::Cards] {
        if visit.over.is_cancelled() {
            break;
        }
        if let Err(error) = look(crew, visit, user, view, number).await {
            return Went::Refused(pause(&error));
        }
    }
    Went::Well
}

/// Every other one says what it has and from when on it must be shown; the rest ask as a new client does. Both have to see
/// all that the user knows.
async fn look(crew: &Crew, visit: &Visit, user: &SyntheticUser, view: View, number: u64) -> Result<(), ClientError> {
    let asked = if number.is_multiple_of(2) { crew.reads.asks(user, view) } else { Asked::default() };
    let begun = Instant::now();
    match crew.client.read(view, &asked, Caller::User(&user.access_token)).await {
        Ok(reading) => {
            visit.meter.looked(begun.elapsed(), reading.shown.is_none());
            crew.reads.compare(user, view, &asked, reading);
            Ok(())
        }
        Err(error) => {
            visit.meter.status_error(&error);
            Err(error)
        }
    }
}
