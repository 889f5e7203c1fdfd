//! `cardctl up`: starts the platform or makes sure that it runs as asked.

mod banner;
mod browser;
mod converge;
mod foreground;
mod kubernetes;
mod wrapped;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use card_core::engine::cluster::Address;
use card_core::settings::Origin;
use card_core::tasks::Kind;
use card_core::time::parse_duration;
use card_kinds::Registry;

pub use self::converge::{Converged, converge};
use crate::cluster::{self, Flags};
use crate::context::{Context, Target};
use crate::failure::Failure;
use crate::fronts::{self, FrontFlag};
use crate::instance::{ClusterPlan, Local, Plan};
use crate::supervisor::autoscale::Bounds;
use crate::supervisor::{SERVERS_MAX, WORKERS_MAX};
use card_core::exit::Exit;

/// Start the platform, or bring it to the given configuration
///
/// The platform is ready when the API answers, a worker is alive, and one `add` task has succeeded. If it is already running
/// with the same configuration, nothing changes. `cardctl down` keeps its data. With --kinds that leave out `add`, no task
/// is tried: an API that answers and a worker that is alive are enough.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  cardctl up                          run in the foreground until Ctrl-C
  cardctl up -d                       run in the background and return when it is ready
  cardctl up -d --open                open the page in the browser as well
  cardctl up -d --port 8080           use another port
  cardctl up --ephemeral -- make e2e  run it for one command and delete the data
  cardctl up -d --front buy-list      serve old clients of the buy list on its old port as well
  cardctl up -d -t processes          run processes on CARDCTL_DATABASE and CARDCTL_REDIS
  cardctl up -d -t processes --autoscale 1..8  scale workers with the backlog
  cardctl up -d -t minikube           deploy to minikube, and start minikube if necessary
  cardctl up -t kube --context lab --registry registry.example/cards  deploy to a cluster and forward its port")]
pub struct UpArgs {
    /// Run in the background and return when the platform is ready
    #[arg(short, long, conflicts_with = "command")]
    pub detach: bool,
    /// Open the page in the browser (BROWSER, or the desktop's) when the platform is ready
    #[arg(long, conflicts_with = "command")]
    pub open: bool,
    /// Keep data in a temporary directory and remove it at the end
    #[arg(long)]
    pub ephemeral: bool,
    /// Port of the API; must be free [default: 7400, or the next free port]
    #[arg(long, value_name = "N")]
    pub port: Option<u16>,
    /// Serve old clients of a predecessor: card-replacer (port 5000), shop (8081), shop-management (8080), buy-list (3000) or
    /// buy-list-management (3001); can be repeated; port 0 turns it off [default: none]
    #[arg(long, value_name = "NAME[=PORT]")]
    pub front: Vec<FrontFlag>,
    /// Number of workers, each with worker.concurrency concurrent steps [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=WORKERS_MAX as i64))]
    pub workers: Option<u16>,
    /// Kinds of tasks that workers do, separated by commas, such as purchase,add [default: all]
    #[arg(long, value_name = "KIND,…", value_delimiter = ',', value_parser = kind)]
    pub kinds: Vec<Kind>,
    /// Postgres URL for -t processes, or in place of the bundled one in a Kubernetes cluster (`bundled` switches back); pass
    /// passwords through CARDCTL_DATABASE or CARDCTL_DATABASE_FILE
    #[arg(long, value_name = "URL")]
    pub database: Option<String>,
    /// Redis URL, used like --database; pass passwords through CARDCTL_REDIS or CARDCTL_REDIS_FILE
    #[arg(long, value_name = "URL")]
    pub redis: Option<String>,
    /// Number of servers, for -t processes, minikube and kube [default: 1, or by the overlay]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=SERVERS_MAX as i64))]
    pub servers: Option<u16>,
    /// Scale workers with the backlog within these bounds, for -t processes, minikube and kube
    #[arg(long, value_name = "MIN..MAX", conflicts_with = "workers")]
    pub autoscale: Option<Bounds>,
    /// Maximum wait until the platform is ready [default: 30s; 5m in a Kubernetes cluster]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub wait_timeout: Option<Duration>,
    /// Restart the running platform with the given configuration
    #[arg(long)]
    pub restart: bool,
    /// Size preset in a Kubernetes cluster: minikube, small, medium, large or ha [default: minikube for -t minikube, else small]
    #[arg(long, value_name = "NAME")]
    pub overlay: Option<String>,
    /// Image to use, such as card-server=registry.example/card-server@sha256:DIGEST; can be repeated [default: built here]
    #[arg(long, value_name = "NAME=REFERENCE")]
    pub image: Vec<String>,
    /// Build images from the binaries in this directory instead of compiling
    #[arg(long, value_name = "DIR")]
    pub binaries: Option<PathBuf>,
    /// Registry and path to push images to, for -t kube, such as registry.example/cards [default: none, the nodes have the images]
    #[arg(long, value_name = "PATH")]
    pub registry: Option<String>,
    /// Host name of an ingress for the API [default: no ingress]
    #[arg(long, value_name = "HOST")]
    pub ingress: Option<String>,
    /// Ingress class [default: the cluster's]
    #[arg(long, value_name = "NAME", requires = "ingress")]
    pub ingress_class: Option<String>,
    /// Remove the ingress
    #[arg(long, conflicts_with = "ingress")]
    pub no_ingress: bool,
    /// Create a TLS certificate for the ingress by a local CA, unless there is one
    #[arg(long)]
    pub tls: bool,
    /// Install KEDA if missing, from a file or a URL (#sha256=DIGEST verifies it) [default: a pinned release]
    #[arg(long, value_name = "SOURCE", num_args = 0..=1, default_missing_value = kubernetes::keda::PINNED)]
    pub install_keda: Option<String>,
    /// Setting of the platform in a Kubernetes cluster, such as worker.concurrency=64; later `up`s keep it until it is unset with NAME=
    #[arg(long, value_name = "SETTING=VALUE", value_parser = setting)]
    pub set: Vec<(String, String)>,
    /// Take ownership of fields that another manager has set
    #[arg(long)]
    pub force_conflicts: bool,
    /// Command to run while the platform is up, with its address in the environment
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

impl Default for UpArgs {
    fn default() -> Self {
        Self {
            detach: true,
            open: false,
            ephemeral: false,
            port: None,
            front: Vec::new(),
            workers: None,
            kinds: Vec::new(),
            database: None,
            redis: None,
            servers: None,
            autoscale: None,
            wait_timeout: None,
            restart: false,
            overlay: None,
            image: Vec::new(),
            binaries: None,
            registry: None,
            ingress: None,
            ingress_class: None,
            no_ingress: false,
            tls: false,
            set: Vec::new(),
            force_conflicts: false,
            install_keda: None,
            command: Vec::new(),
        }
    }
}

fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("must be SETTING=VALUE, such as worker.concurrency=64".to_owned()),
    }
}

fn kind(name: &str) -> Result<Kind, String> {
    let kinds = Registry::default();
    let known = name.parse().ok().filter(|kind| kinds.get(*kind).is_some());
    known.ok_or_else(|| format!("must be one of {}", kinds.names()))
}

/// How long a platform of this machine may take to be ready, unless it is said.
const WAIT: Duration = Duration::from_secs(30);

/// The setting of `--kinds`.
const KINDS: &str = "worker.kinds";

impl UpArgs {
    /// How long to wait until it is ready, on this machine.
    fn wait(&self) -> Duration {
        self.wait_timeout.unwrap_or(WAIT)
    }

    /// Opens the page of a platform that is ready, if that was asked for.
    async fn open_page(&self, url: &str, context: &Context) {
        if self.open {
            browser::open(&format!("{url}/"), context).await;
        }
    }

    /// What the arguments mean with the settings there are.
    ///
    /// # Errors
    /// The target is not this machine, or they do not fit it.
    pub fn plan(&self, context: &Context) -> Result<Plan, Failure> {
        let target = self.target(context)?;
        self.is_for_this_machine()?;
        if !context.settings.settings.server.address.is_loopback() {
            context.name_from_project(&["server.address"]);
        }
        context.name_from_project(&["worker.issuer.url"]);
        let mut settings = context.settings.clone();
        if let Some(port) = self.port {
            settings.settings.server.port = port;
            settings.origins.insert("server.port".to_owned(), Origin::Flag("--port".to_owned()));
        }
        for (front, port) in fronts::by_name(&self.front)? {
            settings.settings.fronts.set(front, port);
            settings.origins.insert(front.setting().to_owned(), Origin::Flag("--front".to_owned()));
        }
        if let Some(kinds) = self.kinds_setting() {
            settings.settings.worker.kinds = kinds;
            settings.origins.insert(KINDS.to_owned(), Origin::Flag("--kinds".to_owned()));
        }
        fronts::have_ports_of_their_own(&settings.settings)?;
        let plan = Plan::new(&context.instance, &settings, self.workers.map(usize::from), self.ephemeral);
        match target {
            Local::Embedded => Ok(plan),
            Local::Processes => Ok(plan.on(self.cluster()?)),
        }
    }

    /// `--kinds`, as the setting has it.
    fn kinds_setting(&self) -> Option<String> {
        let names: Vec<_> = self.kinds.iter().map(Kind::to_string).collect();
        (!names.is_empty()).then(|| names.join(","))
    }

    /// Where it is to run. The addresses of a cluster say so as well as `-t processes`.
    fn target(&self, context: &Context) -> Result<Local, Failure> {
        let usage = |message: &str| Failure::new("usage", Exit::Usage, message);
        let asked = match context.target()? {
            Target::Local(local) => local,
            Target::Kubernetes(kind) => {
                return Err(usage("this starts a platform on this machine, not in a Kubernetes cluster")
                    .evidence(format!("the target is {}", kind.name()))
                    .fix(format!("cardctl up -d -t {}", kind.name())));
            }
            Target::Url(url) => {
                return Err(usage("up starts the platform on this machine, not at a URL")
                    .evidence(format!("the target is {url}"))
                    .fix("cardctl --target embedded up"));
            }
        };
        let has_address = self.database.is_some() || self.redis.is_some();
        let by_flag = matches!(context.settings.origins.get("target"), Some(Origin::Flag(_)));
        if asked == Local::Processes || has_address && !by_flag {
            return Ok(Local::Processes);
        }
        let foreign = [
            ("--database", self.database.is_some()),
            ("--redis", self.redis.is_some()),
            ("--servers", self.servers.is_some()),
            ("--autoscale", self.autoscale.is_some()),
        ];
        match foreign.iter().find(|(_, is_given)| *is_given) {
            Some((flag, _)) => {
                Err(usage(&format!("{flag} needs -t processes; an embedded platform is one process with one file"))
                    .fix("leave it out, or use cardctl up -t processes --database URL --redis URL"))
            }
            None => Ok(Local::Embedded),
        }
    }

    /// # Errors
    /// A flag is for a platform in a cluster.
    fn is_for_this_machine(&self) -> Result<(), Failure> {
        let flags = [
            ("--overlay", self.overlay.is_some()),
            ("--image", !self.image.is_empty()),
            ("--binaries", self.binaries.is_some()),
            ("--registry", self.registry.is_some()),
            ("--ingress", self.ingress.is_some()),
            ("--no-ingress", self.no_ingress),
            ("--tls", self.tls),
            ("--set", !self.set.is_empty()),
            ("--install-keda", self.install_keda.is_some()),
            ("--force-conflicts", self.force_conflicts),
        ];
        match flags.iter().find(|(_, is_given)| *is_given) {
            Some((flag, _)) => {
                Err(Failure::new("usage", Exit::Usage, format!("{flag} only works with -t minikube and -t kube"))
                    .fix("add the target, or leave out the flag"))
            }
            None => Ok(()),
        }
    }

    fn cluster(&self) -> Result<ClusterPlan, Failure> {
        let flags = Flags { database: self.database.as_deref(), redis: self.redis.as_deref() };
        let address = cluster::given(flags, |name| std::env::var_os(name))?;
        if self.ephemeral {
            return Err(Failure::new(
                "usage",
                Exit::Usage,
                "--ephemeral only works with -t embedded: with -t processes the data is in Postgres",
            )
            .fix("leave it out, and use a separate database that you drop afterwards"));
        }
        let address = Address { database: from_everywhere(&address.database), ..address };
        Ok(ClusterPlan { address, servers: self.servers.map(usize::from), autoscale: self.autoscale })
    }
}

/// An address whose files (`sslrootcert` and the like) are named so that they are found from everywhere: the processes that
/// use it stand elsewhere than who typed it.
fn from_everywhere(address: &str) -> String {
    const FILES: [&str; 3] = ["sslrootcert", "sslcert", "sslkey"];
    let (Some((before, query)), Ok(here)) = (address.split_once('?'), std::env::current_dir()) else {
        return address.to_owned();
    };
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, path)) if FILES.contains(&name) && !path.is_empty() && !path.starts_with(['/', '%']) => {
            format!("{name}={}", here.join(path).display())
        }
        _ => pair.to_owned(),
    });
    format!("{before}?{}", pairs.collect::<Vec<_>>().join("&"))
}

/// Runs it.
///
/// # Errors
/// What stands in the way.
pub async fn run(args: UpArgs, context: &Context) -> Result<Exit, Failure> {
    if let Target::Kubernetes(kind) = context.target()? {
        return kubernetes::run(args, kind, context).await;
    }
    if !args.command.is_empty() {
        return wrapped::run(&args, context).await;
    }
    if !args.detach {
        return foreground::run(&args, context).await;
    }
    let converged = converge(&args, false, context).await?;
    banner::warn_of_eviction(&converged, &args, context).await;
    banner::show(&converged, &format!("{} down", context.program()), context)?;
    args.open_page(&converged.record.url, context).await;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_in_an_address_are_found_from_everywhere() {
        let here = std::env::current_dir().unwrap();
        let certificate = here.join("ca.pem");
        let asked = "postgres://ada@db/cards?sslmode=verify-full&sslrootcert=ca.pem&sslkey=/etc/key";
        let wanted = asked.replace("ca.pem", certificate.to_str().unwrap());
        assert_eq!(from_everywhere(asked), wanted);
        assert_eq!(from_everywhere("postgres://ada@db/cards"), "postgres://ada@db/cards");
    }
}
