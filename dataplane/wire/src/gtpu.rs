//! GTPv1-U (TS 29.281).
//!
//! The header's length governs: bytes behind it are not part of the message
//! ([`Gtpu::trailing`]), and a UDP payload shorter than it is noted
//! ([`Gtpu::is_short`]), neither is fatal. If any of E, S and PN is set the
//! four optional octets are there, but each is read only under its own flag
//! (§5.1); extension headers are walked only if E is set *and* the next type
//! is not 0, since otherwise the walk would run into the user's packet.

use crate::gtpu_extension::Extensions;
use crate::{Layer, WireError};

/// The registered UDP port.
pub const PORT: u16 = 2152;
/// UDP port of GTP' (TS 32.295), whose protocol type bit is 0.
pub const PRIME_PORT: u16 = 3386;
/// UDP port of GTP-C (TS 29.060, TS 29.274).
pub const CONTROL_PORT: u16 = 2123;

/// The message type of a G-PDU.
pub const G_PDU: u8 = 255;

/// A message type (§6.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Message {
    /// 1
    EchoRequest,
    /// 2
    EchoResponse,
    /// 26
    ErrorIndication,
    /// 31
    SupportedExtensionHeaders,
    /// 253
    TunnelStatus,
    /// 254
    EndMarker,
    /// 255: a G-PDU, a user's packet.
    GPdu,
    /// Any other type.
    Unknown(u8),
}

impl Message {
    /// The number of counters that [`Message::counter`] indexes.
    pub const COUNTERS: usize = 8;

    /// The names of those counters, in the metric label `message`.
    pub const NAMES: [&str; Self::COUNTERS] = [
        "echo_request",
        "echo_response",
        "error_indication",
        "supported_extension_headers",
        "tunnel_status",
        "end_marker",
        "g_pdu",
        "unknown",
    ];

    /// From the message type octet.
    pub const fn from_code(code: u8) -> Self {
        match code {
            1 => Message::EchoRequest,
            2 => Message::EchoResponse,
            26 => Message::ErrorIndication,
            31 => Message::SupportedExtensionHeaders,
            253 => Message::TunnelStatus,
            254 => Message::EndMarker,
            G_PDU => Message::GPdu,
            other => Message::Unknown(other),
        }
    }

    /// The index of this message's counter.
    pub const fn counter(self) -> usize {
        match self {
            Message::EchoRequest => 0,
            Message::EchoResponse => 1,
            Message::ErrorIndication => 2,
            Message::SupportedExtensionHeaders => 3,
            Message::TunnelStatus => 4,
            Message::EndMarker => 5,
            Message::GPdu => 6,
            Message::Unknown(_) => 7,
        }
    }
}

/// A tunnel endpoint identifier.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Teid(pub u32);

/// A GTPv1-U header (§5.1).
#[derive(Clone, Copy, Debug)]
pub struct Gtpu<'a> {
    fixed: &'a [u8; 8],
    optional: Option<&'a [u8; 4]>,
    /// Behind the optional octets, as far as the header's length grants.
    rest: &'a [u8],
    trailing: usize,
    short: bool,
}

impl<'a> Gtpu<'a> {
    /// Bytes of the mandatory part.
    pub const LEN: usize = 8;

    /// Whether a datagram's first octet has GTP version 1 and protocol type GTP:
    /// what tells GTP-U from anything else on its port.
    #[inline]
    pub const fn is_version_1(first_octet: u8) -> bool {
        first_octet & 0xf0 == 0x30
    }

    /// Whether bytes that may be anything are GTP-U: version and type, no spare
    /// bit, a message type that exists, a length that is exactly theirs, and a
    /// tunnel if it is a G-PDU. Strict, since a detection rests on it.
    #[inline]
    pub fn is_plausible(bytes: &[u8]) -> bool {
        let Ok(gtpu) = Gtpu::parse(bytes) else { return false };
        !gtpu.spare()
            && !gtpu.is_short()
            && gtpu.trailing == 0
            && match gtpu.message() {
                Message::GPdu => gtpu.teid() != Teid(0),
                Message::Unknown(_) => false,
                _ => true,
            }
    }

    /// Reads the header of a UDP payload.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let (fixed, rest) =
            bytes.split_first_chunk::<8>().ok_or(WireError::truncated(Layer::Gtpu))?;
        if !Self::is_version_1(fixed[0]) {
            return Err(WireError::version(Layer::Gtpu));
        }
        let length = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
        let trailing = rest.len().saturating_sub(length);
        let short = length > rest.len();
        let granted = rest.get(..length).unwrap_or(rest);
        let (optional, rest) = if fixed[0] & 0x07 == 0 {
            (None, granted)
        } else {
            if length < 4 {
                return Err(WireError::length(Layer::Gtpu));
            }
            let (optional, rest) =
                granted.split_first_chunk().ok_or(WireError::truncated(Layer::Gtpu))?;
            (Some(optional), rest)
        };
        Ok(Self { fixed, optional, rest, trailing, short })
    }

    /// Whether the first octet's spare bit is set, which receivers ignore.
    #[inline]
    pub const fn spare(&self) -> bool {
        self.fixed[0] & 0x08 != 0
    }

    /// The message type.
    #[inline]
    pub const fn message(&self) -> Message {
        Message::from_code(self.fixed[1])
    }

    /// The message type's octet.
    #[inline]
    pub const fn message_code(&self) -> u8 {
        self.fixed[1]
    }

    /// The length field: bytes behind the mandatory eight.
    pub const fn length(&self) -> u16 {
        u16::from_be_bytes([self.fixed[2], self.fixed[3]])
    }

    /// The tunnel endpoint identifier.
    #[inline]
    pub const fn teid(&self) -> Teid {
        Teid(u32::from_be_bytes([self.fixed[4], self.fixed[5], self.fixed[6], self.fixed[7]]))
    }

    /// The sequence number, if S is set.
    pub const fn sequence(&self) -> Option<u16> {
        match self.optional {
            Some(octets) if self.fixed[0] & 0x02 != 0 => {
                Some(u16::from_be_bytes([octets[0], octets[1]]))
            }
            _ => None,
        }
    }

    /// The N-PDU number, if PN is set.
    pub const fn n_pdu(&self) -> Option<u8> {
        match self.optional {
            Some(octets) if self.fixed[0] & 0x01 != 0 => Some(octets[2]),
            _ => None,
        }
    }

    /// The type of the first extension header; 0 if there is none.
    #[inline]
    pub const fn first_extension(&self) -> u8 {
        match self.optional {
            Some(octets) if self.fixed[0] & 0x04 != 0 => octets[3],
            _ => 0,
        }
    }

    /// Bytes before the extension headers.
    #[inline]
    pub const fn header_len(&self) -> usize {
        if self.optional.is_some() { 12 } else { 8 }
    }

    /// The extension headers; walk them to the end to learn where the payload starts.
    #[inline]
    pub const fn extensions(&self) -> Extensions<'a> {
        Extensions::new(self.first_extension(), self.rest)
    }

    /// Bytes of the UDP payload behind the message.
    pub const fn trailing(&self) -> usize {
        self.trailing
    }

    /// Whether the header's length promises more than the UDP payload holds.
    pub const fn is_short(&self) -> bool {
        self.short
    }
}

/// The address family of a T-PDU, by a guarded look at its first octets
/// (protocol number 4 or 6 in the version field, and a header length that can be).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TPdu {
    /// An IPv4 packet.
    Ipv4,
    /// An IPv6 packet.
    Ipv6,
    /// Ethernet, unstructured, or not a packet at all.
    Opaque,
}

impl TPdu {
    /// Guesses from the first octet and the length that is there.
    #[inline]
    pub const fn guess(payload: &[u8]) -> Self {
        match payload {
            [first, ..] if *first >> 4 == 4 && *first & 0x0f >= 5 && payload.len() >= 20 => {
                TPdu::Ipv4
            }
            [first, ..] if *first >> 4 == 6 && payload.len() >= 40 => TPdu::Ipv6,
            _ => TPdu::Opaque,
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::seeded::Seeded;

    /// A G-PDU with E=1, an 0x85 extension (QFI 9) and four bytes of payload.
    const SESSION: [u8; 20] =
        [0x34, 255, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0x85, 1, 0x10, 9, 0, 0x45, 0, 0, 0x54];

    #[test]
    fn the_optional_octets_are_read_under_their_own_flag() {
        let mut bytes = SESSION;
        bytes[8..11].copy_from_slice(&[0xab, 0xcd, 0xef]);
        let gtpu = Gtpu::parse(&bytes).unwrap();
        assert_eq!((gtpu.sequence(), gtpu.n_pdu(), gtpu.first_extension()), (None, None, 0x85));
        bytes[0] = 0x33;
        let gtpu = Gtpu::parse(&bytes).unwrap();
        assert_eq!(
            (gtpu.sequence(), gtpu.n_pdu(), gtpu.first_extension()),
            (Some(0xabcd), Some(0xef), 0)
        );
    }

    #[test]
    fn extensions_with_next_type_zero_do_not_run_into_the_users_packet() {
        // Zeek, nDPI and gopacket walk on here.
        let mut bytes = SESSION;
        bytes[11] = 0;
        let gtpu = Gtpu::parse(&bytes).unwrap();
        let mut extensions = gtpu.extensions();
        assert!(extensions.next().is_none());
        assert_eq!(extensions.rest(), &bytes[12..]);
    }

    #[test]
    fn the_headers_length_governs() {
        let mut bytes = SESSION;
        bytes[3] = 8;
        let gtpu = Gtpu::parse(&bytes).unwrap();
        assert_eq!((gtpu.trailing(), gtpu.is_short()), (4, false));
        bytes[3] = 200;
        let gtpu = Gtpu::parse(&bytes).unwrap();
        assert_eq!((gtpu.trailing(), gtpu.is_short()), (0, true));
        bytes[3] = 3;
        assert_eq!(Gtpu::parse(&bytes).unwrap_err(), WireError::length(Layer::Gtpu));
    }

    #[test]
    fn trailing_bytes_and_short_payloads_hide_no_packet() {
        // Snort 3 and Arkime demand that length and payload be equal, and look past these.
        let mut bytes = SESSION.to_vec();
        bytes.push(0);
        for seen in [&bytes[..], &bytes[..bytes.len() - 2]] {
            let mut extensions = Gtpu::parse(seen).unwrap().extensions();
            assert!(extensions.by_ref().all(|step| step.is_ok()));
            assert_eq!(extensions.rest()[0], 0x45);
        }
    }

    #[test]
    fn a_spare_bit_is_told_and_hides_nothing() {
        let mut bytes = SESSION;
        assert!(!Gtpu::parse(&bytes).unwrap().spare());
        bytes[0] |= 0x08;
        let gtpu = Gtpu::parse(&bytes).unwrap();
        assert!(gtpu.spare());
        assert_eq!((gtpu.first_extension(), gtpu.teid()), (0x85, Teid(1)));
    }

    #[test]
    fn what_only_resembles_gtpu_is_not_plausible() {
        assert!(Gtpu::is_plausible(&SESSION));
        let echo = [0x32, 1, 0, 4, 0, 0, 0, 0, 0, 1, 0, 0];
        assert!(Gtpu::is_plausible(&echo));
        // Spare bit, type, length, TEID 0: each alone is enough to say no.
        for (index, value) in [(0, 0x3c), (0, 0x54), (1, 99), (3, 11), (3, 13), (7, 0)] {
            let mut bytes = SESSION;
            bytes[index] = value;
            assert!(!Gtpu::is_plausible(&bytes), "{index} {value}");
        }
        for end in 0..SESSION.len() {
            assert!(!Gtpu::is_plausible(&SESSION[..end]), "{end}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let mut seeded = Seeded::new(13);
        for _ in 0..1_000 {
            let [flags, code] = [seeded.next() as u8 & 0x0f, seeded.next() as u8];
            let (teid, sequence) = (seeded.next() as u32, seeded.next() as u16);
            let [n_pdu, next] = [seeded.next() as u8, seeded.next() as u8];
            let mut body = std::vec![];
            if flags & 7 != 0 {
                body.extend(sequence.to_be_bytes());
                body.extend([n_pdu, next]);
            }
            body.extend([0xaa; 5]);
            let mut bytes = std::vec![0x30 | flags, code, 0, body.len() as u8];
            bytes.extend(teid.to_be_bytes());
            bytes.extend(&body);
            let gtpu = Gtpu::parse(&bytes).unwrap();
            assert_eq!((gtpu.message_code(), gtpu.teid()), (code, Teid(teid)));
            assert_eq!(usize::from(gtpu.length()), body.len());
            assert_eq!(gtpu.spare(), flags & 8 != 0);
            assert_eq!(gtpu.sequence(), (flags & 2 != 0).then_some(sequence));
            assert_eq!(gtpu.n_pdu(), (flags & 1 != 0).then_some(n_pdu));
            assert_eq!(gtpu.first_extension(), if flags & 4 != 0 { next } else { 0 });
            assert_eq!(gtpu.extensions().rest(), [0xaa; 5]);
            assert_eq!((gtpu.trailing(), gtpu.is_short()), (0, false));
        }
    }

    #[test]
    fn every_truncation_is_an_error_or_short() {
        for end in 0..12 {
            assert!(Gtpu::parse(&SESSION[..end]).is_err(), "{end}");
        }
        for end in 12..SESSION.len() {
            assert!(Gtpu::parse(&SESSION[..end]).unwrap().is_short(), "{end}");
        }
    }

    #[test]
    fn the_other_versions_are_not_gtpu() {
        for first in [0x48, 0x20, 0x00, 0xff] {
            let mut bytes = SESSION;
            bytes[0] = first;
            assert_eq!(Gtpu::parse(&bytes).unwrap_err(), WireError::version(Layer::Gtpu));
        }
    }

    #[test]
    fn message_codes_round_trip_to_counters() {
        let mut seen = [0; Message::COUNTERS];
        for code in 0..=255 {
            seen[Message::from_code(code).counter()] += 1;
        }
        assert_eq!(seen, [1, 1, 1, 1, 1, 1, 1, 249]);
    }
}
