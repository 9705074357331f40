//! An SMF that hears nothing: it asks again, and in the end for what is done already.

use crate::chance::Chance;
use crate::n4::{self, Attachment, rules};
use crate::pfcp;
use crate::plan::Link;
use crate::stage::{Actor, MILLI, Micros, Passes, SECOND, Session, Stage};

use super::{Cast, FIRST, Upheavals, silent};

/// From a request to the same again, and how often it is asked: T1 and N1.
const PATIENCE: Micros = 900 * MILLI;
const ATTEMPTS: u64 = 3;
const PAUSE: Micros = 2 * SECOND;

pub(super) fn enter(stage: &mut Stage, said: &Upheavals, cast: &Cast) {
    let group = silent(stage, "lost-answers");
    let (guest, every) = (cast.place().attachment(stage), said.every_seconds * SECOND);
    let (until, chance) = (cast.end / 2, stage.chance());
    stage.enter(FIRST, Unheard { guest, group, every, until, step: 0, chance });
}

/// A session comes and goes, and a flow of it before. The answers to removal and deletion come past
/// the tap and are lost behind it.
struct Unheard {
    guest: Attachment,
    group: usize,
    every: Micros,
    until: Micros,
    step: u8,
    chance: Chance,
}

impl Actor for Unheard {
    fn wake(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        stage.group = Some(self.group);
        let step = self.step;
        self.step = (step + 1) % 6;
        if step == 0 {
            n4::establish(stage, now, &self.guest, &mut self.chance);
            return Some(now + PAUSE);
        }
        let mut session = stage.sessions[self.guest.slot].take()?;
        match step {
            1 => {
                let user_plane = stage.plan.nodes[session.upf].on(Link::N3);
                let tunnel = (session.uplink_teid, user_plane);
                let flow = rules::added_flow(&session.realm, session.ue, tunnel);
                n4::modify(stage, now, &session, &flow, &mut self.chance);
            }
            2 => {
                let kinds = (pfcp::MODIFICATION_REQUEST, pfcp::MODIFICATION_RESPONSE);
                let asked = rules::removed_flow();
                self.repeat(now, stage, &session, kinds, (&asked, &[pfcp::accepted()]));
            }
            3 => {
                let asked = (&rules::removed_flow()[..], rules::ADDED);
                n4::refused(stage, now, &session, asked, &mut self.chance);
            }
            4 => {
                let about = (pfcp::USAGE_REPORT_OF_DELETION, pfcp::TRIGGER_TERMINATION);
                let report = n4::usage_of(stage, &mut session, now, about);
                let kinds = (pfcp::DELETION_REQUEST, pfcp::DELETION_RESPONSE);
                self.repeat(now, stage, &session, kinds, (&[], &[pfcp::accepted(), report]));
                session.passes = Passes::Nothing;
            }
            _ => {
                let asked = (pfcp::DELETION_REQUEST, &[][..]);
                n4::ask_in_vain(stage, now, &session, asked, &mut self.chance);
                return (now + self.every < self.until).then_some(now + self.every);
            }
        }
        stage.sessions[self.guest.slot] = Some(session);
        Some(now + PAUSE + if matches!(step, 2 | 4) { ATTEMPTS * PATIENCE } else { 0 })
    }
}

impl Unheard {
    /// One request under one number, octet by octet, and what the UPF says each time.
    fn repeat(
        &mut self,
        now: Micros,
        stage: &mut Stage,
        session: &Session,
        (request, response): (u8, u8),
        (asked, answered): (&[Vec<u8>], &[Vec<u8>]),
    ) {
        let [cp, up] = stage.plan.n4(session.smf, session.upf);
        let number = stage.numbers.sequence(session.smf);
        let request = pfcp::session_message(request, session.up_seid, number, asked);
        let response = pfcp::session_message(response, session.cp_seid, number, answered);
        for at in (0..ATTEMPTS).map(|attempt| now + attempt * PATIENCE) {
            stage.pfcp(at, (cp, up), &request);
            stage.pfcp(at + self.chance.between(MILLI, 5 * MILLI), (up, cp), &response);
        }
    }
}
