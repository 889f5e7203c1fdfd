//! The HTTP surfaces of the systems that this platform replaces. Each is served on a port of its own, and none unless it is
//! asked for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A surface of a predecessor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Front {
    /// Users, card requests and sums.
    CardReplacer,
    /// The shop's web server: buying, and a user's history.
    Shop,
    /// The shop's management service: a user's history.
    ShopManagement,
    /// The buy list's web server and what its page calls.
    BuyList,
    /// The buy list's management service: histories.
    BuyListManagement,
}

impl Front {
    /// Every one.
    pub const ALL: [Self; 5] =
        [Self::CardReplacer, Self::Shop, Self::ShopManagement, Self::BuyList, Self::BuyListManagement];

    /// Its name: `[fronts.NAME]` in the settings, `--front NAME`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CardReplacer => "card-replacer",
            Self::Shop => "shop",
            Self::ShopManagement => "shop-management",
            Self::BuyList => "buy-list",
            Self::BuyListManagement => "buy-list-management",
        }
    }

    /// The port that the predecessor had: old clients and scripts have it built in.
    #[must_use]
    pub const fn usual_port(self) -> u16 {
        match self {
            Self::CardReplacer => 5000,
            Self::Shop => 8081,
            Self::ShopManagement => 8080,
            Self::BuyList => 3000,
            Self::BuyListManagement => 3001,
        }
    }

    /// The setting that turns it on.
    #[must_use]
    pub const fn setting(self) -> &'static str {
        match self {
            Self::CardReplacer => "fronts.card-replacer.port",
            Self::Shop => "fronts.shop.port",
            Self::ShopManagement => "fronts.shop-management.port",
            Self::BuyList => "fronts.buy-list.port",
            Self::BuyListManagement => "fronts.buy-list-management.port",
        }
    }
}

impl fmt::Display for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name of no front.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of card-replacer, shop, shop-management, buy-list, buy-list-management")]
pub struct NoFront;

impl FromStr for Front {
    type Err = NoFront;

    fn from_str(name: &str) -> Result<Self, NoFront> {
        Self::ALL.into_iter().find(|front| front.name() == name).ok_or(NoFront)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_front_is_named_in_the_error_and_has_a_port_of_its_own() {
        let error = "x".parse::<Front>().unwrap_err().to_string();
        let mut ports: Vec<_> = Front::ALL.iter().map(|front| front.usual_port()).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), Front::ALL.len());
        for front in Front::ALL {
            assert!(error.contains(front.name()));
            assert_eq!(front.name().parse(), Ok(front));
            assert_eq!(front.setting(), format!("fronts.{front}.port"));
        }
    }
}
