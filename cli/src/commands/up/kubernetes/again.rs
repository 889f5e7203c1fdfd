//! An `up` that says nothing in particular means what the last one asked for.

use super::super::UpArgs;
use crate::kubernetes::Flags;

/// With what was asked for the last time, wherever nothing is said now.
pub(super) fn with(mut args: UpArgs, last: &Flags) -> UpArgs {
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
    let name = |image: &str| image.split_once('=').map(|(name, _)| name.to_owned());
    let said: Vec<_> = args.image.iter().map(|image| name(image)).collect();
    args.image.extend(last.image.iter().filter(|image| !said.contains(&name(image))).cloned());
    args
}

/// What is remembered of it.
pub(super) fn flags(args: &UpArgs) -> Flags {
    Flags {
        overlay: args.overlay.clone(),
        servers: args.servers,
        workers: args.workers,
        autoscale: args.autoscale.map(|bounds| bounds.to_string()),
        ingress: args.ingress.clone(),
        ingress_class: args.ingress_class.clone(),
        tls: args.tls,
        image: args.image.clone(),
        // Wherever the next one is run from.
        binaries: args.binaries.as_deref().and_then(|dir| dir.canonicalize().ok()),
        registry: args.registry.clone(),
        images: Default::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last() -> Flags {
        Flags {
            overlay: Some("medium".to_owned()),
            workers: Some(3),
            ingress: Some("cards.example.com".to_owned()),
            tls: true,
            image: vec!["postgres=pg:1".to_owned(), "redis=redis:1".to_owned()],
            ..Flags::default()
        }
    }

    #[test]
    fn nothing_said_means_the_same_again() {
        let again = with(UpArgs::default(), &last());
        assert_eq!(flags(&again), last());
    }

    #[test]
    fn what_is_said_counts_and_the_rest_stays() {
        let args = UpArgs {
            autoscale: Some("1..4".parse().unwrap()),
            no_ingress: true,
            image: vec!["redis=redis:2".to_owned()],
            ..UpArgs::default()
        };
        let now = flags(&with(args, &last()));
        assert_eq!((now.workers, now.autoscale.as_deref()), (None, Some("1..4")));
        assert_eq!((now.ingress, now.tls), (None, false));
        assert_eq!(now.image, ["redis=redis:2", "postgres=pg:1"]);
        assert_eq!(now.overlay.as_deref(), Some("medium"));
    }
}
