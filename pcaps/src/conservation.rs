//! What only packets that are followed from tap to tap tell: a UPF that sends subscribers' packets
//! a second time, or makes some of its own; and what looks like that and is none.

use std::net::Ipv4Addr;

use serde::Deserialize;
use toml::Spanned;

use crate::chance::Chance;
use crate::frame::{self, Route};
use crate::gtpu::{self, Container, Direction};
use crate::guest::{self, Place};
use crate::labels::{Group, GroupKind};
use crate::n4::{self, Attachment};
use crate::plan::Link;
use crate::scenario::{Role, Scenario};
use crate::stage::{Actor, MILLI, Micros, SECOND, Stage};
use crate::theft::Expectation;

const QFI: u8 = 9;
const DOWNLINK: Container = Container { direction: Direction::Downlink, qfi: QFI, rqi: false };
/// How long a packet waits while its user is paged.
const PAGED: Micros = 20 * SECOND;

/// A leak, as SCENARIO.toml says it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Leak {
    pub id: Spanned<String>,
    pub how: How,
    /// The UPF.
    pub equipment: Spanned<String>,
    /// The address of nobody that copies go to, where they go to one.
    pub peer: Option<Spanned<Ipv4Addr>>,
    pub start_seconds: u64,
    /// Packets that the subscriber sends; as many come back.
    pub packets: u64,
    pub every_milliseconds: u64,
}

/// What a UPF does.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum How {
    /// Copies in GTP-U to an address that nobody declared.
    CopyToStranger,
    /// Copies in the tunnel of another subscriber, at another gNB.
    CopyToPeer,
    /// Copies on N6 in its own name, to an address of nobody.
    BareCopy,
    /// Packets in the subscriber's name that never came.
    OwnUplink,
    /// Packets to the subscriber that never came.
    OwnDownlink,
}

impl How {
    /// Whether a foreign address takes part.
    pub(crate) fn needs_peer(self) -> bool {
        matches!(self, Self::CopyToStranger | Self::BareCopy)
    }

    fn said(self) -> (&'static str, &'static str, &'static [&'static str], &'static str) {
        match self {
            Self::CopyToStranger => (
                "copy-to-stranger",
                "CNS-DUP",
                &["GTP-PEER", "INV-UNKNOWN"],
                "a second copy of a subscriber's packets, in GTP-U to an undeclared address",
            ),
            Self::CopyToPeer => (
                "copy-to-peer",
                "CNS-DUP",
                &[],
                "a second copy of a subscriber's packets, in another's tunnel at a declared gNB",
            ),
            Self::BareCopy => (
                "bare-copy",
                "CNS-DUP",
                &["EGR-NOTALLOWED", "INV-UNKNOWN"],
                "a second copy of a subscriber's packets, out of N6 in the UPF's name",
            ),
            Self::OwnUplink => (
                "own-uplink",
                "CNS-BALANCE",
                &[],
                "packets in a subscriber's name that never came to the UPF",
            ),
            Self::OwnDownlink => (
                "own-downlink",
                "CNS-BALANCE",
                &[],
                "packets to a subscriber that never came to the UPF",
            ),
        }
    }
}

/// What is no leak, as SCENARIO.toml says it: each kind once.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Followed {
    /// The UPF.
    pub upf: Spanned<String>,
    pub start_seconds: u64,
    pub packets: u64,
    pub every_milliseconds: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Silent {
    DoubledTaps,
    Retransmission,
    PagingBuffer,
    Multicast,
    LossyTap,
}

const SILENT: [(Silent, &str); 5] = [
    (Silent::DoubledTaps, "doubled-taps"),
    (Silent::Retransmission, "retransmission"),
    (Silent::PagingBuffer, "paging-buffer"),
    (Silent::Multicast, "multicast"),
    (Silent::LossyTap, "lossy-tap"),
];

/// Brings the leaks onto the stage; the first has the index `first` among the thefts.
pub(crate) fn enter(stage: &mut Stage, scenario: &Scenario, first: usize) -> Vec<Expectation> {
    let mut expected = Vec::new();
    for leak in &scenario.theft.leak {
        let id = leak.id.get_ref();
        let upf = stage.plan.named(leak.equipment.get_ref());
        let (kind, detection, also, note) = leak.how.said();
        let group = stage.label(Group::new(id, GroupKind::Theft));
        let place = place(stage, upf);
        let victim = place.attachment(stage);
        let other = Place { gnb: beside(stage, place.gnb), ..place };
        let bystander = (leak.how == How::CopyToPeer).then(|| other.attachment(stage));
        let declared = stage.plan.nodes[other.gnb].on(Link::N3);
        let peer = leak.peer.as_ref().map_or(declared, |peer| *peer.get_ref());
        expected.push(Expectation {
            id: id.clone(),
            kind,
            detection,
            severity: Some(if detection == "CNS-DUP" { "critical" } else { "high" }),
            also,
            equipment: Some(leak.equipment.get_ref().clone()),
            peer: (detection == "CNS-DUP").then_some(peer.into()),
            note: note.into(),
        });
        let actor = Talk {
            means: Means::Leak { how: leak.how, theft: first + expected.len() - 1, peer },
            group,
            upf,
            victim,
            bystander,
            every: leak.every_milliseconds * MILLI,
            left: leak.packets,
            attached: false,
            chance: stage.chance(),
        };
        stage.enter(leak.start_seconds * SECOND, actor);
    }
    expected
}

/// Brings what is no leak onto the stage.
pub(crate) fn enter_silent(stage: &mut Stage, said: &Followed) {
    let upf = stage.plan.named(said.upf.get_ref());
    for (n, (kind, name)) in (0..).zip(SILENT) {
        let group = stage.label(Group::new(name, GroupKind::Silent));
        let actor = Talk {
            means: Means::Silent(kind),
            group,
            upf,
            victim: place(stage, upf).attachment(stage),
            bystander: None,
            every: said.every_milliseconds * MILLI,
            left: said.packets,
            attached: false,
            chance: stage.chance(),
        };
        stage.enter(said.start_seconds * SECOND + n * 170 * MILLI, actor);
    }
}

fn place(stage: &Stage, upf: usize) -> Place {
    let plan = &stage.plan;
    let smf = plan.with(Role::Smf, &[Link::N4])[0];
    Place { smf, upf, gnb: plan.with(Role::Gnb, &[Link::N3])[0] }
}

fn beside(stage: &Stage, gnb: usize) -> usize {
    let gnbs = stage.plan.with(Role::Gnb, &[Link::N3]);
    gnbs.into_iter().find(|other| *other != gnb).unwrap_or(gnb)
}

#[derive(Clone, Copy)]
enum Means {
    Leak { how: How, theft: usize, peer: Ipv4Addr },
    Silent(Silent),
}

/// A subscriber who talks at a steady pace, and what comes of it.
struct Talk {
    means: Means,
    group: usize,
    upf: usize,
    victim: Attachment,
    /// Another subscriber, who is told what was said.
    bystander: Option<Attachment>,
    every: Micros,
    left: u64,
    attached: bool,
    chance: Chance,
}

impl Actor for Talk {
    fn wake(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        if !self.attached {
            self.attached = true;
            if let Some(bystander) = &self.bystander {
                n4::establish(stage, now, bystander, &mut self.chance);
            }
            let ready = n4::establish(stage, now, &self.victim, &mut self.chance);
            return Some(ready + SECOND);
        }
        let Some(left) = self.left.checked_sub(1) else {
            let bystander = self.bystander.as_ref().map(|bystander| bystander.slot);
            for slot in bystander.into_iter().chain([self.victim.slot]) {
                if let Some(session) = stage.sessions[slot].take() {
                    n4::delete(stage, now + 600 * MILLI, session, &mut self.chance);
                }
            }
            return None;
        };
        self.left = left;
        let (slot, ue) = (self.victim.slot, self.victim.ue);
        let there = guest::outward(stage, ue, slot, &mut self.chance);
        let back = guest::inward(stage, ue, slot, &mut self.chance);
        match self.means {
            Means::Leak { how, theft, peer } => {
                // What is made needs no more than the look of traffic around it.
                let is_made = matches!(how, How::OwnUplink | How::OwnDownlink);
                if !is_made || left.is_multiple_of(4) {
                    stage.uplink(now, slot, QFI, &there);
                    stage.downlink(now + 2 * MILLI, slot, (QFI, false), &back);
                }
                (stage.theft, stage.group) = (Some(theft), Some(self.group));
                self.leak(now, stage, (how, peer), [&there, &back]);
            }
            Means::Silent(kind) => {
                stage.group = Some(self.group);
                self.silent(now, stage, kind, [&there, &back]);
            }
        }
        Some(now + self.every)
    }
}

impl Talk {
    fn leak(
        &mut self,
        now: Micros,
        stage: &mut Stage,
        (how, peer): (How, Ipv4Addr),
        [there, back]: [&[u8]; 2],
    ) {
        let own = stage.plan.nodes[self.upf].on(Link::N3);
        let after = [now + MILLI, now + 3 * MILLI];
        match how {
            How::CopyToStranger => {
                for (at, packet) in after.into_iter().zip([there, back]) {
                    let message = gtpu::g_pdu(0x6600_0001, None, DOWNLINK, packet);
                    stage.gtpu(at, (own, peer), &message, None);
                }
            }
            How::CopyToPeer => {
                let bystander = self.bystander.as_ref().map(|it| it.slot);
                let session = bystander.and_then(|slot| stage.sessions[slot].as_ref());
                let Some(teid) = session.map(|session| session.downlink_teid) else { return };
                for (at, packet) in after.into_iter().zip([there, back]) {
                    let packet = frame::forwarded(packet);
                    let message = gtpu::g_pdu(teid, None, DOWNLINK, &packet);
                    stage.gtpu(at, (own, peer), &message, None);
                }
            }
            How::BareCopy => {
                let source = stage.plan.nodes[self.upf].on(Link::N6);
                for (at, packet) in after.into_iter().zip([there, back]) {
                    // The packet's own header with other addresses: identification, length.
                    let id = u16::from_be_bytes([packet[4], packet[5]]);
                    let route = Route { id, ..Route::new(source.into(), peer.into()) };
                    let copy = frame::udp(&route, 40_420, 443, &packet[28..]);
                    stage.n6(at, self.upf, true, &copy);
                }
            }
            How::OwnUplink => {
                let (ue, slot) = (self.victim.ue, self.victim.slot);
                let packet = guest::outward(stage, ue, slot, &mut self.chance);
                stage.n6(after[0], self.upf, true, &packet);
            }
            How::OwnDownlink => {
                let (ue, slot) = (self.victim.ue, self.victim.slot);
                let packet = guest::inward(stage, ue, slot, &mut self.chance);
                stage.downlink_n3(after[1], slot, (QFI, false), &packet);
            }
        }
    }

    fn silent(&mut self, now: Micros, stage: &mut Stage, kind: Silent, [there, back]: [&[u8]; 2]) {
        let slot = self.victim.slot;
        let down = (now + 2 * MILLI, (QFI, false));
        match kind {
            Silent::DoubledTaps => {
                for at in [0, MILLI] {
                    stage.uplink(now + at, slot, QFI, there);
                    stage.downlink(down.0 + at, slot, down.1, back);
                }
            }
            Silent::Retransmission => {
                for at in [0, 400 * MILLI] {
                    stage.uplink(now + at, slot, QFI, there);
                    stage.downlink(down.0 + at, slot, down.1, back);
                }
            }
            Silent::PagingBuffer => {
                stage.uplink(now, slot, QFI, there);
                // Of what comes last nothing would be left to wait for.
                if self.left * self.every > 2 * PAGED {
                    stage.n6(down.0, self.upf, false, back);
                    let wait = if self.left.is_multiple_of(2) { PAGED } else { 35 };
                    stage.downlink_n3(down.0 + wait, slot, down.1, back);
                }
            }
            Silent::Multicast => {
                stage.uplink(now, slot, QFI, there);
                let host = stage.plan.host(9_000, false);
                let route = Route { id: self.chance.u16() | 1, ..Route::new(host, GROUP.into()) };
                let payload = self.chance.bytes(300);
                let packet = frame::udp(&route, 5_000, 5_000, &payload);
                stage.downlink_n3(down.0, slot, down.1, &packet);
            }
            Silent::LossyTap => {
                // The tap of N6 loses one frame of ten, of either direction.
                let upf = stage.uplink_n3(now, slot, QFI, there);
                if let Some(upf) = upf.filter(|_| !self.chance.happens(0.1)) {
                    stage.n6(now + 35, upf, true, &frame::forwarded(there));
                }
                if !self.chance.happens(0.1) {
                    stage.n6(down.0, self.upf, false, back);
                }
                stage.downlink_n3(down.0 + 35, slot, down.1, back);
            }
        }
    }
}

/// A group that users hear.
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
