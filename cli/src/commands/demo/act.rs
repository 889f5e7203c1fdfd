//! What the demo does, and what is seen of it while it happens.

use std::time::Duration;

use card_core::ids::RunId;
use card_loadtests::moment::{Doing, Moment};
use card_loadtests::plan::{Mix, Plan as LoadPlan, Stage, presets};
use card_loadtests::result::Report;
use card_loadtests::run::{RunError, Setup, carry_out};
use tokio::sync::watch;
use tokio::time::Instant;

use super::{LOAD, USERS};
use crate::client::Client;
use crate::commands::submit::campaign::{Change, Outcome, Plan, drive};
use crate::commands::watch::screen::{Screen, bar};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Bar, Paint};
use card_core::exit::Exit;

const TASK_LIMIT: Duration = Duration::from_secs(30);
/// A duplicate that comes later than this is no concern of a first look.
const SETTLE: Duration = Duration::from_secs(1);
/// Between two looks at the load on a terminal, and between two lines elsewhere.
const LOOK: Duration = Duration::from_millis(200);
const LINE: Duration = Duration::from_secs(2);

pub(super) async fn requests(client: &Client, plan: &Plan, context: &Context) -> Result<Outcome, Failure> {
    let printer = &context.printer;
    let mut screen = Screen::new(context, Some(plan.count));
    // Where nothing moves, the table at the end says it all: sixty lines before it would only bury it.
    let show = |_: Change<'_>| Ok(());
    drive(client, plan, &context.stop, show, |board| {
        screen.draw(printer, board);
        Ok(())
    })
    .await
}

pub(super) async fn load(
    client: &Client,
    target: &str,
    run: &RunId,
    seed: u64,
    context: &Context,
) -> Result<Report, Failure> {
    let stages = vec![Stage { to: USERS, over: Duration::ZERO }, Stage { to: USERS, over: LOAD }];
    let setup = Setup {
        client: client.clone(),
        target: target.to_owned(),
        run: run.clone(),
        seed,
        plan: LoadPlan {
            stages,
            journey: Mix::products(),
            warm_up: Duration::ZERO,
            patience: TASK_LIMIT,
            drain: TASK_LIMIT,
            settle: SETTLE,
            ..presets::custom()
        },
        ledger: None,
    };
    let (moments, seen) = watch::channel(Moment::default());
    let mut gauge = Gauge::new(context);
    let mut running = std::pin::pin!(carry_out(&setup, &moments, &context.stop));
    loop {
        tokio::select! {
            report = &mut running => {
                gauge.clear();
                return report.map_err(|error| match error {
                    RunError::Stopped => context.interruption(),
                    RunError::Stream(lost) => lost.into(),
                    RunError::Users(error) => error.into(),
                    RunError::Ledger(_) => Failure::new("ledger", Exit::NotReady, error.to_string()),
                    RunError::Generator(_) => Failure::internal(error),
                });
            }
            () = tokio::time::sleep(LOOK) => {
                let moment = seen.borrow().clone();
                gauge.look(&moment, context);
            }
        }
    }
}

/// The one line that shows a load.
struct Gauge {
    bar: Option<Bar>,
    last_line: Instant,
}

impl Gauge {
    fn new(context: &Context) -> Self {
        let printer = &context.printer;
        let bar = printer.bar("{msg}");
        Self { bar, last_line: Instant::now() }
    }

    fn look(&mut self, moment: &Moment, context: &Context) {
        let printer = &context.printer;
        if moment.doing == Doing::Preparing {
            return;
        }
        match &self.bar {
            Some(bar) => bar.show(reading(moment, true, printer.err())),
            None if self.last_line.elapsed() >= LINE => {
                self.last_line = Instant::now();
                printer.step(reading(moment, false, printer.err()));
            }
            None => {}
        }
    }

    fn clear(&mut self) {
        self.bar = None;
    }
}

fn reading(moment: &Moment, drawn: bool, paint: Paint) -> String {
    let elapsed = moment.elapsed.min(LOAD);
    #[expect(clippy::cast_precision_loss, reason = "a rate for the eye")]
    let rate = moment.accepted as f64 / elapsed.as_secs_f64().max(0.001);
    let part = u64::try_from(elapsed.as_millis()).unwrap_or_default();
    let whole = u64::try_from(LOAD.as_millis()).unwrap_or(1);
    let lead = if drawn { format!("  {} ", bar(part, whole, paint)) } else { "  ".to_owned() };
    let (p50, p95) = moment.second.as_ref().map_or((None, None), |second| (second.e2e_p50, second.e2e_p95));
    let mut line =
        format!("{lead}{:>2}/{} s  {} accepted  {rate:.0}/s", elapsed.as_secs(), LOAD.as_secs(), moment.accepted);
    if let (Some(p50), Some(p95)) = (p50, p95) {
        line.push_str(&format!("  e2e p50 {p50:.0} ms  p95 {p95:.0} ms"));
    }
    let pending = moment.accepted.saturating_sub(moment.completed);
    match moment.doing {
        Doing::Drain if pending > 0 => line.push_str(&format!("  waiting for {pending}")),
        Doing::Settle => line.push_str("  watching for late duplicates"),
        Doing::Audit => line.push_str("  auditing"),
        _ => {}
    }
    if moment.errors > 0 {
        line.push_str(&format!("  {}", paint.bad(format!("{} not accepted", moment.errors))));
    }
    line
}
