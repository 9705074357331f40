//! GTP's control plane, told apart and no more: GTPv1-C (TS 29.060), GTPv2-C
//! (TS 29.274) and GTP' (TS 32.295).
//!
//! Strict, since a detection rests on it: version, the flags that a message of
//! that version must have, a message type that exists, and a length that is
//! exactly the datagram's.

/// A protocol of GTP's control plane.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Control {
    /// GTPv1-C.
    V1,
    /// GTPv2-C.
    V2,
    /// GTP', which carries charging records.
    Prime,
}

/// Which control protocol a UDP payload is, if it is one. Path management of
/// GTPv1-C looks like GTP-U's; the port tells them apart.
#[inline]
pub fn identify(bytes: &[u8]) -> Option<Control> {
    let [flags, kind, high, low, ..] = *bytes else { return None };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let (version, is_gtp) = (flags >> 5, flags & 0x10 != 0);
    let (control, sound) = match (version, is_gtp) {
        (1, true) => (Control::V1, is_v1(flags, kind) && length >= 4 && bytes.len() == length + 8),
        (2, _) if is_v2(bytes) => (Control::V2, true),
        (0..=2, false) => {
            (Control::Prime, is_prime(kind) && bytes.len() == length + prime_header(flags))
        }
        _ => return None,
    };
    sound.then_some(control)
}

/// Control messages of version 1 have a sequence number and no spare bit.
const fn is_v1(flags: u8, kind: u8) -> bool {
    flags & 0x0a == 0x02
        && matches!(
            kind,
            1..=3 | 16..=23 | 26..=37 | 48..=62 | 70 | 96..=105 | 112..=121 | 128 | 129
        )
}

/// A message of version 2, and the one that may be piggybacked on it.
fn is_v2(bytes: &[u8]) -> bool {
    match split_v2(bytes) {
        Some((first, [])) => first & PIGGYBACKED == 0,
        Some((first, behind)) => {
            first & PIGGYBACKED != 0
                && matches!(split_v2(behind), Some((second, [])) if second & PIGGYBACKED == 0)
        }
        None => false,
    }
}

const PIGGYBACKED: u8 = 0x10;

/// The flags of the first message of version 2, and what is behind it.
fn split_v2(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (&[flags, kind, high, low], rest) = bytes.split_first_chunk()?;
    let length = usize::from(u16::from_be_bytes([high, low]));
    // Path management has no TEID, every other message has one.
    let has_teid = flags & 0x08 != 0;
    let sound = flags & 0xe3 == 0x40
        && is_v2_message(kind)
        && has_teid == (kind > 3)
        && length >= if has_teid { 8 } else { 4 };
    Some((flags, rest.get(length..)?)).filter(|_| sound)
}

/// The messages of TS 29.274 table 6.1-1, those of Sv (TS 29.280) included.
const fn is_v2_message(kind: u8) -> bool {
    matches!(
        kind,
        1..=3 | 25..=41 | 64..=73 | 95..=104 | 128..=141 | 149..=171 | 176 | 177 | 179 | 180
            | 200 | 201 | 211 | 212 | 231..=236 | 240..=244
    )
}

/// Bytes of a GTP' header: 20 in version 0 unless its flag says 6, else 6.
const fn prime_header(flags: u8) -> usize {
    if flags & 0xe1 == 0 { 20 } else { 6 }
}

const fn is_prime(kind: u8) -> bool {
    matches!(kind, 1..=7 | 240 | 241)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::seeded::Seeded;
    use std::vec::Vec;

    /// Create PDP Context Request, without its elements.
    const V1: [u8; 12] = [0x32, 16, 0, 4, 0, 0, 0, 0, 0, 7, 0, 0];
    /// Echo Request with a Recovery element.
    const V2: [u8; 13] = [0x40, 1, 0, 9, 0, 0, 7, 0, 3, 0, 1, 0, 5];
    /// Data Record Transfer Request of version 2, without elements.
    const PRIME: [u8; 6] = [0x4e, 240, 0, 0, 0, 7];

    #[test]
    fn each_protocol_is_known_by_its_header() {
        assert_eq!(identify(&V1), Some(Control::V1));
        assert_eq!(identify(&V2), Some(Control::V2));
        assert_eq!(identify(&PRIME), Some(Control::Prime));
        let mut old = [0; 20];
        old[..2].copy_from_slice(&[0x0e, 1]);
        assert_eq!(identify(&old), Some(Control::Prime), "a header of twenty octets");
        assert_eq!(identify(&[0x0f, 1, 0, 0, 0, 7]), Some(Control::Prime));
    }

    #[test]
    fn a_piggybacked_message_belongs_to_the_datagram() {
        let session = [0x58, 33, 0, 8, 0, 0, 0, 1, 0, 0, 7, 0];
        let bearer = [0x48, 95, 0, 8, 0, 0, 0, 1, 0, 0, 8, 0];
        let both = [session, bearer].concat();
        assert_eq!(identify(&both), Some(Control::V2));
        assert_eq!(identify(&session), None, "announced, but not there");
        let mut unannounced = both.clone();
        unannounced[0] = 0x48;
        assert_eq!(identify(&unannounced), None);
        let endless = [session, session].concat();
        assert_eq!(identify(&endless), None, "the rider announces a rider");
        let third = [session, session, bearer].concat();
        assert_eq!(identify(&third), None, "one only may ride along");
    }

    #[test]
    fn what_is_written_is_known_by_any_of_its_types() {
        let mut seeded = Seeded::new(16);
        let mut known = [0; 3];
        for kind in 0..=255_u8 {
            let body: Vec<u8> = (0..8 + seeded.next() % 40).map(|_| seeded.next() as u8).collect();
            let message = |flags: u8, length: usize, header: &[u8]| {
                let mut bytes = std::vec![flags, kind];
                bytes.extend((length as u16).to_be_bytes());
                bytes.extend(header);
                bytes.extend(&body);
                bytes
            };
            let v1 = message(0x32, body.len(), &[0; 4]);
            let v2 = message(if kind > 3 { 0x48 } else { 0x40 }, body.len(), &[]);
            let prime = message(0x2e, body.len(), &[0; 2]);
            known[0] += usize::from(identify(&v1) == Some(Control::V1));
            known[1] += usize::from(identify(&v2) == Some(Control::V2));
            known[2] += usize::from(identify(&prime) == Some(Control::Prime));
        }
        // As many as the tables of the three specifications have.
        assert_eq!(known, [61, 96, 9]);
    }

    #[test]
    fn what_only_resembles_control_is_none() {
        for (index, value) in [(0, 0x30), (0, 0x3a), (1, 0), (1, 255), (3, 3), (3, 5)] {
            let mut bytes = V1;
            bytes[index] = value;
            assert_eq!(identify(&bytes), None, "{index} {value}");
        }
        for (index, value) in [(0, 0x41), (0, 0x48), (0, 0x50), (0, 0x60), (1, 4), (3, 8), (3, 10)]
        {
            let mut bytes = V2;
            bytes[index] = value;
            assert_eq!(identify(&bytes), None, "{index} {value}");
        }
        for (index, value) in [(0, 0x6e), (0, 0x5e), (1, 8), (3, 1)] {
            let mut bytes = PRIME;
            bytes[index] = value;
            assert_eq!(identify(&bytes), None, "{index} {value}");
        }
    }

    #[test]
    fn every_truncation_is_none() {
        for whole in [&V1[..], &V2, &PRIME] {
            for end in 0..whole.len() {
                assert_eq!(identify(&whole[..end]), None, "{end} of {whole:?}");
            }
        }
    }
}
