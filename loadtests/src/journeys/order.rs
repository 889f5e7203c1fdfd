//! Asks for something of a kind and hears of the end on the event stream.

use std::io;

use card_core::tasks::Kind;

use super::{Crew, Visit, Went};
use card_client::SyntheticUser;
use card_client::orders::Orders;

/// The user comes back if it can be used again: of a kind that an owner can have only one of, a second order while the first
/// is open would be refused (P3).
pub(super) async fn run(
    crew: &Crew,
    visit: &Visit,
    user: SyntheticUser,
    number: u64,
    kind: Kind,
) -> io::Result<(Went, Option<SyntheticUser>)> {
    match crew.order(visit, &user, number, kind).await? {
        Ok((_, ended)) => {
            let is_over = crew.ended(visit, ended).await.is_some();
            let is_exclusive = crew.orders.get(&kind).is_some_and(Orders::are_exclusive);
            Ok((Went::Well, (is_over || !is_exclusive).then_some(user)))
        }
        Err(unsent) => Ok(unsent.by(user)),
    }
}
