//! Nodes: associations, restarts, and what ends whole sets of sessions (TS 29.244
//! §6.2, TS 23.527).

use std::hash::Hasher;

use weir_wire::pfcp::Pfcp;
use weir_wire::pfcp_ie::{AlternativeSmfIp, FqCsid, FqCsidNode, NodeId, RecoveryTimeStamp, kind};

use super::Signalling;
use super::datagram::N4Datagram;
use super::keyed::KeyedHasher;
use super::request::{element, groups, member};
use super::session::SessionRef;
use super::transactions::{TransactionKey, Waiting};
use crate::Nanos;
use crate::contract::session::SessionState;
use crate::contract::verdict::{Fact, Severity};
use crate::detect::PFCP_PEER;

/// Heartbeats in a row without an answer after which the path has failed (N1 + 1).
const FAILED_PATH: u32 = 4;

/// Sets of sessions that one message hands over; each costs a search.
const CHANGES: usize = 16;

/// Between two restarts of one node that begin its sessions anew at least.
pub(super) const RESTARTS_APART: Nanos = Nanos::from_secs(10);

impl Signalling {
    /// A request says something of its sender as a node.
    pub(super) fn ask_of_node(&mut self, datagram: &N4Datagram<'_>, pair: u32, message: &Pfcp<'_>) {
        if matches!(message.message().0, 5 | 50)
            && let Some(node_id) = element(message, kind::NODE_ID)
        {
            self.check_node_id(datagram, pair, node_id);
        }
        // A request's time stamp is trusted where it founds an association; in heartbeats
        // some follow the clock.
        if message.message().0 == 5 {
            let sender = self.nodes.pair(pair).map(|pair| pair.from);
            self.recover(sender, message, datagram.time);
        }
    }

    /// Whether a Node ID speaks from where it may.
    fn check_node_id(&mut self, datagram: &N4Datagram<'_>, pair: u32, value: &[u8]) {
        let Some(rules) = self.rules.clone() else { return };
        let Some(sender) = rules.holder(datagram.source) else { return };
        if !self.nodes.is_declared(pair) {
            return;
        }
        let owner = match NodeId::parse(value) {
            Ok(NodeId::Address(address)) => rules.holder(address),
            Ok(NodeId::Fqdn(name)) => {
                let id = self.names.number(&name);
                if id.is_other() { None } else { self.claims.node_name(id, sender) }
            }
            _ => None,
        };
        let Some(owner) = owner else { return };
        if rules.share_sessions(owner, sender) {
            return;
        }
        let mut accusation =
            self.n4_accusation(PFCP_PEER, Severity::Critical, Fact::NodeMoved, datagram);
        accusation.equipment = Some(sender);
        accusation.peer = Some(datagram.destination);
        accusation.n4.doubt = 0.05;
        self.accusations.add(accusation);
    }

    /// A node's request has its answer.
    pub(super) fn node_answered(
        &mut self,
        key: &TransactionKey,
        waiting: &Waiting,
        request: &Pfcp<'_>,
        answer: &Pfcp<'_>,
        accepted: bool,
        time: Nanos,
    ) {
        let Some((from, to)) = self.nodes.pair(waiting.pair).map(|pair| (pair.from, pair.to))
        else {
            return;
        };
        match key.message {
            1 => {
                if let Some(pair) = self.nodes.pair_mut(waiting.pair) {
                    pair.missed_heartbeats = 0;
                }
                self.recover(Some(to), answer, time);
            }
            5 => self.recover(Some(to), answer, time),
            9 if accepted => {
                let ends = [from, to];
                let between = self.store.all(|session| {
                    session.is_live()
                        && ends.contains(&session.cp_node)
                        && ends.contains(&session.up_node)
                });
                self.end_all(between, time);
            }
            14 if accepted => {
                let sets: Vec<u64> = sets_of(request).collect();
                let of_sets = self.store.all(|session| {
                    session.is_live() && session.sets.iter().any(|set| sets.contains(set))
                });
                self.end_all(of_sets, time);
            }
            16 if accepted => self.hand_over(request, to, time),
            _ => {}
        }
    }

    /// Sessions of a set go over to another SMF.
    fn hand_over(&mut self, request: &Pfcp<'_>, up_node: u32, time: Nanos) {
        for change in groups(request, kind::PFCP_SESSION_CHANGE_INFO).take(CHANGES) {
            let alternative = member(change, kind::ALTERNATIVE_SMF_IP)
                .and_then(|value| AlternativeSmfIp::parse(value).ok())
                .and_then(|smf| smf.addresses().next());
            let set = member(change, kind::FQ_CSID).and_then(set_of);
            let up = self.nodes.node(up_node).map(|node| node.address);
            if let (Some(smf), Some(set), Some(up)) = (alternative, set, up) {
                let pair = self.pair_of(smf, up, time);
                let cp_node = self.nodes.pair(pair).map(|pair| pair.from);
                for at in self.store.all(|session| session.sets.contains(&set)) {
                    if let (Some(session), Some(node)) = (self.store.find_mut(at), cp_node) {
                        session.cp_node = node;
                    }
                }
            }
        }
    }

    /// Takes a node's Recovery Time Stamp: a later one than before is a restart.
    pub(super) fn recover(&mut self, node: Option<u32>, message: &Pfcp<'_>, time: Nanos) {
        let stamp = element(message, kind::RECOVERY_TIME_STAMP)
            .and_then(|value| RecoveryTimeStamp::parse(value).ok())
            .map_or(0, |stamp| stamp.0);
        let Some(number) = node else { return };
        let Some(node) = self.nodes.node_mut(number) else { return };
        // Some count otherwise than the standard says. Of a clock that was right, none from
        // beyond tomorrow is taken: it would hide every true restart to come.
        let tomorrow = time.0 / 1_000_000_000 + 86_400;
        let is_beyond = |stamp| RecoveryTimeStamp(stamp).unix_seconds() > tomorrow;
        match node.recovery {
            _ if stamp == 0 => {}
            Some(before) if is_beyond(stamp) && !is_beyond(before) => {}
            None => node.recovery = Some(stamp),
            Some(before) if stamp > before => {
                node.recovery = Some(stamp);
                self.restart(number, time);
            }
            Some(_) => {}
        }
    }

    fn restart(&mut self, number: u32, time: Nanos) {
        let Some(node) = self.nodes.node_mut(number) else { return };
        let again = node.restarted > Nanos(0) && time.since(node.restarted) < RESTARTS_APART;
        node.restarted = time;
        // Whoever restarts without end is not learned about without end.
        if !again {
            node.learning_since = time;
        }
        let of_it = self.store.all(|session| {
            session.is_live() && (session.cp_node == number || session.up_node == number)
        });
        for at in of_it {
            self.store.set_state(at, SessionState::Stale);
        }
    }

    pub(super) fn heartbeat_missed(&mut self, pair: u32) {
        let Some(pair) = self.nodes.pair_mut(pair).filter(|pair| pair.declared) else { return };
        pair.missed_heartbeats += 1;
        if pair.missed_heartbeats != FAILED_PATH {
            return;
        }
        let ends = [pair.from, pair.to];
        let between = self.store.all(|session| {
            session.is_live() && ends.contains(&session.cp_node) && ends.contains(&session.up_node)
        });
        for at in between {
            self.store.set_state(at, SessionState::Stale);
        }
    }

    fn end_all(&mut self, sessions: Vec<SessionRef>, time: Nanos) {
        for at in sessions {
            self.end(at, time);
        }
    }
}

/// The sets of sessions that a message names.
pub(super) fn sets_of<'a>(message: &Pfcp<'a>) -> impl Iterator<Item = u64> + use<'a> {
    groups(message, kind::FQ_CSID).filter_map(set_of)
}

/// A set's hash: its node and its first identifier.
fn set_of(value: &[u8]) -> Option<u64> {
    let csid = FqCsid::parse(value).ok()?;
    let mut hasher = KeyedHasher::default();
    match csid.node {
        FqCsidNode::Address(address) => hasher.write_u128(address.0),
        FqCsidNode::Operator(number) => hasher.write_u32(number),
        FqCsidNode::Other(kind) => hasher.write_u8(kind),
    }
    hasher.write_u16(csid.csids().next()?);
    Some(hasher.finish().max(1))
}
