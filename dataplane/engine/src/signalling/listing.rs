//! Sessions as others see them: records for events, and whole listings.

use std::net::IpAddr;

use arrayvec::ArrayVec;
use weir_wire::pfcp::Pfcp;
use weir_wire::pfcp_ie::{FSeid, kind};

use super::Signalling;
use super::accusation::ip;
use super::request::element;
use super::session::{Held, Session, SessionRef};
use super::targets::forwarding;
use super::tunnels::TUNNELS;
use crate::Nanos;
use crate::contract::session::{
    Few, Forwarding, MAX_SESSION_ENDS, SessionRecord, SessionState, ShortName, Signalled,
    TunnelEnd, Usage,
};
use crate::tunnels::FTeid;

/// A session, whole.
#[derive(Debug)]
pub struct Listing<'a> {
    /// The session itself.
    pub record: &'a SessionRecord,
    /// Its packet detection rules by number.
    pub pdrs: &'a [ListedPdr],
    /// Its forwarding action rules by number.
    pub fars: &'a [ListedFar],
}

/// A packet detection rule.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ListedPdr {
    /// Its number.
    pub id: u16,
    /// Its precedence, if it was said.
    pub precedence: Option<u32>,
    /// Its Source Interface (TS 29.244 §8.2.2).
    pub source: u8,
}

/// A forwarding action rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ListedFar {
    /// What it does.
    pub rule: Forwarding,
    /// Where it sends copies, if it does.
    pub copies_to: Option<IpAddr>,
}

impl Signalling {
    /// What N4 says of a G-PDU's tunnel: whose session it is. None for one that no session has.
    pub fn signalled(&self, end: &FTeid, time: Nanos) -> Option<Box<Signalled>> {
        let (_, row) = self.tunnels.find_row(end, |row| row.holds_at(time))?;
        let session = self.store.find(self.store.at(row.session)?)?;
        Some(Box::new(Signalled { session: Some(self.context(session)), ..Signalled::default() }))
    }

    /// Says how a session stands now.
    pub(super) fn record(&mut self, at: SessionRef, now: Nanos) {
        if let Some(session) = self.store.find(at) {
            let record = self.record_of(session, now);
            self.records.push(record);
        }
    }

    fn record_of(&self, session: &Session, now: Nanos) -> SessionRecord {
        let [uplink, downlink] = self.usage_of(session);
        let ended = (session.ended != Nanos::MAX).then_some(session.ended);
        let rows = |wanted: fn(&Held) -> bool| {
            let held = self.store.held.iter(session.tunnels).filter(|held| wanted(held));
            let mut ends: ArrayVec<TunnelEnd, TUNNELS> = held
                .take(TUNNELS)
                .map(|held| TunnelEnd { teid: held.end.teid, addr: ip(held.end.address) })
                .collect();
            ends.sort_unstable_by_key(|end| (end.teid, end.addr));
            ends.into_iter().take(MAX_SESSION_ENDS).collect()
        };
        let name = |id| self.names.spelling(id).and_then(|name| ShortName::from(name).ok());
        SessionRecord {
            at: now,
            cp_seid: session.cp_seid,
            up_seid: session.up_seid,
            cp: Some(ip(session.cp)),
            up: Some(ip(session.up)),
            generation: session.generation,
            state: session.state,
            established: (session.state != SessionState::Pending).then_some(session.established),
            ended,
            ue: session.addresses().take(MAX_SESSION_ENDS).map(|ue| ip(ue.address)).collect(),
            network_instance: name(session.instance),
            dnn: name(session.dnn),
            supi: (session.who.supi != 0).then_some(session.who.supi),
            slice: session.slice,
            uplink: rows(|held| !held.downlink && held.local),
            downlink: rows(|held| held.downlink && !held.local),
            modifications: session.modifications,
            reports: session.reports,
            usage: Usage {
                uplink_packets: uplink.packets,
                downlink_packets: downlink.packets,
                uplink_bytes: uplink.bytes,
                downlink_bytes: downlink.bytes,
            },
            qfi: [uplink, downlink].map(|way| {
                let mut flows: Few<u8> = way.flows.iter().take(MAX_SESSION_ENDS).collect();
                flows.sort_unstable();
                flows
            }),
            reported: session.reported,
            usage_mismatch: session.mismatch,
            policy: self.rules.as_ref().map_or(0, |rules| rules.version()),
        }
    }

    /// Makes sessions of the establishments that wait for their answers, to be shown.
    pub(super) fn list_pending(&mut self) {
        let waiting: Vec<Session> = self
            .transactions
            .all_waiting(50)
            .filter_map(|(key, waiting)| {
                let request = Pfcp::parse(&waiting.bytes).ok()?;
                let cp =
                    element(&request, kind::F_SEID).and_then(|value| FSeid::parse(value).ok())?;
                Some(Session {
                    state: SessionState::Pending,
                    cp: cp.addresses().next().unwrap_or(key.source),
                    cp_seid: cp.seid.0,
                    up: key.destination,
                    established: waiting.time,
                    ..Session::default()
                })
            })
            .collect();
        for session in waiting {
            self.store.add(session);
        }
    }

    /// Shows a session to whoever wants to see it whole.
    pub(super) fn show(&mut self, session: &Session) {
        let Some(mut archivist) = self.archivist.take() else { return };
        let record = self.record_of(session, self.now);
        let mut pdrs: Vec<ListedPdr> = self
            .store
            .pdrs
            .iter(session.pdrs)
            .map(|pdr| ListedPdr { id: pdr.id, precedence: pdr.precedence, source: pdr.source })
            .collect();
        pdrs.sort_unstable_by_key(|pdr| pdr.id);
        let mut fars: Vec<ListedFar> = self
            .store
            .fars
            .iter(session.fars)
            .map(|far| ListedFar {
                rule: forwarding(far),
                copies_to: far.copies_to.and_then(|end| end.addresses.iter().next()).map(ip),
            })
            .collect();
        fars.sort_unstable_by_key(|far| far.rule.far);
        archivist(&Listing { record: &record, pdrs: &pdrs, fars: &fars });
        self.archivist = Some(archivist);
    }
}
