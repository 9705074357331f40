//! Who and when: F-SEID (§8.2.37), Node ID (§8.2.38), S-NSSAI (§8.2.176), and
//! times.

use core::fmt;

use super::Name;
use super::cursor::Cursor;
use crate::pfcp::Seid;
use crate::{Address, WireError};

/// One end of a session: its SEID, unique only with the addresses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FSeid {
    /// The SEID.
    pub seid: Seid,
    /// The IPv4 address.
    pub v4: Option<Address>,
    /// The IPv6 address.
    pub v6: Option<Address>,
}

impl FSeid {
    /// Reads the value of an F-SEID.
    pub fn parse(value: &[u8]) -> Result<Self, WireError> {
        let mut cursor = Cursor(value);
        let flags = cursor.octet()?;
        let seid = Seid(u64::from_be_bytes(cursor.array()?));
        Ok(Self { seid, v4: cursor.v4(flags & 0x02 != 0)?, v6: cursor.v6(flags & 0x01 != 0)? })
    }

    /// The addresses, IPv4 first.
    pub fn addresses(&self) -> impl Iterator<Item = Address> + use<> {
        self.v4.into_iter().chain(self.v6)
    }
}

/// The identity of a CP or UP function.
#[derive(Clone, Copy, Debug)]
pub enum NodeId<'a> {
    /// An address.
    Address(Address),
    /// A name.
    Fqdn(Name<'a>),
    /// A type that nobody knows.
    Other(u8),
}

impl<'a> NodeId<'a> {
    /// Reads the value of a Node ID.
    pub fn parse(value: &'a [u8]) -> Result<Self, WireError> {
        let mut cursor = Cursor(value);
        match cursor.octet()? & 0x0f {
            0 => cursor.array().map(|octets| Self::Address(Address::v4(octets))),
            1 => cursor.array().map(|octets| Self::Address(Address::v6(octets))),
            2 => Name::parse(cursor.0).map(Self::Fqdn),
            other => Ok(Self::Other(other)),
        }
    }
}

/// A network slice.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct SNssai {
    /// The slice's type: 1 broadband, 2 low latency, 3 things, 4 vehicles.
    pub sst: u8,
    /// What tells slices of one type apart; none if it is absent or `ffffff`.
    pub sd: Option<[u8; 3]>,
}

impl SNssai {
    /// Reads the value of an S-NSSAI.
    pub fn parse(value: &[u8]) -> Result<Self, WireError> {
        let mut cursor = Cursor(value);
        let sst = cursor.octet()?;
        // The differentiator is fixed in the element, but elsewhere a slice may do without.
        let sd = cursor.given(!cursor.0.is_empty(), Cursor::array)?;
        Ok(Self { sst, sd: sd.filter(|sd| *sd != [0xff; 3]) })
    }
}

impl fmt::Display for SNssai {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.sst)?;
        match self.sd {
            Some([a, b, c]) => write!(f, "-{a:02x}{b:02x}{c:02x}"),
            None => Ok(()),
        }
    }
}

/// Seconds from 1900 to 1970.
const UNIX_EPOCH: u64 = 2_208_988_800;

/// Unix seconds of a time in seconds since 1900. Times with the first bit clear
/// are of 2036 and later (RFC 5905 §6); what is before 1970 is 0.
pub(super) const fn unix_seconds(seconds: u32) -> u64 {
    let era = if seconds & 1 << 31 == 0 { 1 << 32 } else { 0 };
    (era + seconds as u64).saturating_sub(UNIX_EPOCH)
}

/// A time in seconds since 1900: Start Time (§8.2.52), End Time (§8.2.53), Time
/// of First and Last Packet.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TimeStamp(pub u32);

impl TimeStamp {
    /// Reads the value of an element that is a time.
    pub fn parse(value: &[u8]) -> Result<Self, WireError> {
        Cursor(value).array().map(|octets| Self(u32::from_be_bytes(octets)))
    }

    /// The time in seconds since 1970.
    pub const fn unix_seconds(self) -> u64 {
        unix_seconds(self.0)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::super::cursor::TRUNCATED;
    use super::super::sound::sound;
    use super::*;
    use std::string::ToString;

    const V4: [u8; 4] = [10, 0, 0, 4];
    const V6: [u8; 16] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4];

    #[test]
    fn an_f_seid_has_its_flags_the_other_way_round_than_an_f_teid() {
        let seid = Seid(0x0102_0304_0506_0708);
        let (v4, v6) = (Some(Address::v4(V4)), Some(Address::v6(V6)));
        let octets = |flags: u8, rest: &[&[u8]]| {
            [&[flags, 1, 2, 3, 4, 5, 6, 7, 8][..], &rest.concat()].concat()
        };
        sound(&octets(2, &[&V4]), FSeid::parse, FSeid { seid, v4, v6: None });
        sound(&octets(1, &[&V6]), FSeid::parse, FSeid { seid, v4: None, v6 });
        let both = FSeid { seid, v4, v6 };
        sound(&octets(3, &[&V4, &V6]), FSeid::parse, both);
        assert!(both.addresses().eq([Address::v4(V4), Address::v6(V6)]));
        sound(&octets(0, &[]), FSeid::parse, FSeid { seid, v4: None, v6: None });
    }

    #[test]
    fn a_node_is_an_address_or_a_name() {
        let address = |value: &'static [u8]| {
            NodeId::parse(value).map(|node| match node {
                NodeId::Address(address) => address,
                other => panic!("{other:?}"),
            })
        };
        sound(&[&[0][..], &V4].concat(), address, Address::v4(V4));
        sound(&[&[1][..], &V6].concat(), address, Address::v6(V6));
        // The upper half of the type's octet is spare.
        sound(&[&[0xf0][..], &V4].concat(), address, Address::v4(V4));
        let named = NodeId::parse(b"\x02\x03upf\x03org").unwrap();
        assert!(matches!(named, NodeId::Fqdn(name) if name.is("upf.org")));
        assert!(matches!(NodeId::parse(&[7]), Ok(NodeId::Other(7))));
        assert_eq!(NodeId::parse(&[]).map(drop), Err(TRUNCATED));
    }

    #[test]
    fn a_slice_is_written_as_operators_write_it() {
        let slice = |sst, sd| SNssai { sst, sd };
        assert_eq!(SNssai::parse(&[1, 1, 2, 3]), Ok(slice(1, Some([1, 2, 3]))));
        assert_eq!(SNssai::parse(&[2, 0xff, 0xff, 0xff, 9]), Ok(slice(2, None)));
        assert_eq!(SNssai::parse(&[3]), Ok(slice(3, None)));
        for cut in [&[][..], &[1, 1], &[1, 1, 2]] {
            assert_eq!(SNssai::parse(cut), Err(TRUNCATED));
        }
        assert_eq!(slice(1, Some([1, 2, 0xab])).to_string(), "1-0102ab");
        assert_eq!(slice(1, None).to_string(), "1");
    }

    #[test]
    fn times_go_on_behind_2036() {
        sound(&[0xe0, 1, 2, 3], TimeStamp::parse, TimeStamp(0xe001_0203));
        assert_eq!(TimeStamp(0x83aa_7e80).unix_seconds(), 0);
        assert_eq!(TimeStamp(u32::MAX).unix_seconds(), 2_085_978_495);
        assert_eq!(TimeStamp(0).unix_seconds(), 2_085_978_496);
        // Between 1968 and 1970: before the epoch of Unix.
        assert_eq!(TimeStamp(0x8000_0000).unix_seconds(), 0);
    }
}
