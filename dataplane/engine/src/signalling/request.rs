//! A request: whose it is, whether it may be, and what it orders.

use weir_wire::Address;
use weir_wire::pfcp::Pfcp;

use super::Signalling;
use super::accusation::{Accusation, ip};
use super::datagram::N4Datagram;
use super::keyed::hash_message;
use super::node::Node;
use super::order::members;
use super::sequence::{Heap, Request};
use super::session::{Session, SessionRef};
use super::targets::Orderer;
use super::transactions::{Asked, Question, TransactionKey};
use crate::Nanos;
use crate::contract::session::{SessionContext, Signalled};
use crate::contract::verdict::{Fact, Initiator, Severity, Tuple};
use crate::decode::protocol;
use crate::detect::pfcp_flood::Flood;
use crate::detect::{PFCP_FLOOD, PFCP_PEER};
use crate::rules::EquipmentId;

impl Signalling {
    pub(super) fn request(&mut self, datagram: &N4Datagram<'_>, message: &Pfcp<'_>, bytes: &[u8]) {
        let code = message.message().0;
        let pair = self.pair(datagram);
        let key = TransactionKey::of_request(datagram, message);
        let declared = self.nodes.is_declared(pair);
        if !declared {
            self.accuse_stranger(datagram, pair);
        }
        let (asked, ended) = self.transactions.ask(&Question {
            key,
            hash: hash_message(bytes),
            seid: message.seid().map_or(0, |seid| seid.0),
            message: bytes,
            time: datagram.time,
            declared,
        });
        if let Some(waiting) = ended {
            self.unanswered(&key, waiting);
        }
        self.count_request(datagram, pair, code);
        // What comes again was sent by whoever sent it first.
        let is_own = matches!(asked, Asked::Again(_)) && !self.transactions.is_doubted(&key);
        let doubted = !is_own && self.watch_sender(datagram, pair, code, message.sequence());
        if doubted {
            self.transactions.doubt(&key);
        }
        match asked {
            Asked::Again(since) => {
                self.counters.repeated += 1;
                if matches!(code, 52 | 54)
                    && declared
                    && !doubted
                    && let (Some(at), _) = self.session_of(datagram, message)
                {
                    self.unheard(at, since, datagram.time);
                }
            }
            Asked::Dropped => {}
            Asked::New | Asked::Otherwise(_) => {
                let (session, known_seid) = self.session_of(datagram, message);
                if let Some(at) = session {
                    self.foresee_tunnels(at);
                    self.check_owner(datagram, pair, code, at, doubted);
                    if let Asked::Otherwise(before) = asked
                        && declared
                        && !doubted
                        && code != 56
                    {
                        self.accuse_same_number(datagram, pair, at, before);
                    }
                }
                let mut given = None;
                if matches!(code, 50 | 52) {
                    let by = Orderer { pair, session, is_trusted: declared && !doubted };
                    given = self.look_at_rules(datagram, message, by).map(|id| id.seid.0);
                } else if code == 56 {
                    self.report(datagram, message, session);
                }
                if let Some(waiting) = self.transactions.waiting(&key) {
                    waiting.session = session;
                    waiting.answer_seid = if code == 50 { given } else { known_seid };
                    waiting.new_seid = given.filter(|_| code == 52);
                    waiting.pair = pair;
                    waiting.doubted = doubted;
                }
                self.ask_of_node(datagram, pair, message);
                if let Some(early) = self.transactions.take_early(&key)
                    && let Ok(answer) = Pfcp::parse(&early.bytes)
                {
                    self.answered(&key, &answer, early.time);
                }
            }
        }
    }

    /// The pair of nodes that a datagram goes between.
    pub(super) fn pair(&mut self, datagram: &N4Datagram<'_>) -> u32 {
        self.pair_of(datagram.source, datagram.destination, datagram.time)
    }

    pub(super) fn pair_of(&mut self, from: Address, to: Address, time: Nanos) -> u32 {
        let pair = self.nodes.pair_of(from, to, time, self.rules.as_deref());
        self.nodes.hear(pair, time);
        if let Some((from, to)) = self.nodes.pair(pair).map(|pair| (pair.from, pair.to)) {
            for number in [from, to] {
                if let Some(node) = self.nodes.node(number)
                    && node.is_up
                    && let Some(id) = node.equipment
                {
                    self.up_nodes.entry(id).or_insert(number);
                }
            }
        }
        pair
    }

    /// Both nodes of a pair, sender first.
    pub(super) fn ends_of(&self, pair: u32) -> Option<(&Node, &Node)> {
        let pair = self.nodes.pair(pair)?;
        Some((self.nodes.node(pair.from)?, self.nodes.node(pair.to)?))
    }

    /// Looks where among its sender's numbers a request stands; whether it may be somebody else's.
    fn watch_sender(
        &mut self,
        datagram: &N4Datagram<'_>,
        pair: u32,
        message: u8,
        sequence: u32,
    ) -> bool {
        let request = Request {
            sequence,
            message,
            time: datagram.time,
            wire_len: datagram.wire_len,
            shape: datagram.shape,
        };
        let Some(row) = self.nodes.pair_mut(pair) else { return false };
        let interleave = self.settings.peer_interleave;
        let told = row.spaces(datagram.source_port).take(&request, interleave);
        if let Some(heap) = told.forged {
            self.accuse_forged(datagram, pair, &heap);
        }
        told.doubted
    }

    /// Counts a request among those of its kind.
    fn count_request(&mut self, datagram: &N4Datagram<'_>, pair: u32, message: u8) {
        // A node that restarted is set up again in haste.
        let grace = self.settings.orphan_start_grace;
        let restarted = self.ends_of(pair).is_some_and(|(from, to)| {
            [from, to]
                .iter()
                .any(|node| node.restarted > Nanos(0) && datagram.time < node.restarted.plus(grace))
        });
        let Some(row) = self.nodes.pair_mut(pair) else { return };
        if restarted && message >= 50 {
            return row.rates.request_in_storm(message, datagram.time, datagram.wire_len);
        }
        let flood = row.rates.request(message, datagram.time, datagram.wire_len, &self.settings);
        if let Some(flood) = flood {
            self.accuse_flood(pair, &flood, datagram.time);
        }
    }

    fn accuse_forged(&mut self, datagram: &N4Datagram<'_>, pair: u32, heap: &Heap) {
        let Some((from, to)) = self.ends_of(pair) else { return };
        let mut accusation =
            self.n4_accusation(PFCP_PEER, Severity::Critical, Fact::SecondSequence, datagram);
        accusation.equipment = from.equipment;
        accusation.peer = Some(to.address);
        accusation.packets = heap.packets;
        accusation.bytes = heap.bytes;
        accusation.first = heap.first;
        accusation.last = heap.last;
        accusation.n4.doubt = if heap.other_shape { 0.02 } else { 0.1 };
        self.accusations.add(accusation);
    }

    pub(super) fn accuse_flood(&mut self, pair: u32, flood: &Flood, last: Nanos) {
        let Some((from, to)) = self.ends_of(pair) else { return };
        let fact = match flood.failing {
            Some((failed, requests)) => Fact::FailingEstablishments { failed, requests },
            None => Fact::Flood { message: flood.message, per_second: flood.per_second },
        };
        let (suspect, peer) = suspect_of(from, to);
        let accusation = Accusation {
            equipment: suspect,
            peer: Some(peer),
            initiator: Initiator::Equipment,
            packets: flood.packets,
            bytes: flood.bytes,
            first: flood.first,
            last,
            outer: Some(Tuple {
                source: ip(from.address),
                destination: ip(to.address),
                source_port: 0,
                destination_port: weir_wire::pfcp::PORT,
                protocol: protocol::UDP,
            }),
            ..blank(PFCP_FLOOD, Severity::High, fact)
        };
        self.accusations.add(accusation);
    }

    /// One who is no declared peer speaks to one who is.
    pub(super) fn accuse_stranger(&mut self, datagram: &N4Datagram<'_>, pair: u32) {
        let Some((from, to)) = self.ends_of(pair) else { return };
        // Equipment that speaks to a stranger is EGR-NOTALLOWED's.
        if to.equipment.is_none() || (from.equipment.is_some() && from.is_up) {
            return;
        }
        let (suspect, peer) = match from.equipment {
            Some(id) => (Some(id), to.address),
            None => (to.equipment, from.address),
        };
        let by_equipment = from.equipment.is_some();
        let mut accusation =
            self.n4_accusation(PFCP_PEER, Severity::Critical, Fact::UndeclaredPeer, datagram);
        accusation.equipment = suspect;
        accusation.peer = Some(peer);
        accusation.initiator = if by_equipment { Initiator::Equipment } else { Initiator::Peer };
        self.accusations.add(accusation);
    }

    /// The session that a request is about, and the SEID that its answer carries; an
    /// establishment gives that itself.
    pub(super) fn session_of(
        &self,
        datagram: &N4Datagram<'_>,
        message: &Pfcp<'_>,
    ) -> (Option<SessionRef>, Option<u64>) {
        let seid = message.seid().map_or(0, |seid| seid.0);
        match message.message().0 {
            52 | 54 => {
                let at = self.store.by_up(datagram.destination, seid);
                let session = at.and_then(|at| self.store.find(at));
                (at, session.map(|session| session.cp_seid))
            }
            56 => {
                let at = self.store.by_cp(datagram.destination, seid);
                let session = at.and_then(|at| self.store.find(at));
                (at, session.map(|session| session.up_seid))
            }
            _ => (None, None),
        }
    }

    /// Whether the sender of a session's message may speak for it.
    fn check_owner(
        &mut self,
        datagram: &N4Datagram<'_>,
        pair: u32,
        message: u8,
        at: SessionRef,
        doubted: bool,
    ) {
        if doubted && let Some(session) = self.store.find_mut(at) {
            session.doubted = datagram.time;
        }
        let Some(session) = self.store.find(at) else { return };
        let owner = if message == 56 { session.up_node } else { session.cp_node };
        let Some((from, _)) = self.ends_of(pair) else { return };
        let Some(owner) = self.nodes.node(owner) else { return };
        let declared = self.nodes.is_declared(pair);
        if !declared || self.are_one(owner, from) {
            return;
        }
        let mut accusation =
            self.n4_accusation(PFCP_PEER, Severity::Critical, Fact::ForeignSeid, datagram);
        (accusation.equipment, accusation.peer) = {
            let to = self.ends_of(pair).map(|(_, to)| to.address);
            (from.equipment, to)
        };
        accusation.n4.session = Some(self.context(session));
        accusation.n4.doubt = 0.02;
        self.accusations.add(accusation);
        if let Some(session) = self.store.find_mut(at) {
            session.doubted = datagram.time;
        }
    }

    /// Whether two nodes may speak for the same sessions: one box, or one SMF set.
    pub(super) fn are_one(&self, a: &Node, b: &Node) -> bool {
        a.address == b.address
            || match (a.equipment, b.equipment, self.rules.as_deref()) {
                (Some(a), Some(b), Some(rules)) => rules.share_sessions(a, b),
                // Without an inventory nobody can say.
                (_, _, rules) => rules.is_none_or(|rules| rules.installed() == 0),
            }
    }

    /// A session as alerts name it.
    pub(super) fn context(&self, session: &Session) -> SessionContext {
        SessionContext {
            cp_seid: session.cp_seid,
            up_seid: session.up_seid,
            ue: session.addresses().next().map(|ue| ip(ue.address)),
            dnn: (self.names.spelling(session.dnn))
                .or(self.names.spelling(session.instance))
                .map(str::to_owned),
            supi: (session.who.supi != 0).then_some(session.who.supi),
            slice: session.slice,
        }
    }

    /// A finding about one N4 datagram.
    pub(super) fn n4_accusation(
        &self,
        detection: u16,
        severity: Severity,
        fact: Fact,
        datagram: &N4Datagram<'_>,
    ) -> Accusation {
        Accusation {
            initiator: Initiator::Equipment,
            tap: datagram.tap.0,
            link: datagram.link,
            outer: Some(Tuple {
                source: ip(datagram.source),
                destination: ip(datagram.destination),
                source_port: datagram.source_port,
                destination_port: datagram.destination_port,
                protocol: protocol::UDP,
            }),
            packets: 1,
            bytes: u64::from(datagram.wire_len),
            first: datagram.time,
            last: datagram.time,
            n4: Signalled { ordered_by: Some(ip(datagram.source)), ..Signalled::default() },
            ..blank(detection, severity, fact)
        }
    }
}

/// A finding of which only the common part is filled in.
pub(super) fn blank(detection: u16, severity: Severity, fact: Fact) -> Accusation {
    Accusation {
        detection,
        severity,
        fact,
        equipment: None,
        peer: None,
        initiator: Initiator::Unknown,
        tap: 0,
        link: crate::rules::Link::N4,
        direction: None,
        outer: None,
        inner: None,
        packets: 0,
        bytes: 0,
        first: Nanos(0),
        last: Nanos(0),
        degraded: false,
        n4: Signalled::default(),
    }
}

/// The suspect and the other side: the sender, if it is equipment.
fn suspect_of(from: &Node, to: &Node) -> (Option<EquipmentId>, Address) {
    match from.equipment {
        Some(id) => (Some(id), to.address),
        None => (to.equipment, from.address),
    }
}

/// The members of a message's groups of one type.
pub(super) fn groups<'a>(
    message: &Pfcp<'a>,
    wanted: u16,
) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    message
        .elements()
        .map_while(Result::ok)
        .filter(move |element| element.kind == wanted && element.enterprise.is_none())
        .map(|element| element.value)
}

/// The first element of a type in a message.
pub(super) fn element<'a>(message: &Pfcp<'a>, wanted: u16) -> Option<&'a [u8]> {
    groups(message, wanted).next()
}

/// The first element of a type in a group.
pub(super) fn member(group: &[u8], wanted: u16) -> Option<&[u8]> {
    members(group).find(|member| member.kind == wanted).map(|member| member.value)
}
