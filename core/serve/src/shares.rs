//! What all clients have together (connections, places, bytes), and that nobody takes all of it.
//!
//! One rule: a holder may have at most so many times what is left. Alone, a user gets up to half and an address up to
//! eight ninths; the more of them want much, the less each gets; and whoever has nothing yet gets something as long as
//! anything is left. That needs no setting. An eighth of everything is for operators alone.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use card_core::ids::UserId;

/// Whoever may hold a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Holder {
    /// A user, wherever its requests come from.
    User(UserId),
    /// An address; of IPv6 the /64, which is what one client has. See [`Holder::address`].
    Address(IpAddr),
    /// All trusted proxies together. Their clients have shares, of the requests that they send; the proxies have none.
    Proxies,
    /// All operators together.
    Operator,
}

/// Why there is nothing to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// This user has its share.
    User,
    /// This address has its share.
    Address,
    /// Everything is taken.
    All,
}

impl Holder {
    /// The holder that an address stands for.
    #[must_use]
    pub fn address(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
            v4 @ IpAddr::V4(_) => v4,
        })
    }

    /// How many times what is left it may have. An address may stand for many users (a company, a proxy), so it gets more.
    const fn factor(self) -> usize {
        match self {
            Self::User(_) => 1,
            Self::Address(_) | Self::Operator => 8,
            Self::Proxies => usize::MAX,
        }
    }

    /// Why it gets no more.
    #[must_use]
    pub const fn full(self) -> Full {
        match self {
            Self::User(_) => Full::User,
            Self::Address(_) => Full::Address,
            Self::Operator | Self::Proxies => Full::All,
        }
    }
}

/// Whether a holder that has `held` may have so many more while `free` are left.
#[must_use]
pub fn is_within_share(holder: Holder, held: usize, more: usize, free: usize) -> bool {
    more <= free && held.saturating_add(more) <= free.saturating_mul(holder.factor())
}

/// How much of a limit is kept for operators: an eighth, and at least one unless there are only a few.
#[must_use]
pub const fn reserve(limit: usize) -> usize {
    match limit {
        0..4 => 0,
        4..8 => 1,
        _ => limit / 8,
    }
}

/// A limit that all holders share.
#[derive(Debug)]
pub struct Shares {
    limit: usize,
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    total: usize,
    held: HashMap<Holder, usize>,
}

impl Shares {
    /// All of `limit` is free.
    #[must_use]
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, used: Mutex::default() })
    }

    /// What is taken now.
    #[must_use]
    pub fn used(&self) -> usize {
        self.lock().total
    }

    /// Takes so much for all of these holders at once, until the result is dropped.
    ///
    /// # Errors
    /// One of them has its share, or nothing is left.
    pub fn take(self: &Arc<Self>, holders: &[Holder], amount: usize) -> Result<Share, Full> {
        let mut share = Share { shares: Arc::clone(self), holders: holders.into(), amount: 0 };
        share.grow(amount)?;
        Ok(share)
    }

    /// Gives back one place that a holder has, and takes it again when the result is dropped, if need be above the limit.
    #[must_use]
    pub fn lend(self: &Arc<Self>, holder: Holder) -> Lent {
        self.lock().less(&[holder], 1);
        Lent { shares: Arc::clone(self), holder }
    }

    fn lock(&self) -> MutexGuard<'_, Used> {
        // Nothing that runs under this lock can panic half-way through a change.
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Used {
    fn admit(&self, limit: usize, holders: &[Holder], more: usize) -> Result<(), Full> {
        let left = limit.saturating_sub(self.total);
        let free = if holders.contains(&Holder::Operator) { left } else { left.saturating_sub(reserve(limit)) };
        if more > free {
            return Err(Full::All);
        }
        let held = |holder| self.held.get(holder).copied().unwrap_or_default();
        let over = holders.iter().find(|holder| !is_within_share(**holder, held(holder), more, free));
        over.map_or(Ok(()), |holder| Err(holder.full()))
    }
}

impl Used {
    fn more(&mut self, holders: &[Holder], amount: usize) {
        self.total += amount;
        for holder in holders.iter().filter(|_| amount > 0) {
            *self.held.entry(*holder).or_default() += amount;
        }
    }

    fn less(&mut self, holders: &[Holder], amount: usize) {
        self.total = self.total.saturating_sub(amount);
        for holder in holders {
            let left = self.held.get_mut(holder).map(|held| {
                *held = held.saturating_sub(amount);
                *held
            });
            if left == Some(0) {
                self.held.remove(holder);
            }
        }
    }
}

/// One place that its holder does without for a while.
#[derive(Debug)]
pub struct Lent {
    shares: Arc<Shares>,
    holder: Holder,
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.shares.lock().more(&[self.holder], 1);
    }
}

/// What is held; given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    shares: Arc<Shares>,
    holders: Box<[Holder]>,
    amount: usize,
}

impl Share {
    /// Takes more for the same holders.
    ///
    /// # Errors
    /// As [`Shares::take`]; what is held stays.
    pub fn grow(&mut self, more: usize) -> Result<(), Full> {
        let mut used = self.shares.lock();
        used.admit(self.shares.limit, &self.holders, more)?;
        used.more(&self.holders, more);
        drop(used);
        self.amount += more;
        Ok(())
    }

    /// Gives back all but so much.
    pub fn shrink_to(&mut self, amount: usize) {
        let less = self.amount.saturating_sub(amount);
        if less == 0 {
            return;
        }
        self.amount -= less;
        self.shares.lock().less(&self.holders, less);
    }

    /// How much it is.
    #[must_use]
    pub fn amount(&self) -> usize {
        self.amount
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    fn address(last: u8) -> Holder {
        Holder::address(Ipv4Addr::new(192, 0, 2, last).into())
    }

    /// As many as it gets.
    fn fill(shares: &Arc<Shares>, holders: &[Holder]) -> (Vec<Share>, Full) {
        let mut held = Vec::new();
        loop {
            match shares.take(holders, 1) {
                Ok(share) => held.push(share),
                Err(full) => return (held, full),
            }
        }
    }

    #[test]
    fn one_user_leaves_room_for_another_and_all_users_for_the_operator() {
        let shares = Shares::new(20);
        let here = address(1);
        let (one, why) = fill(&shares, &[Holder::User(UserId::new()), here]);
        assert_eq!((one.len(), why), (9, Full::User));
        let mut others = Vec::new();
        while let (taken, Full::User) = fill(&shares, &[Holder::User(UserId::new()), here]) {
            assert!(!taken.is_empty(), "who has nothing gets something as long as anything is left");
            others.extend(taken);
        }
        assert!(others.len() >= 5, "{}", others.len());
        let (operator, why) = fill(&shares, &[Holder::Operator]);
        assert!(operator.len() >= 2, "{}", operator.len());
        assert_eq!(why, Full::All);
    }

    #[test]
    fn one_address_leaves_room_for_another() {
        let shares = Shares::new(100);
        let (many, why) = fill(&shares, &[address(1)]);
        assert_eq!(why, Full::Address);
        assert!((70..85).contains(&many.len()), "{}", many.len());
        assert!(shares.take(&[address(2)], 1).is_ok());
    }

    #[test]
    fn proxies_get_all_but_what_is_for_operators() {
        let shares = Shares::new(100);
        let (many, why) = fill(&shares, &[Holder::Proxies]);
        assert_eq!((many.len(), why), (100 - reserve(100), Full::All));
        assert!(shares.take(&[Holder::Operator], 1).is_ok());
    }

    #[test]
    fn a_limit_of_a_few_can_be_used_whole() {
        for limit in 1..4 {
            assert_eq!(fill(&Shares::new(limit), &[Holder::Operator]).0.len(), limit);
        }
        assert_eq!(fill(&Shares::new(0), &[address(1)]).1, Full::All);
    }

    #[test]
    fn addresses_of_one_client_are_one() {
        let holder = |text: &str| Holder::address(text.parse().unwrap());
        assert_eq!(holder("2001:db8::1"), holder("2001:db8::ffff:1"));
        assert_ne!(holder("2001:db8::1"), holder("2001:db8:0:1::1"));
        assert_eq!(holder("::ffff:192.0.2.1"), holder("192.0.2.1"));
    }

    proptest! {
        #[test]
        fn what_is_taken_is_given_back_whatever_happens(
            steps in proptest::collection::vec((0u8..4, 0usize..40, any::<bool>()), 0..80), limit in 0usize..200,
        ) {
            let shares = Shares::new(limit);
            let mut held = Vec::new();
            for (who, amount, shrink) in steps {
                let holders: &[Holder] = if who == 3 { &[Holder::Operator] } else { &[address(who)] };
                if let Ok(mut share) = shares.take(holders, amount) {
                    let _ = share.grow(amount / 3);
                    if shrink {
                        share.shrink_to(amount / 2);
                    }
                    held.push(share);
                }
                prop_assert!(shares.used() <= limit);
                prop_assert_eq!(shares.used(), held.iter().map(Share::amount).sum::<usize>());
            }
            drop(held);
            prop_assert_eq!(shares.used(), 0);
            prop_assert!(shares.lock().held.is_empty());
        }
    }
}
