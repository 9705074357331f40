//! Where every frame went.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};
use weir_wire::gtpu::Message;

use crate::inspector::{Inspector, Raised};
use crate::overload::Plan;

/// What a frame is, told by its own bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// A G-PDU of the mix.
    Users,
    /// N4 between declared peers.
    N4,
    /// Sent by a gNB itself, to a peer that nobody allowed.
    Equipment,
}

const GTPU: u16 = 2152;
const PFCP: u16 = 8805;
/// Where the destination port of UDP over plain IPv4 stands, and the TEID of GTP-U.
const PORT_AT: usize = 36;
const TEID_AT: usize = 46;
/// Where an equipment's peer has its number.
const PEER_AT: usize = 31;

impl Class {
    /// Every class.
    pub const ALL: [Class; 3] = [Class::Users, Class::N4, Class::Equipment];

    fn of(frame: &[u8]) -> Self {
        let port =
            frame.get(PORT_AT..PORT_AT + 2).map_or(0, |it| u16::from_be_bytes([it[0], it[1]]));
        match port {
            GTPU => Class::Users,
            PFCP => Class::N4,
            _ => Class::Equipment,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Class::Users => "users",
            Class::N4 => "n4",
            Class::Equipment => "equipment",
        }
    }
}

/// A datagram that the mix's gNB sends to a peer of that number.
pub(crate) fn equipment_frame(peer: u16) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 1, 8, 0];
    frame.extend([0x45, 0, 0, 68, 0, 0, 0x40, 0, 64, 17, 0, 0]);
    // A peer is a /24.
    let [high, low] = peer.to_be_bytes();
    frame.extend(crate::sessions::GNB.into_iter().chain([203, high, low, 7]));
    frame.extend(40_000_u16.to_be_bytes().into_iter().chain(4_433_u16.to_be_bytes()));
    frame.extend([0, 48, 0, 0]);
    frame.resize(82, 0x5a);
    frame
}

/// What became of the frames that the worker received.
#[derive(Debug)]
pub(super) struct Seen {
    received: [u64; Class::ALL.len()],
    shed: [u64; Class::ALL.len()],
    /// By tunnel, within one episode of overload: the largest share at which it stayed, and the
    /// least at which it was left out.
    tunnels: Vec<(u16, u16)>,
    episode: u32,
    /// Tunnels that were left out at a share at which they had stayed, or at a lesser one.
    cut: u64,
    /// The peers that equipment was seen to send to.
    peers: BTreeSet<u16>,
}

impl Seen {
    pub(super) fn of_tunnels(tunnels: u32) -> Self {
        Self {
            received: Default::default(),
            shed: Default::default(),
            tunnels: vec![UNSEEN; tunnels as usize + 1],
            episode: 0,
            cut: 0,
            peers: BTreeSet::new(),
        }
    }

    #[inline]
    pub(super) fn frame(&mut self, bytes: &[u8], stays: bool, (episode, share): (u32, u32)) {
        let class = Class::of(bytes);
        self.received[class as usize] += 1;
        self.shed[class as usize] += u64::from(!stays);
        if class == Class::Equipment {
            let peer = bytes.get(PEER_AT..PEER_AT + 2).and_then(|it| it.first_chunk().copied());
            self.peers.insert(u16::from_be_bytes(peer.unwrap_or_default()));
        }
        if class != Class::Users || share == 0 {
            return;
        }
        if episode != self.episode {
            self.episode = episode;
            self.tunnels.fill(UNSEEN);
        }
        let teid = bytes.get(TEID_AT..TEID_AT + 4).and_then(|it| it.first_chunk().copied());
        let Some(tunnel) =
            self.tunnels.get_mut(u32::from_be_bytes(teid.unwrap_or([0; 4])) as usize)
        else {
            return;
        };
        if stays {
            tunnel.0 = tunnel.0.max(share as u16);
        } else {
            tunnel.1 = tunnel.1.min(share as u16);
        }
        self.cut += u64::from(tunnel.0 >= tunnel.1);
    }
}

const UNSEEN: (u16, u16) = (0, u16::MAX);

/// A class's frames.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Row {
    /// That were sent.
    pub offered: u64,
    /// That found no room in the ring.
    pub missed: u64,
    /// That the worker polled.
    pub received: u64,
    /// That went through the engine.
    pub inspected: u64,
    /// That were left out.
    pub shed: u64,
}

impl Row {
    /// Frames of which nobody knows where they went: 0.
    pub fn unaccounted(&self) -> i128 {
        i128::from(self.offered)
            - i128::from(self.missed)
            - i128::from(self.inspected)
            - i128::from(self.shed)
    }
}

/// One run.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// By [`Class`].
    pub rows: [Row; Class::ALL.len()],
    /// The worker's own counters, which must agree with the sum of the rows.
    pub counted: Row,
    /// G-PDUs and PFCP messages that the engine counted.
    pub g_pdus: u64,
    /// See [`Ledger::g_pdus`].
    pub n4_heard: u64,
    /// Times that a packet of a tunnel was left out where it would have stayed, or the other way
    /// round: flows are left out whole, so 0.
    pub cut: u64,
    /// How often overload began.
    pub episodes: u32,
    /// The alerts, and how many peers equipment was seen to send to, each of which raises one.
    pub raised: Vec<Raised>,
    /// See [`Ledger::raised`].
    pub peers: u64,
    /// How long frames were sent.
    pub seconds: f64,
}

impl Ledger {
    pub(super) fn of(
        fed: &[(u64, u64); Class::ALL.len()],
        seen: Seen,
        inspector: &mut Inspector,
        seconds: f64,
    ) -> Self {
        let peers = seen.peers.len() as u64;
        let row = |class: Class| {
            let (offered, missed) = fed[class as usize];
            let (received, shed) = (seen.received[class as usize], seen.shed[class as usize]);
            Row { offered, missed, received, inspected: received - shed, shed }
        };
        let rows = Class::ALL.map(row);
        let lane = inspector.lane();
        let counted = Row {
            offered: rows.iter().map(|row| row.offered).sum(),
            missed: rows.iter().map(|row| row.missed).sum(),
            received: lane.received_packets,
            inspected: lane.inspected_packets,
            shed: lane.not_inspected.iter().sum(),
        };
        let episodes = inspector.overload().episodes();
        let raised = inspector.raised().to_vec();
        let words = inspector.words();
        let n4_heard = words.pfcp_messages.iter().sum();
        let g_pdus = words.gtpu_messages[Message::GPdu.counter()];
        Self { rows, counted, g_pdus, n4_heard, cut: seen.cut, episodes, raised, peers, seconds }
    }

    /// A class's frames.
    pub fn row(&self, class: Class) -> &Row {
        &self.rows[class as usize]
    }

    /// Over all classes.
    pub fn sum(&self, of: impl Fn(&Row) -> u64) -> u64 {
        self.rows.iter().map(of).sum()
    }

    /// The share of users' received packets that was left out.
    pub fn shed_share(&self) -> f64 {
        let users = self.row(Class::Users);
        users.shed as f64 / users.received.max(1) as f64
    }

    /// Frames a second that were sent.
    pub fn rate(&self) -> f64 {
        self.sum(|row| row.offered) as f64 / self.seconds
    }

    /// The time from a packet to its alert that so large a share of the alerts kept to.
    pub fn latency(&self, quantile: f64) -> Option<Duration> {
        let mut all: Vec<Duration> = self.raised.iter().map(|alert| alert.latency).collect();
        all.sort_unstable();
        let place = (all.len() as f64 * quantile).ceil() as usize;
        all.get(place.saturating_sub(1)).copied()
    }

    fn json(&self, capacity: f64) -> Value {
        let fields = |row: &Row| {
            json!({
                "offered": row.offered, "missed": row.missed, "received": row.received,
                "inspected": row.inspected, "shed": row.shed,
                "unaccounted": row.unaccounted() as i64,
            })
        };
        let mut value = json!({
            "all": fields(&self.counted), "load": self.rate() / capacity,
            "shed_share_of_users": self.shed_share(), "overloads": self.episodes,
            "n4_heard": self.n4_heard, "flows_cut": self.cut,
            "alerts": self.raised.len(), "alerts_expected": self.peers,
            "detection_latency_seconds_p50": self.latency(0.5).map(|it| it.as_secs_f64()),
            "detection_latency_seconds_p99": self.latency(0.99).map(|it| it.as_secs_f64()),
        });
        for class in Class::ALL {
            value[class.name()] = fields(self.row(class));
        }
        value
    }
}

/// Both runs, and what a packet costs.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was asked for.
    pub plan: Plan,
    /// Packets a second that the worker can inspect.
    pub capacity: f64,
    /// N4 among users' frames.
    pub among: Ledger,
    /// N4 through a ring of its own.
    pub apart: Ledger,
    /// What an inspected packet costs without the slow-down, ns.
    pub inspected_ns: f64,
    /// What one costs that is left out.
    pub shed_ns: f64,
}

impl Outcome {
    /// All of it, for machines.
    pub fn json(&self) -> Value {
        json!({
            "slowness_ns": self.plan.slowness.as_nanos() as u64,
            "capacity_pps": self.capacity,
            "n4_among_users": self.among.json(self.capacity),
            "n4_apart": self.apart.json(self.capacity),
            "inspected_ns_per_packet": self.inspected_ns,
            "shed_ns_per_packet": self.shed_ns,
            "shed_to_inspected_ratio": self.shed_ns / self.inspected_ns,
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "a worker that inspects {:.3} Mpps, each packet slowed by {} ns",
            self.capacity / 1e6,
            self.plan.slowness.as_nanos()
        )?;
        for (title, run) in
            [("N4 among users' frames", &self.among), ("N4 through a ring of its own", &self.apart)]
        {
            let load = run.rate() / self.capacity * 100.0;
            writeln!(f, "\n{title}; load {load:.0} %, {:.1} s", run.seconds)?;
            run.fmt(f)?;
        }
        writeln!(
            f,
            "\na packet that is left out costs {:.1} ns, one that is inspected {:.1} ns: {:.2} of it",
            self.shed_ns,
            self.inspected_ns,
            self.shed_ns / self.inspected_ns
        )
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heads = ["offered", "missed", "received", "inspected", "shed", "unaccounted"];
        write!(f, "{:10}", "")?;
        heads.iter().try_for_each(|head| write!(f, "{head:>13}"))?;
        writeln!(f)?;
        let rows = Class::ALL.map(|class| (class.name(), self.row(class)));
        for (name, row) in rows.into_iter().chain([("all", &self.counted)]) {
            write!(f, "{name:10}")?;
            let cells = [row.offered, row.missed, row.received, row.inspected, row.shed];
            cells.iter().try_for_each(|cell| write!(f, "{cell:>13}"))?;
            writeln!(f, "{:>13}", row.unaccounted())?;
        }
        let millis = |quantile| self.latency(quantile).unwrap_or_default().as_secs_f64() * 1e3;
        writeln!(
            f,
            "of users' packets {:.1} % left out, {} flows cut; overload began {} times; N4 messages \
             heard: {}\nalerts: {} of {}, half of them within {:.1} ms, 99 % within {:.1} ms; the last \
             says that {:.1} % were lost",
            self.shed_share() * 100.0,
            self.cut,
            self.episodes,
            self.n4_heard,
            self.raised.len(),
            self.peers,
            millis(0.5),
            millis(0.99),
            self.raised.last().map_or(0.0, |alert| alert.loss_ratio * 100.0),
        )
    }
}
