//! What was asked for, as what may differ between two installations.

use std::collections::BTreeMap;

use card_core::fronts::Front;
use card_kube::cluster::Cluster;
use card_manifests::{Bounds, Ingress, Overlay, Provision, PullPolicy, Scale, Values};

use super::super::UpArgs;
use crate::cluster::{self, Place, Service};
use crate::context::Context;
use crate::failure::Failure;
use crate::fronts;
use crate::kubernetes::{Address, Addresses, Flags, Kind, Outside};
use crate::secret::Secret;
use card_core::exit::Exit;

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
    pub(super) addresses: Addresses,
    pub(super) database: Option<Outside>,
    pub(super) redis: Option<Outside>,
    fronts: BTreeMap<Front, u16>,
    settings: BTreeMap<String, String>,
    is_loaded: bool,
}

impl Asked {
    /// # Errors
    /// A flag is for another target, or can't be used.
    pub(super) fn read(args: &UpArgs, last: Option<&Flags>, kind: Kind, context: &Context) -> Result<Self, Failure> {
        let settings = &context.settings.settings;
        let usage = |message: String| Failure::new("usage", Exit::Usage, message);
        for (flag, is_given, instead) in [
            ("--ephemeral", args.ephemeral, "cardctl down --purge deletes the data of a cluster"),
            ("--restart", args.restart, "up applies the differences without it"),
        ] {
            if is_given {
                return Err(usage(format!("{flag} only works for a platform on this machine")).fix(instead));
            }
        }
        if args.port.is_some() && args.detach {
            return Err(usage("--port is forwarded only while up is running, which excludes -d".to_owned())
                .fix("leave out -d, or --port"));
        }
        let overlay = match args.overlay.as_deref().unwrap_or(&settings.kube.overlay) {
            "" if kind == Kind::Minikube => Overlay::Minikube,
            "" => Overlay::Small,
            name => name.parse().map_err(|reason: String| usage(reason).fix("cardctl up --help"))?,
        };
        let (database_address, database) =
            store(Service::Postgres, args.database.as_deref(), last.and_then(|last| last.database))?;
        let (redis_address, redis) = store(Service::Redis, args.redis.as_deref(), last.and_then(|last| last.redis))?;
        if database.is_none() && !overlay.has_bundled_database() {
            return Err(usage(format!("the overlay {overlay} has no bundled Postgres, and no database is given"))
                .fix("set CARDCTL_DATABASE and CARDCTL_REDIS to their addresses, or choose another --overlay"));
        }
        if args.tls && args.ingress.is_none() {
            return Err(usage("--tls needs --ingress".to_owned()).fix("add --ingress HOST"));
        }
        let class = args.ingress_class.clone();
        Ok(Self {
            overlay,
            instance: context.instance.name.clone(),
            servers: args.servers.map(|servers| Scale::Fixed(servers.into())),
            workers: args.workers.map(|workers| Scale::Fixed(workers.into())),
            autoscale: args.autoscale.map(|bounds| Bounds { min: bounds.min as u32, max: bounds.max as u32 }),
            ingress: args.ingress.clone().map(|host| Ingress { host, tls: args.tls, class }),
            redis,
            database,
            addresses: Addresses { database: database_address, redis: redis_address },
            fronts: fronts::by_name(&args.front)?,
            settings: args.set.iter().filter(|(_, value)| !value.is_empty()).cloned().collect(),
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
            database: self.database.map(|outside| Provision::External { port: outside.port }),
            redis: self.redis.map(|outside| Provision::External { port: outside.port }),
            fronts: fronts::in_manifests(&self.fronts),
            settings: self.settings.clone(),
            ..Values::new(self.overlay)
        }
    }
}

/// What says that a store is the cluster's own again.
const BUNDLED: &str = "bundled";

/// Where a store is: outside of the cluster if an address is given (by flag without a password, by variable or by file) or
/// was given to an earlier `up`, whose secret still has it.
fn store(service: Service, flag: Option<&str>, last: Option<Outside>) -> Result<(Address, Option<Outside>), Failure> {
    if flag == Some(BUNDLED) {
        return Ok((Address::Bundled, None));
    }
    let Some(address) = cluster::one_given(service, flag, |name| std::env::var_os(name))? else {
        return Ok((if last.is_some() { Address::AsBefore } else { Address::Unsaid }, last));
    };
    let port = Place::of(service, &address).ok().and_then(|place| place.port());
    Ok((Address::Given(Secret::new(&address)), Some(Outside { port })))
}
