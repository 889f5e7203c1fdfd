//! The flags that say what an installation is like.

use std::collections::BTreeMap;

use card_manifests::{Bounds, Ingress, NodePort, Overlay, Provision, PullPolicy, Scale, Values};
use clap::{Args, ValueEnum};
use serde_json::Value;

use super::images::{self, ImageArgs};
use super::{render_failure, settings};
use crate::context::Context;
use crate::failure::Failure;
use crate::fronts::{self, FrontFlag};
use crate::kubernetes::namespace;
use card_core::exit::Exit;

/// What differs between two installations.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Installation")]
pub struct ValuesArgs {
    /// Base overlay: minikube, small (10 connections), medium (50), large (100 and more) or ha [default: small]
    #[arg(long, value_name = "NAME")]
    pub overlay: Option<Overlay>,
    #[command(flatten)]
    pub images: ImageArgs,
    /// Allow mutable image tags
    #[arg(long)]
    pub allow_unpinned: bool,
    /// Pull policy of the platform's own images: if-not-present, never or always [default: by the overlay]
    #[arg(long, value_name = "WHEN", value_enum, hide_possible_values = true)]
    pub pull: Option<Pull>,
    /// Setting of the platform, such as worker.concurrency=64; can be repeated
    #[arg(long, value_name = "SETTING=VALUE", value_parser = pair)]
    pub set: Vec<(String, String)>,
    /// Number of servers, or MIN..MAX to scale by CPU [default: by the overlay]
    #[arg(long, value_name = "N|MIN..MAX", value_parser = count)]
    pub servers: Option<Count>,
    /// Number of workers, or MIN..MAX to scale by backlog [default: by the overlay]
    #[arg(long, value_name = "N|MIN..MAX", value_parser = count)]
    pub workers: Option<Count>,
    /// Autoscaler of --workers MIN..MAX: keda (by backlog) or hpa (by CPU) [default: keda]
    #[arg(long, value_name = "WHAT", value_enum, hide_possible_values = true)]
    pub autoscaler: Option<Autoscaler>,
    /// Postgres: bundled, external, or external:PORT [default: by the overlay]
    #[arg(long, value_name = "WHERE", value_parser = provision)]
    pub postgres: Option<Provision>,
    /// Redis: bundled, external, or external:PORT [default: by the overlay]
    #[arg(long, value_name = "WHERE", value_parser = provision)]
    pub redis: Option<Provision>,
    /// Size of the Postgres volume, such as 20Gi [default: by the overlay]
    #[arg(long, value_name = "SIZE")]
    pub storage: Option<String>,
    /// Storage class of the Postgres volume [default: the cluster's]
    #[arg(long, value_name = "NAME")]
    pub storage_class: Option<String>,
    /// Host name of an ingress for the API, with the certificate of the secret card-tls [default: no ingress]
    #[arg(long, value_name = "HOST")]
    pub ingress: Option<String>,
    /// Ingress class [default: the cluster's]
    #[arg(long, value_name = "CLASS", requires = "ingress")]
    pub ingress_class: Option<String>,
    /// Create the ingress without TLS
    #[arg(long, requires = "ingress")]
    pub no_tls: bool,
    /// Node port of the API: any, off, or a port from 30000 to 32767 [default: by the overlay]
    #[arg(long, value_name = "PORT", value_parser = node_port)]
    pub node_port: Option<NodePort>,
    /// Serve old clients of a predecessor, with a Service server-NAME: card-replacer (port 5000), shop (8081), shop-management
    /// (8080), buy-list (3000) or buy-list-management (3001); PORT is the Service's; can be repeated [default: none]
    #[arg(long, value_name = "NAME[=PORT]")]
    pub front: Vec<FrontFlag>,
    /// Prometheus beside the platform: on or off [default: by the overlay]
    #[arg(long, value_name = "ON|OFF", value_parser = switch)]
    pub prometheus: Option<bool>,
}

/// See [`ValuesArgs::pull`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Pull {
    /// Pull images that the node does not have.
    IfNotPresent,
    /// Never pull: the node must have the image.
    Never,
    /// Pull before each start.
    Always,
}

/// See [`ValuesArgs::autoscaler`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Autoscaler {
    /// Scale by backlog and age of the oldest task.
    Keda,
    /// Scale by CPU.
    Hpa,
}

/// A number, or between two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// So many.
    Fixed(u32),
    /// As many as an autoscaler says.
    Between(Bounds),
}

impl ValuesArgs {
    /// What was said. Images are those that were named, else those that were built here.
    ///
    /// # Errors
    /// The index of the images that were built can't be read, or flags contradict each other.
    pub fn values(&self, context: &Context) -> Result<Values, Failure> {
        let by_hpa = self.autoscaler == Some(Autoscaler::Hpa);
        if self.autoscaler.is_some() && !matches!(self.workers, Some(Count::Between(_))) {
            return Err(Failure::new("usage", Exit::Usage, "--autoscaler needs a range of workers")
                .fix("give --workers MIN..MAX, such as --workers 1..8"));
        }
        settings::check(&self.set)?;
        let mut values = Values::new(self.overlay(context)?);
        values.namespace = namespace(context);
        values.instance.clone_from(&context.instance.name);
        values.images = images::references(&self.images, context)?.into_iter().collect();
        values.pull_policy = self.pull.map(|pull| match pull {
            Pull::IfNotPresent => PullPolicy::IfNotPresent,
            Pull::Never => PullPolicy::Never,
            Pull::Always => PullPolicy::Always,
        });
        values.settings = self.set.iter().cloned().collect::<BTreeMap<_, _>>();
        values.servers = self.servers.map(|count| match count {
            Count::Fixed(servers) => Scale::Fixed(servers),
            Count::Between(bounds) => Scale::Cpu(bounds),
        });
        values.workers = self.workers.map(|count| match count {
            Count::Fixed(workers) => Scale::Fixed(workers),
            Count::Between(bounds) if by_hpa => Scale::Cpu(bounds),
            Count::Between(bounds) => Scale::Backlog(bounds),
        });
        (values.database, values.redis) = (self.postgres, self.redis);
        (values.storage, values.storage_class) = (self.storage.clone(), self.storage_class.clone());
        values.ingress = self.ingress.as_ref().map(|host| Ingress {
            host: host.clone(),
            tls: !self.no_tls,
            class: self.ingress_class.clone(),
        });
        (values.node_port, values.prometheus) = (self.node_port, self.prometheus);
        values.fronts = fronts::in_manifests(&fronts::by_name(&self.front)?);
        Ok(values)
    }

    fn overlay(&self, context: &Context) -> Result<Overlay, Failure> {
        match (self.overlay, context.settings.settings.kube.overlay.as_str()) {
            (Some(overlay), _) => Ok(overlay),
            (None, "") => Ok(Overlay::Small),
            (None, name) => name.parse().map_err(|reason: String| {
                Failure::new("settings", Exit::Usage, format!("kube.overlay: {reason}")).fix("cardctl config show")
            }),
        }
    }

    /// The objects of it, every image pinned unless that was waived.
    ///
    /// # Errors
    /// As [`ValuesArgs::values`]; and a value can't be used, or it is not known which image is to run.
    pub fn objects(&self, context: &Context) -> Result<Vec<Value>, Failure> {
        let objects = card_manifests::render(&self.values(context)?).map_err(|error| render_failure(&error))?;
        let loose = card_manifests::unpinned(&objects);
        match loose.first() {
            Some(first) if !self.allow_unpinned => {
                let message = "an image is not pinned, so it can change at any time";
                let mut failure = Failure::new("unpinned-image", Exit::NotReady, message);
                for image in &loose {
                    failure = failure.evidence(image);
                }
                Err(failure.fix(format!("add the digest to --image, {first}@sha256:DIGEST, or use --allow-unpinned")))
            }
            _ => Ok(objects),
        }
    }
}

pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("must be NAME=VALUE".to_owned()),
    }
}

fn count(text: &str) -> Result<Count, String> {
    let number = |text: &str| text.parse::<u32>().map_err(|_| "must be a number, or MIN..MAX such as 2..8".to_owned());
    match text.split_once("..") {
        Some((min, max)) => Ok(Count::Between(Bounds { min: number(min)?, max: number(max)? })),
        None => number(text).map(Count::Fixed),
    }
}

fn provision(text: &str) -> Result<Provision, String> {
    match text {
        "bundled" => Ok(Provision::Bundled),
        "external" => Ok(Provision::External { port: None }),
        other => match other.strip_prefix("external:").map(str::parse) {
            Some(Ok(port)) => Ok(Provision::External { port: Some(port) }),
            _ => Err("must be bundled, external or external:PORT; the URL itself belongs in the secret".to_owned()),
        },
    }
}

fn node_port(text: &str) -> Result<NodePort, String> {
    match text {
        "off" => Ok(NodePort::Off),
        "any" => Ok(NodePort::Any),
        other => other.parse().map(NodePort::At).map_err(|_| "must be any, off or a port".to_owned()),
    }
}

fn switch(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("must be on or off".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_may_be_a_range() {
        assert_eq!(count("3"), Ok(Count::Fixed(3)));
        assert_eq!(count("2..8"), Ok(Count::Between(Bounds { min: 2, max: 8 })));
        for text in ["", "2..", "..8", "two", "-1", "1...2"] {
            assert!(count(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_url_is_not_taken_where_a_place_is_meant() {
        assert_eq!(provision("external:6432"), Ok(Provision::External { port: Some(6432) }));
        assert!(provision("postgres://card:hunter2@db/cards").unwrap_err().contains("secret"));
        assert!(provision("external:x").is_err());
        assert_eq!(node_port("30400"), Ok(NodePort::At(30_400)));
        assert!(node_port("http").is_err() && switch("yes").is_err() && pair("=x").is_err() && pair("x").is_err());
        assert_eq!(pair("a=b=c"), Ok(("a".into(), "b=c".into())));
    }
}
