//! What `up` asks for, and how it differs from what runs.

use std::collections::BTreeMap;

use card_core::engine::cluster::Address;
use card_core::settings::{Origin, Resolved, Settings};
use card_core::telemetry::mask::secrets;
use serde::{Deserialize, Serialize};

use super::{Paths, Record, Setting};
use crate::cluster::Remembered;
use crate::supervisor::{self, autoscale::Bounds};

/// All that a serving process needs to know. Handed to the detached one as JSON, so that settings are read once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    /// Where state lies.
    pub paths: Paths,
    pub settings: Settings,
    /// The same, as the record keeps them.
    pub recorded: BTreeMap<String, Setting>,
    /// Settings that somebody gave: by flag, environment or file.
    given: Vec<String>,
    /// How many workers were asked for.
    workers: Option<usize>,
    /// Whether the target was asked for: by flag, environment or file.
    target_is_given: bool,
    /// Set: the data lies there, and server, workers and issuer are processes of their own.
    pub cluster: Option<ClusterPlan>,
    /// Data in a directory that is removed at the end.
    pub ephemeral: bool,
    /// The serving process ends when the one that started it does.
    pub attached: bool,
}

/// How a platform runs on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Local {
    /// One process, one SQLite file.
    #[default]
    Embedded,
    /// A supervisor and its children, on Postgres and Redis.
    Processes,
}

/// What `-t processes` adds to a plan.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClusterPlan {
    /// Where Postgres and Redis are, and who may enter.
    pub address: Address,
    /// How many servers were asked for.
    pub servers: Option<usize>,
    /// Between which bounds the number of workers follows the work.
    pub autoscale: Option<Bounds>,
}

/// A setting that what runs was started with otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub setting: String,
    /// As it runs.
    pub running: String,
    /// As it was asked for now.
    pub asked: String,
}

const DEFAULT_WORKERS: usize = 1;
const DEFAULT_SERVERS: usize = 1;

impl Local {
    /// As `--target` has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Processes => "processes",
        }
    }
}

impl Plan {
    /// A plan from settings and the flags of `up`.
    #[must_use]
    pub fn new(paths: &Paths, resolved: &Resolved, workers: Option<usize>, ephemeral: bool) -> Self {
        let given = |(key, origin): (&String, &Origin)| (*origin != Origin::BuiltIn).then(|| key.clone());
        Self {
            paths: paths.clone(),
            settings: resolved.settings.clone(),
            recorded: Record::settings_of(resolved),
            given: resolved.origins.iter().filter_map(given).collect(),
            workers,
            target_is_given: resolved.origins.get("target").is_some_and(|origin| *origin != Origin::BuiltIn),
            cluster: None,
            ephemeral,
            attached: false,
        }
    }

    /// The same on a cluster, which was asked for.
    #[must_use]
    pub fn on(self, cluster: ClusterPlan) -> Self {
        Self { cluster: Some(cluster), target_is_given: true, ..self }
    }

    /// How it is to run.
    #[must_use]
    pub const fn target(&self) -> Local {
        if self.cluster.is_some() { Local::Processes } else { Local::Embedded }
    }

    /// What the process that serves is called among its children.
    #[must_use]
    pub fn component(&self) -> Option<&'static str> {
        self.cluster.is_some().then_some(supervisor::NAME)
    }

    /// Whether it says nothing of how to run, and what runs does so otherwise than it would be started.
    #[must_use]
    pub fn leaves_target_open(&self, running: &Record) -> bool {
        !self.target_is_given && self.target() != running.target
    }

    /// How many servers share the port.
    #[must_use]
    pub fn servers(&self) -> usize {
        self.cluster.as_ref().and_then(|cluster| cluster.servers).unwrap_or(DEFAULT_SERVERS)
    }

    /// How many workers run, each with `worker.concurrency` steps at once.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.workers.unwrap_or(DEFAULT_WORKERS)
    }

    /// Whether the port was asked for, so that another one will not do.
    #[must_use]
    pub fn port_is_given(&self) -> bool {
        self.given.iter().any(|key| key == "server.port")
    }

    fn asks_for_a_port(&self) -> bool {
        self.port_is_given() && self.settings.server.port != 0
    }

    /// What would have to change in what runs. What was not asked for now is satisfied by whatever runs, unless it came
    /// from a file or the environment and was taken out of it since.
    #[must_use]
    pub fn differences(&self, running: &Record) -> Vec<Difference> {
        let mut differences: Vec<_> = self
            .recorded
            .iter()
            .filter_map(|(key, asked)| {
                let (is, lasting) = match running.settings.get(key) {
                    Some(setting) => (setting.value.to_string(), setting.lasting),
                    None => ("unknown in that version".to_owned(), true),
                };
                // A port that was not asked for may have become another one.
                let is = if key == "server.port" && self.asks_for_a_port() { running.port().to_string() } else { is };
                let concerned = self.given.contains(key) || lasting;
                let asked = asked.value.to_string();
                // A record from before addresses with passwords were refused may hold one.
                let shown = |value: &str| secrets(value).into_owned();
                (concerned && is != asked).then(|| Difference {
                    setting: key.clone(),
                    running: shown(&is),
                    asked: shown(&asked),
                })
            })
            .collect();
        let mut compare = |setting: &str, running: String, asked: String| {
            if running != asked {
                differences.push(Difference { setting: setting.to_owned(), running, asked });
            }
        };
        if self.target_is_given {
            compare("target", running.target.name().to_owned(), self.target().name().to_owned());
        }
        let nothing = || "nothing".to_owned();
        if let (Some(asked), Some(is)) = (&self.cluster, &running.cluster) {
            let wanted = Remembered::of(&asked.address);
            let same_place = is.database == wanted.database && is.redis == wanted.redis;
            compare("database", is.database.clone(), wanted.database);
            compare("redis", is.redis.clone(), wanted.redis);
            let given = Remembered::fingerprint(&asked.address, &running.data_dir);
            if same_place && running.addresses.is_some() && given.is_some() && running.addresses != given {
                compare(
                    "addresses",
                    "the user, password and parameters of its start".to_owned(),
                    "different ones".to_owned(),
                );
            }
            if let Some(servers) = asked.servers {
                compare("servers", running.servers.to_string(), servers.to_string());
            }
            if asked.autoscale.is_some() || self.workers.is_some() {
                let shown = |bounds: Option<Bounds>| bounds.map_or_else(nothing, |bounds| bounds.to_string());
                compare("autoscale", shown(running.autoscale), shown(asked.autoscale));
            }
        }
        if let Some(workers) = self.workers.filter(|_| running.autoscale.is_none()) {
            compare("workers", running.workers.to_string(), workers.to_string());
        }
        compare("version", running.version.clone(), card_core::VERSION.to_owned());
        compare("ephemeral", running.ephemeral.to_string(), self.ephemeral.to_string());
        differences
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use card_core::settings::Layers;
    use card_core::time::Instant;

    use super::super::{Phase, Process};
    use super::*;

    fn plan(flags: &[(&str, &str)], variables: &[(&str, &str)]) -> Plan {
        let mut layers = Layers::built_in();
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        layers.environment(variables).unwrap();
        for (key, value) in flags {
            layers.flag(key, value, "--flag").unwrap();
        }
        let paths = Paths { name: "default".into(), dir: PathBuf::from("/nowhere") };
        Plan::new(&paths, &layers.resolve().unwrap(), None, false)
    }

    fn runs(plan: &Plan) -> Record {
        Record {
            process: Process::current(),
            phase: Phase::Serving,
            detached: true,
            url: format!("http://127.0.0.1:{}", plan.settings.server.port),
            issuer_url: None,
            target: plan.target(),
            engine: "sqlite".into(),
            workers: plan.workers(),
            servers: plan.servers(),
            autoscale: plan.cluster.as_ref().and_then(|cluster| cluster.autoscale),
            cluster: plan.cluster.as_ref().map(|cluster| Remembered::of(&cluster.address)),
            addresses: None,
            children: Vec::new(),
            data_dir: PathBuf::from("/nowhere"),
            ephemeral: plan.ephemeral,
            version: card_core::VERSION.into(),
            started_at: Instant::now(),
            settings: plan.recorded.clone(),
        }
    }

    fn changed(running: &Plan, asked: &Plan) -> Vec<String> {
        asked.differences(&runs(running)).into_iter().map(|difference| difference.setting).collect()
    }

    #[test]
    fn asking_for_nothing_in_particular_is_satisfied_by_what_a_flag_once_asked_for() {
        let with_port = plan(&[("server.port", "9000")], &[]);
        assert!(changed(&with_port, &plan(&[], &[])).is_empty());
        assert!(changed(&with_port, &with_port).is_empty());
    }

    #[test]
    fn another_value_is_a_difference() {
        let asked = plan(&[("server.port", "9000")], &[]);
        assert_eq!(changed(&plan(&[], &[]), &asked), ["server.port"]);
        let mut elsewhere = runs(&plan(&[], &[]));
        elsewhere.url = "http://127.0.0.1:7401".into();
        let asked_for = plan(&[("server.port", "7400")], &[]);
        assert_eq!(asked_for.differences(&elsewhere).len(), 1, "it was given another port than the one asked for now");
        assert!(plan(&[], &[]).differences(&elsewhere).is_empty());
        let asked = Plan { workers: Some(3), ephemeral: true, ..plan(&[], &[]) };
        assert_eq!(changed(&plan(&[], &[]), &asked), ["workers", "ephemeral"]);
    }

    #[test]
    fn a_setting_that_was_taken_out_of_the_environment_is_a_difference() {
        let running = plan(&[], &[("CARDCTL_LOG_LEVEL", "debug")]);
        assert_eq!(changed(&running, &plan(&[], &[])), ["log.level"]);
    }

    fn cluster(database: &str, workers: Option<usize>, autoscale: Option<Bounds>) -> Plan {
        let address = Address { database: database.to_owned(), redis: "redis://cache".to_owned() };
        Plan { workers, ..plan(&[], &[]) }.on(ClusterPlan { address, servers: None, autoscale })
    }

    #[test]
    fn another_place_for_the_data_is_a_difference_and_another_password_is_none() {
        let here = cluster("postgres://ada:one@db/cards", None, None);
        assert!(changed(&here, &cluster("postgres://ada:two@db/cards", None, None)).is_empty());
        assert_eq!(changed(&here, &cluster("postgres://ada:one@db/more", None, None)), ["database"]);
        assert_eq!(changed(&plan(&[], &[]), &here), ["target"]);
        assert_eq!(changed(&here, &plan(&[], &[("CARDCTL_TARGET", "embedded")])), ["target"]);
        assert!(changed(&here, &plan(&[], &[])).is_empty(), "nothing in particular was asked for");
    }

    #[test]
    fn the_number_of_workers_is_the_autoscalers_affair() {
        let bounds = Some(Bounds { min: 1, max: 4 });
        let scaled = cluster("postgres://db/cards", None, bounds);
        assert!(changed(&scaled, &scaled).is_empty());
        assert!(changed(&scaled, &cluster("postgres://db/cards", None, None)).is_empty());
        assert_eq!(changed(&scaled, &cluster("postgres://db/cards", Some(2), None)), ["autoscale"]);
        assert_eq!(changed(&cluster("postgres://db/cards", Some(2), None), &scaled), ["autoscale"]);
    }

    #[test]
    fn a_plan_shows_no_password() {
        let plan = cluster("postgres://ada:hunter2@db/cards", None, None);
        assert!(!format!("{plan:?}").contains("hunter2"));
        assert!(!serde_json::to_string(&runs(&plan)).unwrap().contains("hunter2"));
    }
}
