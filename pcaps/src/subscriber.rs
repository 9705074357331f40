//! Subscribers: they attach, start flows, move to another gNB, detach, and come back.

use crate::chance::Chance;
use crate::flow::Traffic;
use crate::gtpu;
use crate::n4::{self, Attachment};
use crate::plan::Link;
use crate::scenario::{Role, Subscribers};
use crate::stage::{Actor, MILLI, Micros, Passes, SECOND, Stage};

/// One subscriber's day.
pub(crate) struct Subscriber {
    number: u32,
    six: bool,
    habits: Subscribers,
    chance: Chance,
    phase: Phase,
}

enum Phase {
    Away,
    Attached { until: Micros, handover: Option<Micros> },
}

/// Brings all subscribers onto the stage, spread over the time to attach.
pub(crate) fn enter(stage: &mut Stage, habits: &Subscribers) {
    for number in 0..habits.count {
        let mut chance = stage.chance();
        // The associations are set up within the first second.
        let at = SECOND + chance.below(habits.attach_seconds.max(1) * SECOND);
        let six = chance.happens(habits.ipv6_share);
        let habits = habits.clone();
        stage.enter(at, Subscriber { number, six, habits, chance, phase: Phase::Away });
    }
}

impl Actor for Subscriber {
    fn wake(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        match self.phase {
            Phase::Away => Some(self.attach(now, stage)),
            Phase::Attached { until, .. } if now >= until => Some(self.detach(now, stage)),
            Phase::Attached { handover: Some(at), until } if now >= at => {
                self.phase = Phase::Attached { until, handover: None };
                self.hand_over(now, stage);
                Some(now + SECOND)
            }
            Phase::Attached { until, handover } => {
                let index = self.number as usize;
                if let Some(flow) = Traffic::start(index, &self.habits, stage) {
                    stage.enter(now, flow);
                }
                let next = now + self.chance.wait(self.habits.pause_seconds * SECOND);
                Some(next.min(until).min(handover.unwrap_or(until)))
            }
        }
    }
}

impl Subscriber {
    fn attach(&mut self, now: Micros, stage: &mut Stage) -> Micros {
        let unreserved = |stage: &Stage, role, links: &[Link]| {
            let mut nodes = stage.plan.with(role, links);
            nodes.retain(|node| !stage.plan.nodes[*node].reserved);
            nodes
        };
        let gnbs = unreserved(stage, Role::Gnb, &[Link::N3]);
        let upfs = unreserved(stage, Role::Upf, &[Link::N3, Link::N4, Link::N6]);
        let smfs = unreserved(stage, Role::Smf, &[Link::N4]);
        let number = self.number as usize;
        let gnb = gnbs[self.chance.below(gnbs.len() as u64) as usize];
        let numbered = self.chance.happens(self.habits.sequence_share);
        // A share of nothing takes no chance, so that a scenario without it plays as before.
        let mut sometimes = |share: f64| share > 0.0 && self.chance.happens(share);
        let endpoints = sometimes(stage.habits.endpoint_share);
        let upf = upfs[number % upfs.len()];
        // An SMF that has not heard the F-TEID can't repeat it beside the address.
        let may = self.six && !endpoints && !stage.plan.nodes[upf].tells_late;
        let late = may && sometimes(stage.habits.late_address_share);
        let attachment = Attachment {
            slot: number,
            ue: stage.plan.subscriber(self.number, self.six),
            smf: smfs[number / upfs.len() % smfs.len()],
            upf,
            gnb,
            realm: stage.plan.realm.clone(),
            numbered,
            endpoints,
            late_address: late,
            tunnel: None,
            nameless: false,
            set: None,
            exposed: true,
        };
        let ready = n4::establish(stage, now, &attachment, &mut self.chance);
        let hold = self.chance.wait(self.habits.hold_seconds * SECOND).max(5 * SECOND);
        let moves = self.chance.happens(self.habits.handover_share);
        let handover = moves.then(|| ready + hold / 2);
        self.phase = Phase::Attached { until: ready + hold, handover };
        ready
    }

    /// The flows find the session gone at once; N4 follows when what is on its way has arrived.
    fn detach(&mut self, now: Micros, stage: &mut Stage) -> Micros {
        self.phase = Phase::Away;
        if let Some(session) = stage.sessions[self.number as usize].take() {
            n4::delete(stage, now + 600 * MILLI, session, &mut self.chance);
        }
        now + 2 * SECOND + self.chance.wait(self.habits.hold_seconds * SECOND / 2)
    }

    /// Another gNB gets the downlink; the UPF ends the old tunnel with an End Marker.
    fn hand_over(&mut self, now: Micros, stage: &mut Stage) {
        let mut gnbs = stage.plan.with(Role::Gnb, &[Link::N3]);
        gnbs.retain(|gnb| !stage.plan.nodes[*gnb].reserved);
        let index = self.number as usize;
        let Some(old) = stage.sessions[index].clone() else { return };
        let at = gnbs.iter().position(|gnb| *gnb == old.gnb).unwrap_or(0);
        let gnb = gnbs[(at + 1) % gnbs.len()];
        if gnb == old.gnb || old.passes == Passes::Nothing {
            return;
        }
        let new = crate::stage::Session { gnb, downlink_teid: stage.numbers.teid(gnb), ..old };
        n4::redirect(stage, now, &new, true, &mut self.chance);
        let ends = (stage.plan.nodes[old.upf].on(Link::N3), stage.plan.nodes[old.gnb].on(Link::N3));
        let marker = gtpu::end_marker(old.downlink_teid);
        stage.gtpu(now + 600 * MILLI, ends, &marker, None);
        stage.sessions[index] = Some(new);
    }
}
