//! Whether the servers of a cluster can be reached from here.

use super::Check;
use crate::cluster::{Remembered, Service, reach};
use crate::context::Context;

/// Connects and says nothing: whether the platform may enter is told by the platform.
pub(super) async fn check(context: &Context, checks: &mut Vec<Check>) {
    let places = match Remembered::places(&context.instance, |name| std::env::var_os(name)) {
        Ok(places) => places,
        Err(failure) => {
            let detail = format!("{}: {}", failure.message, failure.evidence.join(", "));
            return checks.push(Check::fail("cluster", detail, failure.fix.unwrap_or_default()));
        }
    };
    for (service, place) in places {
        let (name, variable) = match service {
            Service::Postgres => ("database", "CARDCTL_DATABASE"),
            Service::Redis => ("redis", "CARDCTL_REDIS"),
        };
        let Some(place) = place else {
            let detail = "it is not known where it is, and nothing ran on one before";
            checks.push(Check::warn(name, detail, format!("set {variable}, or up -t processes --{name} URL")));
            continue;
        };
        checks.push(match reach(&place).await {
            Ok(()) => Check::ok(name, format!("{} answers at {place}", service.name())),
            Err(reason) => {
                let detail = format!("{} can't be reached at {place}: {reason}", service.name());
                Check::fail(name, detail, format!("start it there, or correct {variable}"))
            }
        });
    }
}
