//! Rules and what is in them: their numbers, sides (§8.2.2, §8.2.24), 3GPP
//! Interface Type (§8.2.118), Redirect Information (§8.2.20), SDF Filter
//! (§8.2.5), Failed Rule ID (§8.2.80).

use super::cursor::Cursor;
use crate::WireError;

macro_rules! number {
    ($(#[$doc:meta])* $type:ident($word:ty) & $mask:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $type(pub $word);

        impl $type {
            /// Reads the value of the element.
            pub fn parse(value: &[u8]) -> Result<Self, WireError> {
                let octets = Cursor(value).array()?;
                Ok(Self(<$word>::from_be_bytes(octets) & $mask))
            }
        }
    };
}

number! {
    /// The number of a packet detection rule, unique in its session.
    PdrId(u16) & 0xffff
}
number! {
    /// The number of a forwarding action rule, unique in its session.
    FarId(u32) & 0xffff_ffff
}
number! {
    /// The number of a usage reporting rule, unique in its session.
    UrrId(u32) & 0xffff_ffff
}
number! {
    /// The number of a QoS enforcement rule, unique in its session.
    QerId(u32) & 0xffff_ffff
}
number! {
    /// The number of a buffering action rule, unique in its session.
    BarId(u8) & 0xff
}
number! {
    /// The number of a traffic endpoint, unique in its session.
    TrafficEndpointId(u8) & 0xff
}
number! {
    /// Which of a session's PDRs is asked first: the one with the lowest (§8.2.11).
    Precedence(u32) & 0xffff_ffff
}
number! {
    /// A QoS flow, six bits (§8.2.89).
    Qfi(u8) & 0x3f
}
number! {
    /// The type of the element that a request was rejected for (§8.2.22).
    OffendingIe(u16) & 0xffff
}
number! {
    /// What a session carries (§8.2.79).
    PdnType(u8) & 0x07
}
number! {
    /// The side that packets come from (Source Interface) or go to (Destination Interface).
    /// The two number alike but for 4, which in a source is what 5 is in a destination.
    Interface(u8) & 0x0f
}
number! {
    /// The reference point that a side is (Table 8.2.118-1).
    TgppInterface(u8) & 0x3f
}

/// The bit that tells rules that are set up in the UP function from those of messages.
const PREDEFINED: u32 = 1 << 31;

impl FarId {
    /// Whether the rule is predefined in the UP function.
    pub const fn is_predefined(self) -> bool {
        self.0 & PREDEFINED != 0
    }
}

impl UrrId {
    /// Whether the rule is predefined in the UP function.
    pub const fn is_predefined(self) -> bool {
        self.0 & PREDEFINED != 0
    }
}

impl QerId {
    /// Whether the rule is predefined in the UP function.
    pub const fn is_predefined(self) -> bool {
        self.0 & PREDEFINED != 0
    }
}

impl PdnType {
    /// IPv4.
    pub const IPV4: Self = Self(1);
    /// IPv6.
    pub const IPV6: Self = Self(2);
    /// Both.
    pub const IPV4V6: Self = Self(3);
    /// Any octets.
    pub const NON_IP: Self = Self(4);
    /// Ethernet frames.
    pub const ETHERNET: Self = Self(5);

    /// The name.
    pub const fn name(self) -> &'static str {
        match self.0 {
            1 => "ipv4",
            2 => "ipv6",
            3 => "ipv4v6",
            4 => "non-ip",
            5 => "ethernet",
            _ => "unknown",
        }
    }
}

impl Interface {
    /// The access network: gNBs.
    pub const ACCESS: Self = Self(0);
    /// The core: other UPFs, and often the data network.
    pub const CORE: Self = Self(1);
    /// The data network.
    pub const SGI_LAN: Self = Self(2);
    /// The CP function, in a tunnel.
    pub const CP_FUNCTION: Self = Self(3);
    /// As a destination: lawful interception.
    pub const LI_FUNCTION: Self = Self(4);
    /// As a destination: other users of a 5G LAN.
    pub const VN_INTERNAL: Self = Self(5);
    /// As a source: other users of a 5G LAN.
    pub const SOURCE_VN_INTERNAL: Self = Self(4);

    /// The name as a destination.
    pub const fn name(self) -> &'static str {
        match self.0 {
            0 => "access",
            1 => "core",
            2 => "n6-lan",
            3 => "cp-function",
            4 => "li-function",
            5 => "5g-vn-internal",
            _ => "unknown",
        }
    }

    /// The name as a source.
    pub const fn source_name(self) -> &'static str {
        match self.0 {
            4 => "5g-vn-internal",
            5 => "unknown",
            _ => self.name(),
        }
    }
}

impl TgppInterface {
    /// N3 towards 3GPP access.
    pub const N3: Self = Self(11);
    /// N9.
    pub const N9: Self = Self(15);
    /// N6.
    pub const N6: Self = Self(17);

    /// The name.
    pub const fn name(self) -> &'static str {
        const NAMES: [&str; 32] = [
            "s1-u",
            "s5-s8-u",
            "s4-u",
            "s11-u",
            "s12-u",
            "gn-gp-u",
            "s2a-u",
            "s2b-u",
            "enb-dl-forwarding",
            "enb-ul-forwarding",
            "sgw-upf-dl-forwarding",
            "n3-3gpp",
            "n3-trusted-non-3gpp",
            "n3-untrusted-non-3gpp",
            "n3-forwarding",
            "n9",
            "sgi",
            "n6",
            "n19",
            "s8-u",
            "gp-u",
            "n9-roaming",
            "iu-u",
            "n9-forwarding",
            "sxa-u",
            "sxb-u",
            "sxc-u",
            "n4-u",
            "sgw-upf-ul-forwarding",
            "n6mb-nmb9",
            "n3mb",
            "n19mb",
        ];
        let index = self.0 as usize;
        if index < NAMES.len() { NAMES[index] } else { "unknown" }
    }
}

/// Where a user's traffic is redirected to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RedirectInformation<'a> {
    /// What the address is: 0 IPv4, 1 IPv6, 2 URL, 3 SIP URI, 4 IPv4 and IPv6; with a port
    /// (release 17) 5 nothing but it, 6 IPv4, 7 IPv6, 8 both.
    pub kind: u8,
    /// The address, as text.
    pub address: &'a [u8],
    /// The address of the other family, as text.
    pub other: Option<&'a [u8]>,
    /// The port.
    pub port: Option<u16>,
}

impl<'a> RedirectInformation<'a> {
    /// Reads the value of a Redirect Information.
    pub fn parse(value: &'a [u8]) -> Result<Self, WireError> {
        let mut cursor = Cursor(value);
        let kind = cursor.octet()? & 0x0f;
        // A port alone stands for itself, without an address of no length.
        let address = cursor.given(kind != 5, Cursor::long_field)?.unwrap_or_default();
        Ok(Self {
            kind,
            address,
            other: cursor.given(matches!(kind, 4 | 8), Cursor::long_field)?,
            port: cursor.given(matches!(kind, 5..=8), Cursor::word)?,
        })
    }
}

/// The packets that a PDR is for, of those of its user.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SdfFilter<'a> {
    /// An IPFilterRule (RFC 6733 §4.3.1), as text: `permit out ip from any to assigned`.
    pub flow: Option<&'a [u8]>,
    /// The type of service or traffic class, and its mask.
    pub traffic_class: Option<[u8; 2]>,
    /// The security parameter index of IPsec.
    pub spi: Option<u32>,
    /// The flow label of IPv6, 20 bits.
    pub flow_label: Option<u32>,
    /// The number of a filter for both directions.
    pub id: Option<u32>,
}

impl<'a> SdfFilter<'a> {
    /// Reads the value of an SDF Filter.
    pub fn parse(value: &'a [u8]) -> Result<Self, WireError> {
        let mut cursor = Cursor(value);
        // The second octet is spare.
        let [flags, _] = cursor.array()?;
        Ok(Self {
            flow: cursor.given(flags & 0x01 != 0, Cursor::long_field)?,
            traffic_class: cursor.given(flags & 0x02 != 0, Cursor::array)?,
            spi: cursor.given(flags & 0x04 != 0, Cursor::array)?.map(u32::from_be_bytes),
            flow_label: cursor
                .given(flags & 0x08 != 0, Cursor::array)?
                .map(|[a, b, c]| u32::from_be_bytes([0, a & 0x0f, b, c])),
            id: cursor.given(flags & 0x10 != 0, Cursor::array)?.map(u32::from_be_bytes),
        })
    }
}

/// The rule that a request failed at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FailedRuleId {
    /// A packet detection rule.
    Pdr(PdrId),
    /// A forwarding action rule.
    Far(FarId),
    /// A QoS enforcement rule.
    Qer(QerId),
    /// A usage reporting rule.
    Urr(UrrId),
    /// A buffering action rule.
    Bar(BarId),
    /// A multi-access rule.
    Mar(u16),
    /// A session reporting rule.
    Srr(u8),
    /// A type that nobody knows.
    Other(u8),
}

impl FailedRuleId {
    /// Reads the value of a Failed Rule ID.
    pub fn parse(value: &[u8]) -> Result<Self, WireError> {
        let mut cursor = Cursor(value);
        let kind = cursor.octet()? & 0x1f;
        let id = cursor.0;
        match kind {
            0 => PdrId::parse(id).map(Self::Pdr),
            1 => FarId::parse(id).map(Self::Far),
            2 => QerId::parse(id).map(Self::Qer),
            3 => UrrId::parse(id).map(Self::Urr),
            4 => BarId::parse(id).map(Self::Bar),
            5 => cursor.word().map(Self::Mar),
            6 => cursor.octet().map(Self::Srr),
            other => Ok(Self::Other(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::super::sound::sound;
    use super::*;

    #[test]
    fn numbers_have_the_width_of_their_rules() {
        sound(&[0x12, 0x34], PdrId::parse, PdrId(0x1234));
        sound(&[0x80, 0, 0, 1], FarId::parse, FarId(0x8000_0001));
        sound(&[0, 0, 0, 2], UrrId::parse, UrrId(2));
        sound(&[0, 0, 1, 0], QerId::parse, QerId(256));
        sound(&[7], BarId::parse, BarId(7));
        sound(&[255], TrafficEndpointId::parse, TrafficEndpointId(255));
        sound(&[0, 0, 0, 255], Precedence::parse, Precedence(255));
        sound(&[0, 21], OffendingIe::parse, OffendingIe(21));
        assert!(FarId(0x8000_0001).is_predefined() && !QerId(256).is_predefined());
        assert!(UrrId(u32::MAX).is_predefined());
    }

    #[test]
    fn spare_bits_are_no_part_of_a_code() {
        sound(&[0xc9], Qfi::parse, Qfi(9));
        sound(&[0xfd], PdnType::parse, PdnType::ETHERNET);
        sound(&[0xf1], Interface::parse, Interface::CORE);
        sound(&[0xcb], TgppInterface::parse, TgppInterface::N3);
    }

    #[test]
    fn codes_have_names_and_unknown_ones_stay() {
        assert_eq!(Interface(4).name(), "li-function");
        assert_eq!(Interface(4).source_name(), "5g-vn-internal");
        assert_eq!(Interface(2).source_name(), "n6-lan");
        assert_eq!(
            (Interface(5).name(), Interface(5).source_name()),
            ("5g-vn-internal", "unknown")
        );
        assert_eq!(TgppInterface::N9.name(), "n9");
        assert_eq!((TgppInterface::N6.name(), TgppInterface(31).name()), ("n6", "n19mb"));
        assert_eq!(TgppInterface(32).name(), "unknown");
        assert_eq!((PdnType::NON_IP.name(), PdnType(7).name()), ("non-ip", "unknown"));
    }

    #[test]
    fn a_redirection_has_the_fields_of_its_type() {
        let url = RedirectInformation { kind: 2, address: b"http://x", other: None, port: None };
        sound(b"\x02\0\x08http://x", RedirectInformation::parse, url);
        let both = RedirectInformation {
            kind: 4,
            address: b"10.0.0.1",
            other: Some(b"fd00::1"),
            port: None,
        };
        sound(b"\x04\0\x0810.0.0.1\0\x07fd00::1", RedirectInformation::parse, both);
        let port = RedirectInformation { kind: 5, address: b"", other: None, port: Some(8080) };
        sound(b"\x05\x1f\x90", RedirectInformation::parse, port);
        let ported = RedirectInformation { kind: 8, port: Some(8080), ..both };
        sound(b"\x08\0\x0810.0.0.1\0\x07fd00::1\x1f\x90", RedirectInformation::parse, ported);
    }

    #[test]
    fn a_filter_is_read_with_every_set_of_flags() {
        for flags in 0..0x20_u8 {
            let has = |bit: u8| flags & bit != 0;
            let mut octets = std::vec![flags, 0];
            let mut put = |bit, bytes: &[u8]| octets.extend(bytes.iter().filter(|_| has(bit)));
            put(1, b"\0\x0apermit out");
            put(2, &[0xb8, 0xfc]);
            put(4, &[0, 0, 0, 9]);
            put(8, &[0xf1, 2, 3]);
            put(16, &[0, 0, 0, 5]);
            let want = SdfFilter {
                flow: has(1).then_some(b"permit out"),
                traffic_class: has(2).then_some([0xb8, 0xfc]),
                spi: has(4).then_some(9),
                flow_label: has(8).then_some(0x0001_0203),
                id: has(16).then_some(5),
            };
            sound(&octets, SdfFilter::parse, want);
        }
    }

    #[test]
    fn a_failed_rule_is_of_its_type() {
        sound(&[0, 0, 7], FailedRuleId::parse, FailedRuleId::Pdr(PdrId(7)));
        sound(&[1, 0, 0, 0, 7], FailedRuleId::parse, FailedRuleId::Far(FarId(7)));
        sound(&[2, 0, 0, 0, 7], FailedRuleId::parse, FailedRuleId::Qer(QerId(7)));
        sound(&[3, 0, 0, 0, 7], FailedRuleId::parse, FailedRuleId::Urr(UrrId(7)));
        sound(&[4, 7], FailedRuleId::parse, FailedRuleId::Bar(BarId(7)));
        sound(&[5, 0, 7], FailedRuleId::parse, FailedRuleId::Mar(7));
        sound(&[6, 7], FailedRuleId::parse, FailedRuleId::Srr(7));
        sound(&[0x1f], FailedRuleId::parse, FailedRuleId::Other(31));
    }
}
