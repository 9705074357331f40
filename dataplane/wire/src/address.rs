//! One type for both address families, so that tables have one key.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An IPv4 or IPv6 address as 128 bits; IPv4 stands in its mapped form
/// `::ffff:a.b.c.d` (RFC 4291 §2.5.5.2), which no packet on the wire carries
/// as a genuine IPv6 address.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Address(pub u128);

const MAPPED: u128 = 0xffff_0000_0000;

impl Address {
    /// From the four octets of an IPv4 header.
    pub const fn v4(octets: [u8; 4]) -> Self {
        Self(MAPPED | u32::from_be_bytes(octets) as u128)
    }

    /// From the sixteen octets of an IPv6 header.
    pub const fn v6(octets: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(octets))
    }

    /// The IPv4 address as a number, if it is one.
    #[inline]
    pub const fn as_v4(self) -> Option<u32> {
        // In halves, which costs less than a shift of all 128 bits.
        let (high, low) = ((self.0 >> 64) as u64, self.0 as u64);
        if high == 0 && low >> 32 == (MAPPED >> 32) as u64 { Some(low as u32) } else { None }
    }

    /// Multicast, broadcast, unspecified, loopback or link-local: an address
    /// that names no single routable node.
    #[inline]
    pub const fn is_local_scope(self) -> bool {
        match self.as_v4() {
            Some(v4) => {
                let first = v4 >> 24;
                first >= 224 || first == 0 || first == 127 || v4 >> 16 == 0xa9fe
            }
            None => {
                let top = (self.0 >> 112) as u16;
                top >> 8 == 0xff || top & 0xffc0 == 0xfe80 || self.0 <= 1
            }
        }
    }

    /// The /24 or /48 around the address: the grain at which alerts are counted.
    pub const fn neighbourhood(self) -> Self {
        match self.as_v4() {
            Some(_) => Self(self.0 & !0xff),
            None => Self(self.0 & !((1 << 80) - 1)),
        }
    }
}

impl From<Address> for IpAddr {
    fn from(address: Address) -> Self {
        match address.as_v4() {
            Some(v4) => IpAddr::V4(Ipv4Addr::from(v4)),
            None => IpAddr::V6(Ipv6Addr::from(address.0)),
        }
    }
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::v4(v4.octets()),
            IpAddr::V6(v6) => Self::v6(v6.octets()),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    fn address(text: &str) -> Address {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn both_families_survive_the_round_trip() {
        for text in ["10.0.0.1", "255.255.255.255", "2001:db8::1", "::1"] {
            assert_eq!(std::string::ToString::to_string(&IpAddr::from(address(text))), text);
        }
    }

    #[test]
    fn local_scope_is_what_names_no_single_node() {
        for local in
            ["224.0.0.18", "255.255.255.255", "0.0.0.0", "169.254.3.4", "fe80::1", "ff02::1", "::"]
        {
            assert!(address(local).is_local_scope(), "{local}");
        }
        for routable in ["10.0.0.1", "172.19.41.9", "2001:db8::1", "fd00::1"] {
            assert!(!address(routable).is_local_scope(), "{routable}");
        }
    }

    #[test]
    fn neighbourhood_is_a_24_or_a_48() {
        assert_eq!(address("10.1.2.3").neighbourhood(), address("10.1.2.0"));
        assert_eq!(address("2001:db8:1:2::3").neighbourhood(), address("2001:db8:1::"));
    }
}
