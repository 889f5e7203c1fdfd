//! An `up` that says nothing in particular means what the last one asked for.

use super::super::UpArgs;
use crate::failure::Failure;
use crate::fronts::{FrontFlag, by_name};
use crate::kubernetes::{Flags, Outside};

/// With what was asked for the last time, wherever nothing is said now.
///
/// # Errors
/// Flags of this call contradict each other.
pub(super) fn with(mut args: UpArgs, last: &Flags) -> Result<UpArgs, Failure> {
    // A number and bounds exclude each other: one of them said is both of them said.
    if args.workers.is_none() && args.autoscale.is_none() {
        args.workers = last.workers;
        args.autoscale = last.autoscale.as_deref().and_then(|bounds| bounds.parse().ok());
    }
    if args.ingress.is_none() && !args.no_ingress {
        args.ingress.clone_from(&last.ingress);
        args.ingress_class = args.ingress_class.or_else(|| last.ingress_class.clone());
        args.tls |= last.tls;
    }
    args.overlay = args.overlay.or_else(|| last.overlay.clone());
    args.servers = args.servers.or(last.servers);
    args.registry = args.registry.or_else(|| last.registry.clone());
    args.binaries = args.binaries.or_else(|| last.binaries.clone().filter(|dir| dir.is_dir()));
    let said = std::mem::take(&mut args.set);
    let mut set = last.set.clone();
    set.extend(said);
    args.set = set.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let mut fronts = last.fronts.clone();
    fronts.extend(by_name(&args.front)?);
    args.front =
        fronts.into_iter().filter(|(_, port)| *port > 0).map(|(front, port)| FrontFlag { front, port }).collect();
    let name = |image: &str| image.split_once('=').map(|(name, _)| name.to_owned());
    let said: Vec<_> = args.image.iter().map(|image| name(image)).collect();
    args.image.extend(last.image.iter().filter(|image| !said.contains(&name(image))).cloned());
    Ok(args)
}

/// What is remembered of it, with where the stores were found to be.
pub(super) fn flags(args: &UpArgs, database: Option<Outside>, redis: Option<Outside>) -> Flags {
    // Every field is named: what is forgotten here is undone by the next `up`.
    Flags {
        overlay: args.overlay.clone(),
        servers: args.servers,
        workers: args.workers,
        autoscale: args.autoscale.map(|bounds| bounds.to_string()),
        ingress: args.ingress.clone(),
        ingress_class: args.ingress_class.clone(),
        tls: args.tls,
        fronts: args.front.iter().filter(|flag| flag.port > 0).map(|flag| (flag.front, flag.port)).collect(),
        image: args.image.clone(),
        // Wherever the next one is run from.
        binaries: args.binaries.as_deref().and_then(|dir| dir.canonicalize().ok()),
        registry: args.registry.clone(),
        database,
        redis,
        set: args.set.iter().filter(|(_, value)| !value.is_empty()).cloned().collect(),
        images: Default::default(),
    }
}

#[cfg(test)]
mod tests {
    use card_core::fronts::Front;

    use super::*;

    fn with(args: UpArgs, last: &Flags) -> UpArgs {
        super::with(args, last).unwrap()
    }

    /// Every field says something: a new one that `with` or `flags` leaves out fails the test below.
    fn last() -> Flags {
        Flags {
            overlay: Some("medium".to_owned()),
            servers: Some(2),
            workers: Some(3),
            autoscale: None,
            ingress: Some("cards.example.com".to_owned()),
            ingress_class: Some("nginx".to_owned()),
            tls: true,
            fronts: [(Front::Shop, 8081), (Front::BuyList, 80)].into(),
            image: vec!["postgres=pg:1".to_owned(), "redis=redis:1".to_owned()],
            binaries: std::env::temp_dir().canonicalize().ok(),
            registry: Some("registry.example/cards".to_owned()),
            database: Some(Outside { port: Some(6432) }),
            redis: Some(Outside { port: None }),
            set: [("worker.concurrency".to_owned(), "64".to_owned())].into(),
            // Not a flag: what was deployed.
            images: Default::default(),
        }
    }

    fn kept(args: &UpArgs) -> Flags {
        flags(args, last().database, last().redis)
    }

    #[test]
    fn nothing_said_means_the_same_again() {
        assert_eq!(kept(&with(UpArgs::default(), &last())), last());
        let scaled = Flags { workers: None, autoscale: Some("1..4".to_owned()), ..last() };
        assert_eq!(kept(&with(UpArgs::default(), &scaled)), scaled);
    }

    #[test]
    fn a_setting_is_changed_added_and_forgotten() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let set = vec![pair("worker.lease", "5s"), pair("worker.concurrency", "")];
        let now = kept(&with(UpArgs { set, ..UpArgs::default() }, &last()));
        assert_eq!(now.set, [pair("worker.lease", "5s")].into());
    }

    #[test]
    fn a_front_is_moved_added_and_turned_off() {
        let front = ["shop=0", "buy-list=3000", "card-replacer"].map(|flag| flag.parse().unwrap()).to_vec();
        let now = kept(&with(UpArgs { front, ..UpArgs::default() }, &last()));
        assert_eq!(now.fronts, [(Front::CardReplacer, 5000), (Front::BuyList, 3000)].into());
    }

    #[test]
    fn what_is_said_counts_and_the_rest_stays() {
        let args = UpArgs {
            autoscale: Some("1..4".parse().unwrap()),
            no_ingress: true,
            image: vec!["redis=redis:2".to_owned()],
            ..UpArgs::default()
        };
        let now = kept(&with(args, &last()));
        assert_eq!((now.workers, now.autoscale.as_deref()), (None, Some("1..4")));
        assert_eq!((now.ingress, now.tls), (None, false));
        assert_eq!(now.image, ["redis=redis:2", "postgres=pg:1"]);
        assert_eq!(now.overlay.as_deref(), Some("medium"));
    }
}
