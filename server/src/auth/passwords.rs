//! Passwords are hashed on threads of their own that run when nobody else wants the core, so that hashing never delays
//! other requests. What would wait too long is refused.

use std::thread;
use std::time::{Duration, Instant};

use card_core::problem::Code;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};
use tokio::sync::oneshot;

use super::argon::{DUMMY, Fault, Hasher};
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
    Hash(String),
    /// Against a hash, or against nothing, in the same time.
    Verify(String, Option<String>),
}

struct Job {
    work: Work,
    given_up_at: Instant,
    reply: oneshot::Sender<Result<Done, Fault>>,
}

enum Done {
    Hashed(String),
    Verified(bool),
}

/// Hashes and verifies passwords.
pub(crate) struct Passwords {
    jobs: Sender<Job>,
}

impl Passwords {
    /// With so many threads. They end when this is dropped.
    ///
    /// # Errors
    /// A thread can't be started.
    pub(crate) fn new(threads: usize) -> std::io::Result<Self> {
        let (jobs, queue) = crossbeam_channel::bounded(QUEUE_PER_THREAD * threads);
        for number in 0..threads {
            let queue = queue.clone();
            thread::Builder::new().name(format!("hash-{number}")).spawn(move || work_off(&queue))?;
        }
        Ok(Self { jobs })
    }

    /// The PHC string to store.
    pub(crate) async fn hash(&self, password: String) -> Result<String, Refusal> {
        match self.submit(Work::Hash(password)).await? {
            Done::Hashed(hash) => Ok(hash),
            Done::Verified(_) => Err(broken()),
        }
    }

    /// Whether the password is the one that was hashed; takes as long, and is false, when there is no hash.
    pub(crate) async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, Refusal> {
        match self.submit(Work::Verify(password, hash)).await? {
            Done::Verified(matches) => Ok(matches),
            Done::Hashed(_) => Err(broken()),
        }
    }

    async fn submit(&self, work: Work) -> Result<Done, Refusal> {
        let (reply, answer) = oneshot::channel();
        let job = Job { work, given_up_at: Instant::now() + PATIENCE, reply };
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => overloaded(),
            TrySendError::Disconnected(_) => broken(),
        })?;
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

fn work_off(queue: &Receiver<Job>) {
    lower_priority();
    let mut hasher = Hasher::default();
    loop {
        let job = match queue.recv_timeout(REST) {
            Ok(job) => job,
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                hasher.rest();
                // Idle: nothing to look at until the next job.
                let Ok(job) = queue.recv() else { return };
                job
            }
        };
        if job.reply.is_closed() || job.given_up_at <= Instant::now() {
            continue;
        }
        let done = match job.work {
            Work::Hash(password) => hasher.hash(&password).map(Done::Hashed),
            Work::Verify(password, stored) => {
                let matches = hasher.verify(&password, stored.as_deref().unwrap_or(DUMMY));
                matches.map(|matches| Done::Verified(matches && stored.is_some()))
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

    #[tokio::test]
    async fn a_password_is_verified_against_its_hash_alone() {
        let passwords = Passwords::new(1).unwrap();
        let hash = passwords.hash("correct horse".to_owned()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.verify("correct horse".to_owned(), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify("wrong horse".to_owned(), Some(hash)).await.unwrap());
        assert!(!passwords.verify(String::new(), None).await.unwrap(), "the dummy's password opens nothing");
    }

    #[tokio::test]
    async fn more_than_can_wait_is_refused() {
        let passwords = Passwords::new(1).unwrap();
        let all =
            futures::future::join_all((0..QUEUE_PER_THREAD * 2).map(|_| passwords.verify("x".to_owned(), None))).await;
        let refused = all.iter().filter_map(|one| one.as_ref().err()).count();
        assert!((1..QUEUE_PER_THREAD * 2).contains(&refused), "{refused}");
        assert!(all.iter().flatten().all(|matches| !matches));
    }
}
