//! What the demo does, and what is seen of it while it happens.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use card_core::ids::RunId;
use card_core::tasks::Kind;
use card_loadtests::audit::Audit;
use card_loadtests::load::{self, Live};
use card_loadtests::orders::Orders;
use card_loadtests::trial::{Trial, TrialError};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

use super::{LOAD, USERS};
use crate::client::Client;
use crate::commands::submit::campaign::{Change, Outcome, Plan, drive};
use crate::commands::watch::screen::{Screen, bar};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Paint, Progress};

const TASK_LIMIT: Duration = Duration::from_secs(30);
/// Between two looks at the load on a terminal, and between two lines elsewhere.
const LOOK: Duration = Duration::from_millis(200);
const LINE: Duration = Duration::from_secs(2);

pub(super) async fn requests(client: &Client, plan: &Plan, context: &Context) -> Result<Outcome, Failure> {
    let printer = &context.printer;
    let mut screen = Screen::new(context, Some(plan.count));
    // Where nothing moves, the table at the end says it all: sixty lines before it would only bury it.
    let show = |_: Change<'_>| Ok(());
    drive(client, plan, &context.stop, show, |board| screen.draw(printer, board)).await
}

pub(super) async fn load(
    client: &Client,
    run: &RunId,
    seed: u64,
    context: &Context,
) -> Result<(Audit, Arc<Live>), Failure> {
    let trial = Trial {
        run: run.clone(),
        seed,
        orders: Orders::new(seed, Kind::Replacement, None),
        plan: load::Plan { users: USERS, duration: LOAD, patience: TASK_LIMIT },
        drain: TASK_LIMIT,
        ledger: None,
    };
    let live = Arc::new(Live::default());
    let mut gauge = Gauge::new(context);
    let mut running = std::pin::pin!(trial.run(client, &live, &context.stop));
    loop {
        tokio::select! {
            audit = &mut running => {
                gauge.clear();
                let audit = audit.map_err(|error| match error {
                    TrialError::Stream(lost) => lost.into(),
                    TrialError::Ledger(_) => Failure::new("ledger", Exit::NotReady, error.to_string()),
                })?;
                return Ok((audit, Arc::clone(&live)));
            }
            () = tokio::time::sleep(LOOK) => gauge.look(&live, context),
        }
    }
}

/// The one line that shows a load.
struct Gauge {
    bar: Option<ProgressBar>,
    begun: Instant,
    last_line: Instant,
}

impl Gauge {
    fn new(context: &Context) -> Self {
        let printer = &context.printer;
        let bar = (printer.progress() == Progress::Bar).then(|| {
            let bar = printer.bars().add(ProgressBar::no_length());
            // The template is a constant: it can't be wrong.
            bar.with_style(ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self { bar, begun: Instant::now(), last_line: Instant::now() }
    }

    fn look(&mut self, live: &Live, context: &Context) {
        let printer = &context.printer;
        match &self.bar {
            Some(bar) => bar.set_message(reading(live, self.begun.elapsed(), true, printer.err())),
            None if self.last_line.elapsed() >= LINE => {
                self.last_line = Instant::now();
                printer.step(reading(live, self.begun.elapsed(), false, printer.err()));
            }
            None => {}
        }
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        self.clear();
    }
}

fn reading(live: &Live, elapsed: Duration, drawn: bool, paint: Paint) -> String {
    let accepted = live.accepted.load(Ordering::Relaxed);
    #[expect(clippy::cast_precision_loss, reason = "a rate for the eye")]
    let rate = accepted as f64 / elapsed.as_secs_f64().max(0.001);
    let part = u64::try_from(elapsed.min(LOAD).as_millis()).unwrap_or_default();
    let whole = u64::try_from(LOAD.as_millis()).unwrap_or(1);
    let lead = if drawn { format!("  {} ", bar(part, whole, paint)) } else { "  ".to_owned() };
    let seconds = elapsed.min(LOAD).as_secs();
    let end_to_end = live.end_to_end.percentiles();
    let failed = live.failed.load(Ordering::Relaxed);
    let mut line = format!(
        "{lead}{seconds:>2}/{} s  {accepted} accepted  {rate:.0}/s  e2e p50 {:.0} ms  p95 {:.0} ms",
        LOAD.as_secs(),
        end_to_end.p50,
        end_to_end.p95
    );
    if elapsed > LOAD && live.pending() > 0 {
        line.push_str(&format!("  waiting for {}", live.pending()));
    }
    if failed > 0 {
        line.push_str(&format!("  {}", paint.bad(format!("{failed} not accepted"))));
    }
    line
}
