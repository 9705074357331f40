//! The ClientHello in a QUIC Initial (RFC 9000 §17.2.2). Its keys follow from what stands in it (RFC 9001
//! §5.2), so that whoever sees the first packet can read it.

use aes_gcm::aead::consts::{U12, U16};
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::aes::Aes128;
use aes_gcm::aes::cipher::{Array, BlockCipherEncrypt};
use aes_gcm::{AeadInOut, Aes128Gcm, KeyInit};
use hkdf::Hkdf;
use sha2::Sha256;

/// Versions 1 and 2, the salts of their secrets, the labels of their keys and their Initial's type.
const VERSIONS: [(u32, [u8; 20], [&str; 3], u8); 2] = [
    (
        1,
        [
            0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8,
            0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a,
        ],
        ["quic key", "quic iv", "quic hp"],
        0,
    ),
    (
        0x6b33_43cf,
        [
            0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26,
            0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9,
        ],
        ["quicv2 key", "quicv2 iv", "quicv2 hp"],
        1,
    ),
];

/// The most octets of a hello that are put together: what one datagram holds.
const LARGEST: usize = 2048;

/// Whether a datagram begins like an Initial of a version that is known.
pub(crate) fn begins(datagram: &[u8]) -> bool {
    let Some(&[first, a, b, c, d]) = datagram.first_chunk() else { return false };
    let version = u32::from_be_bytes([a, b, c, d]);
    let known = VERSIONS.iter().find(|(known, ..)| *known == version);
    // Smaller datagrams servers drop (RFC 9000 §14.1).
    known.is_some_and(|(.., kind)| first >> 4 == 0xc | kind) && datagram.len() >= 1200
}

/// The beginning of the handshake messages in a client's Initial.
pub(super) fn client_hello(datagram: &[u8]) -> Option<Vec<u8>> {
    let (&[first, a, b, c, d], rest) = datagram.split_first_chunk()?;
    let version = u32::from_be_bytes([a, b, c, d]);
    let (_, salt, labels, _) = VERSIONS.iter().find(|(known, ..)| *known == version)?;
    let (destination, rest) = connection(rest)?;
    let (_, rest) = connection(rest)?;
    let (token, rest) = number(rest)?;
    let rest = rest.get(usize::try_from(token).ok()?..)?;
    let (len, rest) = number(rest)?;
    let sealed = rest.get(..usize::try_from(len).ok()?)?;
    let at = datagram.len() - rest.len();

    let (_, secret) = Hkdf::<Sha256>::extract(Some(salt), destination);
    let mut client = [0; 32];
    expand(&secret, "client in", &mut client)?;
    let client = Hkdf::<Sha256>::from_prk(&client).ok()?;
    let (mut key, mut iv, mut mask_key) = ([0; 16], [0; 12], [0; 16]);
    expand(&client, labels[0], &mut key)?;
    expand(&client, labels[1], &mut iv)?;
    expand(&client, labels[2], &mut mask_key)?;

    let mut mask = Array::<u8, U16>::try_from(sealed.get(4..20)?).ok()?;
    Aes128::new(&mask_key.into()).encrypt_block(&mut mask);
    let first = first ^ (mask[0] & 0xf);
    let number_len = usize::from(first & 3) + 1;
    let mut header = datagram.get(..at + number_len)?.to_vec();
    *header.first_mut()? = first;
    for (octet, mask) in header.get_mut(at..)?.iter_mut().zip(&mask[1..]) {
        *octet ^= mask;
    }
    let number = header.get(at..)?;
    for (octet, part) in iv.iter_mut().rev().zip(number.iter().rev()) {
        *octet ^= part;
    }
    let mut payload = sealed.get(number_len..)?.to_vec();
    let tag = payload.split_off(payload.len().checked_sub(16)?);
    let tag = Array::<u8, U16>::try_from(tag.as_slice()).ok()?;
    let nonce = Array::<u8, U12>::from(iv);
    Aes128Gcm::new(&key.into())
        .decrypt_inout_detached(&nonce, &header, InOutBuf::from(payload.as_mut_slice()), &tag)
        .ok()?;
    Some(put_together(&payload))
}

/// HKDF-Expand-Label (RFC 8446 §7.1) without context.
fn expand(secret: &Hkdf<Sha256>, label: &str, key: &mut [u8]) -> Option<()> {
    let mut info = (key.len() as u16).to_be_bytes().to_vec();
    info.push(label.len() as u8 + 6);
    info.extend(b"tls13 ");
    info.extend(label.as_bytes());
    info.push(0);
    secret.expand(&info, key).ok()
}

/// A connection's id, of at most 20 octets, and what follows.
fn connection(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first()?;
    if *len > 20 {
        return None;
    }
    rest.split_at_checked(usize::from(*len))
}

/// A number of variable length (RFC 9000 §16), and what follows.
fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let len = 1 << (bytes.first()? >> 6);
    let (number, rest) = bytes.split_at_checked(len)?;
    let number = number.iter().fold(0, |number, octet| number << 8 | u64::from(*octet));
    Some((number & (u64::MAX >> (66 - 8 * len)), rest))
}

/// The crypto stream's beginning, out of its frames: clients shuffle them so that observers miss the
/// name. Another kind of frame ends the search, but for padding and pings.
fn put_together(mut frames: &[u8]) -> Vec<u8> {
    let mut stream = vec![0; LARGEST];
    let mut there = vec![false; LARGEST];
    while let Some((kind, rest)) = frames.split_first() {
        frames = rest;
        if matches!(kind, 0 | 1) {
            continue;
        }
        let frame = (*kind == 6).then(|| {
            let (offset, rest) = number(rest)?;
            let (len, rest) = number(rest)?;
            let (offset, len) = (usize::try_from(offset).ok()?, usize::try_from(len).ok()?);
            let (content, rest) = rest.split_at_checked(len)?;
            Some((offset, content, rest))
        });
        let Some((offset, content, rest)) = frame.flatten() else { break };
        frames = rest;
        for (at, octet) in (offset..LARGEST).zip(content) {
            (stream[at], there[at]) = (*octet, true);
        }
    }
    stream.truncate(there.iter().position(|there| !there).unwrap_or(LARGEST));
    stream
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
        (0..text.len()).step_by(2).map(digit).collect()
    }

    const DESTINATION: &str = "8394c8f03e515708";

    /// The frames of RFC 9001, appendix A.2, without their padding.
    fn frames() -> Vec<u8> {
        hex(concat!(
            "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e868",
            "04fe3a47f06a2b69484c00000413011302010000c000000010000e00000b6578",
            "616d706c652e636f6dff01000100000a00080006001d00170018001000070005",
            "04616c706e000500050100000000003300260024001d00209370b2c9caa47fba",
            "baf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b000302030400",
            "0d0010000e0403050306030203080408050806002d00020101001c0002400100",
            "3900320408ffffffffffffffff05048000ffff07048000ffff08011001048000",
            "75300901100f088394c8f03e51570806048000ffff",
        ))
    }

    /// A client's Initial number 2 that carries frames, padded as servers demand.
    pub(in crate::judge) fn sealed(version: usize, frames: &[u8]) -> Vec<u8> {
        let (number, salt, labels, kind) = VERSIONS[version];
        let mut header = vec![0xc3 | kind << 4];
        header.extend(number.to_be_bytes());
        header.extend([8]);
        header.extend(hex(DESTINATION));
        header.extend([0, 0, 0x44, 0x9e, 0, 0, 0, 2]);
        let (_, secret) = Hkdf::<Sha256>::extract(Some(&salt), &hex(DESTINATION));
        let mut client = [0; 32];
        expand(&secret, "client in", &mut client).unwrap();
        let client = Hkdf::<Sha256>::from_prk(&client).unwrap();
        let (mut key, mut iv, mut mask_key) = ([0; 16], [0; 12], [0; 16]);
        expand(&client, labels[0], &mut key).unwrap();
        expand(&client, labels[1], &mut iv).unwrap();
        expand(&client, labels[2], &mut mask_key).unwrap();
        iv[11] ^= 2;
        let mut payload = frames.to_vec();
        payload.resize(1162, 0);
        let nonce = Array::<u8, U12>::from(iv);
        let tag = Aes128Gcm::new(&key.into())
            .encrypt_inout_detached(&nonce, &header, InOutBuf::from(payload.as_mut_slice()))
            .unwrap();
        payload.extend(tag);
        let mut mask = Array::<u8, U16>::try_from(&payload[..16]).unwrap();
        Aes128::new(&mask_key.into()).encrypt_block(&mut mask);
        header[0] ^= mask[0] & 0xf;
        for (octet, mask) in header[18..].iter_mut().zip(&mask[1..]) {
            *octet ^= mask;
        }
        [header, payload].concat()
    }

    #[test]
    fn the_initial_of_rfc_9001_is_opened() {
        let packet = sealed(0, &frames());
        let published =
            "c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11d242b123dc9b";
        assert_eq!(packet[..38], hex(published)[..]);
        assert_eq!(packet[1184..], hex("e221af44860018ab0856972e194cd934")[..]);
        assert!(begins(&packet));
        let hello = client_hello(&packet).unwrap();
        assert_eq!(hello, frames()[4..]);
        let second = sealed(1, &frames());
        assert!(begins(&second));
        assert_eq!(client_hello(&second), Some(hello));
    }

    #[test]
    fn frames_out_of_order_are_put_together_and_others_end_the_search() {
        let shuffled = sealed(0, b"\x06\x03\x02de\x01\x00\x06\x00\x03abc\x06\x06\x01g");
        assert_eq!(client_hello(&shuffled).unwrap(), b"abcde");
        let ended = sealed(0, b"\x06\x00\x01a\x02\x00\x06\x01\x01b");
        assert_eq!(client_hello(&ended).unwrap(), b"a");
        // An offset at the end of numbers, and a length beyond the packet.
        let far = sealed(0, b"\x06\xff\xff\xff\xff\xff\xff\xff\xff\x02xx\x06\x00\x7f\xffa");
        assert_eq!(client_hello(&far).unwrap(), b"");
    }

    /// Behind a valid seal stands whatever a client likes.
    #[test]
    fn no_frames_hurt() {
        let mut state = 0x5eed_u64;
        let mut next = || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            (state >> 33) as u8
        };
        for len in 0..2_000 {
            let mut frames: Vec<u8> = (0..len % 1_162).map(|_| next()).collect();
            frames.iter_mut().step_by(7).for_each(|octet| *octet = 6);
            assert!(put_together(&frames).len() <= LARGEST);
        }
    }

    #[test]
    fn what_is_cut_changed_or_noise_is_not_opened() {
        let packet = sealed(0, &frames());
        for end in 0..packet.len() {
            assert_eq!(client_hello(&packet[..end]), None, "{end}");
        }
        for at in 0..packet.len() {
            let mut changed = packet.clone();
            changed[at] ^= 0x10;
            assert_eq!(client_hello(&changed), None, "{at}");
        }
        assert!(!begins(&packet[..1199]) && !begins(b"\xc0\0\0\0\x02") && !begins(&[]));
    }
}
