//! Asks for a new card and hears of the end on the event stream.

use std::io;

use super::{Crew, Visit, Went};
use crate::client::SyntheticUser;

/// The user comes back if it can be used again: a second order while the first is open would be refused (P3).
pub(super) async fn run(
    crew: &Crew,
    visit: &Visit,
    user: SyntheticUser,
    number: u64,
) -> io::Result<(Went, Option<SyntheticUser>)> {
    match crew.order(visit, &user, number, &crew.replacements.get(number)).await? {
        Ok((_, ended)) => Ok((Went::Well, crew.ended(visit, ended).await.map(|_| user))),
        Err(unsent) => Ok(unsent.by(user)),
    }
}
