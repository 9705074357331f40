//! Ends of tunnels and of users: F-TEID (§8.2.3), UE IP Address (§8.2.62),
//! Outer Header Creation (§8.2.56) and Removal (§8.2.64), Remote GTP-U Peer
//! (§8.2.70), User Plane IP Resource Information (§8.2.82), framed routes.

use super::cursor::Cursor;
use super::{Interface, Name, RecoveryTimeStamp};
use crate::gtpu::Teid;
use crate::{Address, WireError};

/// The local end of a tunnel at the UP function, or the wish that it choose one.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FTeid {
    /// The TEID; none where the UP function chooses.
    pub teid: Option<Teid>,
    /// Whether the UP function chooses TEID and addresses.
    pub choose: bool,
    /// Which F-TEIDs of a request shall be the same one.
    pub choose_id: Option<u8>,
    /// The IPv4 address of the end.
    pub v4: Option<Address>,
    /// The IPv6 address of the end.
    pub v6: Option<Address>,
    /// Whether an IPv4 address shall be chosen.
    pub wants_v4: bool,
    /// Whether an IPv6 address shall be chosen.
    pub wants_v6: bool,
}

impl FTeid {
    /// Reads the value of an F-TEID.
    pub fn parse(value: &[u8]) -> Result<Self, WireError> {
        let mut cursor = Cursor(value);
        let flags = cursor.octet()?;
        let (v4, v6) = (flags & 0x01 != 0, flags & 0x02 != 0);
        if flags & 0x04 != 0 {
            let choose_id = cursor.given(flags & 0x08 != 0, Cursor::octet)?;
            return Ok(Self {
                choose: true,
                choose_id,
                wants_v4: v4,
                wants_v6: v6,
                ..Self::default()
            });
        }
        let teid = Some(Teid(u32::from_be_bytes(cursor.array()?)));
        let (v4, v6) = (cursor.v4(v4)?, cursor.v6(v6)?);
        Ok(Self { teid, v4, v6, ..Self::default() })
    }

    /// The addresses, IPv4 first.
    pub fn addresses(&self) -> impl Iterator<Item = Address> + use<> {
        self.v4.into_iter().chain(self.v6)
    }
}

/// A user's address, or the wish that the UP function choose one.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct UeIp {
    /// The IPv4 address.
    pub v4: Option<Address>,
    /// The IPv6 address, of which only the prefix counts.
    pub v6: Option<Address>,
    /// Whether a PDI means the destination (S/D): downlink.
    pub is_destination: bool,
    /// Whether an IPv4 address shall be chosen.
    pub choose_v4: bool,
    /// Whether an IPv6 prefix shall be chosen.
    pub choose_v6: bool,
    /// Bits by which a delegated prefix is shorter than 64 (IPv6D).
    pub delegated_bits: Option<u8>,
    /// The prefix length, where it is not the default of 64 (IP6PL).
    pub prefix_len: Option<u8>,
}

impl UeIp {
    /// Reads the value of a UE IP Address.
    pub fn parse(value: &[u8]) -> Result<Self, WireError> {
        let mut cursor = Cursor(value);
        let flags = cursor.octet()?;
        Ok(Self {
            v4: cursor.v4(flags & 0x02 != 0)?,
            v6: cursor.v6(flags & 0x01 != 0)?,
            is_destination: flags & 0x04 != 0,
            choose_v4: flags & 0x10 != 0,
            choose_v6: flags & 0x20 != 0,
            delegated_bits: cursor.given(flags & 0x08 != 0, Cursor::octet)?,
            prefix_len: cursor.given(flags & 0x40 != 0, Cursor::octet)?,
        })
    }

    /// The addresses, IPv4 first.
    pub fn addresses(&self) -> impl Iterator<Item = Address> + use<> {
        self.v4.into_iter().chain(self.v6)
    }
}

/// The header that is put around packets: the far end of a tunnel.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct OuterHeaderCreation {
    /// The description: octet 5 in the upper half, octet 6 in the lower.
    pub description: u16,
    /// The TEID, if a GTP-U header is made.
    pub teid: Option<Teid>,
    /// The IPv4 address that packets go to.
    pub v4: Option<Address>,
    /// The IPv6 address that packets go to.
    pub v6: Option<Address>,
    /// The UDP port, if a UDP header without GTP-U is made.
    pub port: Option<u16>,
}

impl OuterHeaderCreation {
    /// GTP-U over UDP and IPv4.
    pub const GTPU_IPV4: u16 = 0x0100;
    /// GTP-U over UDP and IPv6.
    pub const GTPU_IPV6: u16 = 0x0200;
    /// UDP and IPv4.
    pub const UDP_IPV4: u16 = 0x0400;
    /// UDP and IPv6.
    pub const UDP_IPV6: u16 = 0x0800;
    /// IPv4.
    pub const IPV4: u16 = 0x1000;
    /// IPv6.
    pub const IPV6: u16 = 0x2000;
    /// A customer's VLAN tag.
    pub const C_TAG: u16 = 0x4000;
    /// A provider's VLAN tag.
    pub const S_TAG: u16 = 0x8000;
    /// Packets of this end are of N19: of another UPF of a 5G LAN.
    pub const N19: u16 = 0x0001;
    /// Packets of this end are of N6.
    pub const N6: u16 = 0x0002;
    /// The UP function chooses a multicast address and common TEID.
    pub const LOW_LAYER_SSM: u16 = 0x0004;

    /// Reads the value of an Outer Header Creation.
    pub fn parse(value: &[u8]) -> Result<Self, WireError> {
        let mut cursor = Cursor(value);
        let description = cursor.word()?;
        let has = |bits: u16| description & bits != 0;
        let creation = Self {
            description,
            teid: cursor
                .given(has(Self::GTPU_IPV4 | Self::GTPU_IPV6), Cursor::array)?
                .map(|octets| Teid(u32::from_be_bytes(octets))),
            v4: cursor.v4(has(Self::GTPU_IPV4 | Self::UDP_IPV4 | Self::IPV4))?,
            v6: cursor.v6(has(Self::GTPU_IPV6 | Self::UDP_IPV6 | Self::IPV6))?,
            port: cursor.given(has(Self::UDP_IPV4 | Self::UDP_IPV6), Cursor::word)?,
        };
        for tag in [Self::C_TAG, Self::S_TAG] {
            cursor.given(has(tag), Cursor::array::<3>)?;
        }
        Ok(creation)
    }

    /// Whether packets are put into a GTP-U tunnel.
    pub const fn is_gtpu(&self) -> bool {
        self.description & (Self::GTPU_IPV4 | Self::GTPU_IPV6) != 0
    }

    /// The addresses, IPv4 first.
    pub fn addresses(&self) -> impl Iterator<Item = Address> + use<> {
        self.v4.into_iter().chain(self.v6)
    }
}

/// The header that is taken off packets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OuterHeaderRemoval {
    /// What is removed: 0 GTP-U/UDP/IPv4, 1 GTP-U/UDP/IPv6, 2 UDP/IPv4, 3 UDP/IPv6, 4 IPv4,
    /// 5 IPv6, 6 GTP-U/UDP/IP, 7 one VLAN tag, 8 two of them.
    pub description: u8,
    /// Which GTP-U extension headers go too (release 16): 1 the PDU Session Container.
    pub extension_header_deletion: Option<u8>,
}

impl OuterHeaderRemoval {
    /// Reads the value of an Outer Header Removal.
    pub fn parse(value: &[u8]) -> Result<Self, WireError> {
        let mut cursor = Cursor(value);
        let description = cursor.octet()?;
        Ok(Self { description, extension_header_deletion: cursor.octet().ok() })
    }

    /// Whether a GTP-U header is removed.
    pub const fn is_gtpu(&self) -> bool {
        matches!(self.description, 0 | 1 | 6)
    }
}

/// The far end of a GTP-U path that failed, recovered or restarted.
#[derive(Clone, Copy, Debug)]
pub struct RemoteGtpuPeer<'a> {
    /// Its IPv4 address.
    pub v4: Option<Address>,
    /// Its IPv6 address.
    pub v6: Option<Address>,
    /// The side on which it is.
    pub interface: Option<Interface>,
    /// The network in which its address is.
    pub instance: Option<Name<'a>>,
    /// When it started (release 17).
    pub recovery: Option<RecoveryTimeStamp>,
}

impl<'a> RemoteGtpuPeer<'a> {
    /// Reads the value of a Remote GTP-U Peer.
    pub fn parse(value: &'a [u8]) -> Result<Self, WireError> {
        let mut cursor = Cursor(value);
        let flags = cursor.octet()?;
        Ok(Self {
            v4: cursor.v4(flags & 0x02 != 0)?,
            v6: cursor.v6(flags & 0x01 != 0)?,
            interface: cursor
                .given(flags & 0x04 != 0, |cursor| Interface::parse(cursor.long_field()?))?,
            instance: cursor
                .given(flags & 0x08 != 0, |cursor| Name::parse(cursor.long_field()?))?,
            recovery: cursor
                .given(flags & 0x10 != 0, |cursor| RecoveryTimeStamp::parse(cursor.slice(4)?))?,
        })
    }

    /// The addresses, IPv4 first.
    pub fn addresses(&self) -> impl Iterator<Item = Address> + use<> {
        self.v4.into_iter().chain(self.v6)
    }
}

/// Addresses and TEIDs from which the CP function allots F-TEIDs itself
/// (removed in release 16, and in use).
#[derive(Clone, Copy, Debug)]
pub struct UpIpResource<'a> {
    /// The IPv4 address of the user plane.
    pub v4: Option<Address>,
    /// The IPv6 address of the user plane.
    pub v6: Option<Address>,
    /// How many of a TEID's first bits are fixed, and the octet that they are in.
    pub teid_range: Option<(u8, u8)>,
    /// The network in which the addresses are.
    pub instance: Option<Name<'a>>,
    /// The side on which they are.
    pub source: Option<Interface>,
}

impl<'a> UpIpResource<'a> {
    /// Reads the value of a User Plane IP Resource Information.
    pub fn parse(value: &'a [u8]) -> Result<Self, WireError> {
        let mut cursor = Cursor(value);
        let flags = cursor.octet()?;
        let bits = flags >> 2 & 0x07;
        let teid_range = cursor.given(bits != 0, Cursor::octet)?.map(|range| (bits, range));
        let (v4, v6) = (cursor.v4(flags & 0x01 != 0)?, cursor.v6(flags & 0x02 != 0)?);
        let has_source = flags & 0x40 != 0;
        // The instance has no length: it is all but the octet of the source.
        let instance = cursor.given(flags & 0x20 != 0, |cursor| {
            let behind = usize::from(has_source);
            Name::parse(cursor.slice(cursor.0.len().saturating_sub(behind))?)
        })?;
        let source = cursor.given(has_source, |cursor| Interface::parse(cursor.slice(1)?))?;
        Ok(Self { v4, v6, teid_range, instance, source })
    }
}

/// A route to networks behind a user's device, as RADIUS writes it
/// (RFC 2865 §5.22, RFC 3162 §2.5): text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FramedRoute<'a>(pub &'a [u8]);

impl<'a> FramedRoute<'a> {
    /// Reads the value of a Framed-Route or Framed-IPv6-Route; any octets are one.
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
    use crate::seeded::Seeded;
    use std::vec::Vec;

    const V4: [u8; 4] = [10, 100, 200, 3];
    const V6: [u8; 16] = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];

    fn v4() -> Option<Address> {
        Some(Address::v4(V4))
    }

    fn v6() -> Option<Address> {
        Some(Address::v6(V6))
    }

    #[test]
    fn an_f_teid_has_a_teid_and_the_addresses_of_its_flags() {
        let teid = Some(Teid(0x1234_5678));
        let octets = |flags: u8, rest: &[&[u8]]| {
            [&[flags, 0x12, 0x34, 0x56, 0x78][..], &rest.concat()].concat()
        };
        let read = FTeid { teid, ..FTeid::default() };
        sound(&octets(1, &[&V4]), FTeid::parse, FTeid { v4: v4(), ..read });
        sound(&octets(2, &[&V6]), FTeid::parse, FTeid { v6: v6(), ..read });
        sound(&octets(3, &[&V4, &V6]), FTeid::parse, FTeid { v4: v4(), v6: v6(), ..read });
        // CHID without CH says nothing.
        sound(&octets(9, &[&V4]), FTeid::parse, FTeid { v4: v4(), ..read });
    }

    #[test]
    fn an_f_teid_to_choose_has_neither() {
        let wish = FTeid { choose: true, ..FTeid::default() };
        sound(&[5], FTeid::parse, FTeid { wants_v4: true, ..wish });
        sound(&[6], FTeid::parse, FTeid { wants_v6: true, ..wish });
        let both = FTeid { choose_id: Some(9), wants_v4: true, wants_v6: true, ..wish };
        sound(&[0x0f, 9], FTeid::parse, both);
        assert_eq!(both.addresses().count(), 0);
    }

    #[test]
    fn a_ue_address_is_read_with_every_set_of_flags() {
        for flags in 0..0x80_u8 {
            let has = |bit: u8| flags & bit != 0;
            let mut octets = std::vec![flags];
            octets.extend(V4.iter().filter(|_| has(2)));
            octets.extend(V6.iter().filter(|_| has(1)));
            octets.extend([8_u8].iter().filter(|_| has(8)));
            octets.extend([56_u8].iter().filter(|_| has(0x40)));
            let want = UeIp {
                v4: v4().filter(|_| has(2)),
                v6: v6().filter(|_| has(1)),
                is_destination: has(4),
                choose_v4: has(0x10),
                choose_v6: has(0x20),
                delegated_bits: has(8).then_some(8),
                prefix_len: has(0x40).then_some(56),
            };
            sound(&octets, UeIp::parse, want);
        }
    }

    #[test]
    fn a_creation_is_read_with_every_description() {
        let mut seeded = Seeded::new(84);
        for description in (0..=u16::MAX).step_by(0x100).chain([1, 2, 4, 0x0101, 0xff07]) {
            let has = |bits: u16| description & bits != 0;
            let teid = seeded.next() as u32;
            let mut octets = description.to_be_bytes().to_vec();
            let put = |octets: &mut Vec<u8>, bits, bytes: &[u8]| {
                octets.extend(bytes.iter().filter(|_| has(bits)));
            };
            put(&mut octets, 0x0300, &teid.to_be_bytes());
            put(&mut octets, 0x1500, &V4);
            put(&mut octets, 0x2a00, &V6);
            put(&mut octets, 0x0c00, &2152_u16.to_be_bytes());
            put(&mut octets, 0x4000, &[7, 0x10, 1]);
            put(&mut octets, 0x8000, &[7, 0x10, 2]);
            let want = OuterHeaderCreation {
                description,
                teid: has(0x0300).then_some(Teid(teid)),
                v4: v4().filter(|_| has(0x1500)),
                v6: v6().filter(|_| has(0x2a00)),
                port: has(0x0c00).then_some(2152),
            };
            assert_eq!(want.is_gtpu(), want.teid.is_some());
            sound(&octets, OuterHeaderCreation::parse, want);
        }
        assert_eq!(OuterHeaderCreation::parse(&[]), Err(TRUNCATED));
        assert_eq!(OuterHeaderCreation::parse(&[1, 0]), Err(TRUNCATED));
    }

    #[test]
    fn a_removal_has_one_octet_or_two() {
        let removal = |octets: &[u8]| {
            OuterHeaderRemoval::parse(octets)
                .map(|it| (it.description, it.extension_header_deletion, it.is_gtpu()))
        };
        assert_eq!(removal(&[]), Err(TRUNCATED));
        assert_eq!(removal(&[0]), Ok((0, None, true)));
        assert_eq!(removal(&[6, 1]), Ok((6, Some(1), true)));
        assert_eq!(removal(&[7, 0, 9]), Ok((7, Some(0), false)));
    }

    #[test]
    fn a_peer_is_read_with_every_set_of_flags() {
        for flags in 0..0x20_u8 {
            let has = |bit: u8| flags & bit != 0;
            let mut octets = std::vec![flags];
            let mut put = |bit, bytes: &[u8]| octets.extend(bytes.iter().filter(|_| has(bit)));
            put(2, &V4);
            put(1, &V6);
            put(4, &[0, 1, 1]);
            put(8, b"\0\x05\x04core");
            put(0x10, &[1, 2, 3, 4]);
            let seen = |octets: &'static [u8]| {
                RemoteGtpuPeer::parse(octets).map(|it| {
                    let instance = it.instance.map(|name| name.is("core"));
                    (it.v4, it.v6, it.interface, instance, it.recovery)
                })
            };
            let want = (
                v4().filter(|_| has(2)),
                v6().filter(|_| has(1)),
                has(4).then_some(Interface(1)),
                has(8).then_some(true),
                has(0x10).then_some(RecoveryTimeStamp(0x0102_0304)),
            );
            sound(&octets, seen, want);
        }
    }

    #[test]
    fn a_resource_is_read_to_its_last_octet() {
        let seen = |octets: &'static [u8]| {
            UpIpResource::parse(octets).map(|it| {
                (it.v4, it.v6, it.teid_range, it.instance.map(|name| name.is("n3")), it.source)
            })
        };
        sound(&[0x01, 10, 100, 200, 3], seen, (v4(), None, None, None, None));
        // free5GC: an address, seven bits of range, the instance in plain text, the source.
        let octets = [&[0x7d, 0x55][..], &V4, b"n3", &[0]].concat();
        let want = (v4(), None, Some((7, 0x55)), Some(true), Some(Interface(0)));
        assert_eq!(seen(octets.leak()), Ok(want));
        assert_eq!(seen(&[0x40]), Err(TRUNCATED));
        assert_eq!(seen(&[0x60]), Err(TRUNCATED));
        assert_eq!(FramedRoute::parse(b"10.9.0.0/16").unwrap().0, b"10.9.0.0/16");
    }
}
