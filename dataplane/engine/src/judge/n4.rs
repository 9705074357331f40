//! What N4 showed, as alerts and records.

use super::Judge;
use super::flow::Way;
use super::offence::Offence;
use crate::Nanos;
use crate::contract::session::Signalled;
use crate::contract::streams::Streams;
use crate::contract::verdict::{Alert, Fact, Severity, Verdict};
use crate::decode::protocol;
use crate::detect::{
    GTP_ORPHAN, GTP_PEER, GTP_TEIDSCAN, LI_UNMATCHED, PFCP_DUPL, PFCP_FLOOD, PFCP_GHOST, PFCP_PEER,
    PFCP_REDIR,
};
use crate::signalling::Accusation;
use crate::track::{FlowKey, Inner};
use crate::tunnels::FTeid;
use weir_wire::Address;

impl Judge {
    /// Says what the session machine found, and what it records of sessions.
    pub(super) fn accuse_by_n4(&mut self, say: &mut impl FnMut(Verdict)) {
        let (accusations, unreported) = self.signalling.accusations();
        self.words.unreported += unreported;
        for accusation in accusations {
            if self.is_enabled(accusation.detection) && !self.is_of_copies(&accusation) {
                self.accuse_order(accusation, say);
            }
        }
        for record in self.signalling.records() {
            say(Verdict::Session(record));
        }
        let (is_enabled, loss) = (self.is_enabled(LI_UNMATCHED), self.watch.loss_ratio());
        for streams in self.signalling.standings().filter(|_| is_enabled) {
            let degraded = streams.degraded || loss > 0.0;
            let streams = Streams { loss_ratio: loss as f32, degraded, ..streams };
            say(Verdict::Streams(Box::new(streams)));
        }
    }

    /// Whether an accusation is about packets from or to where copies go, and open. Orders on N4
    /// are not: who redirects traffic or poses as an SMF is told of whoever it is.
    fn is_of_copies(&self, found: &Accusation) -> bool {
        let is_of_n4 =
            [PFCP_PEER, PFCP_DUPL, PFCP_REDIR, PFCP_FLOOD, PFCP_GHOST].contains(&found.detection);
        let ends = found.outer.map(|outer| [outer.source, outer.destination].map(Address::from));
        let peer = found.peer.map(|peer| [peer; 2]);
        !is_of_n4 && [ends, peer].into_iter().flatten().any(|ends| self.has_named_end(ends))
    }

    /// The session of a G-PDU towards an address, if it is one's.
    pub(super) fn session_of(&self, inner: Option<&Inner>, to: Address) -> Option<Box<Signalled>> {
        let inner = inner?;
        let end = FTeid { address: to, teid: inner.tunnel?.teid };
        self.signalling.signalled(&end, inner.time)
    }

    /// Whether what N4 tells explains a flow's offence: PFCP with a stranger, and G-PDUs
    /// to where a redirection that is told of sends them.
    pub(super) fn is_n4s(&self, key: FlowKey, offence: Offence) -> bool {
        let ports = [key.low_port, key.high_port];
        let is_pfcp = key.protocol == protocol::UDP && ports.contains(&weir_wire::pfcp::PORT);
        let peer = match offence.peer {
            Way::Up => key.low,
            Way::Down => key.high,
        };
        let named = self.alerts.names(peer);
        is_pfcp && named == Some(PFCP_PEER)
            || offence.detection == GTP_PEER && named == Some(PFCP_REDIR)
    }

    /// G-PDUs with a peer that the SMF signalled within the operator's own ranges, and nobody
    /// declared, are a class of their own; none while an import is fresh.
    pub(super) fn graded(&self, key: FlowKey, offence: Offence, last: Nanos) -> Option<Offence> {
        let peer = match offence.peer {
            Way::Up => key.low,
            Way::Down => key.high,
        };
        let is_signalled = offence.detection == GTP_PEER
            && offence.fact == Fact::UndeclaredPair
            && self.signalling.is_signalled(peer)
            && self.rules.as_ref().is_some_and(|rules| rules.is_own(peer));
        if !is_signalled {
            return Some(offence);
        }
        let grace = self.rules.as_ref().map_or(Nanos(0), |rules| rules.import_grace());
        let is_fresh = last < self.signalling.policy_since().plus(grace);
        (!is_fresh).then_some(Offence {
            severity: Severity::Medium,
            fact: Fact::SignalledPeer,
            ..offence
        })
    }

    fn accuse_order(&mut self, found: Accusation, say: &mut impl FnMut(Verdict)) {
        let tunnel = found.inner.and_then(|inner| inner.tunnel);
        let blank = self.blank(found.detection, found.severity, found.fact, found.last);
        let alert = Alert {
            equipment: found.equipment,
            peer_equipment: found
                .peer
                .and_then(|peer| self.rules.as_ref()?.holder(peer))
                .filter(|id| found.equipment.is_some_and(|suspect| suspect != *id)),
            peer: found.peer.map(Into::into),
            initiator: found.initiator,
            tap: found.tap,
            link: found.link,
            direction: found.direction,
            outer: found.outer,
            inner: found.inner.map(|inner| inner.tuple),
            tunnel,
            packets: found.packets,
            bytes: found.bytes,
            first: found.first,
            last: found.last,
            degraded: blank.degraded || found.degraded,
            n4: Some(Box::new(found.n4)),
            ..blank
        };
        if found.detection == GTP_TEIDSCAN
            && let (Some(suspect), Some(peer)) = (found.equipment, found.peer)
        {
            let now = self.now;
            self.alerts.explain(GTP_ORPHAN, suspect, peer, GTP_TEIDSCAN, now, &mut |alert| {
                say(Verdict::Alert(Box::new(alert)));
            });
        }
        // What was counted, or waited for N4, for longer than a slice has ended now.
        let made = found.first.max(self.since);
        self.observe(alert, Some(made), say);
    }
}
