//! The parsers of what no frame leads to easily: elements of GTP-U and PFCP,
//! containers, control protocols, tunnels by their form.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_wire::foreign::Foreign;
use weir_wire::gtpu::Gtpu;
use weir_wire::gtpu_element::{self, Elements};
use weir_wire::pdu_session::PduSession;
use weir_wire::pfcp::Pfcp;
use weir_wire::pfcp_walk::{MAX_DEPTH, walk};
use weir_wire::sctp::Sctp;
use weir_wire::{gtpc, ipv6};

fuzz_target!(|input: &[u8]| {
    let [which, bytes @ ..] = input else { return };
    match which % 7 {
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
                walk(&pfcp, &mut |depth, _| {
                    assert!(depth < MAX_DEPTH);
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
        _ => {
            let [next, payload @ ..] = bytes else { return };
            if let Ok(upper) = ipv6::Upper::parse(*next, payload) {
                assert!(upper.payload().len() <= payload.len());
            }
        }
    }
});
