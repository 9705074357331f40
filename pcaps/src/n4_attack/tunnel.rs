//! Attacks on N3 that are none but for what N4 says.

use std::net::IpAddr;

use crate::frame::{self, Route};
use crate::gtpu::{self, Container, Direction, Extension, Header};
use crate::guest;
use crate::plan::Link;
use crate::stage::{MILLI, Micros, Stage};

use super::Playing;

const SCANNED_TEID: u32 = 0x5000_0001;
const ORPHANS: [u32; 2] = [0x7100_0001, 0x7100_0002];
/// Numbers of subscribers that no scenario has.
const NOBODY: u32 = 60_000;
const UPLINK: Container = Container { direction: Direction::Uplink, qfi: 9, rqi: false };
const DOWNLINK: Container = Container { direction: Direction::Downlink, qfi: 9, rqi: false };

impl Playing {
    /// An unknown TEID; the UPF says so of every third, as its rate limit allows.
    pub(super) fn teid_scan(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        let teid = SCANNED_TEID + self.turn as u32 * 5;
        let ue = stage.plan.subscriber(NOBODY, false);
        let packet = guest::outward(stage, ue, self.group, &mut self.chance);
        let nodes = &stage.plan.nodes;
        let ends = (nodes[self.node].on(Link::N3), nodes[self.place.upf].on(Link::N3));
        stage.gtpu(now, ends, &gtpu::g_pdu(teid, None, UPLINK, &packet), None);
        if self.turn.is_multiple_of(3) {
            stage.gtpu(now + MILLI, (ends.1, ends.0), &error_indication(teid, ends.1), None);
        }
        None
    }

    /// The second gNB sends with the first one's tunnel and subscriber.
    pub(super) fn cloned_tunnel(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        let slot = self.victim_slot()?;
        let (ue, teid) =
            stage.sessions[slot].as_ref().map(|session| (session.ue, session.uplink_teid))?;
        self.inject(now, stage, (ue, teid));
        None
    }

    /// The session's gNB sends in its tunnel, from an address that is not the session's.
    pub(super) fn spoofed_subscriber(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        let slot = self.victim_slot()?;
        let teid = stage.sessions[slot].as_ref().map(|session| session.uplink_teid)?;
        let ue = stage.plan.subscriber(NOBODY + 1_000, false);
        self.inject(now, stage, (ue, teid));
        None
    }

    /// A G-PDU of the attacking gNB that the UPF forwards.
    fn inject(&mut self, now: Micros, stage: &mut Stage, (ue, teid): (IpAddr, u32)) {
        let packet = guest::outward(stage, ue, self.group, &mut self.chance);
        let nodes = &stage.plan.nodes;
        let ends = (nodes[self.node].on(Link::N3), nodes[self.place.upf].on(Link::N3));
        stage.gtpu(now, ends, &gtpu::g_pdu(teid, None, UPLINK, &packet), None);
        stage.n6(now + 40, self.place.upf, true, &frame::forwarded(&packet));
    }

    pub(super) fn orphan_tunnel(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        let ue = stage.plan.subscriber(NOBODY + 2_000, false);
        let host = stage.plan.host(4_244, false);
        let there =
            frame::udp(&Route::new(ue, host), 40_430, 443, &guest::noise(&mut self.chance, 300));
        let back =
            frame::udp(&Route::new(host, ue), 443, 40_430, &guest::noise(&mut self.chance, 60));
        let nodes = &stage.plan.nodes;
        let (gnb, upf) = (nodes[self.node].on(Link::N3), nodes[self.place.upf].on(Link::N3));
        stage.gtpu(now, (gnb, upf), &gtpu::g_pdu(ORPHANS[0], None, UPLINK, &there), None);
        let back = gtpu::g_pdu(ORPHANS[1], None, DOWNLINK, &back);
        stage.gtpu(now + 15 * MILLI, (upf, gnb), &back, None);
        None
    }
}

/// What a node says of a tunnel that it does not know (TS 29.281 §7.3.1).
pub(crate) fn error_indication(teid: u32, own: std::net::Ipv4Addr) -> Vec<u8> {
    let about = [&[16][..], &teid.to_be_bytes(), &gtpu::element(133, &own.octets())].concat();
    let extensions = [Extension::new(0x40, &gtpu::PORT.to_be_bytes())];
    let header = Header {
        kind: gtpu::ERROR_INDICATION,
        sequence: Some(0),
        extensions: &extensions,
        ..Header::default()
    };
    header.around(&about)
}
