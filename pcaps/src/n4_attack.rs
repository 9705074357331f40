//! Misbehaviour that only the state of sessions tells: on N4 itself, and on N3 against what N4
//! says.

mod flood;
mod forgery;
mod tunnel;

use std::net::Ipv4Addr;

use serde::Deserialize;
use toml::Spanned;

use crate::chance::Chance;
use crate::guest::{Place, Visit};
use crate::labels::{Group, GroupKind};
use crate::n4::Attachment;
use crate::plan::Link;
use crate::scenario::{Role, Scenario};
use crate::stage::{Actor, MILLI, Micros, SECOND, Stage};
use crate::theft::Expectation;

pub(crate) use tunnel::error_indication;

/// One attack, as SCENARIO.toml says it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Attack {
    pub id: Spanned<String>,
    pub how: How,
    /// Who is to blame, or in whose name it happens: an SMF on N4, a gNB on N3, and for an
    /// undeclared peer the UPF that answers it.
    pub equipment: Spanned<String>,
    /// The UPF where it happens.
    pub upf: Spanned<String>,
    /// The address of nobody that it leads to or comes from, where there is one.
    pub peer: Option<Spanned<Ipv4Addr>>,
    /// Forged packets carry IP options, as one tool's do.
    #[serde(default)]
    pub ip_options: bool,
    pub start_seconds: u64,
    pub packets: u64,
    pub every_milliseconds: u64,
}

/// What is done.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum How {
    /// Deletions in the SMF's name, of sessions that it goes on using.
    ForgedDeletion,
    /// A change in the SMF's name that sends downlink to a foreign address.
    ForgedRedirection,
    /// The SMF has downlink copied to a foreign address.
    Duplication,
    /// A change in the SMF's name, under the number that the SMF itself comes to next.
    SequenceTheft,
    /// A rule removed in the SMF's name, likewise, that the SMF goes on using.
    ForgedRemoval,
    /// Someone undeclared sets up an association and sessions.
    RoguePeer,
    /// The same under the Node ID of an SMF.
    NodeIdTheft,
    /// A declared SMF changes sessions of another.
    SeidTheft,
    /// A second session claims the address of a live one.
    AddressTakeover,
    /// A second session claims the uplink F-TEID of a live one.
    TunnelTakeover,
    /// G-PDUs on one unknown TEID after the other.
    TeidScan,
    /// A second gNB sends in the tunnel of a session.
    ClonedTunnel,
    /// G-PDUs both ways in tunnels of no session.
    OrphanTunnel,
    /// Packets of an address that is not the session's.
    SpoofedSubscriber,
    /// Sessions with addresses outside the pools.
    GhostAddress,
    /// Sessions of a data network that nobody declared.
    GhostDnn,
    /// Sessions without a User ID.
    GhostNameless,
    /// A session whose packets go up and are never answered.
    GhostOneWay,
    HeartbeatFlood,
    /// Establishments that are hardly answered.
    EstablishmentFlood,
}

/// What is expected of an attack whatever its place.
struct Said {
    kind: &'static str,
    detection: &'static str,
    severity: &'static str,
    also: &'static [&'static str],
    note: &'static str,
}

impl How {
    fn said(self) -> Said {
        let said =
            |kind, detection, severity, also, note| Said { kind, detection, severity, also, note };
        match self {
            Self::ForgedDeletion => said(
                "forged-deletion",
                "PFCP-PEER",
                "critical",
                &["INV-UNKNOWN"],
                "deletions in the SMF's name, numbered apart from its own requests",
            ),
            Self::ForgedRedirection => said(
                "forged-redirection",
                "PFCP-REDIR",
                "critical",
                &["PFCP-PEER", "GTP-PEER", "INV-UNKNOWN"],
                "in the SMF's name a session's downlink is sent to a foreign address",
            ),
            Self::Duplication => said(
                "duplication",
                "PFCP-DUPL",
                "critical",
                &["GTP-PEER", "CNS-DUP"],
                "a session's downlink is copied to a foreign address",
            ),
            Self::SequenceTheft => said(
                "sequence-theft",
                "PFCP-PEER",
                "critical",
                &["INV-UNKNOWN"],
                "changes in the SMF's name under the numbers of its own next requests",
            ),
            Self::ForgedRemoval => said(
                "forged-removal",
                "PFCP-PEER",
                "critical",
                &["INV-UNKNOWN"],
                "rules that the SMF goes on using are removed in its name, numbered as its own",
            ),
            Self::RoguePeer => said(
                "rogue-peer",
                "PFCP-PEER",
                "critical",
                &["INV-UNKNOWN", "EGR-NOTALLOWED"],
                "an undeclared peer sets up an association and sessions",
            ),
            Self::NodeIdTheft => said(
                "node-id-theft",
                "PFCP-PEER",
                "critical",
                &["INV-UNKNOWN", "EGR-NOTALLOWED"],
                "an undeclared peer sets up an association and sessions as an SMF",
            ),
            Self::SeidTheft => said(
                "seid-theft",
                "PFCP-PEER",
                "critical",
                &[],
                "an SMF outside the owner's set changes the owner's session",
            ),
            Self::AddressTakeover => said(
                "address-takeover",
                "PFCP-REDIR",
                "critical",
                &[],
                "a second session claims an address whose first session goes on",
            ),
            Self::TunnelTakeover => said(
                "tunnel-takeover",
                "PFCP-REDIR",
                "critical",
                &[],
                "a second session claims a tunnel whose first session goes on",
            ),
            Self::TeidScan => said(
                "teid-scan",
                "GTP-TEIDSCAN",
                "high",
                &["GTP-ORPHAN"],
                "a gNB tries one unknown TEID after the other",
            ),
            Self::ClonedTunnel => said(
                "cloned-tunnel",
                "GTP-TEIDCLONE",
                "high",
                &[],
                "a second gNB sends in a session's uplink tunnel, without a handover",
            ),
            // The other direction of the pair may have an alert of its own.
            Self::OrphanTunnel => said(
                "orphan-tunnel",
                "GTP-ORPHAN",
                "high",
                &["GTP-ORPHAN"],
                "G-PDUs both ways in tunnels that no session has",
            ),
            Self::SpoofedSubscriber => said(
                "spoofed-subscriber",
                "GTP-UESPOOF",
                "high",
                &[],
                "packets of another subscriber's address in a session's tunnel, out to N6",
            ),
            Self::GhostAddress => said(
                "ghost-address",
                "PFCP-GHOST",
                "medium",
                &[],
                "sessions with addresses outside the pools",
            ),
            Self::GhostDnn => said(
                "ghost-dnn",
                "PFCP-GHOST",
                "medium",
                &[],
                "sessions of a data network that nobody declared",
            ),
            Self::GhostNameless => said(
                "ghost-nameless",
                "PFCP-GHOST",
                "medium",
                &[],
                "sessions without a User ID, where all others have one",
            ),
            Self::GhostOneWay => said(
                "ghost-one-way",
                "PFCP-GHOST",
                "medium",
                &[],
                "a session that sends up a stream which nobody answers",
            ),
            Self::HeartbeatFlood => {
                said("heartbeat-flood", "PFCP-FLOOD", "high", &[], "20 heartbeats a second")
            }
            Self::EstablishmentFlood => said(
                "establishment-flood",
                "PFCP-FLOOD",
                "high",
                &["OPS-BLIND"],
                "establishments of which none succeeds and most are not answered",
            ),
        }
    }

    /// The role of the equipment.
    pub(crate) fn role(self) -> Role {
        match self {
            Self::TeidScan | Self::ClonedTunnel | Self::OrphanTunnel | Self::SpoofedSubscriber => {
                Role::Gnb
            }
            Self::RoguePeer | Self::NodeIdTheft => Role::Upf,
            _ => Role::Smf,
        }
    }

    /// Whether a foreign address takes part.
    pub(crate) fn needs_peer(self) -> bool {
        use How::{Duplication, ForgedRedirection, NodeIdTheft, RoguePeer};
        matches!(self, ForgedRedirection | Duplication | RoguePeer | NodeIdTheft)
    }

    /// Whether forged requests are numbered as the SMF's own would be.
    fn counts_along(self) -> bool {
        matches!(self, Self::SequenceTheft | Self::ForgedRemoval)
    }

    /// Whether it is played on a guest's session.
    fn has_victim(self) -> bool {
        use How::{
            AddressTakeover, ClonedTunnel, Duplication, ForgedDeletion, ForgedRedirection,
            ForgedRemoval, SeidTheft, SequenceTheft, SpoofedSubscriber, TunnelTakeover,
        };
        matches!(
            self,
            ForgedDeletion
                | ForgedRedirection
                | SequenceTheft
                | ForgedRemoval
                | Duplication
                | SeidTheft
                | AddressTakeover
                | TunnelTakeover
                | ClonedTunnel
                | SpoofedSubscriber
        )
    }
}

/// How long a victim is there before, and after.
const BEFORE: Micros = 12 * SECOND;
const AFTER: Micros = 20 * SECOND;

/// Brings the attacks onto the stage; their packets carry indices from `first` on.
pub(crate) fn enter(stage: &mut Stage, scenario: &Scenario, first: usize) -> Vec<Expectation> {
    let mut expected = Vec::new();
    for attack in &scenario.theft.session {
        let (said, id) = (attack.how.said(), attack.id.get_ref());
        let group =
            stage.label(Group { at_most: Some(said.severity), ..Group::new(id, GroupKind::Theft) });
        let node = stage.plan.named(attack.equipment.get_ref());
        let upf = stage.plan.named(attack.upf.get_ref());
        let start = attack.start_seconds * SECOND;
        let every = attack.every_milliseconds * MILLI;
        let place = place(stage, attack.how, node, upf);
        let victim = attack.how.has_victim().then(|| {
            let victim = place.attachment(stage);
            let until = start + attack.packets * every + AFTER;
            Visit::enter(stage, &victim, (start.saturating_sub(BEFORE), until), None);
            victim
        });
        let peer = attack.peer.as_ref().map(|peer| *peer.get_ref());
        let far = match (peer, attack.how.role()) {
            (Some(peer), _) => peer.into(),
            (None, Role::Gnb) => stage.plan.nodes[upf].on(Link::N3).into(),
            (None, _) => stage.plan.n4(node, upf)[1].ip(),
        };
        expected.push(Expectation {
            id: id.clone(),
            kind: said.kind,
            detection: said.detection,
            severity: Some(said.severity),
            also: said.also,
            equipment: Some(attack.equipment.get_ref().clone()),
            peer: Some(far),
            note: said.note.into(),
        });
        let playing = Playing {
            how: attack.how,
            theft: first + expected.len() - 1,
            group,
            node,
            place,
            // The check asks for a peer where there must be one.
            peer: peer.unwrap_or(Ipv4Addr::UNSPECIFIED),
            ip_options: attack.ip_options,
            every,
            turn: 0,
            turns: attack.packets,
            step: 0,
            numbered: 0x5000,
            victim,
            slots: Vec::new(),
            chance: stage.chance(),
        };
        stage.enter(start, playing);
    }
    expected
}

/// Whose session is attacked: the SMF's own, another one's that is not of its set, or one at the
/// gNB or beside it.
fn place(stage: &Stage, how: How, node: usize, upf: usize) -> Place {
    let plan = &stage.plan;
    let gnbs = plan.with(Role::Gnb, &[Link::N3]);
    let smfs = plan.with(Role::Smf, &[Link::N4]);
    let other = |of: &[usize]| of.iter().copied().find(|other| *other != node).unwrap_or(node);
    match how {
        How::SeidTheft => Place { smf: other(&smfs), upf, gnb: gnbs[0] },
        How::ClonedTunnel => Place { smf: smfs[0], upf, gnb: other(&gnbs) },
        _ if how.role() == Role::Gnb => Place { smf: smfs[0], upf, gnb: node },
        _ if how.role() == Role::Upf => Place { smf: smfs[0], upf, gnb: gnbs[0] },
        _ => Place { smf: node, upf, gnb: gnbs[0] },
    }
}

/// An attack as it goes on.
struct Playing {
    how: How,
    theft: usize,
    group: usize,
    node: usize,
    place: Place,
    peer: Ipv4Addr,
    ip_options: bool,
    every: Micros,
    turn: u64,
    turns: u64,
    /// Where a turn has several parts: the next of them.
    step: u8,
    /// The last sequence number of the attacker's own.
    numbered: u32,
    victim: Option<Attachment>,
    /// Sessions that the attack itself has set up.
    slots: Vec<usize>,
    chance: Chance,
}

impl Actor for Playing {
    fn wake(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        if self.turn == self.turns {
            self.end(now, stage);
            return None;
        }
        self.mark(stage, true);
        let pause = match self.how {
            How::ForgedDeletion => self.forged_deletion(now, stage),
            How::ForgedRedirection => self.forged_redirection(now, stage),
            How::SequenceTheft => self.sequence_theft(now, stage),
            How::ForgedRemoval => self.forged_removal(now, stage),
            How::Duplication => self.duplication(now, stage),
            How::RoguePeer | How::NodeIdTheft => self.rogue_peer(now, stage),
            How::SeidTheft => self.seid_theft(now, stage),
            How::AddressTakeover | How::TunnelTakeover => self.takeover(now, stage),
            How::TeidScan => self.teid_scan(now, stage),
            How::ClonedTunnel => self.cloned_tunnel(now, stage),
            How::OrphanTunnel => self.orphan_tunnel(now, stage),
            How::SpoofedSubscriber => self.spoofed_subscriber(now, stage),
            How::GhostAddress | How::GhostDnn | How::GhostNameless => self.ghost(now, stage),
            How::GhostOneWay => self.one_way(now, stage),
            How::HeartbeatFlood => self.heartbeat(now, stage),
            How::EstablishmentFlood => self.establishment(now, stage),
        };
        // A turn of several parts counts with its last.
        if pause.is_none() {
            self.turn += 1;
        }
        Some(now + pause.unwrap_or(self.every))
    }
}

impl Playing {
    /// Whether what is sent from now on is the attack.
    fn mark(&self, stage: &mut Stage, attack: bool) {
        stage.theft = attack.then_some(self.theft);
        stage.group = attack.then_some(self.group);
    }

    fn victim_slot(&self) -> Option<usize> {
        self.victim.as_ref().map(|victim| victim.slot)
    }
}
