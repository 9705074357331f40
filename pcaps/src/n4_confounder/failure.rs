//! Nodes that hand on what they had, or end it together.

use crate::chance::Chance;
use crate::frame::{self, Route};
use crate::guest::{Place, Visit};
use crate::n4::{self, Attachment, rules};
use crate::pfcp;
use crate::plan::Link;
use crate::stage::{Actor, MILLI, Micros, SECOND, Stage};

use super::{BEFORE, Cast, FIRST, Upheavals, silent};

const SHARED_GUESTS: u64 = 6;
const RELEASED_GUESTS: u64 = 3;
const SET: u16 = 77;

pub(super) fn enter(stage: &mut Stage, said: &Upheavals, cast: &Cast) {
    let guests = |stage: &mut Stage, group, count, at: Micros, place: Place| {
        let mut guests: Vec<Attachment> = Vec::new();
        for n in 0..count {
            let guest = place.attachment(stage);
            let from = at.saturating_sub(BEFORE).max(FIRST) + n * 170 * MILLI;
            Visit::enter(stage, &guest, (from, (at + 60 * SECOND).min(cast.end)), Some(group));
            guests.push(guest);
        }
        guests
    };
    let group = silent(stage, "rerouted-n4");
    let guest = cast.place().attachment(stage);
    Visit::enter(stage, &guest, (FIRST, cast.end), Some(group));
    let every = said.every_seconds * SECOND;
    let (slot, until, chance) = (guest.slot, cast.end, stage.chance());
    stage.enter(FIRST + every / 2, Rerouted { slot, group, every, until, chance });

    let at = said.failover_at_seconds * SECOND;
    let group = silent(stage, "smf-failover");
    let shared = guests(stage, group, SHARED_GUESTS, at, cast.place());
    let chance = stage.chance();
    stage.enter(at, Failover { smf: cast.set[1], guests: shared, next: 0, group, chance });

    let at = said.set_deletion_at_seconds * SECOND;
    let group = silent(stage, "set-deletion");
    let place = Place { smf: cast.set[1], ..cast.place() };
    let mut slots = Vec::new();
    for n in 0..SHARED_GUESTS {
        let guest = Attachment { set: Some(SET), ..place.attachment(stage) };
        let from = at.saturating_sub(BEFORE).max(FIRST) + n * 170 * MILLI;
        Visit::enter(stage, &guest, (from, cast.end), Some(group));
        slots.push(guest.slot);
    }
    let ends = (place.smf, place.upf);
    let chance = stage.chance();
    stage.enter(at, Ending { how: How::Set, ends, slots, group, step: 1, chance });

    let at = said.release_at_seconds * SECOND;
    let group = silent(stage, "association-release");
    let smf = cast.smfs[cast.smfs.len() - 1];
    let place = Place { smf, upf: cast.restarts, gnb: cast.gnbs[0] };
    let released = guests(stage, group, RELEASED_GUESTS, at, place);
    let slots = released.iter().map(|guest| guest.slot).collect();
    let (ends, chance) = ((smf, cast.restarts), stage.chance());
    let ending = Ending { how: How::Association, ends, slots, group, step: 0, chance };
    stage.enter(at.saturating_sub(10 * SECOND), ending);
}

/// Another SMF of the set goes on with sessions, one after the other.
struct Failover {
    smf: usize,
    guests: Vec<Attachment>,
    next: usize,
    group: usize,
    chance: Chance,
}

impl Actor for Failover {
    fn wake(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        stage.group = Some(self.group);
        let slot = self.guests.get(self.next)?.slot;
        self.next += 1;
        if let Some(mut session) = stage.sessions[slot].take() {
            n4::take_over(stage, now, &mut session, self.smf, &mut self.chance);
            // Some had ended while no SMF was there to say so.
            if self.next.is_multiple_of(3) {
                n4::delete(stage, now + SECOND, session, &mut self.chance);
            } else {
                stage.sessions[slot] = Some(session);
            }
        }
        Some(now + 400 * MILLI)
    }
}

/// Requests of the SMF itself that come another way: other IP headers, the same numbering.
struct Rerouted {
    slot: usize,
    group: usize,
    every: Micros,
    until: Micros,
    chance: Chance,
}

impl Actor for Rerouted {
    fn wake(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        stage.group = Some(self.group);
        if let Some(session) = &stage.sessions[self.slot] {
            let (smf, upf) = (session.smf, session.upf);
            let [cp, up] = stage.plan.n4(smf, upf);
            let number = stage.numbers.sequence(smf);
            let changes = [rules::rates(25_000, 125_000)];
            let (asks, answers) = (pfcp::MODIFICATION_REQUEST, pfcp::MODIFICATION_RESPONSE);
            let request = pfcp::session_message(asks, session.up_seid, number, &changes);
            let accepted = [pfcp::accepted()];
            let response = pfcp::session_message(answers, session.cp_seid, number, &accepted);
            let route = Route { ttl: 58, ..Route::new(cp.ip(), up.ip()) };
            let packet = frame::udp(&route, cp.port(), up.port(), &request);
            let packet = match cp.is_ipv4() {
                true => frame::with_options(&packet, &frame::ROUTER_ALERT),
                false => packet,
            };
            let macs = [cp, up].map(|end| stage.plan.mac(Link::N4, end.ip()));
            stage.forge_pfcp(now, (macs[0], macs[1]), &packet, &request);
            stage.pfcp(now + self.chance.between(MILLI, 5 * MILLI), (up, cp), &response);
        }
        (now + self.every < self.until).then_some(now + self.every)
    }
}

#[derive(Clone, Copy)]
enum How {
    Set,
    Association,
}

/// Sessions that end together: of a set, or with their association.
struct Ending {
    how: How,
    ends: (usize, usize),
    slots: Vec<usize>,
    group: usize,
    step: u8,
    chance: Chance,
}

impl Actor for Ending {
    fn wake(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        stage.group = Some(self.group);
        let step = self.step;
        self.step += 1;
        match (step, self.how) {
            (0, _) => {
                n4::update(stage, now, self.ends, &mut self.chance);
                Some(now + 10 * SECOND)
            }
            (1, how) => {
                for slot in &self.slots {
                    stage.sessions[*slot] = None;
                }
                // What is on its way arrives before.
                let at = now + 600 * MILLI;
                match how {
                    How::Set => n4::delete_set(stage, at, self.ends, SET, &mut self.chance),
                    How::Association => n4::release(stage, at, self.ends, &mut self.chance),
                }
                Some(now + 15 * SECOND)
            }
            (2, How::Association) => {
                n4::set_up(stage, now, self.ends, &mut self.chance);
                None
            }
            _ => None,
        }
    }
}
