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
                let begun = Instant::now();
                return Ok((
                    looks(crew, visit, &user, &[View::Purchases, View::Summary], number, begun).await,
                    Some(user),
                ));
            }
            Ok((Went::Well, Some(user)))
        }
        Err(unsent) => Ok(unsent.by(user)),
    }
}

pub(super) async fn browse(crew: &Crew, visit: &Visit, user: &SyntheticUser, number: u64) -> Went {
    visit.meter.begun(Start { intended: visit.intended, begun: Instant::now() });
    looks(crew, visit, user, &[View::Purchases, View::Summary, View::Cards], number, visit.intended).await
}

/// Looks at one after the other, the first at the time that is given, up to one that fails: then the visit has failed.
async fn looks(
    crew: &Crew,
    visit: &Visit,
    user: &SyntheticUser,
    views: &[View],
    number: u64,
    mut intended: Instant,
) -> Went {
    for view in views {
        if visit.over.is_cancelled() {
            break;
        }
        if let Err(error) = look(crew, visit, user, *view, number, intended).await {
            visit.meter.visit_failed(&error);
            return Went::Refused(pause(&error));
        }
        intended = Instant::now();
    }
    Went::Well
}

/// Every other one says what it has and from when on it must be shown; the rest ask as a new client does. Both have to see
/// all that the user knows.
async fn look(
    crew: &Crew,
    visit: &Visit,
    user: &SyntheticUser,
    view: View,
    number: u64,
    intended: Instant,
) -> Result<(), ClientError> {
    let asked = if number.is_multiple_of(2) { crew.reads.asks(user, view) } else { Asked::default() };
    let reading = crew.client.read(view, &asked, Caller::User(&user.access_token)).await?;
    visit.meter.looked(intended.elapsed(), reading.value.is_none(), reading.cost);
    crew.reads.compare(user, view, &asked, reading);
    Ok(())
}
