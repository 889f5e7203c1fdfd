//! One of several generators: carries out its share of an assignment and tells who started it how far it is and, at the
//! end, what it leaves behind, in the lines of [`crate::shard::wire`].

use std::io::{self, Write};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::moment::{Doing, Moment};
use crate::run::{RunError, carry_share};
use crate::shard::wire::{Line, Progress, pieces};
use crate::shard::{Assignment, InvalidAssignment};
use card_client::{Client, ClientError};

/// A pod that was told to end goes with its log; who reads that has so long to do it.
const LINGER: Duration = Duration::from_secs(1);

/// Why a generator leaves nothing behind.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// What it was told to do can't be done.
    #[error(transparent)]
    Assignment(#[from] InvalidAssignment),
    /// It may not make users.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The load failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Nobody hears it.
    #[error("the generator's results can't be written: {0}")]
    Told(#[from] io::Error),
}

/// Carries out the share of the generator with this number, from 1. `stop` ends the load early; what was accepted until
/// then is audited and told all the same. Judges nothing: that is for who has the other parts.
///
/// # Errors
/// See [`GenerateError`].
pub async fn generate(
    client: Client,
    assignment: Assignment,
    number: u64,
    stop: &CancellationToken,
    to: &mut impl Write,
) -> Result<(), GenerateError> {
    let share = assignment.share(number)?;
    if !client.is_operator() {
        return Err(ClientError::NoOperatorToken.into());
    }
    let setup = assignment.setup(client, share);
    let (moments, mut seen) = watch::channel(Moment::default());
    let asked = stop.clone();
    let running = tokio::spawn(async move { carry_share(&setup, share, &moments, &asked).await });
    let running = AbortOnDropHandle::new(running);
    let mut telling = Telling { generator: share.number(), to, told: 0.0, doing: None };
    telling.tell(&Moment::default())?;
    while seen.changed().await.is_ok() {
        let moment = seen.borrow_and_update().clone();
        telling.tell(&moment)?;
    }
    let shard = running.await.unwrap_or_else(|panic| Err(RunError::Generator(panic.to_string())))?;
    for piece in pieces(shard)? {
        line(&piece, telling.to)?;
    }
    if stop.is_cancelled() {
        tokio::time::sleep(LINGER).await;
    }
    Ok(())
}

/// Says how far it is: each second, and when something else begins.
struct Telling<'a, W> {
    generator: u64,
    to: &'a mut W,
    told: f64,
    doing: Option<(Doing, bool)>,
}

impl<W: Write> Telling<'_, W> {
    fn tell(&mut self, moment: &Moment) -> io::Result<()> {
        let now = (moment.doing, moment.broken.is_some());
        let new = moment.second.as_ref().is_some_and(|second| second.t > self.told);
        if !new && self.doing == Some(now) {
            return Ok(());
        }
        let progress = Progress::of(self.generator, moment, self.told);
        self.doing = Some(now);
        self.told = moment.second.as_ref().map_or(self.told, |second| second.t);
        line(&Line::Progress(Box::new(progress)), self.to)
    }
}

/// One write for each: lines of several writers to the same log stay whole.
fn line(line: &Line, to: &mut impl Write) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    to.write_all(&text)?;
    to.flush()
}
