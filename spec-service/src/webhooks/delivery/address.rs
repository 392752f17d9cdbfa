//! [`AddressRules`]: the addresses that deliveries may reach.
//!
//! Without these rules, a webhook could make the service send requests to its own network (server-side request
//! forgery). The ranges are those of the special-purpose registries of IANA, which are not globally reachable.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A range of IP addresses, for example `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Self {
        let address = IpAddr::V4(Ipv4Addr::new(a, b, c, d));
        Self { address, prefix }
    }

    const fn v6(first: u16, second: u16, third: u16, prefix: u8) -> Self {
        let address = IpAddr::V6(Ipv6Addr::new(first, second, third, 0, 0, 0, 0, 0));
        Self { address, prefix }
    }

    /// Returns whether the range contains `address`.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let prefix = u32::from(self.prefix);
        match (self.address, address) {
            (IpAddr::V4(start), IpAddr::V4(address)) => {
                (start.to_bits() ^ address.to_bits()).leading_zeros() >= prefix
            }
            (IpAddr::V6(start), IpAddr::V6(address)) => {
                (start.to_bits() ^ address.to_bits()).leading_zeros() >= prefix
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let invalid = || "expected ADDRESS/PREFIX, for example 10.0.0.0/8".to_owned();
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| invalid())?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(bits), |prefix| prefix.parse().map_err(|_| invalid()))?;
        if prefix > bits {
            return Err(invalid());
        }
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// The ranges of IPv4 that deliveries must not reach.
const FORBIDDEN_V4: [Network; 17] = [
    Network::v4(0, 0, 0, 0, 8),
    Network::v4(10, 0, 0, 0, 8),
    Network::v4(100, 64, 0, 0, 10),
    Network::v4(127, 0, 0, 0, 8),
    // Also the metadata of most clouds.
    Network::v4(169, 254, 0, 0, 16),
    // The metadata of Azure, a public address that each virtual machine reaches.
    Network::v4(168, 63, 129, 16, 32),
    Network::v4(172, 16, 0, 0, 12),
    Network::v4(192, 0, 0, 0, 24),
    Network::v4(192, 0, 2, 0, 24),
    Network::v4(192, 88, 99, 0, 24),
    Network::v4(192, 168, 0, 0, 16),
    Network::v4(198, 18, 0, 0, 15),
    Network::v4(198, 51, 100, 0, 24),
    Network::v4(203, 0, 113, 0, 24),
    Network::v4(224, 0, 0, 0, 4),
    Network::v4(240, 0, 0, 0, 4),
    Network::v4(255, 255, 255, 255, 32),
];

/// The only range of IPv6 with global unicast addresses.
const GLOBAL_V6: Network = Network::v6(0x2000, 0, 0, 3);

/// The parts of [`GLOBAL_V6`] that deliveries must not reach.
///
/// The first contains Teredo and other assignments of protocols, the third contains 6to4. Both embed IPv4 addresses.
const FORBIDDEN_V6: [Network; 4] = [
    Network::v6(0x2001, 0, 0, 23),
    Network::v6(0x2001, 0xdb8, 0, 32),
    Network::v6(0x2002, 0, 0, 16),
    Network::v6(0x3fff, 0, 0, 20),
];

/// The range by which a network without IPv4 reaches IPv4 addresses (RFC 6052).
const TRANSLATED: Network = Network::v6(0x64, 0xff9b, 0, 96);

/// The addresses that deliveries may reach: public ones, and those of the allowed networks.
#[derive(Debug, Clone, Default)]
pub struct AddressRules {
    allowed: Vec<Network>,
}

impl AddressRules {
    /// Creates rules that also allow `networks`.
    #[must_use]
    pub fn allowing(networks: Vec<Network>) -> Self {
        Self { allowed: networks }
    }

    /// Returns whether deliveries may reach `address`.
    #[must_use]
    pub fn permits(&self, address: IpAddr) -> bool {
        self.is_listed(address) || is_public(address)
    }

    /// Returns whether `address` is in one of the allowed networks.
    ///
    /// Only these may receive deliveries without encryption.
    #[must_use]
    pub fn is_listed(&self, address: IpAddr) -> bool {
        let plain = address.to_canonical();
        let mut allowed = self.allowed.iter();
        allowed.any(|network| network.contains(address) || network.contains(plain))
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => !FORBIDDEN_V4.iter().any(|network| network.contains(address)),
        IpAddr::V6(v6) if TRANSLATED.contains(address) => {
            let embedded = Ipv4Addr::from_bits(v6.to_bits() as u32);
            is_public(embedded.into())
        }
        // Mapped addresses reach IPv4 past the checks of IPv4, so they are not in the global range.
        IpAddr::V6(_) => {
            GLOBAL_V6.contains(address)
                && !FORBIDDEN_V6.iter().any(|network| network.contains(address))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AddressRules, Network};

    #[test]
    fn addresses_of_internal_networks_are_forbidden() {
        let rules = AddressRules::default();
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.1.2.3",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!rules.permits(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn public_addresses_are_permitted() {
        let rules = AddressRules::default();
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.255.255",
            "172.32.0.1",
            "168.63.129.17",
            "192.0.1.1",
            "198.17.255.255",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "64:ff9b::808:808",
        ] {
            assert!(rules.permits(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn listed_networks_are_permitted() {
        let networks = ["127.0.0.0/8", "fd00::/8", "10.1.2.3"];
        let networks = networks.map(|network| network.parse::<Network>().unwrap());
        let rules = AddressRules::allowing(networks.to_vec());
        for (address, expected) in [
            ("127.0.0.1", true),
            ("::ffff:127.0.0.1", true),
            ("::1", false),
            ("fd12::1", true),
            ("10.1.2.3", true),
            ("10.1.2.4", false),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(rules.permits(address), expected, "{address}");
            assert_eq!(rules.is_listed(address), expected, "{address}");
        }
        for invalid in [
            "",
            "10.0.0.0/33",
            "10.0.0/8",
            "fd00::/129",
            "a/8",
            "10.0.0.0/-1",
        ] {
            assert!(invalid.parse::<Network>().is_err(), "{invalid}");
        }
    }
}
