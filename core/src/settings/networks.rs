//! Networks in settings: addresses and `address/bits`, separated by commas.

use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A list of networks, as it was written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Networks {
    text: String,
    list: Vec<Range>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    address: IpAddr,
    bits: u32,
}

/// Text that is no list of networks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{part:?} is not a network: use addresses or address/bits, separated by commas, such as \"10.0.0.0/8, 192.0.2.7\""
)]
pub struct NoNetwork {
    /// The part of it that is none.
    pub part: String,
}

impl Networks {
    /// Whether an address lies in one of them.
    #[must_use]
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.list.iter().any(|range| range.contains(address))
    }
}

impl Range {
    fn contains(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()).checked_shr(32 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()).checked_shr(128 - self.bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }

    fn read(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let plain = |bits: &&str| !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit());
        let bits = match bits {
            Some(bits) => Some(bits).filter(plain)?.parse().ok().filter(|bits| *bits <= most)?,
            None => most,
        };
        Some(Self { address, bits })
    }
}

impl FromStr for Networks {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let list = parts.map(|part| Range::read(part).ok_or_else(|| NoNetwork { part: part.to_owned() }));
        Ok(Self { text: text.to_owned(), list: list.collect::<Result<_, _>>()? })
    }
}

impl TryFrom<String> for Networks {
    type Error = NoNetwork;

    fn try_from(text: String) -> Result<Self, NoNetwork> {
        text.parse()
    }
}

impl From<Networks> for String {
    fn from(networks: Networks) -> Self {
        networks.text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn contain(networks: &str, address: &str) -> bool {
        networks.parse::<Networks>().unwrap().contain(address.parse().unwrap())
    }

    #[test]
    fn a_network_contains_what_begins_with_its_bits() {
        assert!(contain("10.0.0.0/8", "10.255.1.2") && !contain("10.0.0.0/8", "11.0.0.0"));
        assert!(contain("192.0.2.7", "192.0.2.7") && !contain("192.0.2.7", "192.0.2.6"));
        assert!(contain("192.0.2.7", "::ffff:192.0.2.7"));
        assert!(contain("0.0.0.0/0", "1.2.3.4") && !contain("0.0.0.0/0", "::1"));
        assert!(contain("::/0", "::1") && !contain("::/0", "1.2.3.4"));
        assert!(contain("2001:db8::/32", "2001:db8:ffff::1") && !contain("2001:db8::/32", "2001:db9::"));
        assert!(contain(" 10.0.0.1 , ::1,", "::1"));
        assert!(!contain("", "127.0.0.1"));
    }

    #[test]
    fn what_is_no_network_is_named() {
        for text in ["10.0.0.0/33", "10.0.0/8", "::/129", "localhost", "10.0.0.1/", "10.0.0.1/+8", "10.0.0.1/8/8", "*"]
        {
            assert_eq!(text.parse::<Networks>().unwrap_err().part, text);
        }
        let error = "10.0.0.1, proxy".parse::<Networks>().unwrap_err();
        assert!(error.to_string().starts_with("\"proxy\" is not a network: use addresses"), "{error}");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC*") {
            let _ = text.parse::<Networks>();
        }
    }
}
