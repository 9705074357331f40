//! PFCP (TS 29.244): the header, bundled messages, and the information
//! elements as they stand (§7.2, §8.1). Grouped elements are read by giving
//! their value to [`Elements`] again.

use crate::{Layer, WireError};

/// The registered UDP port.
pub const PORT: u16 = 8805;

/// A session endpoint identifier.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Seid(pub u64);

/// The message types that have a name (§7.3), with it as metric label.
const NAMES: [(u8, &str); 25] = [
    (1, "heartbeat_request"),
    (2, "heartbeat_response"),
    (3, "pfd_management_request"),
    (4, "pfd_management_response"),
    (5, "association_setup_request"),
    (6, "association_setup_response"),
    (7, "association_update_request"),
    (8, "association_update_response"),
    (9, "association_release_request"),
    (10, "association_release_response"),
    (11, "version_not_supported_response"),
    (12, "node_report_request"),
    (13, "node_report_response"),
    (14, "session_set_deletion_request"),
    (15, "session_set_deletion_response"),
    (16, "session_set_modification_request"),
    (17, "session_set_modification_response"),
    (50, "session_establishment_request"),
    (51, "session_establishment_response"),
    (52, "session_modification_request"),
    (53, "session_modification_response"),
    (54, "session_deletion_request"),
    (55, "session_deletion_response"),
    (56, "session_report_request"),
    (57, "session_report_response"),
];

/// A message type.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Message(pub u8);

impl Message {
    /// The number of counters that [`Message::counter`] indexes.
    pub const COUNTERS: usize = NAMES.len() + 1;

    /// The name of a counter, in the metric label `message`.
    pub const fn counter_name(counter: usize) -> &'static str {
        if counter < NAMES.len() { NAMES[counter].1 } else { "unknown" }
    }

    /// The index of this message's counter; types without a name share the last.
    pub const fn counter(self) -> usize {
        match self.0 {
            1..=17 => self.0 as usize - 1,
            50..=57 => self.0 as usize - 50 + 17,
            _ => NAMES.len(),
        }
    }

    /// Whether the type has a name.
    pub const fn is_known(self) -> bool {
        self.counter() < NAMES.len()
    }
}

/// A PFCP header and its message (§7.2.2).
#[derive(Clone, Copy, Debug)]
pub struct Pfcp<'a> {
    fixed: &'a [u8; 4],
    seid: Option<&'a [u8; 8]>,
    sequence: &'a [u8; 4],
    body: &'a [u8],
    /// Behind this message, in the same datagram.
    behind: &'a [u8],
    short: bool,
}

impl<'a> Pfcp<'a> {
    /// Whether a datagram's first octet has PFCP version 1.
    pub const fn is_version_1(first_octet: u8) -> bool {
        first_octet >> 5 == 1
    }

    /// Whether bytes that may be anything are PFCP: of every message the version,
    /// no spare bit and a type that exists; FO where another follows, and a
    /// length that is exactly theirs where none does, or elements that fill it.
    /// Strict, since a detection rests on it.
    pub fn is_plausible(bytes: &[u8]) -> bool {
        let mut rest = bytes;
        loop {
            let Ok(pfcp) = Pfcp::parse(rest) else { return false };
            if pfcp.fixed[0] & 0x18 != 0 || !pfcp.message().is_known() || pfcp.short {
                return false;
            }
            match pfcp.next_message() {
                Some(next) => rest = next,
                // Receivers pass over what stands behind: it must not hide the message.
                None => return pfcp.behind.is_empty() || pfcp.is_filled(),
            }
        }
    }

    /// Whether the message is a list of elements, at least one, to its last octet.
    fn is_filled(&self) -> bool {
        !self.body.is_empty() && self.elements().all(|element| element.is_ok())
    }

    /// Reads the first message of a UDP payload. A message longer than the
    /// payload is read as far as it goes ([`Pfcp::is_short`]).
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let (fixed, rest) =
            bytes.split_first_chunk::<4>().ok_or(WireError::truncated(Layer::Pfcp))?;
        if !Self::is_version_1(fixed[0]) {
            return Err(WireError::version(Layer::Pfcp));
        }
        let length = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
        let has_seid = fixed[0] & 0x01 != 0;
        if length < if has_seid { 12 } else { 4 } {
            return Err(WireError::length(Layer::Pfcp));
        }
        let short = length > rest.len();
        let (message, behind) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        let (seid, message) = if has_seid {
            let (seid, message) =
                message.split_first_chunk().ok_or(WireError::truncated(Layer::Pfcp))?;
            (Some(seid), message)
        } else {
            (None, message)
        };
        let (sequence, body) =
            message.split_first_chunk().ok_or(WireError::truncated(Layer::Pfcp))?;
        Ok(Self { fixed, seid, sequence, body, behind, short })
    }

    /// The message type.
    pub const fn message(&self) -> Message {
        Message(self.fixed[1])
    }

    /// The length field: bytes behind the first four.
    pub const fn length(&self) -> u16 {
        u16::from_be_bytes([self.fixed[2], self.fixed[3]])
    }

    /// The SEID, if S is set.
    pub const fn seid(&self) -> Option<Seid> {
        match self.seid {
            Some(octets) => Some(Seid(u64::from_be_bytes(*octets))),
            None => None,
        }
    }

    /// The sequence number, 24 bits.
    pub const fn sequence(&self) -> u32 {
        u32::from_be_bytes([0, self.sequence[0], self.sequence[1], self.sequence[2]])
    }

    /// The information elements.
    pub const fn elements(&self) -> Elements<'a> {
        Elements { rest: self.body }
    }

    /// The bytes of the next message in the same datagram, if FO announces one.
    pub const fn next_message(&self) -> Option<&'a [u8]> {
        if self.fixed[0] & 0x04 != 0 && !self.behind.is_empty() { Some(self.behind) } else { None }
    }

    /// Whether the header's length promises more than the datagram holds.
    pub const fn is_short(&self) -> bool {
        self.short
    }

    /// The error of a message that is short; its elements may be whole all the same.
    pub fn shortage(&self) -> Option<WireError> {
        self.short.then_some(WireError::truncated(Layer::Pfcp))
    }
}

/// The first type of the vendors' own elements (§8.1.1).
const VENDORS_OWN: u16 = 0x8000;

/// An information element (§8.1.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Element<'a> {
    /// The type; 32768 and above are a vendor's own.
    pub kind: u16,
    /// The enterprise number of a vendor's own element, unless that is too short for one.
    pub enterprise: Option<u16>,
    /// The value, without the enterprise number.
    pub value: &'a [u8],
}

impl Element<'_> {
    /// Whether the type is a vendor's own but the enterprise number is missing. What follows
    /// is read on: else such an element would hide it.
    pub const fn lacks_enterprise(&self) -> bool {
        self.kind >= VENDORS_OWN && self.enterprise.is_none()
    }

    /// Whether the value is a list of elements (TS 29.244 §7.5, R15 to R17).
    /// A vendor's own element never is: what is in it is the vendor's secret.
    pub const fn is_grouped(&self) -> bool {
        self.enterprise.is_none() && is_grouped(self.kind)
    }
}

const fn is_grouped(kind: u16) -> bool {
    matches!(kind, 1..=18)
        || matches!(
            kind,
            51 | 54 | 58 | 59 | 68 | 77..=80 | 83 | 85..=87 | 99 | 102 | 105 | 118
                | 127..=130 | 132 | 143 | 147 | 165..=169 | 175 | 176 | 183 | 187..=190
                | 195 | 199..=201 | 203 | 205 | 211..=214 | 216 | 218 | 220 | 221
                | 225..=227 | 233 | 238..=240 | 242 | 247 | 252 | 254..=256 | 261
                | 263 | 264 | 267 | 270..=273 | 276 | 277 | 279 | 290 | 295 | 300..=304
                | 310 | 311 | 315 | 316
        )
}

/// Walks a list of information elements. An element that is cut ends the walk
/// with an error.
#[derive(Clone, Copy, Debug)]
pub struct Elements<'a> {
    rest: &'a [u8],
}

impl<'a> Elements<'a> {
    /// The elements in the value of a grouped element.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What follows the elements walked so far.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn step(&mut self) -> Result<Element<'a>, WireError> {
        let (head, rest) =
            self.rest.split_first_chunk::<4>().ok_or(WireError::truncated(Layer::Pfcp))?;
        let kind = u16::from_be_bytes([head[0], head[1]]);
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let (value, rest) =
            rest.split_at_checked(length).ok_or(WireError::truncated(Layer::Pfcp))?;
        self.rest = rest;
        match value.split_first_chunk::<2>() {
            Some((enterprise, value)) if kind >= VENDORS_OWN => {
                Ok(Element { kind, enterprise: Some(u16::from_be_bytes(*enterprise)), value })
            }
            _ => Ok(Element { kind, enterprise: None, value }),
        }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Element<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let step = self.step();
        if step.is_err() {
            self.rest = &[];
        }
        Some(step)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::seeded::Seeded;
    use std::vec::Vec;

    /// A session deletion response (cause 1) with a heartbeat bundled behind it.
    const BUNDLE: [u8; 37] = [
        0x25, 55, 0, 17, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 9, 0, 0, 19, 0, 1, 1, // 21 bytes
        0x20, 1, 0, 12, 0, 0, 5, 0, 0, 96, 0, 4, 1, 2, 3, 4,
    ];

    #[test]
    fn bundled_messages_are_both_read() {
        let first = Pfcp::parse(&BUNDLE).unwrap();
        assert_eq!(first.message(), Message(55));
        assert_eq!((first.seid(), first.sequence()), (Some(Seid(7)), 9));
        let elements: Vec<_> = first.elements().map(Result::unwrap).collect();
        assert_eq!(elements, [Element { kind: 19, enterprise: None, value: &[1] }]);
        let second = Pfcp::parse(first.next_message().unwrap()).unwrap();
        assert_eq!((second.message(), second.seid(), second.sequence()), (Message(1), None, 5));
        assert!(second.next_message().is_none());
    }

    #[test]
    fn a_vendors_element_gives_its_enterprise_and_is_not_entered() {
        let bytes = [0x80, 1, 0, 5, 0x28, 0xaf, 1, 2, 3];
        let element = Elements::new(&bytes).next().unwrap().unwrap();
        assert_eq!((element.enterprise, element.value), (Some(0x28af), &[1, 2, 3][..]));
        assert!(!element.is_grouped());
        let mut lying = Elements::new(&[0x80, 1, 0, 1, 9]);
        let short = lying.next().unwrap().unwrap();
        assert!(short.lacks_enterprise() && short.value == [9]);
    }

    #[test]
    fn flags_and_addresses_are_not_taken_for_groups() {
        let grouped = |kind| Element { kind, enterprise: None, value: &[] }.is_grouped();
        // Path failure and recovery reports, and the sessions' L2TP and MBS groups.
        for kind in [1, 18, 102, 187, 254, 271, 276, 279, 301, 311, 316] {
            assert!(grouped(kind), "{kind}");
        }
        // Measurement information, PFCPSEReq-Flags, RAT type: bits and codes.
        for kind in [0, 19, 96, 100, 131, 171, 186, 206, 275, 296, 317] {
            assert!(!grouped(kind), "{kind}");
        }
    }

    #[test]
    fn lengths_that_lie_are_told() {
        let mut bytes = BUNDLE;
        bytes[3] = 11;
        assert_eq!(Pfcp::parse(&bytes).unwrap_err(), WireError::length(Layer::Pfcp));
        bytes[3] = 200;
        assert!(Pfcp::parse(&bytes).unwrap().is_short());
        for end in 0..16 {
            assert!(Pfcp::parse(&BUNDLE[..end]).is_err(), "{end}");
        }
        let cut = Pfcp::parse(&BUNDLE[..19]).unwrap();
        assert!(cut.is_short());
        assert_eq!(cut.elements().next(), Some(Err(WireError::truncated(Layer::Pfcp))));
    }

    #[test]
    fn what_only_resembles_pfcp_is_not_plausible() {
        assert!(Pfcp::is_plausible(&BUNDLE));
        assert!(Pfcp::is_plausible(&BUNDLE[21..]));
        // FO without a message behind it is sent by nobody but harms nobody.
        assert!(Pfcp::is_plausible(&BUNDLE[..21]));
        // Bytes behind a message that its elements fill do not hide it.
        let mut trailed = BUNDLE;
        trailed[0] = 0x21;
        assert!(Pfcp::is_plausible(&trailed));
        trailed[18] = 2;
        assert!(!Pfcp::is_plausible(&trailed), "an element longer than the message");
        // Version, spare bits, type, length; the same of the second message.
        for (index, value) in [
            (0, 0x45),
            (0, 0x2d),
            (0, 0x35),
            (1, 99),
            (3, 18),
            (21, 0x40),
            (22, 0),
            (24, 13),
            (24, 11),
        ] {
            let mut bytes = BUNDLE;
            bytes[index] = value;
            assert!(!Pfcp::is_plausible(&bytes), "{index} {value}");
        }
        for end in (0..BUNDLE.len()).filter(|end| *end != 21) {
            assert!(!Pfcp::is_plausible(&BUNDLE[..end]), "{end}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let mut seeded = Seeded::new(14);
        for round in 0..500 {
            let (code, seid) = (seeded.next() as u8, seeded.next());
            let (sequence, kind) = (seeded.next() as u32 >> 8, seeded.next() as u16 & 0x7fff);
            let value = seeded.next().to_be_bytes();
            let mut message = Vec::new();
            if round % 2 == 0 {
                message.extend(seid.to_be_bytes());
            }
            message.extend((sequence << 8).to_be_bytes());
            message.extend(kind.to_be_bytes());
            message.extend([0, 8]);
            message.extend(value);
            let mut bytes =
                std::vec![0x20 | u8::from(round % 2 == 0), code, 0, message.len() as u8];
            bytes.extend(&message);
            let pfcp = Pfcp::parse(&bytes).unwrap();
            assert_eq!((pfcp.message(), pfcp.sequence()), (Message(code), sequence));
            assert_eq!(usize::from(pfcp.length()), message.len());
            assert_eq!(pfcp.seid(), (round % 2 == 0).then_some(Seid(seid)));
            let mut elements = pfcp.elements();
            let element = Element { kind, enterprise: None, value: &value };
            assert_eq!(elements.next(), Some(Ok(element)));
            assert!(elements.next().is_none() && elements.rest().is_empty());
        }
    }

    #[test]
    fn counters_have_the_names_of_their_messages() {
        for (code, name) in NAMES {
            assert_eq!(Message::counter_name(Message(code).counter()), name);
        }
        assert_eq!(Message::counter_name(Message(99).counter()), "unknown");
    }
}
