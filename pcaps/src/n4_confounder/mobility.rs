//! Handovers: many at once with what the gNBs forward to each other, and what comes late.

use crate::chance::Chance;
use crate::gtpu::{self, Container, Direction};
use crate::guest::{self, Visit};
use crate::n4;
use crate::plan::Link;
use crate::stage::{Actor, MILLI, Micros, SECOND, Stage};

use super::{BEFORE, Cast, FIRST, Upheavals, silent};

const DOWNLINK: Container = Container { direction: Direction::Downlink, qfi: 9, rqi: false };

pub(super) fn enter(stage: &mut Stage, said: &Upheavals, cast: &Cast) {
    let group = silent(stage, "handover-storm");
    let at = said.storm_at_seconds * SECOND;
    let mut slots = Vec::new();
    for n in 0..said.storm_subscribers {
        let guest = cast.place().attachment(stage);
        let from = at.saturating_sub(BEFORE).max(FIRST) + n * 130 * MILLI;
        Visit::enter(stage, &guest, (from, (at + 20 * SECOND).min(cast.end)), Some(group));
        slots.push(guest.slot);
    }
    let gnb = cast.gnbs[1 % cast.gnbs.len()];
    let chance = stage.chance();
    slots.reverse();
    stage.enter(at, Storm { slots, gnb, group, chance });

    let group = silent(stage, "end-marker-tails");
    let guest = cast.place().attachment(stage);
    Visit::enter(stage, &guest, (FIRST, cast.end), Some(group));
    let tails = Tails {
        slot: guest.slot,
        gnbs: cast.gnbs.clone(),
        turn: 0,
        group,
        every: said.every_seconds * SECOND,
        until: cast.end,
        chance: stage.chance(),
    };
    stage.enter(FIRST + said.every_seconds * SECOND, tails);
}

/// Moves a session to a gNB; the addresses of UPF and old gNB on N3, and the old tunnel.
fn hand_over(
    stage: &mut Stage,
    now: Micros,
    (slot, gnb): (usize, usize),
    chance: &mut Chance,
) -> Option<((std::net::Ipv4Addr, std::net::Ipv4Addr), u32)> {
    let mut session = stage.sessions[slot].take()?;
    let nodes = &stage.plan.nodes;
    let ends = (nodes[session.upf].on(Link::N3), nodes[session.gnb].on(Link::N3));
    let old = session.downlink_teid;
    (session.gnb, session.downlink_teid) = (gnb, stage.numbers.teid(gnb));
    n4::redirect(stage, now, &session, true, chance);
    stage.sessions[slot] = Some(session);
    Some((ends, old))
}

/// One after the other, many within seconds.
struct Storm {
    slots: Vec<usize>,
    gnb: usize,
    group: usize,
    chance: Chance,
}

impl Actor for Storm {
    fn wake(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        stage.group = Some(self.group);
        let slot = self.slots.pop()?;
        let old = stage.sessions[slot].as_ref().map(|session| (session.gnb, session.ue));
        if let Some((old, ue)) = old {
            let forwarding = stage.numbers.teid(self.gnb);
            let nodes = &stage.plan.nodes;
            let xn = (nodes[old].on(Link::N3), nodes[self.gnb].on(Link::N3));
            for n in 0..3 {
                let packet = guest::inward(stage, ue, slot, &mut self.chance);
                let message = gtpu::g_pdu(forwarding, None, DOWNLINK, &packet);
                stage.gtpu(now + n * 8 * MILLI, xn, &message, None);
            }
            let switched = now + 40 * MILLI;
            let moved = hand_over(stage, switched, (slot, self.gnb), &mut self.chance);
            if let Some((n3, teid)) = moved {
                stage.gtpu(switched + 12 * MILLI, n3, &gtpu::end_marker(teid), None);
                let marker = gtpu::end_marker(forwarding);
                stage.gtpu(switched + 14 * MILLI, xn, &marker, None);
            }
        }
        Some(now + self.chance.between(60 * MILLI, 200 * MILLI))
    }
}

/// Handovers of one subscriber whose old tunnel is not empty when it ends.
struct Tails {
    slot: usize,
    gnbs: Vec<usize>,
    turn: usize,
    group: usize,
    every: Micros,
    until: Micros,
    chance: Chance,
}

impl Actor for Tails {
    fn wake(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        stage.group = Some(self.group);
        self.turn += 1;
        let gnb = self.gnbs[self.turn % self.gnbs.len()];
        if let Some((ends, teid)) = hand_over(stage, now, (self.slot, gnb), &mut self.chance) {
            let ue = stage.sessions[self.slot].as_ref().map(|session| session.ue);
            // What was on its way through another path, then the ends, then a straggler.
            for after in [10, 60, 200, 420, 2_600] {
                let Some(ue) = ue else { break };
                let packet = guest::inward(stage, ue, self.slot, &mut self.chance);
                let message = gtpu::g_pdu(teid, None, DOWNLINK, &packet);
                stage.gtpu(now + after * MILLI, ends, &message, None);
                if let Some(session) = &mut stage.sessions[self.slot] {
                    session.meter.count(now, now + after * MILLI, true, packet.len());
                }
            }
            for after in [500, 1_500, 2_500] {
                stage.gtpu(now + after * MILLI, ends, &gtpu::end_marker(teid), None);
            }
        }
        (now + self.every < self.until).then_some(now + self.every)
    }
}
