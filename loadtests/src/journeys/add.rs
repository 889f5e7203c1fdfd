//! Asks for a sum and hears of the end on the event stream.

use std::io;

use super::{Crew, Visit, Went};
use crate::client::SyntheticUser;

/// The user always comes back: it may have any number of open sums.
pub(super) async fn run(
    crew: &Crew,
    visit: &Visit,
    user: SyntheticUser,
    number: u64,
) -> io::Result<(Went, Option<SyntheticUser>)> {
    match crew.order(visit, &user, number, &crew.additions.get(number)).await? {
        Ok((_, ended)) => {
            crew.ended(visit, ended).await;
            Ok((Went::Well, Some(user)))
        }
        Err(unsent) => Ok(unsent.by(user)),
    }
}
