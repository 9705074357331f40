//! Guests: subscribers whose stay is scripted, for what is played on a session of its own.

use std::net::IpAddr;

use crate::chance::Chance;
use crate::frame::{self, Route};
use crate::n4::{self, Attachment};
use crate::stage::{Actor, MILLI, Micros, SECOND, Stage};

const BEST_EFFORT: u8 = 9;

/// Where a guest's session is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub smf: usize,
    pub upf: usize,
    pub gnb: usize,
}

impl Place {
    /// What it takes to attach a new guest there.
    pub(crate) fn attachment(self, stage: &mut Stage) -> Attachment {
        let slot = stage.slot();
        Attachment {
            slot,
            ue: stage.plan.subscriber(slot as u32, false),
            smf: self.smf,
            upf: self.upf,
            gnb: self.gnb,
            realm: stage.plan.realm.clone(),
            numbered: false,
            endpoints: false,
            late_address: false,
            tunnel: None,
            nameless: false,
            set: None,
            exposed: false,
        }
    }
}

/// A stay: attached, talking at a steady pace, detached if still attached.
pub(crate) struct Visit {
    attachment: Attachment,
    group: Option<usize>,
    until: Micros,
    every: Micros,
    attached: bool,
    chance: Chance,
}

impl Visit {
    /// Brings a guest onto the stage, from one moment to another.
    pub(crate) fn enter(
        stage: &mut Stage,
        attachment: &Attachment,
        (from, until): (Micros, Micros),
        group: Option<usize>,
    ) {
        let (attachment, chance) = (attachment.clone(), stage.chance());
        // Whoever is attacked talks more, so that what goes on is seen to go on.
        let every = if group.is_some() { 3 * SECOND } else { SECOND };
        let visit = Self { attachment, group, until, every, attached: false, chance };
        stage.enter(from, visit);
    }
}

impl Actor for Visit {
    fn wake(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        stage.group = self.group;
        let slot = self.attachment.slot;
        if !self.attached {
            self.attached = true;
            return Some(n4::establish(stage, now, &self.attachment, &mut self.chance));
        }
        if now >= self.until {
            if let Some(session) = stage.sessions[slot].take() {
                n4::delete(stage, now + 600 * MILLI, session, &mut self.chance);
            }
            return None;
        }
        talk(stage, now, slot, &mut self.chance);
        Some((now + self.every).min(self.until))
    }
}

/// A packet of a slot's session and its answer.
pub(crate) fn talk(stage: &mut Stage, now: Micros, slot: usize, chance: &mut Chance) {
    let Some(ue) = stage.sessions[slot].as_ref().map(|session| session.ue) else { return };
    let there = outward(stage, ue, slot, chance);
    let back = inward(stage, ue, slot, chance);
    stage.uplink(now, slot, BEST_EFFORT, &there);
    stage.downlink(now + 30 * MILLI, slot, (BEST_EFFORT, false), &back);
}

/// A subscriber's packet to a host that is its slot's.
pub(crate) fn outward(stage: &Stage, ue: IpAddr, slot: usize, chance: &mut Chance) -> Vec<u8> {
    let host = stage.plan.host(9_000 + slot as u32, ue.is_ipv6());
    let route = Route { id: chance.u16() | 1, ..Route::new(ue, host) };
    frame::udp(&route, 40_420, 443, &noise(chance, 60))
}

/// The packet of that host to the subscriber.
pub(crate) fn inward(stage: &Stage, ue: IpAddr, slot: usize, chance: &mut Chance) -> Vec<u8> {
    let host = stage.plan.host(9_000 + slot as u32, ue.is_ipv6());
    let route = Route { id: chance.u16() | 1, ttl: 54, ..Route::new(host, ue) };
    frame::udp(&route, 443, 40_420, &noise(chance, 200))
}

/// Noise of at least that many octets that begins like a QUIC short header.
pub(crate) fn noise(chance: &mut Chance, least: u64) -> Vec<u8> {
    let length = chance.heavy(least, 1) as usize;
    let mut bytes = chance.bytes(length);
    bytes[0] = 0x60 | (bytes[0] & 0x1f);
    bytes
}
