//! Whether the servers of a cluster can be reached from here, and be used.

use card_core::engine::cluster::{look, try_redis};

use super::Check;
use crate::cluster::{Place, Remembered, Service, one_given, reach};
use crate::context::Context;

/// Connects, and asks each whether the platform may enter and finds what it needs, if its address is given now; what was noted
/// of an earlier one has no password.
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
            let detail = "no address is set, and no earlier platform used one";
            checks.push(Check::warn(name, detail, format!("set {variable}, or up -t processes --{name} URL")));
            continue;
        };
        checks.push(match reach(&place).await {
            Ok(()) if service == Service::Redis => redis(&place, context).await,
            Ok(()) => postgres(&place).await,
            Err(reason) => {
                let detail = format!("{} can't be reached at {place}: {reason}", service.name());
                Check::fail(name, detail, format!("start it, or correct {variable}"))
            }
        });
    }
}

/// Tries everything that delivery needs, if the whole address is known: what is remembered has no password.
async fn redis(place: &Place, context: &Context) -> Check {
    const NAME: &str = "redis";
    let given = one_given(Service::Redis, None, |name| std::env::var_os(name));
    let Ok(Some(address)) = given else { return Check::ok(NAME, format!("Redis answers at {place}")) };
    match try_redis(&address, &context.settings.settings.delivery.prefix).await {
        Err(trouble) => {
            let detail = format!("the Redis at {place} can't be used: {}", place.scrub(&trouble.reason));
            Check::fail(NAME, detail, trouble.fix)
        }
        Ok(report) => match report.evicts {
            Some(policy) => Check::warn(
                NAME,
                format!(
                    "{place} has maxmemory-policy {policy}: when it is full, it evicts waiting tasks, which delays them"
                ),
                "CONFIG SET maxmemory-policy noeviction, and in redis.conf",
            ),
            None if report.reached => Check::ok(NAME, format!("Redis at {place} can be used")),
            None => Check::warn(NAME, format!("Redis at {place} accepts connections but no commands"), "check its log"),
        },
    }
}

/// Tries whether a process could work on the ledger.
async fn postgres(place: &Place) -> Check {
    const NAME: &str = "database";
    let given = one_given(Service::Postgres, None, |name| std::env::var_os(name));
    let Ok(Some(address)) = given else { return Check::ok(NAME, format!("Postgres answers at {place}")) };
    match look(&address).await {
        Ok(()) => Check::ok(NAME, format!("Postgres at {place} can be used")),
        Err(error) => {
            let detail = format!("{place} can't be used: {}", place.scrub(&error.shared().to_string()));
            Check::fail(NAME, detail, error.fix().unwrap_or("correct CARDCTL_DATABASE"))
        }
    }
}
