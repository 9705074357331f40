//! Nodes that start anew: what they had is gone, and is set up again all at once.

use crate::chance::Chance;
use crate::gtpu::{self, Container, Direction};
use crate::guest::{self, Place, Visit};
use crate::n4::{self, Attachment};
use crate::n4_attack::error_indication;
use crate::pfcp;
use crate::plan::Link;
use crate::stage::{Actor, MILLI, Micros, Passes, SECOND, Session, Stage};

use super::{Cast, FIRST, Upheavals, silent};

/// So many that one SMF sets up more than twenty a second for three seconds.
const OF_ONE_SMF: u64 = 80;
const OF_EACH: u64 = 2;
/// From one establishment of the storm to the next.
const PACE: Micros = 40 * MILLI;
/// How long guests are there before and after.
const AROUND: Micros = 18 * SECOND;
/// From a restart's last session to the next restart of the same SMF.
const AGAIN: Micros = 3 * SECOND;
/// How long a UPF is down.
const DOWN: Micros = 8 * SECOND;

pub(super) fn enter(stage: &mut Stage, said: &Upheavals, cast: &Cast) {
    let at = said.restart_at_seconds * SECOND;
    let group = silent(stage, "upf-restart");
    let many = (0..OF_ONE_SMF).map(|_| cast.set[0]);
    let few = (0..OF_EACH).flat_map(|_| cast.smfs.iter().copied());
    let places = many.chain(few).enumerate().map(|(n, smf)| Place {
        smf,
        upf: cast.restarts,
        gnb: cast.gnbs[n % cast.gnbs.len()],
    });
    let places: Vec<Place> = places.collect();
    let guests = visit(stage, cast, (group, at), places);
    let restart = Restart {
        upf: cast.restarts,
        smfs: cast.smfs.clone(),
        guests,
        group,
        at,
        known: 0,
        sends_at: at,
        old: None,
        chance: stage.chance(),
    };
    stage.enter(at, restart);

    let at = said.smf_restart_at_seconds * SECOND;
    let group = silent(stage, "smf-restart");
    let smf = cast.smfs[cast.smfs.len() - 1];
    let place = Place { smf, ..cast.place() };
    let guests = visit(stage, cast, (group, at), vec![place; 6]);
    let groups = vec![silent(stage, "smf-restart-again"), group];
    let (upfs, chance) = (cast.upfs.clone(), stage.chance());
    stage.enter(at, Forgotten { smf, upfs, guests, next: None, groups, chance });
}

fn visit(
    stage: &mut Stage,
    cast: &Cast,
    (group, at): (usize, Micros),
    places: Vec<Place>,
) -> Vec<Attachment> {
    let mut guests = Vec::new();
    for (n, place) in (0..).zip(places) {
        let guest = place.attachment(stage);
        let from = at.saturating_sub(AROUND).max(FIRST) + n * 110 * MILLI;
        Visit::enter(stage, &guest, (from, (at + AROUND).min(cast.end)), Some(group));
        guests.push(guest);
    }
    guests
}

/// A UPF goes down, is missed, comes back without its sessions and gets them again.
struct Restart {
    upf: usize,
    smfs: Vec<usize>,
    guests: Vec<Attachment>,
    group: usize,
    at: Micros,
    /// How many of the guests the UPF knows again.
    known: usize,
    /// When the gNBs send in the old tunnels again.
    sends_at: Micros,
    /// The old session of each guest, once the UPF has failed.
    old: Option<Vec<Option<Session>>>,
    chance: Chance,
}

impl Actor for Restart {
    fn wake(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        stage.group = Some(self.group);
        if self.old.is_none() {
            self.old = Some(self.fail(now, stage));
        }
        let up = now >= self.at + DOWN;
        if up && stage.down == Some(self.upf) {
            self.come_back(now, stage);
            return Some(now + 300 * MILLI);
        }
        if up && self.known < self.guests.len() {
            let guest = self.guests[self.known].clone();
            n4::establish(stage, now, &guest, &mut self.chance);
            self.known += 1;
        }
        if now >= self.sends_at {
            self.go_on(now, stage, up);
            self.sends_at = now + SECOND;
        }
        let pace = if up { PACE } else { SECOND };
        (self.known < self.guests.len()).then_some(now + pace)
    }
}

impl Restart {
    fn fail(&self, now: Micros, stage: &mut Stage) -> Vec<Option<Session>> {
        stage.down = Some(self.upf);
        let old = self.guests.iter().map(|guest| {
            let session = stage.sessions[guest.slot].as_mut()?;
            session.passes = Passes::Nothing;
            Some(session.clone())
        });
        let old = old.collect();
        // The SMFs ask three times, as T1 and N1 say, and hear nothing.
        for smf in &self.smfs {
            let [cp, up] = stage.plan.n4(*smf, self.upf);
            let number = stage.numbers.sequence(*smf);
            let started = pfcp::recovery_time_stamp(stage.numbers.recovery(*smf));
            let request = pfcp::node_message(pfcp::HEARTBEAT_REQUEST, number, &[started]);
            for attempt in 0..3 {
                let at = now + 500 * MILLI + attempt * 2 * SECOND;
                stage.pfcp(at, (cp, up), &request);
            }
        }
        old
    }

    /// The first answer has a later time stamp: the associations are set up again.
    fn come_back(&mut self, now: Micros, stage: &mut Stage) {
        stage.down = None;
        stage.numbers.restart(self.upf, n4::ntp_seconds(stage.start_ns(), now));
        for (n, smf) in (0..).zip(self.smfs.clone()) {
            let at = now + n * 40 * MILLI;
            n4::heartbeat(stage, at, (smf, self.upf), true, &mut self.chance);
            n4::set_up(stage, at + 15 * MILLI, (smf, self.upf), &mut self.chance);
        }
    }

    /// The gNBs go on in the old tunnels, until they get new ones; the UPF, when it is up, says
    /// that it does not know them.
    fn go_on(&mut self, now: Micros, stage: &mut Stage, up: bool) {
        let psc = Container { direction: Direction::Uplink, qfi: 9, rqi: false };
        let waiting = self.old.iter().flatten().zip(&self.guests).skip(self.known);
        for (session, guest) in waiting {
            let Some(Session { gnb, ue, uplink_teid: teid, .. }) = *session else { continue };
            let packet = guest::outward(stage, ue, guest.slot, &mut self.chance);
            let nodes = &stage.plan.nodes;
            let ends = (nodes[gnb].on(Link::N3), nodes[self.upf].on(Link::N3));
            let at = now + self.chance.below(400 * MILLI);
            stage.gtpu(at, ends, &gtpu::g_pdu(teid, None, psc, &packet), None);
            if up {
                let complaint = error_indication(teid, ends.1);
                stage.gtpu(at + MILLI, (ends.1, ends.0), &complaint, None);
            }
        }
    }
}

/// An SMF that has forgotten its sessions and where its numbers were: it sets up its associations
/// and then the sessions, for subscribers whose gNBs go on in the old tunnels until then. Hardly is
/// that done, it restarts again: its numbers come a second time within seconds.
struct Forgotten {
    smf: usize,
    upfs: Vec<usize>,
    guests: Vec<Attachment>,
    /// The guest whose turn it is, once the associations stand.
    next: Option<usize>,
    /// Of each restart; the last is of the first.
    groups: Vec<usize>,
    chance: Chance,
}

impl Actor for Forgotten {
    fn wake(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        stage.group = Some(*self.groups.last()?);
        let Some(next) = self.next else {
            stage.numbers.restart(self.smf, n4::ntp_seconds(stage.start_ns(), now));
            stage.numbers.count_anew(self.smf);
            for (n, upf) in (0..).zip(self.upfs.clone()) {
                n4::set_up(stage, now + n * 20 * MILLI, (self.smf, upf), &mut self.chance);
            }
            self.next = Some(0);
            return Some(now + SECOND);
        };
        let Some(guest) = self.guests.get(next).cloned() else {
            self.groups.pop();
            self.next = None;
            return Some(now + AGAIN);
        };
        n4::establish(stage, now, &guest, &mut self.chance);
        self.next = Some(next + 1);
        Some(now + 200 * MILLI)
    }
}
