//! The children of a supervisor, as they are shown.

use std::time::Duration;

use card_core::process::Part;
use card_core::time::{Instant, format_duration};
use serde::Serialize;

use crate::output::Paint;
use crate::supervisor::autoscale::View;
use crate::supervisor::{Child, Condition};

/// One child, in the document.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Shown {
    name: String,
    part: Part,
    state: Condition,
    pid: Option<u32>,
    address: Option<String>,
    restarts: u32,
    last_exit: Option<String>,
    since: Instant,
}

impl From<Child> for Shown {
    fn from(child: Child) -> Self {
        let Child { name, part, condition, process, address, restarts, last_exit, since } = child;
        Self {
            name,
            part,
            state: condition,
            pid: process.map(|process| process.pid),
            address,
            restarts,
            last_exit,
            since,
        }
    }
}

/// One line for each.
pub(super) fn lines(children: &[Shown], paint: Paint) -> Vec<String> {
    let width = children.iter().map(|child| child.name.len()).max().unwrap_or_default();
    let now = Instant::now();
    children.iter().map(|child| format!("    {}", line(child, width, now, paint))).collect()
}

fn line(child: &Shown, width: usize, now: Instant, paint: Paint) -> String {
    let Shown { name, state, pid, address, restarts, last_exit, since, .. } = child;
    let word = format!("{:<8}", state.name());
    let state = match state {
        Condition::Up => paint.good(word),
        Condition::Starting | Condition::Draining => paint.warn(word),
        Condition::Waiting => paint.bad(word),
    };
    // Seconds are enough, and what is shown changes less.
    let age = Duration::from_secs(now.since(*since).as_secs());
    let mut line = format!("{name:<width$}  {state}  {:<6}", format_duration(age));
    if let Some(pid) = pid {
        line.push_str(&format!("  process {pid:<7}"));
    }
    if let Some(address) = address {
        line.push_str(&format!("  {address}"));
    }
    match restarts {
        0 => {}
        1 => line.push_str("  started again once"),
        _ => line.push_str(&format!("  started again {restarts} times")),
    }
    if let Some(last_exit) = last_exit {
        line.push_str(&format!("  last: {last_exit}"));
    }
    line.trim_end().to_owned()
}

/// Which are not up though they are meant to be; none if all are.
pub(super) fn missing(children: &[Shown]) -> Option<String> {
    let missing: Vec<_> = children
        .iter()
        .filter(|child| child.state == Condition::Waiting)
        .map(|child| {
            let how = child.last_exit.as_deref().map(|how| format!(" ({how})")).unwrap_or_default();
            format!("{} is not up{how}", child.name)
        })
        .collect();
    (!missing.is_empty()).then(|| missing.join(", "))
}

pub(super) fn autoscale(view: &View) -> String {
    let View { min, max, workers, reason, last_change, .. } = view;
    let mut text = format!("{min}..{max}");
    if let (Some(workers), Some(reason)) = (workers, reason) {
        text.push_str(&format!(", {workers} wanted: {reason}"));
    }
    if let Some(change) = last_change {
        text.push_str(&format!("; from {} to {} at {}", change.from, change.to, change.at));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn child(state: Condition) -> Shown {
        Shown {
            name: "worker-2".to_owned(),
            part: Part::Worker,
            state,
            pid: None,
            address: None,
            restarts: 3,
            last_exit: Some("SIGKILL".to_owned()),
            since: Instant::now(),
        }
    }

    #[test]
    fn who_is_not_up_is_named_with_the_reason() {
        assert_eq!(missing(&[child(Condition::Up), child(Condition::Draining)]), None);
        assert_eq!(missing(&[child(Condition::Waiting)]).unwrap(), "worker-2 is not up (SIGKILL)");
        let shown = line(&child(Condition::Waiting), 9, Instant::now(), Paint::plain());
        assert_eq!(shown, "worker-2   waiting   0s      started again 3 times  last: SIGKILL");
    }
}
