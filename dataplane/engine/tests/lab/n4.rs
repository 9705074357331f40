//! N4 by hand: messages of PFCP, and a session machine with its clock.

use std::sync::{Arc, Mutex};

use weir_engine::contract::session::{SessionRecord, SessionState};
use weir_engine::contract::words::JudgeWords;
use weir_engine::rules::{Link, RuleSet, Rules};
use weir_engine::signalling::{HeaderShape, N4Datagram};
use weir_engine::{Nanos, Signalling, SignallingSetup, TapId};
use weir_wire::Address;

use super::{START, at, rule_set};

pub const SMF: [u8; 4] = [10, 0, 2, 1];
pub const UPF: [u8; 4] = [10, 0, 1, 1];
pub const GNB: [u8; 4] = [10, 0, 0, 1];
pub const STRANGER: [u8; 4] = [198, 18, 0, 66];
pub const MILLI: u64 = 1_000_000;
pub const SECOND: u64 = 1_000_000_000;

/// Rows for 4,096 tunnels, so for 2,048 sessions.
pub const TUNNELS: usize = 4096;

/// An element of PFCP: type, length, value.
pub fn ie(kind: u16, value: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &(value.len() as u16).to_be_bytes(), value].concat()
}

pub fn group(kind: u16, members: &[Vec<u8>]) -> Vec<u8> {
    ie(kind, &members.concat())
}

pub fn f_seid(seid: u64, address: [u8; 4]) -> Vec<u8> {
    ie(57, &[&[2][..], &seid.to_be_bytes(), &address].concat())
}

pub fn cause(cause: u8) -> Vec<u8> {
    ie(19, &[cause])
}

/// A PDR of the radio side with an F-TEID of the UPF's and the subscriber's address.
pub fn uplink_pdr(id: u16, teid: u32, ue: [u8; 4]) -> Vec<u8> {
    let f_teid = ie(21, &[&[1][..], &teid.to_be_bytes(), &UPF].concat());
    let ue = ie(93, &[&[2][..], &ue].concat());
    let pdi = group(2, &[ie(20, &[0]), f_teid, ue]);
    group(1, &[ie(56, &id.to_be_bytes()), ie(29, &[0, 0, 0, 255]), pdi])
}

/// A FAR towards the radio side with this Outer Header Creation.
pub fn downlink_far(kind: u16, id: u32, outer: &[u8]) -> Vec<u8> {
    let inside = if kind == 3 { 4 } else { 11 };
    let parameters = group(inside, &[ie(42, &[0]), ie(84, outer)]);
    group(kind, &[ie(108, &id.to_be_bytes()), ie(44, &[2]), parameters])
}

/// Outer Header Creation of GTP-U over IPv4.
pub fn outer(teid: u32) -> Vec<u8> {
    [&[1, 0][..], &teid.to_be_bytes(), &GNB].concat()
}

/// A message with a SEID; `more` says that another follows in the datagram.
pub fn message(kind: u8, seid: u64, sequence: u32, elements: &[Vec<u8>], more: bool) -> Vec<u8> {
    let body = elements.concat();
    let mut bytes = vec![0x21 | u8::from(more) << 2, kind];
    bytes.extend((body.len() as u16 + 12).to_be_bytes());
    bytes.extend(seid.to_be_bytes());
    bytes.extend(&sequence.to_be_bytes()[1..]);
    bytes.push(0);
    bytes.extend(body);
    bytes
}

pub fn address(octets: [u8; 4]) -> Address {
    Address::v4(octets)
}

pub fn datagram<'a>(time: u64, from: [u8; 4], to: [u8; 4], payload: &'a [u8]) -> N4Datagram<'a> {
    N4Datagram {
        time: Nanos(START * SECOND + time),
        source: address(from),
        source_port: 8805,
        destination: address(to),
        destination_port: 8805,
        tap: TapId(0),
        link: Link::N4,
        shape: HeaderShape { hops: 64, options: 0 },
        wire_len: payload.len() as u32 + 42,
        payload,
    }
}

/// The machine, its clock and who is shown what it forgets.
pub struct Machine {
    pub signalling: Signalling,
    pub now: u64,
    pub sequence: u32,
    pub shown: Arc<Mutex<Vec<SessionRecord>>>,
}

impl Machine {
    pub fn new() -> Self {
        Self::with(rule_set())
    }

    pub fn with(set: RuleSet) -> Self {
        let setup = SignallingSetup { tunnels: TUNNELS, ..SignallingSetup::default() };
        let mut signalling = Signalling::new(&setup).unwrap();
        signalling.set_rules(Arc::new(Rules::compile(set).unwrap()), at(0.0));
        let shown: Arc<Mutex<Vec<SessionRecord>>> = Arc::default();
        let into = shown.clone();
        signalling.show_forgotten(Box::new(move |listing| {
            into.lock().unwrap().push(listing.record.clone());
        }));
        Self { signalling, now: 0, sequence: 0, shown }
    }

    pub fn say(&mut self, from: [u8; 4], to: [u8; 4], payload: &[u8]) {
        self.signalling.take(&datagram(self.now, from, to, payload));
    }

    pub fn wait(&mut self, ns: u64) {
        self.now += ns;
        self.signalling.advance(Nanos(START * SECOND + self.now));
    }

    /// A request and its answer, one millisecond apart.
    pub fn agree(&mut self, kind: u8, seids: [u64; 2], ask: &[Vec<u8>], answer: &[Vec<u8>]) {
        self.agree_as(SMF, kind, seids, ask, answer);
    }

    pub fn agree_as(
        &mut self,
        cp: [u8; 4],
        kind: u8,
        [to_up, to_cp]: [u64; 2],
        ask: &[Vec<u8>],
        answer: &[Vec<u8>],
    ) {
        self.sequence = (self.sequence + 1) & 0xff_ffff;
        let request = message(kind, to_up, self.sequence, ask, false);
        let response = message(kind + 1, to_cp, self.sequence, answer, false);
        self.say(cp, UPF, &request);
        self.now += MILLI;
        self.say(UPF, cp, &response);
    }

    /// Sets a session up: uplink TEID `number`, downlink TEID `number` + 2^24.
    pub fn establish(&mut self, cp: [u8; 4], cp_seid: u64, up_seid: u64, number: u32) {
        let [_, b, c, d] = number.to_be_bytes();
        let ask = [
            ie(60, &[&[0][..], &cp].concat()),
            f_seid(cp_seid, cp),
            uplink_pdr(1, number, [10, 60 + b, c, d]),
            downlink_far(3, 1, &outer(number | 1 << 24)),
        ];
        let answer = [cause(1), f_seid(up_seid, UPF)];
        self.agree_as(cp, 50, [0, cp_seid], &ask, &answer);
    }

    pub fn words(&self) -> JudgeWords {
        let mut words = JudgeWords::default();
        self.signalling.count(&mut words);
        words
    }

    pub fn of_state(&self, state: SessionState) -> u64 {
        self.words().sessions[state as usize]
    }

    /// Lists all sessions that are left: as many as the counters say, by state. What was forgotten
    /// before comes first.
    pub fn list(mut self) -> Vec<SessionRecord> {
        // Rows of tunnels that were moved away from are kept for stragglers.
        self.wait(12 * SECOND);
        let counted = self.words().sessions;
        let before = self.shown.lock().unwrap().len();
        self.signalling.list_all(false);
        let shown = std::mem::take(&mut *self.shown.lock().unwrap());
        for (state, count) in SessionState::ALL.iter().zip(counted) {
            let listed = shown[before..].iter().filter(|record| record.state == *state).count();
            assert_eq!(listed as u64, count, "{}", state.name());
        }
        assert_eq!(self.words().sessions, [0; SessionState::ALL.len()]);
        assert_eq!(self.words().tunnels, 0, "tunnels outlive their sessions");
        shown
    }
}
