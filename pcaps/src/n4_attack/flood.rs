//! Sessions of nobody, and too much of what is allowed.

use std::net::{IpAddr, Ipv4Addr};

use crate::guest;
use crate::n4::{self, Attachment, rules};
use crate::pfcp;
use crate::plan::{Link, Realm};
use crate::stage::{MILLI, Micros, Stage};

use super::{How, Playing};

/// A private address that no pool holds.
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);

impl Playing {
    /// One session more of those that should not be.
    pub(super) fn ghost(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        let honest = self.place.attachment(stage);
        let attachment = match self.how {
            How::GhostAddress => {
                let address = Ipv4Addr::from_bits(OUTSIDE.to_bits() + self.turn as u32);
                Attachment { ue: IpAddr::V4(address), ..honest }
            }
            How::GhostDnn => {
                let realm = Realm { dnn: "shadow".into(), ..honest.realm };
                Attachment { realm, ..honest }
            }
            _ => Attachment { nameless: true, ..honest },
        };
        n4::establish(stage, now, &attachment, &mut self.chance);
        self.slots.push(attachment.slot);
        None
    }

    /// A session in the first turn, and in each a packet up.
    pub(super) fn one_way(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        let Some(slot) = self.slots.first().copied() else {
            let attachment = self.place.attachment(stage);
            self.slots.push(attachment.slot);
            return Some(n4::establish(stage, now, &attachment, &mut self.chance) - now);
        };
        let ue = stage.sessions[slot].as_ref().map(|session| session.ue)?;
        let packet = guest::outward(stage, ue, slot, &mut self.chance);
        stage.uplink(now, slot, 9, &packet);
        None
    }

    pub(super) fn heartbeat(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        let upf = self.place.upf;
        let [cp, up] = stage.plan.n4(self.node, upf);
        let number = stage.numbers.sequence(self.node);
        let message = |kind, node| {
            let stamp = pfcp::recovery_time_stamp(stage.numbers.recovery(node));
            pfcp::node_message(kind, number, &[stamp])
        };
        let request = message(pfcp::HEARTBEAT_REQUEST, self.node);
        let response = message(pfcp::HEARTBEAT_RESPONSE, upf);
        stage.pfcp(now, (cp, up), &request);
        stage.pfcp(now + self.chance.between(MILLI / 2, 2 * MILLI), (up, cp), &response);
        None
    }

    /// An establishment; every fourth is refused, the others are lost on a UPF that has no more.
    pub(super) fn establishment(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        let upf = self.place.upf;
        let [cp, up] = stage.plan.n4(self.node, upf);
        let number = stage.numbers.sequence(self.node);
        let identity = n4::identity(62_000 + self.turn as u32);
        let terms = rules::Terms {
            cp_seid: stage.numbers.seid(self.node),
            cp: cp.ip(),
            ue: stage.plan.subscriber(62_000 + self.turn as u32, false),
            realm: &stage.plan.realm,
            identity: Some(&identity),
            uplink_teid: 0,
            user_plane: stage.plan.nodes[upf].on(Link::N3),
            chooses: true,
            endpoints: false,
            report_seconds: None,
            set: None,
        };
        let asked = rules::establishment(&terms);
        let request = pfcp::session_message(pfcp::ESTABLISHMENT_REQUEST, 0, number, &asked);
        let refusal = [pfcp::node_id(up.ip()), pfcp::cause(pfcp::NO_RESOURCES)];
        let answers = pfcp::ESTABLISHMENT_RESPONSE;
        let response = pfcp::session_message(answers, terms.cp_seid, number, &refusal);
        stage.pfcp(now, (cp, up), &request);
        if self.turn.is_multiple_of(4) {
            stage.pfcp(now + self.chance.between(MILLI, 4 * MILLI), (up, cp), &response);
        }
        None
    }
}
