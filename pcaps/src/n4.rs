//! N4: associations, heartbeats, sessions and reports between SMF and UPF (TS 29.244).

mod association;
mod exchange;
mod report;
pub(crate) mod rules;
mod session;

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use serde::Deserialize;

use crate::pfcp::Identity;
use crate::plan::{Plan, Realm};
use crate::stage::{Micros, SECOND};

pub(crate) use association::{Association, delete_set, heartbeat, release, set_up, update};
pub(crate) use exchange::{Exchange, Exposure, Mishaps, exchange};
pub(crate) use report::{Meter, Reporter, usage_of};
pub(crate) use session::{
    ask_in_vain, bundled_changes, delete, establish, expect, modify, redirect, refused, take_over,
};

/// NTP counts from 1900, Unix from 1970.
const NTP_OFFSET_SECONDS: i64 = 2_208_988_800;

/// Test network: MCC 001, MNC 01.
const PLMN: &str = "00101";

/// What SCENARIO.toml says of N4 beyond the life of sessions. Shares are of 1.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Habits {
    /// From one usage report of a session to the next; absent: only at its end.
    pub report_seconds: Option<u64>,
    /// Sessions that are described by traffic endpoints.
    pub endpoint_share: f64,
    /// IPv6 sessions whose address the first modification tells.
    pub late_address_share: f64,
    /// Sessions that fall idle once and are called back by a packet.
    pub idle_share: f64,
    /// Transactions whose answer the tap delivers first.
    pub reordered_share: f64,
    /// Transactions of which the tap delivers one half.
    pub lost_share: f64,
    /// Transactions that happen again, octet by octet: the answer was lost behind the tap.
    pub repeated_share: f64,
    /// What the policy grants tunnels that began before the capture.
    pub start_grace_seconds: Option<u64>,
}

/// The numbers that nodes give away: TEIDs, SEIDs, PFCP sequence numbers; and when each started.
pub(crate) struct Numbers {
    teids: Vec<u32>,
    seids: Vec<u64>,
    sequences: Vec<u32>,
    /// Seconds since 1900.
    recovery: Vec<u32>,
    /// By node that gives numbers again: SEIDs and TEIDs of ended sessions, and from when on.
    free: BTreeMap<usize, VecDeque<(Micros, u64, u32)>>,
}

impl Numbers {
    pub(crate) fn new(start: jiff::Timestamp, plan: &Plan) -> Self {
        let nodes = plan.nodes.len();
        let start = start.as_second() + NTP_OFFSET_SECONDS;
        // Every node has been up for some days before the capture.
        let recovery = (1..=nodes as i64).map(|node| (start - node * 93_600) as u32).collect();
        let again = plan.nodes.iter().enumerate().filter(|(_, node)| node.reuses_numbers);
        let free = again.map(|(index, _)| (index, VecDeque::new())).collect();
        let (teids, seids, sequences) = (vec![0; nodes], vec![0; nodes], vec![0; nodes]);
        Self { teids, seids, sequences, recovery, free }
    }

    /// SEID and uplink TEID of a new session at a UPF.
    pub(crate) fn at_upf(&mut self, upf: usize, now: Micros) -> (u64, u32) {
        if let Some(free) = self.free.get_mut(&upf)
            && free.front().is_some_and(|(from, ..)| *from <= now)
            && let Some((_, seid, teid)) = free.pop_front()
        {
            return (seid, teid);
        }
        (self.seid(upf), self.teid(upf))
    }

    /// A session of that UPF ends: its numbers may be given again a second later.
    pub(crate) fn retire(&mut self, upf: usize, at: Micros, (seid, teid): (u64, u32)) {
        if let Some(free) = self.free.get_mut(&upf) {
            free.push_back((at + SECOND, seid, teid));
        }
    }

    /// A TEID that the node has not given before. The odd factor spreads the count over all 32
    /// bits without repeating.
    pub(crate) fn teid(&mut self, node: usize) -> u32 {
        self.teids[node] += 1;
        self.teids[node].wrapping_mul(0x9e37_79b1)
    }

    pub(crate) fn seid(&mut self, node: usize) -> u64 {
        self.seids[node] += 1;
        self.seids[node] | (node as u64 + 1) << 32
    }

    pub(crate) fn sequence(&mut self, node: usize) -> u32 {
        self.sequences[node] = self.next_sequence(node);
        self.sequences[node]
    }

    /// The number that the node's next request will have.
    pub(crate) fn next_sequence(&self, node: usize) -> u32 {
        self.sequences[node] % 0xff_ffff + 1
    }

    /// When the node last started, in seconds since 1900.
    pub(crate) fn recovery(&self, node: usize) -> u32 {
        self.recovery[node]
    }

    /// The node numbers its requests from 1 again.
    pub(crate) fn count_anew(&mut self, node: usize) {
        self.sequences[node] = 0;
    }

    /// The node starts anew.
    pub(crate) fn restart(&mut self, node: usize, ntp_seconds: u32) {
        self.recovery[node] = ntp_seconds;
    }
}

/// The moment in seconds since 1900.
pub(crate) fn ntp_seconds(start_ns: u64, at: Micros) -> u32 {
    ((start_ns / 1_000_000_000 + at / 1_000_000) as i64 + NTP_OFFSET_SECONDS) as u32
}

/// Who a new session is for and where.
#[derive(Clone, Debug)]
pub(crate) struct Attachment {
    /// The place among the stage's sessions, and what makes the identity.
    pub slot: usize,
    pub ue: IpAddr,
    pub smf: usize,
    pub upf: usize,
    pub gnb: usize,
    pub realm: Realm,
    pub numbered: bool,
    pub endpoints: bool,
    /// The first modification tells the address.
    pub late_address: bool,
    /// The uplink TEID, where it is not a new one.
    pub tunnel: Option<u32>,
    /// The SMF names no user.
    pub nameless: bool,
    /// The set of sessions that it falls with.
    pub set: Option<u16>,
    /// The tap may disturb its N4.
    pub exposed: bool,
}

/// A subscriber by number.
pub(crate) fn identity(number: u32) -> Identity {
    let number = u64::from(number);
    Identity {
        imsi: format!("{PLMN}{:010}", 1_000_000 + number),
        imei: format!("35875000{:07}0", number),
        msisdn: format!("88210{:09}", 1_000_000 + number),
    }
}
