//! Attacks on N4: requests in another's name, of strangers, and of SMFs that go too far.

use std::net::{IpAddr, SocketAddr};

use crate::frame::{self, MacAddr, Route};
use crate::gtpu::{self, Container, Direction};
use crate::guest;
use crate::n4::{self, Attachment, rules};
use crate::pfcp;
use crate::plan::Link;
use crate::scenario::Role;
use crate::stage::{MILLI, Micros, Passes, SECOND, Session, Stage};

use super::{How, Playing};

/// The box that nobody installed.
const STRANGER: MacAddr = MacAddr(0x02, 0x4f, 0, 0x66, 0x66, 0x66);
const FOREIGN_TEID: u32 = 0x6600_0001;

impl Playing {
    /// A request under the SMF's own address and port, from another box, and the UPF's answer.
    fn forge(
        &mut self,
        now: Micros,
        stage: &mut Stage,
        session: &Session,
        (request, response): (u8, u8),
        (asked, answered): (&[Vec<u8>], &[Vec<u8>]),
    ) {
        let [cp, up] = stage.plan.n4(session.smf, session.upf);
        let number = if self.how.counts_along() {
            stage.numbers.next_sequence(session.smf)
        } else {
            self.numbered += 1;
            self.numbered
        };
        let message = pfcp::session_message(request, session.up_seid, number, asked);
        // With options it comes from a box on the link; without, from afar, and at most its number
        // tells it from the SMF's own.
        let ttl = if self.ip_options { 61 } else { 64 };
        let route = Route { ttl, ..Route::new(cp.ip(), up.ip()) };
        let mut packet = frame::udp(&route, cp.port(), up.port(), &message);
        let mut from = self.gateway(stage);
        if self.ip_options && cp.is_ipv4() {
            packet = frame::with_options(&packet, &frame::ROUTER_ALERT);
            from = STRANGER;
        }
        let to = stage.plan.mac(Link::N4, up.ip());
        stage.forge_pfcp(now, (from, to), &packet, &message);
        let answer = pfcp::session_message(response, session.cp_seid, number, answered);
        stage.pfcp(now + self.chance.between(MILLI, 4 * MILLI), (up, cp), &answer);
    }

    /// The router of N4, if there is one.
    fn gateway(&self, stage: &Stage) -> MacAddr {
        let router = stage.plan.with(Role::Router, &[Link::N4]).first().copied();
        router.map_or(STRANGER, |router| stage.plan.nodes[router].mac(Link::N4))
    }

    /// A session dies in its owner's name; the owner asks for it, and sets it up again.
    pub(super) fn forged_deletion(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        const ASKS_AFTER: Micros = 1_200 * MILLI;
        let victim = self.victim.clone()?;
        let mut session = stage.sessions[victim.slot].take()?;
        let step = self.step;
        self.step = (step + 1) % 3;
        match step {
            0 => {
                let about = (pfcp::USAGE_REPORT_OF_DELETION, pfcp::TRIGGER_TERMINATION);
                let report = n4::usage_of(stage, &mut session, now, about);
                let kinds = (pfcp::DELETION_REQUEST, pfcp::DELETION_RESPONSE);
                let answered = [pfcp::accepted(), report];
                self.forge(now, stage, &session, kinds, (&[], &answered));
                session.passes = Passes::Nothing;
                stage.sessions[victim.slot] = Some(session);
                Some(ASKS_AFTER)
            }
            1 => {
                self.mark(stage, false);
                let changes = [rules::rates(20_000, 100_000)];
                let asked = (pfcp::MODIFICATION_REQUEST, &changes[..]);
                n4::ask_in_vain(stage, now, &session, asked, &mut self.chance);
                stage.sessions[victim.slot] = Some(session);
                Some(SECOND)
            }
            _ => {
                self.mark(stage, false);
                n4::establish(stage, now, &victim, &mut self.chance);
                None
            }
        }
    }

    /// Downlink is cut off; then the SMF, which has heard of nothing, comes to the same number.
    pub(super) fn sequence_theft(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        let slot = self.victim_slot()?;
        let mut session = stage.sessions[slot].take()?;
        let kinds = (pfcp::MODIFICATION_REQUEST, pfcp::MODIFICATION_RESPONSE);
        let asked = [rules::dropping()];
        self.forge(now, stage, &session, kinds, (&asked, &[pfcp::accepted()]));
        self.mark(stage, false);
        let changes = [rules::rates(45_000, 250_000)];
        n4::modify(stage, now + 250 * MILLI, &session, &changes, &mut self.chance);
        session.passes = Passes::Uplink;
        stage.sessions[slot] = Some(session);
        None
    }

    /// Downlink has no rule any more. The SMF's own request under that number is a heartbeat; when
    /// it comes to the rule it is refused, gives the session up and sets it up again.
    pub(super) fn forged_removal(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        const UPDATES_AFTER: Micros = 1_200 * MILLI;
        let victim = self.victim.clone()?;
        let step = self.step;
        self.step = (step + 1) % 4;
        if step == 3 {
            self.mark(stage, false);
            n4::establish(stage, now, &victim, &mut self.chance);
            return None;
        }
        let mut session = stage.sessions[victim.slot].take()?;
        if step == 0 {
            let kinds = (pfcp::MODIFICATION_REQUEST, pfcp::MODIFICATION_RESPONSE);
            let asked = [rules::removed_downlink()];
            self.forge(now, stage, &session, kinds, (&asked, &[pfcp::accepted()]));
            session.passes = Passes::Uplink;
        }
        self.mark(stage, false);
        match step {
            0 => {
                let ends = (session.smf, session.upf);
                n4::heartbeat(stage, now + 250 * MILLI, ends, true, &mut self.chance);
            }
            1 => {
                let end = (session.downlink_teid, stage.plan.nodes[session.gnb].on(Link::N3));
                let change = rules::redirection(&session.realm, end, false);
                let refused = (&[change][..], rules::DOWNLINK.into());
                n4::refused(stage, now, &session, refused, &mut self.chance);
            }
            _ => {
                // What is on its way arrives before.
                n4::delete(stage, now + 600 * MILLI, session, &mut self.chance);
                return Some(SECOND);
            }
        }
        stage.sessions[victim.slot] = Some(session);
        Some(if step == 0 { UPDATES_AFTER } else { SECOND })
    }

    /// First the change, then what it brings: downlink on its way to a stranger.
    pub(super) fn forged_redirection(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        let slot = self.victim_slot()?;
        let mut session = stage.sessions[slot].take()?;
        if self.turn == 0 {
            let change = rules::redirection(&session.realm, (FOREIGN_TEID, self.peer), false);
            let kinds = (pfcp::MODIFICATION_REQUEST, pfcp::MODIFICATION_RESPONSE);
            self.forge(now, stage, &session, kinds, (&[change], &[pfcp::accepted()]));
            session.passes = Passes::Uplink;
        } else {
            let packet = guest::inward(stage, session.ue, slot, &mut self.chance);
            self.mark(stage, false);
            stage.n6(now, session.upf, false, &packet);
            self.mark(stage, true);
            self.send_abroad(now, stage, &session, &packet);
        }
        stage.sessions[slot] = Some(session);
        None
    }

    /// A G-PDU of the UPF to the stranger.
    fn send_abroad(&self, now: Micros, stage: &mut Stage, session: &Session, packet: &[u8]) {
        let psc = Container { direction: Direction::Downlink, qfi: 9, rqi: false };
        let message = gtpu::g_pdu(FOREIGN_TEID, None, psc, &frame::forwarded(packet));
        let own = stage.plan.nodes[session.upf].on(Link::N3);
        stage.gtpu(now + 40, (own, self.peer), &message, None);
    }

    /// First the order of the SMF, then the copies.
    pub(super) fn duplication(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        let slot = self.victim_slot()?;
        let session = stage.sessions[slot].clone()?;
        if self.turn == 0 {
            let change = rules::duplication((FOREIGN_TEID, self.peer));
            n4::modify(stage, now, &session, &[change], &mut self.chance);
            return None;
        }
        let packet = guest::inward(stage, session.ue, slot, &mut self.chance);
        self.mark(stage, false);
        stage.downlink(now, slot, (9, false), &packet);
        self.mark(stage, true);
        self.send_abroad(now + 5, stage, &session, &packet);
        None
    }

    /// An association first, then by turns a session and its deletion.
    pub(super) fn rogue_peer(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        let [cp, up] = stage.plan.n4(self.place.smf, self.place.upf);
        let own = IpAddr::V4(self.peer);
        // A stolen Node ID is an SMF's address; the packets come from the stranger's all the same.
        let id = if self.how == How::NodeIdTheft { cp.ip() } else { own };
        self.numbered += 1;
        let (request, response) = match self.turn {
            0 => self.rogue_association(stage, id),
            odd if !odd.is_multiple_of(2) => self.rogue_session(now, stage, id),
            _ => self.rogue_deletion(stage)?,
        };
        let own = SocketAddr::new(own, pfcp::PORT);
        self.strange(now, stage, (own, up), &request, false);
        let answer_at = now + self.chance.between(MILLI, 4 * MILLI);
        self.strange(answer_at, stage, (up, own), &response, true);
        None
    }

    fn rogue_association(&self, stage: &Stage, id: IpAddr) -> (Vec<u8>, Vec<u8>) {
        let [_, up] = stage.plan.n4(self.place.smf, self.place.upf);
        let started = || pfcp::recovery_time_stamp(stage.numbers.recovery(self.place.upf));
        let asked = [pfcp::node_id(id), started(), pfcp::cp_features()];
        let answered = [pfcp::node_id(up.ip()), pfcp::accepted(), started(), pfcp::up_features()];
        (
            pfcp::node_message(pfcp::ASSOCIATION_SETUP_REQUEST, self.numbered, &asked),
            pfcp::node_message(pfcp::ASSOCIATION_SETUP_RESPONSE, self.numbered, &answered),
        )
    }

    fn rogue_session(&mut self, now: Micros, stage: &mut Stage, id: IpAddr) -> (Vec<u8>, Vec<u8>) {
        let [_, up] = stage.plan.n4(self.place.smf, self.place.upf);
        let attachment = self.place.attachment(stage);
        let session = n4::expect(stage, now, &attachment, &mut self.chance);
        let identity = n4::identity(attachment.slot as u32);
        let cp_seid = 0x6600 + u64::from(self.numbered);
        let terms = rules::Terms {
            cp_seid,
            cp: id,
            ue: session.ue,
            realm: &session.realm,
            identity: Some(&identity),
            uplink_teid: session.uplink_teid,
            user_plane: stage.plan.nodes[session.upf].on(Link::N3),
            chooses: true,
            endpoints: false,
            report_seconds: None,
            set: None,
        };
        let asked = rules::establishment(&terms);
        let up_seid = pfcp::f_seid(session.up_seid, up.ip());
        let mut answered = vec![pfcp::node_id(up.ip()), pfcp::accepted(), up_seid];
        answered.extend(rules::created(&terms));
        self.slots.push(attachment.slot);
        stage.sessions[attachment.slot] =
            Some(Session { cp_seid, passes: Passes::Nothing, ..session });
        let (asks, answers) = (pfcp::ESTABLISHMENT_REQUEST, pfcp::ESTABLISHMENT_RESPONSE);
        (
            pfcp::session_message(asks, 0, self.numbered, &asked),
            pfcp::session_message(answers, cp_seid, self.numbered, &answered),
        )
    }

    fn rogue_deletion(&mut self, stage: &mut Stage) -> Option<(Vec<u8>, Vec<u8>)> {
        let session = self.slots.pop().and_then(|slot| stage.sessions[slot].take())?;
        let accepted = [pfcp::accepted()];
        let (asks, answers) = (pfcp::DELETION_REQUEST, pfcp::DELETION_RESPONSE);
        Some((
            pfcp::session_message(asks, session.up_seid, self.numbered, &[]),
            pfcp::session_message(answers, session.cp_seid, self.numbered, &accepted),
        ))
    }

    /// A datagram from or to the box that nobody installed.
    fn strange(
        &self,
        at: Micros,
        stage: &mut Stage,
        (from, to): (SocketAddr, SocketAddr),
        message: &[u8],
        answer: bool,
    ) {
        let upf = stage.plan.nodes[self.place.upf].mac(Link::N4);
        let macs = if answer { (upf, STRANGER) } else { (STRANGER, upf) };
        let route = Route::new(from.ip(), to.ip());
        let packet = frame::udp(&route, from.port(), to.port(), message);
        stage.forge_pfcp(at, macs, &packet, message);
    }

    /// Another SMF changes the session under its own address; the owner goes on with it.
    pub(super) fn seid_theft(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        let session = stage.sessions[self.victim_slot()?].clone()?;
        let [thief, up] = stage.plan.n4(self.node, session.upf);
        let number = stage.numbers.sequence(self.node);
        let (asks, answers) = (pfcp::MODIFICATION_REQUEST, pfcp::MODIFICATION_RESPONSE);
        let changes = [rules::rates(1_000, 1_000)];
        let request = pfcp::session_message(asks, session.up_seid, number, &changes);
        let accepted = [pfcp::accepted()];
        let response = pfcp::session_message(answers, session.cp_seid, number, &accepted);
        stage.pfcp(now, (thief, up), &request);
        stage.pfcp(now + self.chance.between(MILLI, 4 * MILLI), (up, thief), &response);
        self.mark(stage, false);
        let changes = [rules::rates(50_000, 300_000)];
        n4::modify(stage, now + 700 * MILLI, &session, &changes, &mut self.chance);
        None
    }

    /// A second session with the victim's address or tunnel, at another gNB. Downlink follows the
    /// address.
    pub(super) fn takeover(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        let victim = self.victim.clone()?;
        if self.turn == 0 {
            let gnbs = stage.plan.with(Role::Gnb, &[Link::N3]);
            let gnb = gnbs.iter().copied().find(|gnb| *gnb != victim.gnb).unwrap_or(victim.gnb);
            let slot = stage.slot();
            let second = match self.how {
                How::TunnelTakeover => {
                    let tunnel = stage.sessions[victim.slot].as_ref()?.uplink_teid;
                    let ue = stage.plan.subscriber(slot as u32, false);
                    Attachment { slot, gnb, ue, tunnel: Some(tunnel), ..victim.clone() }
                }
                _ => Attachment { slot, gnb, ..victim.clone() },
            };
            n4::establish(stage, now, &second, &mut self.chance);
            self.slots.push(second.slot);
            if self.how == How::AddressTakeover
                && let Some(first) = &mut stage.sessions[victim.slot]
            {
                first.passes = Passes::Uplink;
            }
            return None;
        }
        let slot = *self.slots.first()?;
        let ue = stage.sessions[slot].as_ref()?.ue;
        let packet = guest::inward(stage, ue, victim.slot, &mut self.chance);
        stage.downlink(now, slot, (9, false), &packet);
        None
    }

    /// The owner sets right what was done, and what was set up goes.
    pub(super) fn end(&mut self, now: Micros, stage: &mut Stage) {
        let victim = self.victim_slot();
        let session = victim.and_then(|slot| stage.sessions[slot].clone());
        match (self.how, session) {
            (How::ForgedRedirection | How::SequenceTheft, Some(session)) => {
                n4::redirect(stage, now, &session, false, &mut self.chance);
            }
            (How::Duplication, Some(session)) => {
                let change = pfcp::group(
                    pfcp::UPDATE_FAR,
                    &[pfcp::far_id(rules::DOWNLINK.into()), pfcp::apply_action(pfcp::APPLY_FORW)],
                );
                n4::modify(stage, now, &session, &[change], &mut self.chance);
            }
            _ => {}
        }
        if let Some(session) = victim.and_then(|slot| stage.sessions[slot].as_mut()) {
            session.passes = Passes::Both;
        }
        // A stranger leaves without a word.
        let own =
            std::mem::take(&mut self.slots).into_iter().filter(|_| self.how.role() != Role::Upf);
        for session in own.filter_map(|slot| stage.sessions[slot].take()).collect::<Vec<_>>() {
            self.mark(stage, true);
            n4::delete(stage, now + 600 * MILLI, session, &mut self.chance);
        }
    }
}
