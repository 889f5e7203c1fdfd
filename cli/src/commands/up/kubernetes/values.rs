//! What was asked for, as what may differ between two installations.

use std::collections::BTreeMap;

use card_kube::cluster::Cluster;
use card_manifests::{Bounds, Ingress, Overlay, Provision, PullPolicy, Scale, Values};

use super::super::UpArgs;
use crate::cluster::{self, Place, Service};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::kubernetes::{External, Kind};
use crate::secret::Secret;

/// The flags and settings of an `up` into a cluster, checked.
pub(super) struct Asked {
    overlay: Overlay,
    instance: String,
    servers: Option<Scale>,
    /// So many, whatever waits.
    workers: Option<Scale>,
    /// By what waits, between these bounds.
    pub(super) autoscale: Option<Bounds>,
    ingress: Option<Ingress>,
    pub(super) external: External,
    database: Option<Provision>,
    redis: Option<Provision>,
    is_loaded: bool,
}

impl Asked {
    /// # Errors
    /// A flag is for another target, or can't be used.
    pub(super) fn read(args: &UpArgs, kind: Kind, context: &Context) -> Result<Self, Failure> {
        let settings = &context.settings.settings;
        let usage = |message: String| Failure::new("usage", Exit::Usage, message);
        for (flag, is_given, instead) in [
            ("--ephemeral", args.ephemeral, "cardctl down --purge deletes the data of a cluster"),
            ("--restart", args.restart, "up applies what is different by itself"),
        ] {
            if is_given {
                return Err(usage(format!("{flag} is for a platform of this machine")).fix(instead));
            }
        }
        if args.port.is_some() && args.detach {
            return Err(usage("--port is forwarded as long as up runs, and -d ends it".to_owned())
                .fix("leave out -d, or --port"));
        }
        let overlay = match args.overlay.as_deref().unwrap_or(&settings.kube.overlay) {
            "" if kind == Kind::Minikube => Overlay::Minikube,
            "" => Overlay::Small,
            name => name.parse().map_err(|reason: String| usage(reason).fix("cardctl up --help"))?,
        };
        let external = External {
            database: elsewhere(Service::Postgres, args.database.as_deref())?,
            redis: elsewhere(Service::Redis, args.redis.as_deref())?,
        };
        let provision = |service, address: &Option<Secret>| {
            let address = address.as_ref()?;
            let port = Place::of(service, address.expose()).ok().and_then(|place| place.port());
            Some(Provision::External { port })
        };
        let database = provision(Service::Postgres, &external.database);
        if database.is_none() && !overlay.has_bundled_database() {
            return Err(usage(format!("the overlay {overlay} has no Postgres of its own, and none is given")).fix(
                "CARDCTL_DATABASE=postgres://… CARDCTL_REDIS=redis://… cardctl up -t kube, or another --overlay",
            ));
        }
        if args.tls && args.ingress.is_none() {
            return Err(usage("--tls is for an ingress, and none is asked for".to_owned()).fix("add --ingress HOST"));
        }
        let class = args.ingress_class.clone();
        Ok(Self {
            overlay,
            instance: context.instance.name.clone(),
            servers: args.servers.map(|servers| Scale::Fixed(servers.into())),
            workers: args.workers.map(|workers| Scale::Fixed(workers.into())),
            autoscale: args.autoscale.map(|bounds| Bounds { min: bounds.min as u32, max: bounds.max as u32 }),
            ingress: args.ingress.clone().map(|host| Ingress { host, tls: args.tls, class }),
            redis: provision(Service::Redis, &external.redis),
            database,
            external,
            is_loaded: kind == Kind::Minikube,
        })
    }

    /// The host that is to have a certificate of ours, unless it has one.
    pub(super) fn certified_host(&self) -> Option<&str> {
        self.ingress.as_ref().filter(|ingress| ingress.tls).map(|ingress| ingress.host.as_str())
    }

    /// With the images that are to run.
    pub(super) fn values(&self, cluster: &Cluster, images: BTreeMap<String, String>) -> Values {
        Values {
            namespace: cluster.namespace().to_owned(),
            instance: self.instance.clone(),
            images,
            // What was loaded is nowhere to be pulled from.
            pull_policy: self.is_loaded.then_some(PullPolicy::Never),
            servers: self.servers,
            workers: self.workers,
            ingress: self.ingress.clone(),
            database: self.database,
            redis: self.redis,
            ..Values::new(self.overlay)
        }
    }
}

/// An address outside of the cluster: by flag without a password, by variable or by file.
fn elsewhere(service: Service, flag: Option<&str>) -> Result<Option<Secret>, Failure> {
    Ok(cluster::one_given(service, flag, |name| std::env::var_os(name))?.map(|address| Secret::new(&address)))
}
