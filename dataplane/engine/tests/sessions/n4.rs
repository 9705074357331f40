//! An N4 to talk on: messages as lists of elements, and a machine that hears them.

#![allow(unreachable_pub, reason = "a part of one test")]

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use weir_engine::contract::session::SessionRecord;
use weir_engine::contract::words::JudgeWords;
use weir_engine::rules::Link;
use weir_engine::signalling::{HeaderShape, ListedFar, ListedPdr, N4Datagram};
use weir_engine::tunnels::FTeid;
use weir_engine::{Nanos, Signalling, SignallingSetup, TapId};
use weir_wire::Address;

pub const SMF: [u8; 4] = [10, 0, 2, 1];
pub const UPF: [u8; 4] = [10, 0, 2, 9];
pub const N3: [u8; 4] = [10, 0, 1, 1];
pub const GNB: [u8; 4] = [10, 0, 0, 1];

pub const HEARTBEAT: u8 = 1;
pub const ASSOCIATION: u8 = 5;
pub const RELEASE: u8 = 9;
pub const SET_DELETION: u8 = 14;
pub const ESTABLISH: u8 = 50;
pub const MODIFY: u8 = 52;
pub const DELETE: u8 = 54;
pub const REPORT: u8 = 56;

pub fn at(seconds: f64) -> Nanos {
    Nanos(1_767_600_000_000_000_000 + (seconds * 1e9) as u64)
}

/// An element.
pub fn ie(kind: u16, value: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &(value.len() as u16).to_be_bytes(), value].concat()
}

/// A grouped element.
pub fn group(kind: u16, members: &[Vec<u8>]) -> Vec<u8> {
    ie(kind, &members.concat())
}

pub fn message(code: u8, seid: Option<u64>, sequence: u32, elements: &[Vec<u8>]) -> Vec<u8> {
    let body = elements.concat();
    let mut bytes = vec![0x20 | u8::from(seid.is_some()), code];
    let length = body.len() + 4 + if seid.is_some() { 8 } else { 0 };
    bytes.extend((length as u16).to_be_bytes());
    bytes.extend(seid.into_iter().flat_map(u64::to_be_bytes));
    bytes.extend(&sequence.to_be_bytes()[1..]);
    bytes.push(0);
    bytes.extend(body);
    bytes
}

pub fn cause(code: u8) -> Vec<u8> {
    ie(19, &[code])
}

pub fn f_seid(seid: u64, address: [u8; 4]) -> Vec<u8> {
    ie(57, &[&[2][..], &seid.to_be_bytes(), &address].concat())
}

pub fn f_teid(teid: u32, address: [u8; 4]) -> Vec<u8> {
    ie(21, &[&[1][..], &teid.to_be_bytes(), &address].concat())
}

/// CHOOSE an IPv4 end, the same for all with this number.
pub fn choose(id: u8) -> Vec<u8> {
    ie(21, &[0b1101, id])
}

pub fn ue4(address: [u8; 4]) -> Vec<u8> {
    ie(93, &[&[2][..], &address].concat())
}

pub fn ue6(prefix: [u8; 16]) -> Vec<u8> {
    ie(93, &[&[1][..], &prefix].concat())
}

pub fn instance(name: &str) -> Vec<u8> {
    ie(22, name.as_bytes())
}

/// PDR 1, from the radio side, at this end.
pub fn uplink(end: Vec<u8>, more: &[Vec<u8>]) -> Vec<u8> {
    let pdi = group(2, &[&[ie(20, &[0]), end][..], more].concat());
    group(1, &[ie(56, &[0, 1]), ie(29, &[0, 0, 0, 255]), pdi, ie(108, &[0, 0, 0, 1])])
}

/// PDR 2, towards a user.
pub fn downlink(ue: Vec<u8>) -> Vec<u8> {
    let pdi = group(2, &[ie(20, &[1]), instance("internet"), ue]);
    group(1, &[ie(56, &[0, 2]), pdi, ie(108, &[0, 0, 0, 2])])
}

/// FAR 2, as Create (3) or Update (10), to a gNB.
pub fn far(kind: u16, to: Option<(u32, [u8; 4])>) -> Vec<u8> {
    let parameters = if kind == 3 { 4 } else { 11 };
    let header =
        to.map(|(teid, address)| ie(84, &[&[1, 0][..], &teid.to_be_bytes(), &address].concat()));
    let forwarding = [Some(ie(42, &[0])), header].into_iter().flatten().collect::<Vec<_>>();
    group(kind, &[ie(108, &[0, 0, 0, 2]), ie(44, &[2]), group(parameters, &forwarding)])
}

pub fn recovery(stamp: u32) -> Vec<u8> {
    ie(96, &stamp.to_be_bytes())
}

/// What is known of a session in the end.
#[derive(Clone, Debug)]
pub struct Known {
    pub record: SessionRecord,
    pub pdrs: Vec<ListedPdr>,
    pub fars: Vec<ListedFar>,
}

/// A machine, and the sessions that it forgot.
pub struct N4 {
    pub machine: Signalling,
    forgotten: Arc<Mutex<Vec<Known>>>,
}

impl N4 {
    pub fn new() -> Self {
        let setup = SignallingSetup { tunnels: 4096, ..SignallingSetup::default() };
        let mut machine = Signalling::new(&setup).unwrap();
        let forgotten = Arc::new(Mutex::new(Vec::new()));
        let shared = forgotten.clone();
        machine.show_forgotten(Box::new(move |listing| {
            shared.lock().unwrap().push(Known {
                record: listing.record.clone(),
                pdrs: listing.pdrs.to_vec(),
                fars: listing.fars.to_vec(),
            });
        }));
        Self { machine, forgotten }
    }

    /// A datagram between two addresses and ports.
    pub fn send(&mut self, seconds: f64, from: ([u8; 4], u16), to: ([u8; 4], u16), payload: &[u8]) {
        self.machine.take(&N4Datagram {
            time: at(seconds),
            source: Address::v4(from.0),
            source_port: from.1,
            destination: Address::v4(to.0),
            destination_port: to.1,
            tap: TapId(0),
            link: Link::N4,
            shape: HeaderShape::default(),
            wire_len: payload.len() as u32 + 42,
            payload,
        });
    }

    pub fn down(&mut self, seconds: f64, payload: &[u8]) {
        self.send(seconds, (SMF, 8805), (UPF, 8805), payload);
    }

    pub fn up(&mut self, seconds: f64, payload: &[u8]) {
        self.send(seconds, (UPF, 8805), (SMF, 8805), payload);
    }

    /// Session 0xc1/0xd1 for 10.60.0.1 on N3 end 7, not yet towards a gNB.
    pub fn establish(&mut self, seconds: f64, sequence: u32) {
        self.down(seconds, &establishment(sequence));
        self.up(seconds + 0.001, &established(sequence));
    }

    /// Its downlink to a gNB.
    pub fn move_to(&mut self, seconds: f64, sequence: u32, to: (u32, [u8; 4])) {
        self.down(seconds, &message(MODIFY, Some(0xd1), sequence, &[far(10, Some(to))]));
        self.up(seconds + 0.001, &message(MODIFY + 1, Some(0xc1), sequence, &[cause(1)]));
    }

    /// Whether a session has this tunnel at a time.
    pub fn has(&self, seconds: f64, teid: u32, address: [u8; 4]) -> bool {
        let end = FTeid { address: Address::v4(address), teid };
        self.machine.signalled(&end, at(seconds)).is_some()
    }

    pub fn words(&self) -> JudgeWords {
        let mut words = JudgeWords::default();
        self.machine.count(&mut words);
        words
    }

    /// Every session that there was, by establishment.
    pub fn sessions(mut self) -> Vec<Known> {
        self.machine.list_all(false);
        let mut known = self.forgotten.lock().unwrap().clone();
        known.sort_by_key(|known| (known.record.established, known.record.cp_seid));
        known
    }
}

pub fn establishment(sequence: u32) -> Vec<u8> {
    let elements = [
        ie(60, &[&[0][..], &SMF].concat()),
        f_seid(0xc1, SMF),
        uplink(f_teid(7, N3), &[ue4([10, 60, 0, 1])]),
        downlink(ue4([10, 60, 0, 1])),
        far(3, None),
    ];
    message(ESTABLISH, Some(0), sequence, &elements)
}

pub fn established(sequence: u32) -> Vec<u8> {
    message(ESTABLISH + 1, Some(0xc1), sequence, &[cause(1), f_seid(0xd1, UPF)])
}

pub fn ip(octets: [u8; 4]) -> IpAddr {
    octets.into()
}
