//! Tunnels that N4 never speaks of, or did before the capture began; and addresses that change
//! behind the UPF.

use std::net::{IpAddr, Ipv4Addr};

use crate::chance::Chance;
use crate::frame::{self, Route};
use crate::gtpu::{Extension, G_PDU, Header};
use crate::guest::{self, Visit};
use crate::n4::{self, rules};
use crate::plan::Link;
use crate::scenario::Confounders;
use crate::stage::{Actor, MILLI, Micros, SECOND, Stage};

use super::{Cast, FIRST, Upheavals, silent};

const NR_RAN_CONTAINER: u8 = 0x84;
/// From one G-PDU of F1-U or S1-U to the next: the least that still makes an orphan of it.
const SPACING: Micros = 800 * MILLI;

pub(super) fn enter(stage: &mut Stage, said: &Upheavals, cast: &Cast, confounders: &Confounders) {
    let group = silent(stage, "mid-stream");
    let until = said.mid_stream_until_seconds * SECOND;
    for n in 0..said.mid_stream_sessions {
        let mut place = cast.place();
        place.gnb = cast.gnbs[n as usize % cast.gnbs.len()];
        let attachment = place.attachment(stage);
        let mut chance = stage.chance();
        let session = n4::expect(stage, 0, &attachment, &mut chance);
        stage.sessions[attachment.slot] = Some(session);
        let old = MidStream { slot: attachment.slot, group, until, turn: 0, chance };
        stage.enter(MILLI + n * 70 * MILLI, old);
    }
    for (ends, name, f1) in [(&said.f1, "f1-u", true), (&said.s1, "s1-u", false)] {
        let group = silent(stage, name);
        let [one, other] = ends.each_ref().map(|id| stage.plan.named(id.get_ref()));
        let nodes = &stage.plan.nodes;
        let ends = (nodes[one].on(Link::N3), nodes[other].on(Link::N3));
        let teids = [stage.numbers.teid(one), stage.numbers.teid(other)];
        let ue = stage.plan.subscriber(50_000, false);
        let chance = stage.chance();
        let beside = Beside { ends, teids, ue, f1, group, turn: 0, until: cast.end, chance };
        stage.enter(FIRST, beside);
    }
    if let Some(nat) = &confounders.nat {
        let group = silent(stage, "nat");
        let guest = cast.place().attachment(stage);
        Visit::enter(stage, &guest, (FIRST, cast.end), Some(group));
        let outside =
            Ipv4Addr::from_bits(nat.get_ref().addresses.get_ref().network().to_bits() + 1);
        let chance = stage.chance();
        let slot = guest.slot;
        let translated = Translated { slot, outside, group, until: cast.end, chance };
        stage.enter(FIRST + 2 * SECOND, translated);
    }
}

/// A session that the capture never saw established: it talks, is changed, and ends.
struct MidStream {
    slot: usize,
    group: usize,
    until: Micros,
    turn: u64,
    chance: Chance,
}

impl Actor for MidStream {
    fn wake(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        stage.group = Some(self.group);
        self.turn += 1;
        if now >= self.until {
            if let Some(session) = stage.sessions[self.slot].take() {
                n4::delete(stage, now + 600 * MILLI, session, &mut self.chance);
            }
            return None;
        }
        if self.turn == 20
            && let Some(session) = stage.sessions[self.slot].clone()
        {
            let changes = [rules::rates(10_000, 50_000)];
            n4::modify(stage, now, &session, &changes, &mut self.chance);
        }
        guest::talk(stage, now, self.slot, &mut self.chance);
        Some(now + SECOND)
    }
}

/// G-PDUs of an interface without N4, both ways.
struct Beside {
    ends: (Ipv4Addr, Ipv4Addr),
    teids: [u32; 2],
    ue: IpAddr,
    /// F1-U carries PDCP behind NR-U; S1-U carries the user's packets without a container.
    f1: bool,
    group: usize,
    turn: u32,
    until: Micros,
    chance: Chance,
}

impl Actor for Beside {
    fn wake(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        stage.group = Some(self.group);
        let (there, back) = if self.f1 { self.nr_user_plane() } else { self.user_packets(stage) };
        stage.gtpu(now, self.ends, &there, None);
        stage.gtpu(now + 12 * MILLI, (self.ends.1, self.ends.0), &back, None);
        self.turn += 1;
        (now + SPACING < self.until).then_some(now + SPACING)
    }
}

impl Beside {
    /// Downlink user data, and the word of its delivery (TS 38.425 §5.5.2).
    fn nr_user_plane(&mut self) -> (Vec<u8>, Vec<u8>) {
        let [_, high, middle, low] = self.turn.to_be_bytes();
        let data = [Extension::new(NR_RAN_CONTAINER, &[0, 0, high, middle, low])];
        let header =
            Header { kind: G_PDU, teid: self.teids[1], extensions: &data, ..Header::default() };
        // A PDCP PDU: data, its number, and what is ciphered.
        let ciphered = self.chance.bytes(120);
        let pdu = [&[0x80, middle, low][..], &ciphered].concat();
        let there = header.around(&pdu);
        let status =
            [Extension::new(NR_RAN_CONTAINER, &[0x10, 0, 0, 0x10, 0, 0, high, middle, low, 0])];
        let header =
            Header { kind: G_PDU, teid: self.teids[0], extensions: &status, ..Header::default() };
        (there, header.around(&[]))
    }

    fn user_packets(&mut self, stage: &Stage) -> (Vec<u8>, Vec<u8>) {
        let up = guest::outward(stage, self.ue, self.group, &mut self.chance);
        let down = guest::inward(stage, self.ue, self.group, &mut self.chance);
        let [to_one, to_other] = self.teids;
        let header = |teid| Header { kind: G_PDU, teid, ..Header::default() };
        (header(to_other).around(&up), header(to_one).around(&down))
    }
}

/// A subscriber whose packets leave under an address of the NAT.
struct Translated {
    slot: usize,
    outside: Ipv4Addr,
    group: usize,
    until: Micros,
    chance: Chance,
}

impl Actor for Translated {
    fn wake(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        stage.group = Some(self.group);
        let session = stage.sessions[self.slot].as_ref().map(|session| (session.ue, session.upf));
        if let Some((ue, upf)) = session {
            let host = stage.plan.host(9_777, false);
            let (own, port) = (IpAddr::V4(self.outside), 61_001);
            let payload = guest::noise(&mut self.chance, 80);
            let udp = |src, dst, ports: (u16, u16)| {
                frame::udp(&Route::new(src, dst), ports.0, ports.1, &payload)
            };
            let inside = udp(ue, host, (40_440, 443));
            if stage.uplink_n3(now, self.slot, 9, &inside).is_some() {
                let outside = udp(own, host, (port, 443));
                stage.n6(now + 40, upf, true, &frame::forwarded(&outside));
                stage.n6(now + 30 * MILLI, upf, false, &udp(host, own, (443, port)));
                let answer = udp(host, ue, (443, 40_440));
                stage.downlink_n3(now + 30 * MILLI + 40, self.slot, (9, false), &answer);
            }
        }
        (now + 2 * SECOND < self.until).then_some(now + 2 * SECOND)
    }
}
