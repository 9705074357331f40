//! Sessions for the tunnels of the mixes, agreed on N4 as an SMF and a UPF
//! would: what the packet path looks up is then what the session machine wrote.

use std::net::IpAddr;

use weir_engine::rules::Link;
use weir_engine::signalling::{HeaderShape, N4Datagram};
use weir_engine::tunnels::{FTeid, Row, RowFlags};
use weir_engine::{Nanos, Signalling, TapId};
use weir_pcaps::real_mix::{self, Session};
use weir_wire::Address;

/// The mix's ends: its gNB, and its UPF on N3.
pub const GNB: [u8; 4] = [10, 0, 0, 1];
/// See [`GNB`].
pub const UPF: [u8; 4] = [10, 0, 1, 1];
const SMF: [u8; 4] = [10, 0, 2, 100];
const FIRST_UE: u32 = 0x0a3c_0001;
const PORT: u16 = 8805;

/// Between two messages.
const GAP: Nanos = Nanos(1_000);

const ESTABLISHMENT_REQUEST: u8 = 50;
const ESTABLISHMENT_RESPONSE: u8 = 51;

/// The subscriber of a tunnel; the odd tunnel and the even one after it are one session.
pub fn subscriber(teid: u32) -> [u8; 4] {
    FIRST_UE.wrapping_add((teid - 1) / 2).to_be_bytes()
}

/// Which tunnels N4 has established: those of the TEIDs `1..=tunnels`, and between whom.
#[derive(Clone, Copy, Debug)]
pub struct Sessions {
    /// How many tunnels.
    pub tunnels: u32,
    /// The session of a number, from 1.
    of: fn(u32) -> Session,
}

impl Sessions {
    /// Those of the Internet mix: all between one gNB and one UPF.
    pub fn of_imix(tunnels: u32) -> Self {
        let of = |number| Session {
            gnb: GNB.into(),
            upf: UPF.into(),
            user: IpAddr::from(subscriber(2 * number)),
        };
        Self { tunnels, of }
    }

    /// Those of the mix of real sizes.
    pub fn of_real_mix(tunnels: u32) -> Self {
        Self { tunnels, of: real_mix::session }
    }

    /// The session of that number, from 1.
    pub fn session(&self, number: u32) -> Session {
        (self.of)(number)
    }

    /// A tunnel's row as the session machine would write it, and who sends there.
    pub fn row(&self, teid: u32) -> (Row, Address) {
        let Session { gnb, upf, user } = self.session(teid.div_ceil(2));
        let is_uplink = teid.is_multiple_of(2);
        let (end, sender) = if is_uplink { (upf, gnb) } else { (gnb, upf) };
        let way =
            if is_uplink { RowFlags::LOCAL.or(RowFlags::CHECKED) } else { RowFlags::DOWNLINK };
        let (family, ue4, ue6) = match user {
            IpAddr::V4(user) => (RowFlags::UE_V4, user.to_bits(), 0),
            IpAddr::V6(user) => (RowFlags::UE_V6, 0, (user.to_bits() >> 64) as u64),
        };
        let row = Row {
            end: FTeid { address: Address::v4(end.octets()), teid },
            flags: way.or(family),
            since: Nanos(0),
            until: Nanos::MAX,
            session: teid / 2,
            ue4,
            ue6,
        };
        (row, Address::v4(sender.octets()))
    }
}

/// Establishes all sessions before `before`.
pub fn establish(machine: &mut Signalling, sessions: Sessions, before: Nanos) {
    let messages = messages(sessions);
    let mut time = Nanos(before.0 - GAP.0 * (messages.len() as u64 + 1));
    for (source, destination, payload) in messages {
        time = time.plus(GAP);
        machine.take(&N4Datagram {
            time,
            source: Address::v4(source),
            source_port: PORT,
            destination: Address::v4(destination),
            destination_port: PORT,
            tap: TapId(0),
            link: Link::N4,
            shape: HeaderShape { hops: 64, options: 0 },
            wire_len: payload.len() as u32 + 42,
            payload: &payload,
        });
    }
}

/// The same as Ethernet frames.
pub fn frames(sessions: Sessions) -> Vec<Vec<u8>> {
    let frame = |(source, destination, payload): ([u8; 4], [u8; 4], Vec<u8>)| {
        let mut frame = vec![2, 0, 0, 0, 2, 2, 2, 0, 0, 0, 2, 1, 8, 0];
        let udp = payload.len() as u16 + 8;
        frame.extend([0x45, 0].into_iter().chain((udp + 20).to_be_bytes()));
        frame.extend([0, 0, 0x40, 0, 64, 17, 0, 0].into_iter().chain(source).chain(destination));
        frame.extend([PORT, PORT, udp, 0].map(u16::to_be_bytes).concat());
        frame.extend(payload);
        frame
    };
    messages(sessions).into_iter().map(frame).collect()
}

/// Each session's request and its answer: from, to, message.
fn messages(sessions: Sessions) -> Vec<([u8; 4], [u8; 4], Vec<u8>)> {
    let of = |number| {
        let session = sessions.session(number);
        let upf = n4_address(&session);
        let asked = message(ESTABLISHMENT_REQUEST, 0, number, &request(number, &session));
        let said = message(ESTABLISHMENT_RESPONSE, number.into(), number, &answer(number, upf));
        [(SMF, upf, asked), (upf, SMF, said)]
    };
    (1..=sessions.tunnels.div_ceil(2)).flat_map(of).collect()
}

/// The UPF's address on N4.
fn n4_address(session: &Session) -> [u8; 4] {
    let [.., host] = session.upf.octets();
    [10, 0, 2, host]
}

/// An element: type, length, value (TS 29.244 §8.1.1).
fn element(kind: u16, value: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes(), &(value.len() as u16).to_be_bytes(), value].concat()
}

fn group(kind: u16, members: &[Vec<u8>]) -> Vec<u8> {
    element(kind, &members.concat())
}

fn message(kind: u8, seid: u64, sequence: u32, elements: &[Vec<u8>]) -> Vec<u8> {
    let body = elements.concat();
    let length = (body.len() as u16 + 12).to_be_bytes();
    let sequence = (sequence << 8).to_be_bytes();
    [&[0x21, kind], &length[..], &seid.to_be_bytes(), &sequence, &body].concat()
}

fn node_id(address: [u8; 4]) -> Vec<u8> {
    element(60, &[&[0], &address[..]].concat())
}

fn f_seid(seid: u32, address: [u8; 4]) -> Vec<u8> {
    element(57, &[&[2], &u64::from(seid).to_be_bytes()[..], &address].concat())
}

/// One PDR and one FAR each way: uplink arrives on the even TEID at the UPF, downlink
/// goes out on the odd one to the gNB.
fn request(number: u32, session: &Session) -> Vec<Vec<u8>> {
    let (odd, even) = (2 * number - 1, 2 * number);
    let pdr_id = |id: u16| element(56, &id.to_be_bytes());
    let far_id = |id: u32| element(108, &id.to_be_bytes());
    let interface = |kind, access: bool| element(kind, &[u8::from(!access)]);
    // A source has 0 here, a destination 4; and the family's bit.
    let ue = |end: u8| match session.user {
        IpAddr::V4(v4) => element(93, &[&[end | 2], &v4.octets()[..]].concat()),
        IpAddr::V6(v6) => element(93, &[&[end | 1], &v6.octets()[..]].concat()),
    };
    let f_teid = element(21, &[&[1], &even.to_be_bytes()[..], &session.upf.octets()].concat());
    let creation = element(84, &[&[1, 0], &odd.to_be_bytes()[..], &session.gnb.octets()].concat());
    let forward = || element(44, &[2]);
    vec![
        node_id(SMF),
        f_seid(number, SMF),
        group(1, &[pdr_id(1), group(2, &[interface(20, true), f_teid, ue(0)]), far_id(1)]),
        group(1, &[pdr_id(2), group(2, &[interface(20, false), ue(4)]), far_id(2)]),
        group(3, &[far_id(1), forward(), group(4, &[interface(42, false)])]),
        group(3, &[far_id(2), forward(), group(4, &[interface(42, true), creation])]),
    ]
}

fn answer(number: u32, upf: [u8; 4]) -> Vec<Vec<u8>> {
    vec![node_id(upf), element(19, &[1]), f_seid(number, upf)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_engine::SignallingSetup;
    use weir_engine::tunnels::{FTeid, Found};

    fn table_of(sessions: Sessions, start: Nanos) -> weir_engine::tunnels::TunnelReader {
        let setup = SignallingSetup { tunnels: 2_000, ..SignallingSetup::default() };
        let mut machine = Signalling::new(&setup).unwrap();
        establish(&mut machine, sessions, start);
        machine.enlist().unwrap().table
    }

    #[test]
    fn every_tunnel_of_either_mix_is_found() {
        let start = Nanos::from_secs(100);
        for sessions in [Sessions::of_imix(1_000), Sessions::of_real_mix(1_000)] {
            let table = table_of(sessions, start);
            for teid in 1..=1_000_u32 {
                let session = (sessions.of)(teid.div_ceil(2));
                let address = if teid.is_multiple_of(2) { session.upf } else { session.gnb };
                let end = FTeid { address: Address::v4(address.octets()), teid };
                let Found::Live(_, row) = table.find(&end, table.probe(&end), start) else {
                    panic!("tunnel {teid} is not there");
                };
                assert!(row.is_ue(session.user.into()), "{session:?}");
            }
        }
    }
}
