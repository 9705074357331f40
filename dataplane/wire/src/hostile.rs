//! Noise for every parser: none may panic, whatever the bytes.

extern crate std;

use crate::Layer;
use crate::ethernet::{Ethernet, Vlan};
use crate::gtpu::Gtpu;
use crate::icmp::Icmp;
use crate::ipv4::Ipv4;
use crate::ipv6::Ipv6;
use crate::pdu_session::PduSession;
use crate::pfcp::{Elements, Pfcp};
use crate::sctp::Sctp;
use crate::tcp::Tcp;
use crate::udp::Udp;

fn exercise(bytes: &[u8]) -> usize {
    let mut reached = 0;
    let mut note = |ok: bool| reached += usize::from(ok);
    note(Ethernet::parse(bytes).is_ok_and(|e| e.payload().len() < bytes.len()));
    note(Vlan::parse(bytes).is_ok());
    note(Ipv4::parse(bytes).is_ok_and(|ip| ip.payload().len() < bytes.len()));
    note(Ipv6::parse(bytes).is_ok_and(|ip| ip.header_len() <= bytes.len()));
    note(Udp::parse(bytes).is_ok());
    note(Tcp::parse(bytes).is_ok());
    note(Sctp::parse(bytes).is_ok());
    note(Icmp::parse(bytes, Layer::Icmp).is_ok());
    note(Gtpu::parse(bytes).is_ok_and(|gtpu| gtpu.extensions().count() < 20));
    note(PduSession::parse(bytes).is_ok());
    note(Pfcp::parse(bytes).is_ok_and(|pfcp| pfcp.elements().count() <= bytes.len()));
    note(Elements::new(bytes).count() > 0);
    reached
}

#[test]
fn noise_reaches_every_parser_and_panics_none() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = [0; 96];
    let mut reached = 0;
    for round in 0..200_000_usize {
        for byte in &mut bytes {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *byte = state as u8;
        }
        // Plausible first octets, so that noise gets behind the version checks.
        bytes[0] = [0x45, 0x60, 0x34, 0x21, bytes[0]][round % 5];
        reached += exercise(&bytes[..round % 97]);
    }
    assert!(reached > 500_000, "{reached}");
}
