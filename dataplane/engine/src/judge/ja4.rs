//! JA4 of a ClientHello, as FoxIO publishes it (technical_details/JA4.md): what a TLS library offers,
//! in 36 characters, whichever server it says hello to.

use sha2::{Digest, Sha256};
use tls_parser::{TlsExtensionType, parse_tls_handshake_client_hello};

/// What carries the hello.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Carrier {
    Tcp,
    Quic,
}

/// The fingerprint of a hello, a handshake message; none if it is not there in full.
pub(super) fn ja4(message: &[u8], carrier: Carrier) -> Option<String> {
    let (&[1, a, b, c], body) = message.split_first_chunk()? else { return None };
    let body = body.get(..u32::from_be_bytes([0, a, b, c]) as usize)?;
    let (_, hello) = parse_tls_handshake_client_hello(body).ok()?;
    let extensions = extensions(hello.ext.unwrap_or_default())?;
    let content = |kind: TlsExtensionType| {
        extensions.iter().find(|(known, _)| *known == kind.0).map(|(_, content)| *content)
    };
    let ciphers: Vec<u16> =
        hello.ciphers.iter().map(|cipher| cipher.0).filter(|one| !is_grease(*one)).collect();
    let offered = content(TlsExtensionType::SupportedVersions).and_then(|it| it.get(1..));
    let newest = offered.and_then(|list| words(list).filter(|one| !is_grease(*one)).max());
    let version = match newest.unwrap_or(hello.version.0) {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        _ => "00",
    };
    let carrier = if carrier == Carrier::Tcp { 't' } else { 'q' };
    let server = if content(TlsExtensionType::ServerName).is_some() { 'd' } else { 'i' };
    let protocol = content(TlsExtensionType::ApplicationLayerProtocolNegotiation);
    let protocol = ends(protocol.and_then(first_protocol).unwrap_or_default());
    let (offers, kinds) = (ciphers.len().min(99), extensions.len().min(99));
    let named = |kind: &u16| {
        *kind != TlsExtensionType::ServerName.0
            && *kind != TlsExtensionType::ApplicationLayerProtocolNegotiation.0
    };
    let mut sorted_ciphers = ciphers;
    sorted_ciphers.sort_unstable();
    let mut sorted: Vec<u16> = extensions.iter().map(|(kind, _)| *kind).filter(named).collect();
    sorted.sort_unstable();
    let algorithms = content(TlsExtensionType::SignatureAlgorithms).and_then(|it| it.get(2..));
    let algorithms: Vec<u16> =
        words(algorithms.unwrap_or_default()).filter(|one| !is_grease(*one)).collect();
    let mut offered = listed(&sorted);
    if !algorithms.is_empty() {
        offered = format!("{offered}_{}", listed(&algorithms));
    }
    let last = if extensions.is_empty() { NOTHING.into() } else { digest(&offered) };
    let first =
        if sorted_ciphers.is_empty() { NOTHING.into() } else { digest(&listed(&sorted_ciphers)) };
    Some(format!("{carrier}{version}{server}{offers:02}{kinds:02}{protocol}_{first}_{last}"))
}

/// The application protocol that a hello offers first, defused.
pub(super) fn first_protocol(content: &[u8]) -> Option<&[u8]> {
    let (len, list) = content.get(2..)?.split_first()?;
    list.get(..usize::from(*len)).filter(|name| !name.is_empty())
}

const NOTHING: &str = "000000000000";

/// Values that clients make up so that servers learn to overlook what they do not know (RFC 8701).
fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

fn words(octets: &[u8]) -> impl Iterator<Item = u16> {
    octets.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
}

/// The extensions in order, without those that mean nothing; none if one is cut.
fn extensions(mut rest: &[u8]) -> Option<Vec<(u16, &[u8])>> {
    let mut extensions = Vec::new();
    while !rest.is_empty() {
        let (&[a, b, c, d], behind) = rest.split_first_chunk()?;
        let (content, behind) = behind.split_at_checked(u16::from_be_bytes([c, d]).into())?;
        let kind = u16::from_be_bytes([a, b]);
        if !is_grease(kind) {
            extensions.push((kind, content));
        }
        rest = behind;
    }
    Some(extensions)
}

/// The first and the last character of a protocol's name, of its octets in hexadecimal if either is
/// neither letter nor digit.
fn ends(name: &[u8]) -> String {
    let (Some(first), Some(last)) = (name.first(), name.last()) else { return "00".into() };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return [char::from(*first), char::from(*last)].iter().collect();
    }
    format!("{:x}{:x}", first >> 4, last & 0xf)
}

fn listed(values: &[u16]) -> String {
    values.iter().map(|value| format!("{value:04x}")).collect::<Vec<_>>().join(",")
}

fn digest(text: &str) -> String {
    Sha256::digest(text).iter().take(6).map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn list(values: &[u16]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_be_bytes()).collect()
    }

    fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
        [&kind.to_be_bytes()[..], &(content.len() as u16).to_be_bytes(), content].concat()
    }

    /// A hello with these ciphers and extensions.
    pub(in crate::judge) fn hello(ciphers: &[u16], extensions: &[Vec<u8>]) -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend([0x5e; 32]);
        body.push(0);
        body.extend((2 * ciphers.len() as u16).to_be_bytes());
        body.extend(list(ciphers));
        body.extend([1, 0]);
        let extensions = extensions.concat();
        body.extend((extensions.len() as u16).to_be_bytes());
        body.extend(extensions);
        let mut message = vec![1];
        message.extend(&(body.len() as u32).to_be_bytes()[1..]);
        message.extend(body);
        message
    }

    /// The example of FoxIO's description: Chrome, with grease among what it offers.
    fn chrome() -> Vec<u8> {
        let ciphers = [
            0x3a3a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013,
            0xc014, 0x009c, 0x009d, 0x002f, 0x0035,
        ];
        let algorithms = list(&[0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601]);
        let plain = [
            0x001b, 0x0033, 0x4469, 0x0017, 0x002d, 0x0005, 0x0023, 0x0012, 0xff01, 0x000b, 0x000a,
            0x0015,
        ];
        let mut extensions = vec![
            extension(0xdada, b""),
            extension(0, b"\0\x0a\0\0\x07example"),
            extension(0x0010, b"\0\x0c\x02h2\x08http/1.1"),
            extension(0x002b, &[&[6][..], &list(&[0x9a9a, 0x0304, 0x0303])].concat()),
            extension(0x000d, &[&[0, 16][..], &algorithms].concat()),
        ];
        extensions.extend(plain.map(|kind| extension(kind, b"\x01\x02")));
        hello(&ciphers, &extensions)
    }

    #[test]
    fn the_published_example_has_its_published_fingerprint() {
        let expected = Some("t13d1516h2_8daaf6152771_e5627efa2ab1".to_owned());
        assert_eq!(ja4(&chrome(), Carrier::Tcp), expected);
        assert!(ja4(&chrome(), Carrier::Quic).unwrap().starts_with("q13d1516h2_"));
    }

    #[test]
    fn hellos_that_offer_nothing_have_zeros_and_odd_protocols_their_octets() {
        let bare = ja4(&hello(&[], &[]), Carrier::Tcp).unwrap();
        assert_eq!(bare, "t12i000000_000000000000_000000000000");
        let odd = hello(&[0x1301], &[extension(0x0010, b"\0\x03\x02\xab\xcd")]);
        assert!(ja4(&odd, Carrier::Tcp).unwrap().starts_with("t12i0101ad_"));
        let one = hello(&[0x1301], &[extension(0x0010, b"\0\x02\x01h")]);
        assert!(ja4(&one, Carrier::Tcp).unwrap().starts_with("t12i0101hh_"));
    }

    #[test]
    fn what_is_cut_has_none_and_no_octet_hurts() {
        let whole = chrome();
        for end in 0..whole.len() {
            assert_eq!(ja4(&whole[..end], Carrier::Tcp), None, "{end}");
        }
        for at in 0..whole.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut lie = whole.clone();
                lie[at] = value;
                if let Some(told) = ja4(&lie, Carrier::Tcp) {
                    assert_eq!(told.len(), 36);
                }
            }
        }
    }
}
