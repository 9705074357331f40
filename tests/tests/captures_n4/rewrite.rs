//! Captures of others, changed: without the marks that a forger's tool leaves in IP headers, or
//! without some of their messages.

use std::net::Ipv4Addr;
use std::path::Path;

use weir_capture::{Reader, Source, open};

/// A frame with its time in nanoseconds since 1970.
#[derive(Clone)]
pub(crate) struct Shot {
    pub(crate) time: u64,
    pub(crate) bytes: Vec<u8>,
}

/// The frames of a capture of Ethernet.
pub(crate) fn shots(path: &Path) -> Vec<Shot> {
    let Source::Mapped(map) = open(path).unwrap() else { panic!("the file is packed") };
    let packets = Reader::open(&map).unwrap();
    let packets = packets.map(|packet| packet.expect("the capture is whole"));
    packets.map(|packet| Shot { time: packet.time.0, bytes: packet.bytes.to_vec() }).collect()
}

/// Writes them as a pcap with nanoseconds.
pub(crate) fn write(path: &Path, shots: &[Shot]) {
    let mut file = Vec::new();
    for word in [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        file.extend(word.to_le_bytes());
    }
    for shot in shots {
        let len = shot.bytes.len() as u32;
        let (seconds, rest) = (shot.time / 1_000_000_000, shot.time % 1_000_000_000);
        for word in [seconds as u32, rest as u32, len, len] {
            file.extend(word.to_le_bytes());
        }
        file.extend(&shot.bytes);
    }
    std::fs::write(path, file).unwrap();
}

/// Where the IPv4 header of a frame lies; none if it carries another protocol.
fn header(bytes: &[u8]) -> Option<usize> {
    (bytes.get(12..14)? == [8, 0] && bytes.get(14)? >> 4 == 4).then_some(14)
}

/// Octets of options in its IPv4 header.
pub(crate) fn options(shot: &Shot) -> usize {
    header(&shot.bytes).map_or(0, |at| usize::from(shot.bytes[at] & 15) * 4 - 20)
}

/// The frame without IPv4 options, its lengths and checksum mended.
pub(crate) fn without_options(shot: &Shot) -> Shot {
    let mut bytes = shot.bytes.clone();
    let extra = options(shot);
    if let Some(at) = header(&bytes).filter(|_| extra > 0) {
        let total = u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]) - extra as u16;
        bytes.drain(at + 20..at + 20 + extra);
        bytes[at] = 0x45;
        bytes[at + 2..at + 4].copy_from_slice(&total.to_be_bytes());
        seal(&mut bytes[at..at + 20]);
    }
    Shot { time: shot.time, bytes }
}

/// The frame with the hop limit that all have.
pub(crate) fn with_one_ttl(shot: &Shot) -> Shot {
    let mut bytes = shot.bytes.clone();
    if let Some(at) = header(&bytes) {
        let len = 20 + options(shot);
        bytes[at + 8] = 63;
        seal(&mut bytes[at..at + len]);
    }
    Shot { time: shot.time, bytes }
}

/// Computes the checksum of an IPv4 header.
fn seal(header: &mut [u8]) {
    header[10..12].fill(0);
    let words =
        header.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    header[10..12].copy_from_slice(&(!(sum as u16)).to_be_bytes());
}

/// The PFCP message that a frame begins: source, destination and type. None if its outermost
/// packet carries none.
pub(crate) fn pfcp(shot: &Shot) -> Option<(Ipv4Addr, Ipv4Addr, u8)> {
    let ip = shot.bytes.get(header(&shot.bytes)?..)?;
    let address = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(ip.get(at..at + 4)?).ok()?));
    let udp = ip.get(20 + options(shot)..).filter(|_| ip[9] == 17)?;
    let is_pfcp = [0, 2].iter().any(|at| udp.get(*at..at + 2) == Some(&[0x22, 0x65]));
    Some((address(12)?, address(16)?, *udp.get(9).filter(|_| is_pfcp)?))
}
