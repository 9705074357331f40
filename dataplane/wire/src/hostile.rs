//! Noise for every parser: none may panic, whatever the bytes, and noise must
//! get behind each one's checks, so that its accessors are exercised too.

extern crate std;

use std::collections::BTreeMap;

use crate::ah::Ah;
use crate::erspan::Erspan;
use crate::esp::Esp;
use crate::ethernet::{Ethernet, Vlan};
use crate::foreign::Foreign;
use crate::gre::Gre;
use crate::gtpu::Gtpu;
use crate::icmp::Icmp;
use crate::ipv4::Ipv4;
use crate::ipv6::Ipv6;
use crate::mpls::Label;
use crate::null::Null;
use crate::pdu_session::PduSession;
use crate::pfcp::{Element, Elements, Pfcp};
use crate::pppoe::Pppoe;
use crate::sctp::Sctp;
use crate::seeded::Seeded;
use crate::sll::Sll;
use crate::sll2::Sll2;
use crate::tcp::Tcp;
use crate::udp::Udp;
use crate::vxlan::Vxlan;
use crate::{Layer, gtpc, gtpu_element, pfcp_ie, pfcp_walk};

/// Every number that a container gives, so that each accessor runs.
fn fields(container: &PduSession<'_>) -> usize {
    let stamps = [
        container.dl_sending_time_stamp(),
        container.dl_received_time_stamp(),
        container.ul_sending_time_stamp(),
    ];
    let numbers = [
        container.dl_delay_result(),
        container.ul_delay_result(),
        container.qfi_sequence_number(),
        container.mbs_qfi_sequence_number(),
        container.n3_n9_delay_result(),
        container.new_ie_flags().map(u32::from),
        container.d1_ul_pdcp_delay_result().map(u32::from),
        container.ul_congestion().map(u32::from),
        container.dl_congestion().map(u32::from),
        container.ppi().map(u32::from),
    ];
    stamps.iter().flatten().count() + numbers.iter().flatten().count()
}

/// Every list that a PFCP value gives, so that each of its walks runs.
fn lists(value: &[u8]) -> usize {
    let mut room = [0; 100];
    let name = pfcp_ie::Name::parse(value).map(|it| {
        assert!(it.eq_ignore_ascii_case(&it) && it.write(&mut room).is_ascii());
        it.labels().count().min(it.folded().count())
    });
    let counts = [
        name,
        pfcp_ie::FqCsid::parse(value).map(|it| it.csids().count()),
        pfcp_ie::FTeid::parse(value).map(|it| it.addresses().count()),
        pfcp_ie::UeIp::parse(value).map(|it| it.addresses().count()),
        pfcp_ie::OuterHeaderCreation::parse(value).map(|it| it.addresses().count()),
        pfcp_ie::RemoteGtpuPeer::parse(value).map(|it| it.addresses().count()),
        pfcp_ie::ApplyAction::parse(value).map(|it| it.names().count()),
        pfcp_ie::UpFeatures::parse(value).map(|it| it.names().count()),
        pfcp_ie::Cause::parse(value).map(|it| it.name().len().min(it.counter())),
        pfcp_ie::RecoveryTimeStamp::parse(value).map(|it| it.unix_seconds() as usize),
        pfcp_ie::SNssai::parse(value).map(|it| std::format!("{it}").len()),
        pfcp_ie::UserId::parse(value).map(|it| std::format!("{it:?}").len()),
    ];
    counts.into_iter().flatten().filter(|count| *count > 0).count()
}

/// Gives the bytes to every parser and counts who took them.
fn exercise(bytes: &[u8], ports: u64, reached: &mut BTreeMap<&'static str, usize>) {
    let len = bytes.len();
    let mut note = |name, ok: bool| *reached.entry(name).or_default() += usize::from(ok);
    note("ethernet", Ethernet::parse(bytes).is_ok_and(|it| it.payload().len() < len));
    note("vlan", Vlan::parse(bytes).is_ok());
    note("sll", Sll::parse(bytes).is_ok_and(|it| it.payload().len() + Sll::LEN == len));
    note("sll2", Sll2::parse(bytes).is_ok_and(|it| it.payload().len() + Sll2::LEN == len));
    note("null", Null::parse_null(bytes).is_ok_and(|it| it.ether_type().is_some()));
    note("loop", Null::parse_loop(bytes).is_ok_and(|it| it.payload().len() + 4 == len));
    note("mpls", Label::parse(bytes).is_ok_and(|it| it.label() < 1 << 20));
    note("pppoe", Pppoe::parse(bytes).is_ok_and(|it| it.payload().len() < len));
    note("gre", Gre::parse(bytes).is_ok_and(|it| it.payload().len() < len));
    note("erspan", Erspan::parse(bytes).is_ok_and(|it| it.payload().len() < len));
    note("vxlan", Vxlan::parse(bytes).is_ok_and(|it| it.vni() < 1 << 24));
    note("ah", Ah::parse(bytes).is_ok_and(|it| it.payload().len() < len));
    note("esp", Esp::parse(bytes).is_ok_and(|it| it.payload().len() < len));
    note("ipv4", Ipv4::parse(bytes).is_ok_and(|it| it.payload().len() < len));
    note("ipv6", Ipv6::parse(bytes).is_ok_and(|it| it.header_len() <= len));
    note("udp", Udp::parse(bytes).is_ok());
    note("tcp", Tcp::parse(bytes).is_ok());
    note("sctp", Sctp::parse(bytes).is_ok_and(|it| it.data_protocols().take(len).count() > 0));
    note("icmp", Icmp::parse(bytes, Layer::Icmp).is_ok());
    note("gtpu", Gtpu::parse(bytes).is_ok_and(|it| it.extensions().count() < 20));
    note("gtpu_element", gtpu_element::needed(bytes) > 0);
    note("pdu_session", PduSession::parse(bytes).is_ok_and(|it| fields(&it) > 0 || it.is_cut()));
    note("pfcp", Pfcp::parse(bytes).is_ok_and(|it| it.elements().count() <= len));
    note("pfcp_element", Elements::new(bytes).count() > 0);
    let mut deepest = 0;
    let mut visit = |depth: usize, _: &_| deepest = deepest.max(depth);
    let fault = Pfcp::parse(bytes).ok().and_then(|it| pfcp_walk::walk(&it, &mut visit));
    note("pfcp_walk", fault.is_some_and(|(_, at)| at.len() <= len) && deepest > 0);
    for element in gtpu_element::Elements::new(bytes).flatten() {
        let words = [element.teid().map(|teid| teid.0), element.recovery_time_stamp()];
        let octets = [element.recovery(), element.tunnel_status()];
        let lists = [element.extension_types(), element.private_extension().map(|it| it.1)];
        let values = words.iter().flatten().count()
            + octets.iter().flatten().count()
            + lists.iter().flatten().count()
            + usize::from(element.peer().is_some());
        note("gtpu_value", values == 1);
    }
    for (kind, name) in (1..).map_while(|kind| pfcp_ie::name_of(kind).map(|name| (kind, name))) {
        if let Some(read) = pfcp_ie::check(&Element { kind, enterprise: None, value: bytes }) {
            note(name, read.is_ok());
        }
    }
    note("pfcp_lists", lists(bytes) > 6);
    // What these demand noise has only where the lengths below are put right.
    note("gtpu_plausible", Gtpu::is_plausible(bytes));
    note("pfcp_plausible", Pfcp::is_plausible(bytes));
    note("gtpc", gtpc::identify(bytes).is_some());
    let port = [4789, 8472, 6081, 1701, 3544, 4500, 2152][(ports % 7) as usize];
    note("foreign", Foreign::of_datagram(40_000, port, bytes).is_some());
    note("foreign", Foreign::of_datagram(port, 40_000, bytes).is_some());
}

/// Types of PFCP elements that have a reader.
const READERS: usize = 59;

#[test]
fn noise_reaches_every_parser_and_panics_none() {
    // First octets with a version that some parser wants, so that noise gets behind its check.
    const FIRST: [u8; 12] =
        [0x45, 0x60, 0x34, 0x30, 0x32, 0x20, 0x21, 0x11, 0x10, 0x08, 0x48, 0x00];
    let mut seeded = Seeded::new(0);
    let mut bytes = [0; 96];
    let mut reached = BTreeMap::new();
    for round in 0..200_000_usize {
        // Every third round is sparse: lengths and types are small in what is real.
        let sparse = round % 3 == 0;
        for byte in &mut bytes {
            let word = seeded.next();
            *byte = if sparse && word >> 62 != 0 { (word >> 32) as u8 & 1 } else { word as u8 };
        }
        if round % 4 > 0 {
            bytes[0] = FIRST[round % FIRST.len()];
        }
        let end = round % (bytes.len() + 1);
        // One round in five, a length that agrees with the bytes, as GTP and PFCP have it.
        if round % 5 == 0 {
            let header = if bytes[0] & 0xf0 == 0x30 { 8 } else { 4 };
            bytes[2..4].copy_from_slice(&(end.saturating_sub(header) as u16).to_be_bytes());
        }
        exercise(&bytes[..end], seeded.next(), &mut reached);
    }
    assert_eq!(reached.len(), 31 + READERS);
    for (parser, times) in reached {
        assert!(times > 20, "{parser} took {times} of the noises");
    }
}
