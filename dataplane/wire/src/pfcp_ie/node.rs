//! Nodes, their restarts and their sets: Recovery Time Stamp (§8.2.65), FQ-CSID
//! (§8.2.46), SMF Set ID (§8.2.133), addresses of CP functions, Group ID.

use super::Name;
use super::cursor::Cursor;
use super::identity::unix_seconds;
use crate::{Address, WireError};

/// When a node started, in seconds since 1900.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RecoveryTimeStamp(pub u32);

impl RecoveryTimeStamp {
    /// Reads the value of a Recovery Time Stamp.
    pub fn parse(value: &[u8]) -> Result<Self, WireError> {
        Cursor(value).array().map(|octets| Self(u32::from_be_bytes(octets)))
    }

    /// The time in seconds since 1970. Values of nodes that do not know the time
    /// (0, small numbers) come out in 2036.
    pub const fn unix_seconds(self) -> u64 {
        unix_seconds(self.0)
    }
}

/// The node of an FQ-CSID.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FqCsidNode {
    /// Its address.
    Address(Address),
    /// A number of the operator: in the upper 20 bits MCC × 1000 + MNC.
    Operator(u32),
    /// A type that nobody knows, so that the sets behind it can't be found.
    Other(u8),
}

/// Sets of sessions that fail together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FqCsid<'a> {
    /// The node that numbers the sets.
    pub node: FqCsidNode,
    /// What the node is, if it is said: 0 MME, 1 SGW-C, 2 PGW-C or SMF, 3 ePDG,
    /// 4 TWAN, 5 PGW-U, SGW-U or UPF.
    pub node_type: Option<u8>,
    csids: &'a [u8],
}

impl<'a> FqCsid<'a> {
    /// Reads the value of an FQ-CSID.
    pub fn parse(value: &'a [u8]) -> Result<Self, WireError> {
        let mut cursor = Cursor(value);
        let first = cursor.octet()?;
        let node = match first >> 4 {
            0 => FqCsidNode::Address(Address::v4(cursor.array()?)),
            1 => FqCsidNode::Address(Address::v6(cursor.array()?)),
            2 => FqCsidNode::Operator(u32::from_be_bytes(cursor.array()?)),
            other => {
                return Ok(Self { node: FqCsidNode::Other(other), node_type: None, csids: &[] });
            }
        };
        let csids = cursor.slice(2 * usize::from(first & 0x0f))?;
        Ok(Self { node, node_type: cursor.octet().ok().map(|octet| octet & 0x0f), csids })
    }

    /// The numbers of the sets.
    pub fn csids(&self) -> impl Iterator<Item = u16> + use<'a> {
        self.csids.chunks_exact(2).filter_map(|csid| csid.try_into().ok()).map(u16::from_be_bytes)
    }
}

/// The set of an SMF: any of it may go on with a session.
#[derive(Clone, Copy, Debug)]
pub struct SmfSetId<'a>(pub Name<'a>);

impl<'a> SmfSetId<'a> {
    /// Reads the value of an SMF Set ID.
    pub fn parse(value: &'a [u8]) -> Result<Self, WireError> {
        let mut cursor = Cursor(value);
        // The first octet is spare.
        cursor.octet()?;
        Name::parse(cursor.0).map(Self)
    }
}

/// An SMF that may go on with the sessions of another (§8.2.131).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AlternativeSmfIp {
    /// Its IPv4 address.
    pub v4: Option<Address>,
    /// Its IPv6 address.
    pub v6: Option<Address>,
    /// Whether it is the one to ask first (PPE).
    pub is_preferred: bool,
}

impl AlternativeSmfIp {
    /// Reads the value of an Alternative SMF IP Address.
    pub fn parse(value: &[u8]) -> Result<Self, WireError> {
        let mut cursor = Cursor(value);
        let flags = cursor.octet()?;
        Ok(Self {
            v4: cursor.v4(flags & 0x02 != 0)?,
            v6: cursor.v6(flags & 0x01 != 0)?,
            is_preferred: flags & 0x04 != 0,
        })
    }

    /// The addresses, IPv4 first.
    pub fn addresses(&self) -> impl Iterator<Item = Address> + use<> {
        self.v4.into_iter().chain(self.v6)
    }
}

/// Addresses of a CP function: CP PFCP Entity IP Address (§8.2.137), CP IP
/// Address (§8.2.203).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EntityAddress {
    /// The IPv4 address.
    pub v4: Option<Address>,
    /// The IPv6 address.
    pub v6: Option<Address>,
}

impl EntityAddress {
    /// Reads the value of an element that is a CP function's addresses.
    pub fn parse(value: &[u8]) -> Result<Self, WireError> {
        let mut cursor = Cursor(value);
        let flags = cursor.octet()?;
        Ok(Self { v4: cursor.v4(flags & 0x02 != 0)?, v6: cursor.v6(flags & 0x01 != 0)? })
    }

    /// The addresses, IPv4 first.
    pub fn addresses(&self) -> impl Iterator<Item = Address> + use<> {
        self.v4.into_iter().chain(self.v6)
    }
}

/// A group of sessions that a set modification moves together (§8.2.202).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct GroupId<'a>(pub &'a [u8]);

impl<'a> GroupId<'a> {
    /// Reads the value of a Group ID; any octets are one.
    pub const fn parse(value: &'a [u8]) -> Result<Self, WireError> {
        Ok(Self(value))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::super::cursor::TRUNCATED;
    use super::super::sound::sound;
    use super::*;
    use std::vec::Vec;

    const V4: [u8; 4] = [172, 16, 0, 9];
    const V6: [u8; 16] = [0xfd, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];

    #[test]
    fn a_start_is_in_unix_seconds_too() {
        sound(&[0xe6, 0xcb, 0x8a, 0x00], RecoveryTimeStamp::parse, RecoveryTimeStamp(0xe6cb_8a00));
        assert_eq!(RecoveryTimeStamp(0xe6cb_8a00).unix_seconds(), 1_663_110_016);
        assert!(RecoveryTimeStamp(1).unix_seconds() > 2_000_000_000);
    }

    #[test]
    fn sets_are_as_many_as_the_first_octet_says() {
        let seen = |value: &'static [u8]| {
            FqCsid::parse(value).map(|it| (it.node, it.csids().collect::<Vec<_>>()))
        };
        let octets = [&[0x02][..], &V4, &[0, 1, 0xab, 0xcd]].concat();
        let node = FqCsidNode::Address(Address::v4(V4));
        sound(&octets, seen, (node, std::vec![1, 0xabcd]));
        let octets = [&[0x11][..], &V6, &[0, 7]].concat();
        sound(&octets, seen, (FqCsidNode::Address(Address::v6(V6)), std::vec![7]));
        let operator = [0x21, 0x12, 0x34, 0x50, 0x01, 0, 3];
        sound(&operator, seen, (FqCsidNode::Operator(0x1234_5001), std::vec![3]));
        assert_eq!(seen(&[0x51, 1]), Ok((FqCsidNode::Other(5), std::vec![])));
        let typed = [&[0x01][..], &V4, &[0, 1, 0x05]].concat();
        assert_eq!(FqCsid::parse(&typed).unwrap().node_type, Some(5));
    }

    #[test]
    fn sets_and_addresses_of_cp_functions() {
        assert!(SmfSetId::parse(b"\0\x04set1\x03smf").unwrap().0.is("set1.smf"));
        assert_eq!(SmfSetId::parse(&[]).map(drop), Err(TRUNCATED));
        let (v4, v6) = (Some(Address::v4(V4)), Some(Address::v6(V6)));
        let both = [&[0x07][..], &V4, &V6].concat();
        let want = AlternativeSmfIp { v4, v6, is_preferred: true };
        sound(&both, AlternativeSmfIp::parse, want);
        sound(&both, EntityAddress::parse, EntityAddress { v4, v6 });
        let one = [&[0x01][..], &V6].concat();
        sound(&one, EntityAddress::parse, EntityAddress { v4: None, v6 });
        assert_eq!(want.addresses().count(), 2);
        assert_eq!(GroupId::parse(b"a1").unwrap().0, b"a1");
    }
}
