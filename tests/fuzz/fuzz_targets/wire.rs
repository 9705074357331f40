//! The parsers of what no frame leads to easily: elements of GTP-U and PFCP,
//! containers, control protocols, tunnels by their form.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_wire::foreign::Foreign;
use weir_wire::gtpu::Gtpu;
use weir_wire::gtpu_element::{self, Elements};
use weir_wire::pdu_session::PduSession;
use weir_wire::pfcp::{Element, Pfcp};
use weir_wire::pfcp_ie;
use weir_wire::pfcp_walk::{MAX_DEPTH, walk};
use weir_wire::ptp::Ptp;
use weir_wire::sctp::Sctp;
use weir_wire::{gtpc, ipv6};

/// Reads a value with the reader of its type, and walks what it lists.
fn value(element: &Element<'_>) {
    let sound = pfcp_ie::check(element);
    assert!(sound.is_none() || pfcp_ie::name_of(element.kind).is_some());
    let octets = element.value;
    if let Ok(name) = pfcp_ie::Name::parse(octets) {
        assert!(name.write(&mut [0; 100]).is_ascii() && name.eq_ignore_ascii_case(&name));
        assert!(name.labels().count() <= octets.len() + 1);
    }
    if let Ok(sets) = pfcp_ie::FqCsid::parse(octets) {
        assert!(sets.csids().count() < 16);
    }
    if let Ok(action) = pfcp_ie::ApplyAction::parse(octets) {
        assert!(action.names().count() <= 13);
    }
    if let Ok(stamp) = pfcp_ie::RecoveryTimeStamp::parse(octets) {
        assert!(stamp.unix_seconds() < 1 << 33);
    }
}

fuzz_target!(|input: &[u8]| {
    let [which, bytes @ ..] = input else { return };
    match which % 9 {
        0 => {
            assert!(gtpu_element::needed(bytes) <= bytes.len());
            for element in Elements::new(bytes).flatten() {
                let _ = (element.recovery(), element.teid(), element.peer());
                let _ = (element.private_extension(), element.recovery_time_stamp());
            }
        }
        1 => {
            if let Ok(pfcp) = Pfcp::parse(bytes) {
                let mut seen = 0;
                walk(&pfcp, &mut |depth, element| {
                    assert!(depth < MAX_DEPTH);
                    value(element);
                    seen += 1;
                });
                assert!(seen * 4 <= bytes.len() * MAX_DEPTH);
            }
            assert!(!Pfcp::is_plausible(bytes) || Pfcp::parse(bytes).is_ok());
        }
        2 => {
            if let Ok(container) = PduSession::parse(bytes) {
                let _ = (container.dl_sending_time_stamp(), container.ul_sending_time_stamp());
                let _ = (container.qfi_sequence_number(), container.n3_n9_delay_result());
                let _ = (container.ul_congestion(), container.dl_congestion(), container.is_cut());
                assert!(container.qfi() < 64);
            }
        }
        3 => {
            let _ = gtpc::identify(bytes);
            assert!(!Gtpu::is_plausible(bytes) || Gtpu::parse(bytes).is_ok());
        }
        4 => {
            if let Ok(sctp) = Sctp::parse(bytes) {
                assert!(sctp.data_protocols().count() <= bytes.len() / 16);
            }
        }
        5 => {
            let [a, b, c, d, payload @ ..] = bytes else { return };
            let ports = [4789, 8472, 6081, 1701, 3544, 4500, 51_820];
            let port = |n: u8| ports[usize::from(n) % ports.len()];
            let _ = Foreign::of_datagram(port(*a), port(*b), payload);
            let _ = Foreign::of_protocol(c ^ d);
        }
        6 => {
            let [high, low, octets @ ..] = bytes else { return };
            let kind = u16::from_be_bytes([*high, *low]);
            value(&Element { kind, enterprise: None, value: octets });
        }
        7 => {
            if let Ok(ptp) = Ptp::parse(bytes) {
                assert!(ptp.kind() < 16 && ptp.elements().count() <= bytes.len() / 4);
            }
        }
        _ => {
            let [next, payload @ ..] = bytes else { return };
            if let Ok(upper) = ipv6::Upper::parse(*next, payload) {
                assert!(upper.payload().len() <= payload.len());
            }
        }
    }
});
