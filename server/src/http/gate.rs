//! How much may be under way at once, in all and for each. What comes on top is refused at once, before any work went into
//! it (P5).

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use card_core::problem::Code;
use card_serve::shares::{Full, Holder, Lent, Share, Shares};

use super::client_address::ClientAddress;
use crate::auth::caller::Caller;
use crate::problem::Refusal;

/// Events that all streams together may have read and not sent yet; some 512 bytes each.
const STREAMED_EVENTS: usize = 100_000;

/// Two bounds: requests being answered, and those that only wait (streams, long-polls) and cost next to nothing.
#[derive(Debug)]
pub(crate) struct Gate {
    requests: Arc<Shares>,
    waiting: Arc<Shares>,
}

/// For whom a request counts; handlers extract it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Admission {
    /// Its address.
    client: ClientAddress,
    /// Who holds its place among the requests being answered.
    place: Holder,
}

impl Admission {
    /// Those who hold what is taken for somebody who says no name: the address alone.
    pub(crate) fn address(self) -> Holders {
        Holders(vec![Holder::address(self.client.0)])
    }

    /// Those who hold what a caller takes.
    pub(crate) fn holders(self, caller: Caller) -> Holders {
        match caller {
            Caller::Operator => Holders(vec![Holder::Operator]),
            Caller::User(user) => Holders(vec![Holder::User(user.id), Holder::address(self.client.0)]),
        }
    }
}

/// Those who hold what is taken together: a user and an address, or the operators.
#[derive(Debug)]
pub(crate) struct Holders(Vec<Holder>);

impl std::ops::Deref for Holders {
    type Target = [Holder];

    fn deref(&self) -> &[Holder] {
        &self.0
    }
}

impl<S: Sync> FromRequestParts<S> for Admission {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        // Every request that comes to a handler went through the gate, but those of probes, which wait for nothing.
        parts.extensions.get().copied().ok_or_else(|| {
            Refusal::new(Code::Internal, "Something went wrong inside.").caused_by("a request that nobody admitted")
        })
    }
}

impl Gate {
    pub(crate) fn new(requests_limit: usize, waiting_limit: usize) -> Self {
        Self { requests: Shares::new(requests_limit), waiting: Shares::new(waiting_limit) }
    }

    /// Requests being answered now.
    pub(crate) fn in_flight(&self) -> usize {
        self.requests.used()
    }

    /// Events that a stream may read at once: what all streams hold before it is sent stays the same, however many there
    /// are. A stream that reads less at a time catches up more slowly; it misses nothing.
    pub(crate) fn page(&self) -> usize {
        (STREAMED_EVENTS / self.waiting.used().max(1)).clamp(4, 128)
    }

    /// Counts a request until the permit is dropped. Whether it is an operator's is only asked when there is no other
    /// place for it.
    pub(crate) fn enter(
        &self,
        client: ClientAddress,
        is_operator: impl FnOnce() -> bool,
    ) -> Result<(Permit, Admission), Refusal> {
        let address = Holder::address(client.0);
        let (share, place) = match self.requests.take(&[address], 1) {
            Ok(share) => (share, address),
            Err(_) if is_operator() => (self.take(&self.requests, &[Holder::Operator])?, Holder::Operator),
            Err(full) => return Err(too_many_requests(full)),
        };
        Ok((Permit(share), Admission { client, place }))
    }

    fn take(&self, shares: &Arc<Shares>, holders: &[Holder]) -> Result<Share, Refusal> {
        shares.take(holders, 1).map_err(too_many_requests)
    }

    /// Counts a request that is being answered as one that only waits, until the result is dropped.
    pub(crate) fn park(&self, admission: Admission, caller: Caller) -> Result<Parked, Refusal> {
        let waiting = self.waiting.take(&admission.holders(caller), 1).map_err(too_many_waiting)?;
        Ok(Parked { _waiting: waiting, _place: self.requests.lend(admission.place) })
    }

    /// Counts a stream, which outlives its request, until the result is dropped.
    pub(crate) fn open_stream(&self, admission: Admission, caller: Caller) -> Result<OpenStream, Refusal> {
        self.waiting.take(&admission.holders(caller), 1).map(OpenStream).map_err(too_many_waiting)
    }
}

/// The code that says whose share is used up.
pub(crate) fn code(full: Full) -> Code {
    match full {
        Full::User => Code::UserShareUsed,
        Full::Address => Code::AddressShareUsed,
        Full::All => Code::Overloaded,
    }
}

fn too_many_requests(full: Full) -> Refusal {
    let detail = match full {
        Full::All | Full::User => "Too many requests are being answered. Nothing was changed; try again.",
        Full::Address => {
            "Too many requests from this address are being answered, and the rest is for others. Nothing was changed; \
             try again."
        }
    };
    Refusal::new(code(full), detail)
}

fn too_many_waiting(full: Full) -> Refusal {
    let detail = match full {
        Full::User => {
            "This user has as many streams and long-polls open as are left for all others. Close one, ask without \
             `wait`, or try again later."
        }
        Full::Address => {
            "This address has its share of streams and long-polls open, and the rest is for others. Close one, ask \
             without `wait`, or try again later."
        }
        Full::All => "Too many streams and long-polls are open; ask without `wait`, or later.",
    };
    Refusal::new(code(full), detail).retry_after(5)
}

/// A request that is being answered.
#[derive(Debug)]
pub(crate) struct Permit(#[expect(dead_code, reason = "held, not read")] Share);

/// A request that only waits. Dropping it makes it one that is being answered again, if need be above the limit.
#[derive(Debug)]
pub(crate) struct Parked {
    _waiting: Share,
    _place: Lent,
}

#[derive(Debug)]
pub(crate) struct OpenStream(#[expect(dead_code, reason = "held, not read")] Share);

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: ClientAddress = ClientAddress(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));

    #[test]
    fn one_more_than_the_limit_is_refused_and_a_dropped_permit_makes_room() {
        let gate = Gate::new(1, 1);
        let permit = gate.enter(HERE, || false).unwrap();
        assert_eq!(gate.enter(HERE, || false).unwrap_err().code(), Code::Overloaded);
        drop(permit);
        assert!(gate.enter(HERE, || false).is_ok());
        assert_eq!(gate.in_flight(), 0);
    }

    #[test]
    fn many_streams_read_little_each() {
        let gate = Gate::new(1, 100_000);
        let (_permit, admission) = gate.enter(HERE, || false).unwrap();
        assert_eq!(gate.page(), 128);
        let streams: Vec<_> = (0..10_000).map(|_| gate.open_stream(admission, Caller::Operator).unwrap()).collect();
        assert_eq!(gate.page(), 10);
        drop(streams);
        assert_eq!(gate.page(), 128);
    }

    #[test]
    fn who_only_waits_leaves_room_for_others() {
        let gate = Gate::new(1, 1);
        let (_permit, admission) = gate.enter(HERE, || false).unwrap();
        let parked = gate.park(admission, Caller::Operator).unwrap();
        let (other, late) = gate.enter(HERE, || false).unwrap();
        assert_eq!(gate.park(late, Caller::Operator).unwrap_err().code(), Code::Overloaded);
        drop(other);
        drop(parked);
        assert!(gate.enter(HERE, || false).is_err());
    }

    #[test]
    fn an_operator_is_let_in_when_nobody_else_is() {
        let gate = Gate::new(16, 1);
        let mut permits = Vec::new();
        for last in 0..16 {
            let client = ClientAddress(std::net::IpAddr::from([192, 0, 2, last]));
            permits.extend(gate.enter(client, || false).ok());
        }
        assert_eq!(permits.len(), 14);
        assert!(gate.enter(HERE, || true).is_ok());
    }
}
