//! Counters: which word of a block means what.

use crate::fragment_trails;
use crate::reassembly::{self, GiveUp};
use weir_wire::{gtpu, pfcp, pfcp_ie};

use crate::contract::session::SessionState;
use crate::frame::BURST;
use crate::record::ERRORS;
use crate::vendor_elements::{self, VendorElement};

/// Why a frame was received but not inspected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(usize)]
pub enum Reason {
    /// The port had no free descriptor for it.
    Missed,
    /// The pool had no free buffer for it.
    NoBuffer,
    /// The port found it damaged.
    RxError,
    /// Its VLAN belongs to no configured tap.
    Untapped,
    /// A capture's link type that is not decoded.
    LinkType,
    /// The ring between a receive thread and its worker was full.
    RingFull,
    /// It belongs to a user's flow that a worker with too much to do left out.
    Shed,
}

impl Reason {
    /// Every reason, in the order of its counter.
    pub const ALL: [Reason; 7] = [
        Reason::Missed,
        Reason::NoBuffer,
        Reason::RxError,
        Reason::Untapped,
        Reason::LinkType,
        Reason::RingFull,
        Reason::Shed,
    ];

    /// The metric label `reason`.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::Missed => "missed",
            Reason::NoBuffer => "no_buffer",
            Reason::RxError => "rx_error",
            Reason::Untapped => "untapped",
            Reason::LinkType => "link_type",
            Reason::RingFull => "ring_full",
            Reason::Shed => "shed",
        }
    }
}

/// The bounded tables whose evictions are counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(usize)]
pub enum Table {
    /// Equipment flows.
    Flows,
    /// Addresses that belong to nobody.
    Unknown,
    /// Alerts of the current day.
    Alerts,
    /// Names from DNS answers.
    Names,
    /// GTP-U paths whose Echoes are counted.
    Paths,
    /// Tunnels of datagrams whose later fragments are awaited, of all workers.
    Trails,
    /// PFCP datagrams in fragments, of all workers.
    Datagrams,
    /// Kinds of vendors' PFCP elements; elements that find no row are counted.
    VendorElements,
    /// PFCP sessions.
    Sessions,
    /// Tunnels of sessions.
    Tunnels,
    /// PFCP requests that wait for their answers, and answered ones that may be repeated.
    Transactions,
    /// G-PDUs' tunnels that wait for N4.
    Parked,
    /// PFCP nodes, and pairs of them.
    Nodes,
    /// Packets chosen for proof, on their way to the judge and while they wait there.
    Samples,
    /// Their digests.
    Digests,
    /// Where copies go, and what UPFs let out in windows that are not judged.
    Copies,
    /// Names that equipment asks for; those that find no row of their domain are counted.
    Questions,
    /// Echoes and time synchronisation of equipment.
    Marks,
    /// What the first packets of equipment's flows showed.
    Openings,
}

impl Table {
    /// Every table, in the order of its counter.
    pub const ALL: [Table; 19] = [
        Table::Flows,
        Table::Unknown,
        Table::Alerts,
        Table::Names,
        Table::Paths,
        Table::Trails,
        Table::Datagrams,
        Table::VendorElements,
        Table::Sessions,
        Table::Tunnels,
        Table::Transactions,
        Table::Parked,
        Table::Nodes,
        Table::Samples,
        Table::Digests,
        Table::Copies,
        Table::Questions,
        Table::Marks,
        Table::Openings,
    ];

    /// The metric label `table`.
    pub const fn name(self) -> &'static str {
        match self {
            Table::Flows => "equipment_flows",
            Table::Unknown => "unknown_addresses",
            Table::Alerts => "alerts",
            Table::Names => "dns_names",
            Table::Paths => "gtpu_paths",
            Table::Trails => "fragment_trails",
            Table::Datagrams => "pfcp_datagrams",
            Table::VendorElements => "vendor_elements",
            Table::Sessions => "sessions",
            Table::Tunnels => "tunnels",
            Table::Transactions => "pfcp_transactions",
            Table::Parked => "parked_tunnels",
            Table::Nodes => "pfcp_nodes",
            Table::Samples => "samples",
            Table::Digests => "digests",
            Table::Copies => "copies",
            Table::Questions => "dns_questions",
            Table::Marks => "echoes_and_time",
            Table::Openings => "first_packets",
        }
    }
}

/// What a packet that was chosen for proof turned out to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(usize)]
pub enum SampleFate {
    /// Where its session leads.
    OnPath,
    /// The tap's own second sighting.
    Doubled,
    /// A copy where its session does not lead.
    Copied,
    /// No user's packet that was seen on its way.
    Unmatched,
    /// Where N4 does not tell enough.
    NotCovered,
}

impl SampleFate {
    /// All, in the order of their counters.
    pub const ALL: [SampleFate; 5] = [
        SampleFate::OnPath,
        SampleFate::Doubled,
        SampleFate::Copied,
        SampleFate::Unmatched,
        SampleFate::NotCovered,
    ];

    /// The metric label `kind`.
    pub const fn name(self) -> &'static str {
        match self {
            SampleFate::OnPath => "on_path",
            SampleFate::Doubled => "doubled",
            SampleFate::Copied => "copied",
            SampleFate::Unmatched => "unmatched",
            SampleFate::NotCovered => "not_covered",
        }
    }
}

/// What could be said of one direction of a UPF in a window.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(usize)]
pub enum BalanceStatus {
    /// Whether too much left.
    Judged,
    /// Lines lost too much to say.
    Degraded,
    /// A side of it is not tapped whole.
    NotCovered,
}

impl BalanceStatus {
    /// All, in the order of their counters.
    pub const ALL: [BalanceStatus; 3] =
        [BalanceStatus::Judged, BalanceStatus::Degraded, BalanceStatus::NotCovered];

    /// The metric label `status`.
    pub const fn name(self) -> &'static str {
        match self {
            BalanceStatus::Judged => "judged",
            BalanceStatus::Degraded => "degraded",
            BalanceStatus::NotCovered => "not_covered",
        }
    }
}

/// The buckets of the latency histogram: upper bounds in nanoseconds of 2^(10+i),
/// the last one open.
pub const LATENCY_BUCKETS: usize = 26;

/// A fixed list of counters that is published as consecutive words.
pub trait Words: Sized {
    /// How many words.
    const LEN: usize;
    /// Writes them to the start of `block`, which holds at least [`Words::LEN`].
    fn store(&self, block: &mut [u64]);
    /// Reads them from the start of `block`; missing words are 0.
    fn load(block: &[u64]) -> Self;
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:tt,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Eq, PartialEq)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: words!(@type $kind),)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: words!(@zero $kind),)* }
            }
        }

        impl Words for $name {
            const LEN: usize = 0 $(+ words!(@len $kind))*;

            fn store(&self, block: &mut [u64]) {
                let mut at = 0;
                $(
                    for (slot, word) in block[at..].iter_mut().zip(words!(@slice self.$field, $kind)) {
                        *slot = *word;
                    }
                    at += words!(@len $kind);
                )*
                let _ = at;
            }

            fn load(block: &[u64]) -> Self {
                let mut words = Self::default();
                let mut at = 0;
                $(
                    for (word, slot) in words!(@slice_mut words.$field, $kind)
                        .iter_mut()
                        .zip(block.iter().skip(at))
                    {
                        *word = *slot;
                    }
                    at += words!(@len $kind);
                )*
                let _ = at;
                words
            }
        }
    };
    (@type one) => { u64 };
    (@type ($len:expr)) => { [u64; $len] };
    (@zero one) => { 0 };
    (@zero ($len:expr)) => { [0; $len] };
    (@len one) => { 1 };
    (@len ($len:expr)) => { $len };
    (@slice $words:ident.$field:ident, one) => { std::slice::from_ref(&$words.$field) };
    (@slice $words:ident.$field:ident, ($len:expr)) => { &$words.$field };
    (@slice_mut $words:ident.$field:ident, one) => { std::slice::from_mut(&mut $words.$field) };
    (@slice_mut $words:ident.$field:ident, ($len:expr)) => { &mut $words.$field };
}

words! {
    /// One worker's share of one queue of one port.
    LaneWords {
        /// Frames that the worker got.
        received_packets: one,
        /// Their bytes on the wire.
        received_bytes: one,
        /// Frames that went through the engine.
        inspected_packets: one,
        /// Frames that did not, by [`Reason`].
        not_inspected: (Reason::ALL.len()),
    }
}

/// Counters of the fragments that are accounted to their tunnels.
pub const FRAGMENT_COUNTERS: usize = 5;
/// Counters of the datagrams that are put together.
pub const REASSEMBLY_COUNTERS: usize = 5 + GiveUp::ALL.len();

/// The names of the fragments' counters, in the metric label `kind`.
pub fn fragment_names() -> Vec<&'static str> {
    fragment_trails::Counters::default().named().into_iter().map(|(name, _)| name).collect()
}

/// The names of the reassembly's counters, in the metric label `kind`.
pub fn reassembly_names() -> Vec<&'static str> {
    reassembly::Counters::default().named().map(|(name, _)| name).collect()
}

words! {
    /// One worker.
    WorkerWords {
        /// Decoding errors by (layer, kind).
        decode_errors: (ERRORS),
        /// GTP-U messages by type.
        gtpu_messages: (gtpu::Message::COUNTERS),
        /// PFCP messages by type, bundled ones each.
        pfcp_messages: (pfcp::Message::COUNTERS),
        /// Fragments by what became of them (see [`fragment_names`]).
        fragments: (FRAGMENT_COUNTERS),
        /// PFCP in fragments by what became of it (see [`reassembly_names`]).
        reassembly: (REASSEMBLY_COUNTERS),
        /// Users' packets that were chosen for proof.
        sampled: one,
        /// Polls by the number of frames they brought.
        bursts: (BURST + 1),
        /// Polls of rings by how full the fullest was ([`RING_FILLS`]): N4's, then users'.
        ring_fills: (2 * RING_FILLS.len()),
        /// Nanoseconds spent on frames.
        busy_ns: one,
        /// Nanoseconds since the worker started.
        total_ns: one,
        /// How many of [`FLOWS`](crate::shed::FLOWS) of users' flows are left out.
        shed_share: one,
        /// How often overload began.
        overloads: one,
    }
}

/// The buckets of a ring's fill: upper bounds in 64ths of its room.
pub const RING_FILLS: [usize; 7] = [0, 1, 4, 16, 32, 48, 64];

words! {
    /// A thread that receives for the workers.
    ReceiverWords {
        /// Polls by the number of frames they brought.
        bursts: (BURST + 1),
        /// Nanoseconds spent on frames.
        busy_ns: one,
        /// Nanoseconds since the thread started.
        total_ns: one,
    }
}

words! {
    /// What a port says of frames that no worker ever got.
    PortWords {
        /// Such frames by [`Reason`].
        not_inspected: (Reason::ALL.len()),
        /// How its frames are spread: a [`Spreading`](super::spreading::Spreading).
        spreading: one,
        /// How N4 comes to a worker: an [`N4Way`](super::spreading::N4Way).
        n4_way: one,
    }
}

words! {
    /// The judge, which merges what the workers saw.
    JudgeWords {
        /// The end of the last slice that was judged, packet time in nanoseconds.
        packet_time: one,
        /// Equipment flows in the table.
        flows: one,
        /// Equipment flows ever seen.
        flows_seen: one,
        /// Rows given up for others, by [`Table`].
        evictions: (Table::ALL.len()),
        /// Backward steps of the clock.
        clock_steps: one,
        /// Observations folded into an alert already said.
        folded: one,
        /// Sightings and names that found no room in a report.
        unreported: one,
        /// New alerts by time from the frame that made them to their record.
        latency: (LATENCY_BUCKETS),
        /// The sum of those times in nanoseconds.
        latency_sum_ns: one,
        /// The version of the policy in force, 0 for none.
        policy_version: one,
        /// Kinds of vendors' PFCP elements (see [`VendorElement::word`]), 0 behind the last.
        vendor_elements: (vendor_elements::ROWS),
        /// How often each of them occurred.
        vendor_counts: (vendor_elements::ROWS),
        /// Elements of all other kinds.
        vendor_other: one,
        /// Sessions in the table, by [`SessionState`].
        sessions: (SessionState::ALL.len()),
        /// Sessions ever agreed.
        sessions_established: one,
        /// Sessions ended by their deletion.
        sessions_deleted: one,
        /// Tunnels of sessions in the table.
        tunnels: one,
        /// Answers by cause (see [`pfcp_ie::Cause::counter_name`]).
        pfcp_causes: (pfcp_ie::Cause::COUNTERS),
        /// Answers by request ([`N4_REQUESTS`]) and time, in buckets of 2^(10+i) ns, the last open.
        n4_latency: (N4_REQUESTS.len() * N4_LATENCY_BUCKETS),
        /// The sum of those times in nanoseconds, by request.
        n4_latency_sum_ns: (N4_REQUESTS.len()),
        /// Transactions of which both halves were seen.
        n4_whole: one,
        /// Transactions of which only a request was seen.
        n4_unanswered: one,
        /// Answers without a request.
        n4_unasked: one,
        /// Requests and answers that came again.
        n4_repeated: one,
        /// The share of N4's transactions of the last minute that were seen whole, in millionths.
        n4_coverage_ppm: one,
        /// N4 datagrams that found no room, by [`N4Loss`].
        n4_dropped: (N4Loss::ALL.len()),
        /// G-PDUs by what their tunnel was known as, by [`Attribution`].
        attribution: (Attribution::ALL.len()),
        /// Usage reports that do not agree with what was seen.
        usage_mismatches: one,
        /// Usage reports that were compared.
        usage_reports: one,
        /// Digests of packets chosen for proof in the table.
        proof_digests: one,
        /// Packets chosen for proof by what they turned out to be, by [`SampleFate`].
        sample_fates: (SampleFate::ALL.len()),
        /// Windows of a UPF's directions by what could be said of them, by [`BalanceStatus`].
        balance_statuses: (BalanceStatus::ALL.len()),
        /// Frames for evidence, and alerts, by [`ExhibitLoss`].
        exhibits_lost: (ExhibitLoss::ALL.len()),
    }
}

/// What evidence lacks, and why.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ExhibitLoss {
    /// Frames that workers had no room for.
    Worker = 0,
    /// New alerts that got no frames, since too many came at once.
    Alerts = 1,
}

impl ExhibitLoss {
    /// Every reason, in the order of its counter.
    pub const ALL: [Self; 2] = [Self::Worker, Self::Alerts];

    /// The reason as a metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Alerts => "alerts",
        }
    }
}

/// The requests whose answers are timed: their message types.
pub const N4_REQUESTS: [u8; 12] = [1, 3, 5, 7, 9, 12, 14, 16, 50, 52, 54, 56];

/// The buckets of an answer's time.
pub const N4_LATENCY_BUCKETS: usize = 24;

/// Why an N4 datagram did not reach the session machine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(usize)]
pub enum N4Loss {
    /// There was no room for one between declared peers.
    Declared,
    /// There was no room for one with an undeclared end: these give way first.
    Undeclared,
}

impl N4Loss {
    /// Every reason, in the order of its counter.
    pub const ALL: [N4Loss; 2] = [N4Loss::Declared, N4Loss::Undeclared];

    /// The metric label `reason`.
    pub const fn name(self) -> &'static str {
        match self {
            N4Loss::Declared => "declared_peer",
            N4Loss::Undeclared => "undeclared_peer",
        }
    }
}

/// What the tunnel of a G-PDU was known as.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(usize)]
pub enum Attribution {
    /// A session's, found at once.
    Session,
    /// A session's, found when N4 had caught up.
    Late,
    /// A session's that had ended.
    Ended,
    /// None that N4 ever told of.
    Unknown,
}

impl Attribution {
    /// Every kind, in the order of its counter.
    pub const ALL: [Attribution; 4] =
        [Attribution::Session, Attribution::Late, Attribution::Ended, Attribution::Unknown];

    /// The metric label `kind`.
    pub const fn name(self) -> &'static str {
        match self {
            Attribution::Session => "session",
            Attribution::Late => "late",
            Attribution::Ended => "ended",
            Attribution::Unknown => "unknown",
        }
    }
}

impl JudgeWords {
    /// The kinds of vendors' PFCP elements with how often each occurred, in their order.
    pub fn vendors(&self) -> Vec<(VendorElement, u64)> {
        let elements = self.vendor_elements.iter().map(|word| VendorElement::of_word(*word));
        let mut rows: Vec<_> = elements
            .zip(self.vendor_counts)
            .filter_map(|(element, count)| Some((element?, count)))
            .collect();
        rows.sort_unstable();
        rows
    }
}

const fn longest(lengths: &[usize]) -> usize {
    let mut longest = 0;
    let mut i = 0;
    while i < lengths.len() {
        if lengths[i] > longest {
            longest = lengths[i];
        }
        i += 1;
    }
    longest
}

/// The words of a block: enough for any of the lists.
pub const BLOCK: usize = longest(&LENGTHS);

const LENGTHS: [usize; 5] =
    [LaneWords::LEN, WorkerWords::LEN, PortWords::LEN, ReceiverWords::LEN, JudgeWords::LEN];

/// A number that changes with the lengths of all lists and with `revision`.
pub(super) const fn schema(revision: u64) -> u64 {
    let mut hash = (0xcbf2_9ce4_8422_2325 ^ revision).wrapping_mul(0x0100_0000_01b3);
    let mut i = 0;
    while i < LENGTHS.len() {
        hash = (hash ^ LENGTHS[i] as u64).wrapping_mul(0x0100_0000_01b3);
        i += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_the_block() {
        let mut lane = LaneWords { received_packets: 7, ..LaneWords::default() };
        lane.not_inspected[Reason::LinkType as usize] = 9;
        let mut block = [0; BLOCK];
        lane.store(&mut block);
        assert_eq!(LaneWords::load(&block), lane);
        let mut worker = WorkerWords { total_ns: 5, ..WorkerWords::default() };
        worker.decode_errors[ERRORS - 1] = 3;
        worker.bursts[BURST] = 4;
        worker.store(&mut block);
        assert_eq!(WorkerWords::load(&block), worker);
        assert_eq!(WorkerWords::load(&[]), WorkerWords::default());
    }
}
