//! The parts that run on one engine or on both, by name.

use crate::given::{Engine, Given};
use crate::{
    Failed, accepts, audit, backlog, beside, cycle, footprint, generator, hashing, latency, report, scaling, shop,
    stall, steps, streams, takeover,
};

/// Those of the embedded engine, in the order of `all`.
const EMBEDDED: [&str; 14] = [
    "footprint",
    "latency",
    "accepts",
    "cycle",
    "hashing",
    "streams",
    "generator",
    "stall",
    "steps",
    "audit",
    "backlog",
    "beside",
    "purchases",
    "reads",
];
/// Those of the cluster.
const CLUSTER: [&str; 9] =
    ["latency", "accepts", "cycle", "takeover", "scaling", "backlog", "beside", "purchases", "reads"];

/// One part, or `all` of the engine.
pub(crate) async fn run(name: &str, given: Given) -> Result<(), Failed> {
    if name != "all" {
        return one(name, given).await;
    }
    for name in of(given.engine) {
        report!("-- {name}");
        one(name, given).await?;
    }
    Ok(())
}

fn of(engine: Engine) -> &'static [&'static str] {
    match engine {
        Engine::Embedded => &EMBEDDED,
        Engine::Cluster => &CLUSTER,
    }
}

async fn one(name: &str, given: Given) -> Result<(), Failed> {
    if !of(given.engine).contains(&name) {
        let parts = |engine: Engine| format!("on {}: {} | all", engine.name(), of(engine).join(" | "));
        let [embedded, cluster] = [Engine::Embedded, Engine::Cluster].map(parts);
        let on = given.engine.name();
        return Err(format!("no part {name:?} on {on}; {embedded}; {cluster}; besides: autoscale | peers").into());
    }
    match name {
        "accepts" => accepts::run(given).await,
        "audit" => audit::run().await,
        "backlog" => backlog::run(given).await,
        "beside" => beside::run(given).await,
        "cycle" => cycle::run(given).await,
        "footprint" => footprint::run().await,
        "generator" => generator::run().await,
        "hashing" => hashing::run().await,
        "latency" => latency::run(given).await,
        "purchases" => shop::purchases(given).await,
        "reads" => shop::reads(given).await,
        "scaling" => scaling::run(given).await,
        "stall" => stall::run().await,
        "steps" => steps::run().await,
        "streams" => streams::run().await,
        "takeover" => takeover::run(given).await,
        other => Err(format!("{other} is listed and not written").into()),
    }
}
