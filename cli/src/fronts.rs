//! `--front NAME[=PORT]`: which of the predecessors' surfaces are served, and where.

use std::collections::BTreeMap;
use std::str::FromStr;

use card_core::fronts::Front;
use card_core::settings::Settings;

use crate::failure::Failure;
use card_core::exit::Exit;

/// The value of `--front`: a front and its port; 0 turns it off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrontFlag {
    pub front: Front,
    pub port: u16,
}

impl FromStr for FrontFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, port) = match text.split_once('=') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        };
        let front: Front = name.parse().map_err(|error: card_core::fronts::NoFront| error.to_string())?;
        let port = match port {
            Some(port) => {
                let example = format!("such as {front}={}; 0 turns it off", front.usual_port());
                port.parse().map_err(|_| format!("the port must be a number up to 65535, {example}"))?
            }
            None => front.usual_port(),
        };
        Ok(Self { front, port })
    }
}

/// The port that each front was given.
///
/// # Errors
/// One was given twice.
pub fn by_name(flags: &[FrontFlag]) -> Result<BTreeMap<Front, u16>, Failure> {
    let mut ports = BTreeMap::new();
    for FrontFlag { front, port } in flags {
        if ports.insert(*front, *port).is_some() {
            return Err(Failure::new("usage", Exit::Usage, format!("--front {front} is given twice"))
                .fix("give each front once, with one port"));
        }
    }
    Ok(ports)
}

/// Fronts for the manifests: by name, with the port of a Service where that is another than the usual one.
#[must_use]
pub fn in_manifests(ports: &BTreeMap<Front, u16>) -> BTreeMap<String, Option<u16>> {
    let on = ports.iter().filter(|(_, port)| **port > 0);
    on.map(|(front, port)| (front.name().to_owned(), (*port != front.usual_port()).then_some(*port))).collect()
}

/// # Errors
/// Two of the ports of a platform on this machine are the same.
pub fn have_ports_of_their_own(settings: &Settings) -> Result<(), Failure> {
    let mut taken = BTreeMap::from([(settings.server.port, "the API".to_owned())]);
    for (front, port) in settings.fronts.served() {
        if let Some(other) = taken.insert(port, format!("the front {front}")) {
            return Err(Failure::new(
                "usage",
                Exit::Usage,
                format!("the front {front} and {other} both have port {port}"),
            )
            .fix(format!("give one of them another port, such as --front {front}=PORT")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_its_usual_port_unless_another_is_given() {
        let flag = |text: &str| text.parse::<FrontFlag>();
        assert_eq!(flag("shop"), Ok(FrontFlag { front: Front::Shop, port: 8081 }));
        assert_eq!(flag("buy-list=80"), Ok(FrontFlag { front: Front::BuyList, port: 80 }));
        assert_eq!(flag("shop=0").unwrap().port, 0);
        for front in Front::ALL {
            assert!(flag("challenge").unwrap_err().contains(front.name()));
        }
        for text in ["shop=", "shop=65536", "shop=-1", "shop=http", "=80", ""] {
            assert!(flag(text).is_err(), "{text}");
        }
    }

    #[test]
    fn no_two_have_one_port() {
        let mut settings = Settings::default();
        settings.fronts.set(Front::Shop, 9000);
        settings.fronts.set(Front::BuyList, 9001);
        assert!(have_ports_of_their_own(&settings).is_ok());
        settings.fronts.set(Front::BuyList, 9000);
        let failure = have_ports_of_their_own(&settings).unwrap_err();
        assert!(failure.message.contains("buy-list") && failure.message.contains("shop"), "{failure:?}");
        settings.fronts.set(Front::BuyList, settings.server.port);
        assert!(have_ports_of_their_own(&settings).unwrap_err().message.contains("the API"));
    }
}
