//! IPv6 (RFC 8200), its extension headers walked to the upper layer.

use crate::{Address, Fragment, Layer, WireError};

/// Next header: hop-by-hop options.
pub const HOP_BY_HOP: u8 = 0;
/// Next header: routing.
pub const ROUTING: u8 = 43;
/// Next header: fragment.
pub const FRAGMENT: u8 = 44;
/// Next header: destination options.
pub const DESTINATION: u8 = 60;
/// Next header: mobility (RFC 6275).
pub const MOBILITY: u8 = 135;
/// Next header: host identity protocol (RFC 7401).
pub const HIP: u8 = 139;
/// Next header: shim6 (RFC 5533).
pub const SHIM6: u8 = 140;

/// The longest chain of extension headers that is walked.
pub const MAX_EXTENSIONS: usize = 16;

/// An IPv6 header, the end of its extension headers, and the payload that its
/// length grants.
#[derive(Clone, Copy, Debug)]
pub struct Ipv6<'a> {
    fixed: &'a [u8; 40],
    upper: Upper<'a>,
    short: bool,
}

impl<'a> Ipv6<'a> {
    /// Reads the header and walks the extension headers that precede the upper
    /// layer. A payload length of 0 means "to the end" (jumbograms and
    /// segmentation offload). After a later fragment's header nothing is walked.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let (fixed, rest) =
            bytes.split_first_chunk::<40>().ok_or(WireError::truncated(Layer::Ipv6))?;
        if fixed[0] >> 4 != 6 {
            return Err(WireError::version(Layer::Ipv6));
        }
        let granted = match usize::from(u16::from_be_bytes([fixed[4], fixed[5]])) {
            0 => rest.len(),
            length => length,
        };
        let short = granted > rest.len();
        let upper = Upper::parse(fixed[6], rest.get(..granted).unwrap_or(rest))?;
        Ok(Self { fixed, upper, short })
    }

    /// Bytes of the header with its extension headers.
    #[inline]
    pub const fn header_len(&self) -> usize {
        40 + self.upper.extensions
    }

    /// The payload length field in bytes, extension headers included.
    pub const fn payload_len(&self) -> u16 {
        u16::from_be_bytes([self.fixed[4], self.fixed[5]])
    }

    /// The identification that fragments of one datagram share, 0 where nothing
    /// is fragmented.
    #[inline]
    pub const fn identification(&self) -> u32 {
        match self.upper.piece {
            Some(piece) => piece.identification,
            None => 0,
        }
    }

    /// Where the piece stands in its datagram, in bytes: a multiple of 8, at
    /// most 65,528.
    #[inline]
    pub const fn fragment_offset(&self) -> usize {
        match self.upper.piece {
            Some(piece) => piece.offset as usize,
            None => 0,
        }
    }

    /// Whether more of the datagram follows this packet.
    #[inline]
    pub const fn more_fragments(&self) -> bool {
        match self.upper.piece {
            Some(piece) => piece.more,
            None => false,
        }
    }

    /// Where this packet stands in a fragmented series. A fragment header with
    /// offset 0 and nothing to follow ("atomic", RFC 6946) fragments nothing.
    #[inline]
    pub const fn fragment(&self) -> Fragment {
        self.upper.fragment()
    }

    /// What the fragmented series is put together from: everything behind the
    /// fragment header, with the protocol number that it states for it. That is
    /// more than [`Ipv6::payload`] where extension headers follow in the first
    /// fragment. None if nothing is fragmented.
    #[inline]
    pub const fn piece(&self) -> Option<(u8, &'a [u8])> {
        match self.upper.piece {
            Some(piece) => Some((piece.protocol, piece.payload)),
            None => None,
        }
    }

    /// The protocol number of the payload.
    #[inline]
    pub const fn protocol(&self) -> u8 {
        self.upper.protocol
    }

    /// The sender.
    #[inline]
    pub fn source(&self) -> Address {
        let mut octets = [0; 16];
        octets.copy_from_slice(&self.fixed[8..24]);
        Address::v6(octets)
    }

    /// The receiver.
    #[inline]
    pub fn destination(&self) -> Address {
        let mut octets = [0; 16];
        octets.copy_from_slice(&self.fixed[24..40]);
        Address::v6(octets)
    }

    /// The upper layer, at most what the payload length grants.
    #[inline]
    pub const fn payload(&self) -> &'a [u8] {
        self.upper.payload
    }

    /// Whether the payload length promises more than is there.
    pub const fn is_short(&self) -> bool {
        self.short
    }
}

/// What stands behind a chain of extension headers: in a packet, or at the
/// start of a datagram that was put together from its fragments.
#[derive(Clone, Copy, Debug)]
pub struct Upper<'a> {
    protocol: u8,
    payload: &'a [u8],
    extensions: usize,
    piece: Option<Piece<'a>>,
}

/// What the fragment header says that fragments the packet.
#[derive(Clone, Copy, Debug)]
struct Piece<'a> {
    protocol: u8,
    offset: u16,
    more: bool,
    identification: u32,
    payload: &'a [u8],
}

impl<'a> Upper<'a> {
    /// Walks the extension headers at the start of `payload`, whose first is
    /// `next`, if it is one at all.
    #[inline]
    pub fn parse(next: u8, payload: &'a [u8]) -> Result<Self, WireError> {
        let mut upper = Self { protocol: next, payload, extensions: 0, piece: None };
        if is_extension(next) {
            upper.walk()?;
        }
        Ok(upper)
    }

    fn walk(&mut self) -> Result<(), WireError> {
        for _ in 0..MAX_EXTENSIONS {
            if !is_extension(self.protocol) {
                return Ok(());
            }
            let Some((head, behind)) = self.payload.split_first_chunk::<8>() else {
                return self.end_of_bytes();
            };
            let mut length = (usize::from(head[1]) + 1) * 8;
            if self.protocol == FRAGMENT {
                length = 8;
                let field = u16::from_be_bytes([head[2], head[3]]);
                let fragments = field & !0x0006 != 0;
                if fragments && self.piece.is_some() {
                    // A fragment within a fragment: what it is a piece of is
                    // known only when the outer series has been put together.
                    return Ok(());
                }
                if fragments {
                    self.piece = Some(Piece {
                        protocol: head[0],
                        offset: field & 0xfff8,
                        more: field & 1 != 0,
                        identification: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
                        payload: behind,
                    });
                }
            }
            let Some(rest) = self.payload.get(length..) else { return self.end_of_bytes() };
            self.payload = rest;
            self.protocol = head[0];
            self.extensions += length;
            if self.fragment() == Fragment::Later {
                return Ok(());
            }
        }
        if is_extension(self.protocol) { Err(WireError::depth(Layer::Ipv6)) } else { Ok(()) }
    }

    /// The bytes end within the chain: an error, but for a first fragment, whose
    /// chain goes on in the next one (RFC 7112 forbids it; not every receiver does).
    #[cold]
    fn end_of_bytes(&self) -> Result<(), WireError> {
        if self.piece.is_some() { Ok(()) } else { Err(WireError::truncated(Layer::Ipv6)) }
    }

    #[inline]
    const fn fragment(&self) -> Fragment {
        match self.piece {
            None => Fragment::None,
            Some(Piece { offset: 0, .. }) => Fragment::First,
            Some(_) => Fragment::Later,
        }
    }

    /// The protocol number of the payload. That of an extension header where the
    /// walk had to end in a first fragment: the chain goes on in the next one, or
    /// a second header fragments what is fragmented already.
    pub const fn protocol(&self) -> u8 {
        self.protocol
    }

    /// What stands behind the extension headers.
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Whether this is itself a fragment: fragmented twice.
    pub const fn is_fragment(&self) -> bool {
        self.piece.is_some()
    }
}

const fn is_extension(next: u8) -> bool {
    matches!(next, HOP_BY_HOP | ROUTING | FRAGMENT | DESTINATION | MOBILITY | HIP | SHIM6)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    fn packet(next: u8, upper: &[u8]) -> Vec<u8> {
        let mut bytes = std::vec![0x60, 0, 0, 0];
        bytes.extend((upper.len() as u16).to_be_bytes());
        bytes.extend([next, 64]);
        bytes.extend([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        bytes.extend([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
        bytes.extend(upper);
        bytes
    }

    /// A fragment header and what is behind it.
    fn fragment(next: u8, offset: u16, more: bool, identification: u32, behind: &[u8]) -> Vec<u8> {
        let mut bytes = std::vec![next, 0];
        bytes.extend((offset | u16::from(more)).to_be_bytes());
        bytes.extend(identification.to_be_bytes());
        bytes.extend(behind);
        bytes
    }

    #[test]
    fn extensions_lead_to_the_upper_layer() {
        let mut upper = std::vec![DESTINATION, 0, 0, 0, 0, 0, 0, 0];
        upper.extend([17, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        upper.extend([0xaa; 8]);
        let bytes = packet(HOP_BY_HOP, &upper);
        let ip = Ipv6::parse(&bytes).unwrap();
        assert_eq!((ip.protocol(), ip.header_len()), (17, 64));
        assert_eq!(ip.payload(), [0xaa; 8]);
        for end in 40..64 {
            assert_eq!(Ipv6::parse(&bytes[..end]).unwrap_err(), WireError::truncated(Layer::Ipv6));
        }
        for end in 64..72 {
            let ip = Ipv6::parse(&bytes[..end]).unwrap();
            assert!(ip.is_short());
            assert_eq!(ip.payload().len(), end - 64);
        }
    }

    #[test]
    fn every_fragment_field_is_read_back() {
        for (offset, more, kind) in [
            (0, true, Fragment::First),
            (8, true, Fragment::Later),
            (1448, false, Fragment::Later),
            (0xfff8, true, Fragment::Later),
        ] {
            // The two reserved bits are ignored by a receiver.
            for reserved in [0, 2, 4, 6] {
                let mut upper = fragment(17, offset, more, 0xdead_beef, &[0xaa; 16]);
                upper[3] |= reserved;
                let bytes = packet(FRAGMENT, &upper);
                let ip = Ipv6::parse(&bytes).unwrap();
                assert_eq!(ip.fragment(), kind);
                assert_eq!(
                    (ip.identification(), ip.fragment_offset(), ip.more_fragments()),
                    (0xdead_beef, usize::from(offset), more)
                );
                assert_eq!(ip.piece(), Some((17, &[0xaa; 16][..])));
                assert_eq!((ip.protocol(), ip.payload()), (17, &[0xaa; 16][..]));
            }
        }
    }

    #[test]
    fn a_later_fragment_is_not_walked_into() {
        let bytes = packet(FRAGMENT, &fragment(HOP_BY_HOP, 0x0518, false, 9, &[0xff, 0xff]));
        let ip = Ipv6::parse(&bytes).unwrap();
        assert_eq!(ip.fragment(), Fragment::Later);
        assert_eq!(ip.identification(), 9);
        assert_eq!(ip.payload(), [0xff, 0xff]);
    }

    /// The options behind the fragment header belong to the datagram that is put
    /// together; a reader that hands on the upper layer alone shifts it by their
    /// length, and the later fragments with it.
    #[test]
    fn evasion_by_options_behind_a_first_fragment_header_shifts_no_piece() {
        let mut behind = std::vec![17, 0, 1, 4, 0, 0, 0, 0];
        behind.extend([0xaa; 8]);
        let bytes = packet(FRAGMENT, &fragment(DESTINATION, 0, true, 9, &behind));
        let ip = Ipv6::parse(&bytes).unwrap();
        assert_eq!((ip.protocol(), ip.payload()), (17, &[0xaa; 8][..]));
        assert_eq!(ip.piece(), Some((DESTINATION, &behind[..])));
        let upper = Upper::parse(DESTINATION, &behind).unwrap();
        assert_eq!((upper.protocol(), upper.payload()), (17, &[0xaa; 8][..]));
        assert!(!upper.is_fragment());
    }

    /// A reader that drops such a first fragment as malformed never sees the
    /// datagram that older receivers put together.
    #[test]
    fn evasion_by_a_chain_that_goes_on_in_the_next_fragment_loses_no_piece() {
        let behind = [17, 1, 1, 4, 0, 0, 0, 0];
        let bytes = packet(FRAGMENT, &fragment(DESTINATION, 0, true, 9, &behind));
        let ip = Ipv6::parse(&bytes).unwrap();
        assert_eq!(ip.fragment(), Fragment::First);
        assert_eq!((ip.protocol(), ip.payload()), (DESTINATION, &behind[..]));
        assert_eq!(ip.piece(), Some((DESTINATION, &behind[..])));
        assert_eq!(
            Upper::parse(DESTINATION, &behind).unwrap_err(),
            WireError::truncated(Layer::Ipv6)
        );
        let header_only = packet(FRAGMENT, &fragment(17, 0, true, 9, &[])[..7]);
        assert_eq!(Ipv6::parse(&header_only).unwrap_err(), WireError::truncated(Layer::Ipv6));
    }

    #[test]
    fn an_atomic_fragment_is_no_fragment() {
        for reserved in [0, 2, 4, 6] {
            let mut upper = fragment(17, 0, false, 9, &[1, 2]);
            upper[3] |= reserved;
            let bytes = packet(FRAGMENT, &upper);
            let ip = Ipv6::parse(&bytes).unwrap();
            assert_eq!(ip.fragment(), Fragment::None);
            assert_eq!((ip.protocol(), ip.payload()), (17, &[1, 2][..]));
            assert_eq!((ip.identification(), ip.piece()), (0, None));
        }
    }

    #[test]
    fn evasion_by_an_atomic_fragment_header_before_a_true_one_is_seen_through() {
        let true_one = fragment(17, 16, true, 7, &[3; 8]);
        let bytes = packet(FRAGMENT, &fragment(FRAGMENT, 0, false, 9, &true_one));
        let ip = Ipv6::parse(&bytes).unwrap();
        assert_eq!((ip.fragment(), ip.identification()), (Fragment::Later, 7));
        assert_eq!((ip.fragment_offset(), ip.payload()), (16, &[3; 8][..]));
    }

    /// The outer fragment header is the one by which a receiver sorts; a reader
    /// that lets the last one win files the packet under another datagram.
    #[test]
    fn evasion_by_a_fragment_within_a_fragment_keeps_the_outer_one() {
        for (offset, more) in [(0, true), (64, false)] {
            let inner = fragment(17, offset, more, 7, &[3; 8]);
            let bytes = packet(FRAGMENT, &fragment(FRAGMENT, 0, true, 9, &inner));
            let ip = Ipv6::parse(&bytes).unwrap();
            assert_eq!((ip.fragment(), ip.identification()), (Fragment::First, 9));
            assert_eq!((ip.protocol(), ip.payload()), (FRAGMENT, &inner[..]));
            assert!(Upper::parse(FRAGMENT, &inner).unwrap().is_fragment());
        }
        let atomic = fragment(17, 0, false, 7, &[3; 8]);
        let bytes = packet(FRAGMENT, &fragment(FRAGMENT, 0, true, 9, &atomic));
        let ip = Ipv6::parse(&bytes).unwrap();
        assert_eq!((ip.identification(), ip.protocol(), ip.payload()), (9, 17, &[3; 8][..]));
    }

    /// Options are stepped over by the header's length alone, so that a jumbo
    /// payload option that lies, a Pad1 flood, an option of length 0 and one that
    /// points beyond its header hide nothing.
    #[test]
    fn evasion_by_odd_hop_by_hop_options_moves_no_payload() {
        for options in [
            [0xc2, 4, 0, 1, 0, 0], // jumbo payload of 65,536 beside a true length
            [0xc2, 4, 0, 0, 0, 0], // jumbo payload of 0
            [0xc2, 0, 0, 0, 0, 0], // of length 0
            [0, 0, 0, 0, 0, 0],    // Pad1 six times
            [1, 0xff, 0, 0, 0, 0], // PadN beyond the header and the packet
            [5, 2, 0, 0, 0, 1],    // router alert, and a type whose length is missing
            [0xff; 6],             // unknown: receivers discard and report
        ] {
            let mut upper = std::vec![17, 0];
            upper.extend(options);
            upper.extend([0xaa; 8]);
            let ordinary = packet(HOP_BY_HOP, &upper);
            let ip = Ipv6::parse(&ordinary).unwrap();
            assert_eq!((ip.protocol(), ip.payload()), (17, &[0xaa; 8][..]));
            // Out of its place, which receivers refuse, it hides nothing either.
            let mut behind = std::vec![HOP_BY_HOP, 0, 1, 4, 0, 0, 0, 0];
            behind.extend(upper);
            let misplaced = packet(DESTINATION, &behind);
            assert_eq!(Ipv6::parse(&misplaced).unwrap().payload(), [0xaa; 8]);
        }
    }

    #[test]
    fn a_payload_length_of_zero_reaches_to_the_end() {
        let mut upper = std::vec![17, 0, 0xc2, 4, 0, 1, 0, 8];
        upper.resize(8 + 65_536, 0xaa);
        let mut jumbo = packet(HOP_BY_HOP, &upper);
        jumbo[4..6].fill(0);
        let ip = Ipv6::parse(&jumbo).unwrap();
        assert_eq!((ip.protocol(), ip.payload().len(), ip.is_short()), (17, 65_536, false));
        let mut empty = packet(59, &[]);
        let ip = Ipv6::parse(&empty).unwrap();
        assert_eq!((ip.protocol(), ip.payload().len(), ip.is_short()), (59, 0, false));
        // Without the jumbo option it is what segmentation offload leaves.
        empty[6] = 17;
        empty.extend([0xbb; 9]);
        assert_eq!(Ipv6::parse(&empty).unwrap().payload(), [0xbb; 9]);
    }

    #[test]
    fn a_length_within_the_extension_headers_is_truncation() {
        let mut bytes = packet(HOP_BY_HOP, &[17, 0, 1, 4, 0, 0, 0, 0, 0xaa, 0xaa]);
        for length in 1..8 {
            bytes[5] = length;
            assert_eq!(Ipv6::parse(&bytes).unwrap_err(), WireError::truncated(Layer::Ipv6));
        }
        bytes[5] = 8;
        assert_eq!(Ipv6::parse(&bytes).unwrap().payload(), []);
        bytes[41] = 0xff;
        assert_eq!(Ipv6::parse(&bytes).unwrap_err(), WireError::truncated(Layer::Ipv6));
    }

    #[test]
    fn authentication_is_where_the_walk_ends() {
        let bytes = packet(HOP_BY_HOP, &[51, 0, 1, 4, 0, 0, 0, 0, 17, 4, 0, 0]);
        let ip = Ipv6::parse(&bytes).unwrap();
        assert_eq!((ip.protocol(), ip.payload()), (51, &[17, 4, 0, 0][..]));
    }

    #[test]
    fn an_endless_chain_ends() {
        let options = |count| -> Vec<u8> {
            let mut upper: Vec<u8> =
                std::iter::repeat_n([DESTINATION, 0, 0, 0, 0, 0, 0, 0], count).flatten().collect();
            let last = upper.len() - 8;
            upper[last] = 17;
            upper
        };
        let longest = packet(DESTINATION, &options(MAX_EXTENSIONS));
        assert_eq!(Ipv6::parse(&longest).unwrap().header_len(), 40 + 8 * MAX_EXTENSIONS);
        assert_eq!(
            Ipv6::parse(&packet(DESTINATION, &options(MAX_EXTENSIONS + 1))).unwrap_err(),
            WireError::depth(Layer::Ipv6)
        );
        let atomic: Vec<u8> =
            std::iter::repeat_n([FRAGMENT, 0, 0, 0, 0, 0, 0, 9], 200).flatten().collect();
        assert_eq!(
            Ipv6::parse(&packet(FRAGMENT, &atomic)).unwrap_err(),
            WireError::depth(Layer::Ipv6)
        );
    }

    #[test]
    fn noise_yields_parts_of_the_input_only() {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        let kinds = [HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION, MOBILITY, HIP, SHIM6, 17];
        let (mut walked, mut pieces) = (0, 0);
        for round in 0..50_000_usize {
            let mut bytes: Vec<u8> = (0..round % 200).map(|_| next()).collect();
            if let [first, _, _, _, high, low, kind, ..] = &mut bytes[..] {
                (*first, *high, *low) = (0x60, 0, *low % 200);
                *kind = kinds[usize::from(*kind) % kinds.len()];
            }
            // Plausible next headers and lengths, so that noise gets into the chain.
            for head in bytes.iter_mut().skip(40).step_by(8) {
                *head = kinds[usize::from(*head) % kinds.len()];
            }
            for length in bytes.iter_mut().skip(41).step_by(8) {
                *length %= 3;
            }
            if let Ok(ip) = Ipv6::parse(&bytes) {
                walked += usize::from(ip.header_len() > 40);
                let end = ip.header_len() + ip.payload().len();
                assert_eq!(ip.payload(), &bytes[ip.header_len()..end]);
                assert!(
                    ip.is_short()
                        || ip.payload_len() == 0
                        || end <= 40 + usize::from(ip.payload_len())
                );
                if let Some((_, piece)) = ip.piece() {
                    pieces += 1;
                    assert!(piece.ends_with(ip.payload()));
                    assert_eq!(ip.fragment_offset() % 8, 0);
                }
                assert_eq!(ip.piece().is_none(), ip.fragment() == Fragment::None);
            }
        }
        assert!(walked > 5_000 && pieces > 1_000, "{walked} {pieces}");
    }
}
