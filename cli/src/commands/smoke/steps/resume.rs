//! A stream that is cut while things happen goes on: no gap, no duplicate. What was seen with the cuts is compared with
//! an uncut reading of the same stretch of the log.

use std::collections::HashSet;
use std::time::Duration;

use card_client::events::{Events, Follower, Notice, Scope};
use card_core::ids::TaskId;
use tokio::time::timeout;

use crate::commands::smoke::runner::Miss;
use crate::commands::smoke::stage::Stage;
use crate::commands::watch::PATIENCE;

const TASKS: u64 = 12;
/// A stream that goes on says something within this: twice as much would be the keep-alive's work.
const SILENCE: Duration = Duration::from_secs(8);
/// After so many durable events the connection is cut.
const CUTS: [usize; 3] = [2, 7, 15];

pub(in crate::commands::smoke) async fn run(stage: &Stage) -> Result<String, Miss> {
    let mut events = open(stage, None).await?;
    let begin = events.cursor();
    let user = stage.user().await?;
    let mut awaited = HashSet::new();
    let mut cut = Vec::new();
    for number in 0..TASKS {
        awaited.insert(stage.client.accept(&stage.additions.get(number), stage.accept(&user, None)).await?.id);
        // Half of them are sent before the first cut, the others while the stream is away.
        if number == TASKS / 2 {
            read(&mut events, &mut cut, |seen| seen.len() >= CUTS[0]).await?;
            events.scissors().cut();
        }
    }
    for limit in &CUTS[1..] {
        read(&mut events, &mut cut, |seen| seen.len() >= *limit).await?;
        events.scissors().cut();
    }
    read(&mut events, &mut cut, |seen| all_final(seen, &awaited)).await?;
    let last = cut.last().map(|(seq, ..)| *seq);
    let mut whole = Vec::new();
    let mut replay = open(stage, begin).await?;
    read(&mut replay, &mut whole, |seen| seen.last().map(|(seq, ..)| *seq) >= last).await?;
    if cut != whole {
        let of = |seen: &[Seen]| seen.iter().map(|(seq, ..)| *seq).collect::<HashSet<_>>();
        let missed = of(&whole).difference(&of(&cut)).count();
        let repeated = cut.len() - of(&cut).len();
        return Err(Miss::Incorrect(format!("{missed} events missed, {repeated} repeated over {} cuts", CUTS.len())));
    }
    Ok(format!("{} cuts, {} events, no gap, no duplicate", events.reconnects(), cut.len()))
}

/// A durable event: its place, its task, whether it ended it.
type Seen = (u64, TaskId, bool);

async fn open(stage: &Stage, from: Option<u64>) -> Result<Events, Miss> {
    let scope = Scope::Run(stage.run.clone());
    Ok(Events::open(&stage.client, scope, Follower::Operator, from, PATIENCE).await?)
}

fn all_final(seen: &[Seen], awaited: &HashSet<TaskId>) -> bool {
    let ended: HashSet<_> = seen.iter().filter(|(_, _, ended)| *ended).map(|(_, task, _)| *task).collect();
    awaited.is_subset(&ended)
}

async fn read(events: &mut Events, seen: &mut Vec<Seen>, enough: impl Fn(&[Seen]) -> bool) -> Result<(), Miss> {
    while !enough(seen) {
        let notice = timeout(SILENCE, events.next()).await;
        match notice.map_err(|_| Miss::Incorrect(format!("no more events arrived after {}", seen.len())))?? {
            Notice::State { task, seq: Some(seq) } => seen.push((seq, task.id, task.status.is_final())),
            Notice::State { task, seq: None } if task.status.is_final() => {
                return Err(Miss::Incorrect(format!("{} ended without an event id", task.id)));
            }
            Notice::Gap => return Err(Miss::Incorrect("the stream reports a gap".to_owned())),
            Notice::State { .. } | Notice::Reconnected => {}
        }
    }
    Ok(())
}
