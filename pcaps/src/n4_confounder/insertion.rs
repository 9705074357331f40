//! A UPF comes between a gNB and the UPF that anchors the session, and N9 between the two.

use crate::chance::Chance;
use crate::guest;
use crate::n4::{self, Attachment, rules};
use crate::plan::Link;
use crate::stage::{Actor, MILLI, Micros, SECOND, Stage};

use super::{Cast, FIRST, Upheavals, silent};

const DIRECT: Micros = 30 * SECOND;
const PACE: Micros = 2 * SECOND;

pub(super) fn enter(stage: &mut Stage, said: &Upheavals, cast: &Cast) {
    let group = silent(stage, "i-upf-insertion");
    for n in 0..3 {
        let anchored = cast.place().attachment(stage);
        let upf = stage.plan.named(said.inserted.get_ref());
        let between = Attachment { slot: stage.slot(), upf, ..anchored.clone() };
        let from = FIRST + n * 7 * SECOND;
        let insertion = Insertion {
            anchored,
            between,
            group,
            step: 0,
            inserted_at: from + DIRECT,
            until: cast.end / 2,
            chance: stage.chance(),
        };
        stage.enter(from, insertion);
    }
}

struct Insertion {
    anchored: Attachment,
    between: Attachment,
    group: usize,
    step: u8,
    inserted_at: Micros,
    until: Micros,
    chance: Chance,
}

impl Actor for Insertion {
    fn wake(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        stage.group = Some(self.group);
        match self.step {
            0 => {
                self.step = 1;
                Some(n4::establish(stage, now, &self.anchored, &mut self.chance))
            }
            1 if now < self.inserted_at => {
                guest::talk(stage, now, self.anchored.slot, &mut self.chance);
                Some((now + PACE).min(self.inserted_at))
            }
            1 => {
                self.step = 2;
                Some(n4::establish(stage, now, &self.between, &mut self.chance))
            }
            2 => {
                self.step = 3;
                self.connect(now, stage);
                Some(now + 100 * MILLI)
            }
            _ if now >= self.until => {
                for attachment in [&self.between, &self.anchored] {
                    if let Some(session) = stage.sessions[attachment.slot].take() {
                        n4::delete(stage, now + 600 * MILLI, session, &mut self.chance);
                    }
                }
                None
            }
            _ => {
                self.talk(now, stage);
                Some((now + PACE).min(self.until))
            }
        }
    }
}

impl Insertion {
    /// Each of the two learns of the other: uplink first, so that nothing is lost.
    fn connect(&mut self, now: Micros, stage: &mut Stage) {
        let Some(mut anchored) = stage.sessions[self.anchored.slot].take() else { return };
        let upf = self.between.upf;
        (anchored.gnb, anchored.downlink_teid) = (upf, stage.numbers.teid(upf));
        if let Some(between) = stage.sessions[self.between.slot].clone() {
            let nodes = &stage.plan.nodes;
            let next = (anchored.uplink_teid, nodes[anchored.upf].on(Link::N3));
            let own = (anchored.downlink_teid, nodes[upf].on(Link::N3));
            let changes = rules::intermediate(&between.realm, next, own);
            n4::modify(stage, now, &between, &changes, &mut self.chance);
        }
        n4::redirect(stage, now + 10 * MILLI, &anchored, false, &mut self.chance);
        stage.sessions[self.anchored.slot] = Some(anchored);
    }

    /// A packet and its answer, over N3, N9 and N6.
    fn talk(&mut self, now: Micros, stage: &mut Stage) {
        const HOP: Micros = 40;
        let (near, far) = (self.between.slot, self.anchored.slot);
        let there = guest::outward(stage, self.anchored.ue, far, &mut self.chance);
        let back = guest::inward(stage, self.anchored.ue, far, &mut self.chance);
        stage.uplink_n3(now, near, 9, &there);
        stage.uplink(now + HOP, far, 9, &there);
        let answered = now + 30 * MILLI;
        stage.downlink(answered, far, (9, false), &back);
        stage.downlink_n3(answered + 2 * HOP, near, (9, false), &back);
    }
}
