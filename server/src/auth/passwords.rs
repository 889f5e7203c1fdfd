//! Passwords are hashed on threads of their own that run when nobody else wants the core, so that hashing never delays
//! other requests. What would wait too long is refused.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use card_core::problem::Code;
use tokio::sync::oneshot;

use super::argon::{DUMMY, Fault, Hasher};
use super::seats::{Next, Seats};
use super::strength::{self, Weak};
use crate::http::client_address::Network;
use crate::problem::Refusal;

/// Characters that a password may have (NIST SP 800-63B: at least 8, no rule about which).
pub(crate) const MIN_CHARS: usize = 8;
/// See [`MIN_CHARS`].
pub(crate) const MAX_CHARS: usize = 128;

/// Jobs that may wait for one thread. At some 20 ms each this is a bit more than a second.
const QUEUE_PER_THREAD: usize = 64;
/// A job that waited this long is refused: its caller is better off trying again.
const PATIENCE: Duration = Duration::from_secs(5);

/// A thread that had nothing to do for so long gives its 19 MiB back.
const REST: Duration = Duration::from_secs(10);

enum Work {
    /// If it is strong enough for the user of this name; any, if none is given.
    Hash { password: String, username: Option<String> },
    /// Against a hash, or against nothing, in the same time.
    Verify { password: String, hash: Option<String> },
}

struct Job {
    work: Work,
    given_up_at: Instant,
    reply: oneshot::Sender<Result<Done, Fault>>,
}

enum Done {
    Hashed(Result<String, Weak>),
    Verified(bool),
}

/// Hashes and verifies passwords.
pub(crate) struct Passwords {
    seats: Arc<Seats<Job>>,
}

/// A place among those who wait to be hashed, for one job.
pub(crate) struct Seat(super::seats::Seat<Job>);

impl Passwords {
    /// With so many threads. They end when this is dropped.
    ///
    /// # Errors
    /// A thread can't be started.
    pub(crate) fn new(threads: usize) -> std::io::Result<Self> {
        let passwords = Self { seats: Seats::new(QUEUE_PER_THREAD * threads) };
        for number in 0..threads {
            let seats = Arc::clone(&passwords.seats);
            thread::Builder::new().name(format!("hash-{number}")).spawn(move || work_off(&seats))?;
        }
        Ok(passwords)
    }

    /// A place for one job of a network. Asked for before anything else is done for the caller.
    pub(crate) fn seat(&self, network: Network) -> Result<Seat, Refusal> {
        self.seats.take(network).map(Seat).ok_or_else(overloaded)
    }
}

impl Drop for Passwords {
    fn drop(&mut self) {
        self.seats.close();
    }
}

impl Seat {
    /// The PHC string to store, if the password is strong enough for the user of this name; of any password, if none is given.
    pub(crate) async fn hash(self, password: String, username: Option<String>) -> Result<String, Refusal> {
        match self.submit(Work::Hash { password, username }).await? {
            Done::Hashed(hash) => hash.map_err(Weak::into_refusal),
            Done::Verified(_) => Err(broken()),
        }
    }

    /// Whether the password is the one that was hashed; takes as long, and is false, when there is no hash.
    pub(crate) async fn verify(self, password: String, hash: Option<String>) -> Result<bool, Refusal> {
        match self.submit(Work::Verify { password, hash }).await? {
            Done::Verified(matches) => Ok(matches),
            Done::Hashed(_) => Err(broken()),
        }
    }

    async fn submit(self, work: Work) -> Result<Done, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.0.wait_with(Job { work, given_up_at: Instant::now() + PATIENCE, reply });
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(Ok(done))) => Ok(done),
            Ok(Ok(Err(Fault))) => Err(broken()),
            // Dropped because it waited too long.
            Ok(Err(_)) | Err(_) => Err(overloaded()),
        }
    }
}

fn overloaded() -> Refusal {
    Refusal::new(Code::Overloaded, "Too many sign-ins and registrations at once. Nothing was changed; try again.")
        .retry_after(2)
}

fn broken() -> Refusal {
    Refusal::new(Code::Internal, "Something went wrong inside.").caused_by("passwords can't be hashed")
}

fn work_off(seats: &Seats<Job>) {
    lower_priority();
    let mut hasher = Hasher::default();
    let mut pause = REST;
    loop {
        // The seat is free again when its job is done.
        let (job, _seat) = match seats.next(pause) {
            Next::Job(job, seat) => (job, seat),
            Next::Closed => return,
            Next::Nothing => {
                hasher.rest();
                // Nothing to give back until the next job.
                pause = Duration::from_secs(3600);
                continue;
            }
        };
        pause = REST;
        if job.reply.is_closed() || job.given_up_at <= Instant::now() {
            continue;
        }
        let done = match job.work {
            Work::Hash { password, username } => {
                match username.map_or(Ok(()), |name| strength::check(&password, &name)) {
                    Ok(()) => hasher.hash(&password).map(|hash| Done::Hashed(Ok(hash))),
                    Err(weak) => Ok(Done::Hashed(Err(weak))),
                }
            }
            Work::Verify { password, hash } => {
                let matches = hasher.verify(&password, hash.as_deref().unwrap_or(DUMMY));
                matches.map(|matches| Done::Verified(matches && hash.is_some()))
            }
        };
        // Nobody waits any more: the client went away.
        let _ = job.reply.send(done);
    }
}

/// Runs only when nobody else wants the core, and gives it up at once: a low `nice` value alone still holds a waking
/// thread up for a slice. Where there is no such policy the bound on threads has to do.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    {
        use thread_priority::{
            NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
            thread_native_id,
        };
        let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        if let Err(error) = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle) {
            tracing::warn!(?error, "the priority of hashing can't be lowered");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::client_address::ClientAddress;

    const PASSWORD: &str = "correct horse battery staple";

    fn network(number: u8) -> Network {
        ClientAddress([192, 0, 2, number].into()).network()
    }

    #[tokio::test]
    async fn a_password_is_verified_against_its_hash_alone() {
        let passwords = Passwords::new(1).unwrap();
        let seat = || passwords.seat(network(1)).unwrap();
        let hash = seat().hash(PASSWORD.to_owned(), Some("ada".to_owned())).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(seat().verify(PASSWORD.to_owned(), Some(hash.clone())).await.unwrap());
        assert!(!seat().verify("wrong horse".to_owned(), Some(hash)).await.unwrap());
        assert!(!seat().verify(String::new(), None).await.unwrap(), "the dummy's password opens nothing");
    }

    #[tokio::test]
    async fn more_than_a_share_is_refused_at_once_and_others_are_served_in_between() {
        let passwords = Passwords::new(1).unwrap();
        let seats: Vec<_> = (0..QUEUE_PER_THREAD * 2).map(|_| passwords.seat(network(1))).collect();
        let refused: Vec<_> = seats.iter().filter_map(|seat| seat.as_ref().err()).collect();
        assert_eq!(refused.len(), QUEUE_PER_THREAD * 2 - QUEUE_PER_THREAD / 2);
        assert!(refused.iter().all(|refusal| refusal.code() == Code::Overloaded));
        let flood = seats.into_iter().flatten().map(|seat| seat.verify("x".to_owned(), None));
        let done = std::sync::atomic::AtomicUsize::new(0);
        let count = async |verified: Result<bool, Refusal>| {
            assert!(!verified.unwrap());
            done.fetch_add(1, std::sync::atomic::Ordering::SeqCst)
        };
        // On a busy machine the last ones of the flood may be given up: hashing has the lowest priority there is.
        let flood = futures::future::join_all(flood.map(|one| async {
            match one.await {
                Ok(matches) => drop(count(Ok(matches)).await),
                Err(refusal) => assert_eq!(refusal.code(), Code::Overloaded),
            }
        }));
        let other = async {
            let seat = passwords.seat(network(2)).unwrap();
            count(seat.verify("x".to_owned(), None).await).await
        };
        let (_, before) = futures::future::join(flood, other).await;
        assert!(before <= 3, "{before} of one network were served before the first of another");
    }
}
