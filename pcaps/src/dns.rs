//! DNS messages of one question (RFC 1035 §4).

use std::net::IpAddr;

/// The port of DNS.
pub(crate) const PORT: u16 = 53;

const RECURSION_DESIRED: u16 = 0x0100;
const ANSWER: u16 = 0x8180;
const TTL_SECONDS: u32 = 300;

/// Asks for the A or AAAA record of a name.
pub(crate) fn query(id: u16, name: &str, six: bool) -> Vec<u8> {
    message(id, RECURSION_DESIRED, name, six, None)
}

/// Answers with the address of the name.
pub(crate) fn answer(id: u16, name: &str, address: IpAddr) -> Vec<u8> {
    message(id, ANSWER, name, address.is_ipv6(), Some(address))
}

fn message(id: u16, flags: u16, name: &str, six: bool, address: Option<IpAddr>) -> Vec<u8> {
    let answers = u16::from(address.is_some());
    let kind: u16 = if six { 28 } else { 1 };
    let mut bytes = Vec::with_capacity(64);
    for word in [id, flags, 1, answers, 0, 0] {
        bytes.extend(word.to_be_bytes());
    }
    for label in name.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend(kind.to_be_bytes());
    bytes.extend([0, 1]);
    if let Some(address) = address {
        // The name is the one of the question, twelve octets into the message.
        bytes.extend([0xc0, 12]);
        bytes.extend(kind.to_be_bytes());
        bytes.extend([0, 1]);
        bytes.extend(TTL_SECONDS.to_be_bytes());
        match address {
            IpAddr::V4(four) => bytes.extend([&[0, 4][..], &four.octets()].concat()),
            IpAddr::V6(six) => bytes.extend([&[0, 16][..], &six.octets()].concat()),
        }
    }
    bytes
}
