//! Signalling: what was agreed on N4, followed message by message (TS 29.244).
//!
//! One machine reads every N4 datagram in the order of packet time. It keeps
//! transactions ([`transactions`]), nodes and who may speak for them ([`node`]), and
//! sessions with their rules ([`store`]); it is the only writer of the table of
//! tunnels. What workers could not tell alone it resolves when N4 has caught up
//! ([`strays`], [`senders`], [`sources`]).

mod accusation;
mod answer;
mod apply;
mod asked;
mod association;
mod claims;
mod commit;
mod contradiction;
mod coverage;
mod datagram;
mod doubts;
mod foresight;
mod hops;
mod keyed;
mod listing;
mod names;
mod node;
mod one_way;
mod order;
mod pool;
mod pseudonym;
mod recent;
mod request;
mod senders;
mod sequence;
mod session;
mod sources;
mod store;
mod strays;
mod streams;
mod targets;
mod transactions;
mod tunnels;
mod usage;
mod users;

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use weir_wire::Address;
use weir_wire::pfcp::Pfcp;

use crate::Nanos;
use crate::contract::session::SessionRecord;
use crate::contract::streams::Streams;
use crate::contract::words::{Attribution, JudgeWords, N4_LATENCY_BUCKETS, N4_REQUESTS, N4Loss};
use crate::report::Report;
use crate::rules::{EquipmentId, Rules, Settings};
use crate::tunnels::unresolved::merged;
use crate::tunnels::{Access, TunnelWriter, UsageReader};

use accusation::Accusations;
use asked::Asked;
use claims::Claims;
use contradiction::Removed;
use doubts::Doubts;
pub(crate) use keyed::KeyedHasher;
use names::Names;
use node::Nodes;
use one_way::Rounds;
use pseudonym::Pseudonyms;
use senders::Senders;
use session::SessionRef;
use sources::Sources;
use store::Store;
use strays::Strays;
use streams::Copies;
use transactions::{Timed, Transactions};
use tunnels::Closing;
use users::Homeless;

pub(crate) use hops::{Interception, Owner};

pub use accusation::Accusation;
pub use datagram::{HeaderShape, N4Datagram, Pouch, Room};
pub use listing::{ListedFar, ListedPdr, Listing};
pub use pseudonym::sample_key;

/// How long an ended session and its tunnels are remembered.
const MEMORY: Nanos = Nanos::from_secs(10);

/// How long a session is remembered whose end may not be its owner's doing.
const DOUBTED_MEMORY: Nanos = Nanos::from_secs(600);

/// The key under which replays hash identities: nothing there is secret, and equal
/// captures shall give equal pseudonyms.
pub const LAB_KEY: &[u8; 32] = b"weir lab: pseudonyms for replays";

/// User-plane addresses that are known from N4.
const PLACES: usize = 1 << 16;

/// What the session machine is told at its start.
#[derive(Clone, Debug)]
pub struct SignallingSetup {
    /// Tunnels that it has room for; sessions are half as many.
    pub tunnels: usize,
    /// The secret of the tunnel table's hash.
    pub secret: u64,
    /// The secret under which subscribers' identities become pseudonyms.
    pub site_key: [u8; 32],
    /// Whether every path of the N3 links is tapped.
    pub is_complete: bool,
    /// Whether every path of the N6 links is.
    pub is_n6_complete: bool,
}

impl Default for SignallingSetup {
    fn default() -> Self {
        Self {
            tunnels: 2_000_000,
            secret: 7,
            site_key: [0; 32],
            is_complete: true,
            is_n6_complete: true,
        }
    }
}

/// What is known of a user-plane address by N4.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// The UP node that gave F-TEIDs there.
    up_node: Option<u32>,
}

/// Counters, in the order of their words.
#[derive(Clone, Debug)]
struct Counters {
    established: u64,
    deleted: u64,
    causes: [u64; weir_wire::pfcp_ie::Cause::COUNTERS],
    latency: [u64; N4_REQUESTS.len() * N4_LATENCY_BUCKETS],
    latency_sum: [u64; N4_REQUESTS.len()],
    whole: u64,
    unanswered: u64,
    unasked: u64,
    repeated: u64,
    dropped: [u64; N4Loss::ALL.len()],
    attribution: [u64; Attribution::ALL.len()],
    usage_reports: u64,
    usage_mismatches: u64,
    tunnels_refused: u64,
    /// Observations that found no room in a table.
    dropped_observations: u64,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            established: 0,
            deleted: 0,
            causes: [0; weir_wire::pfcp_ie::Cause::COUNTERS],
            latency: [0; N4_REQUESTS.len() * N4_LATENCY_BUCKETS],
            latency_sum: [0; N4_REQUESTS.len()],
            whole: 0,
            unanswered: 0,
            unasked: 0,
            repeated: 0,
            dropped: [0; N4Loss::ALL.len()],
            attribution: [0; Attribution::ALL.len()],
            usage_reports: 0,
            usage_mismatches: 0,
            tunnels_refused: 0,
            dropped_observations: 0,
        }
    }
}

/// Who is shown every session, whole, when it is forgotten.
pub type Archivist = Box<dyn FnMut(&Listing<'_>) + Send>;

/// The session machine.
pub struct Signalling {
    rules: Option<Arc<Rules>>,
    settings: Settings,
    /// When the policy in force came.
    policy_since: Nanos,
    is_complete: bool,
    is_n6_complete: bool,
    transactions: Transactions,
    nodes: Nodes,
    store: Store,
    names: Names,
    pseudonyms: Pseudonyms,
    tunnels: TunnelWriter,
    /// Users' addresses, for the link to the data network.
    users: TunnelWriter,
    usage: Vec<UsageReader>,
    closing: Closing,
    /// Ended sessions in the order in which they are forgotten.
    ended: VecDeque<(Nanos, SessionRef)>,
    /// User-plane addresses by what N4 said of them.
    places: HashMap<Address, Place, BuildHasherDefault<KeyedHasher>>,
    up_nodes: HashMap<EquipmentId, u32, BuildHasherDefault<KeyedHasher>>,
    claims: Claims,
    asked: Asked,
    doubts: Doubts,
    removed: Removed,
    strays: Strays,
    senders: Senders,
    sources: Sources,
    homeless: Homeless,
    rounds: Rounds,
    accusations: Accusations,
    records: Vec<SessionRecord>,
    streams: Copies,
    standings: Vec<Streams>,
    counters: Counters,
    timed: Timed,
    started: Option<Nanos>,
    /// When the clock was set back last.
    set_back: Nanos,
    now: Nanos,
    archivist: Option<Archivist>,
}

impl std::fmt::Debug for Signalling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signalling").field("now", &self.now).finish_non_exhaustive()
    }
}

impl Signalling {
    /// A machine that has seen nothing.
    ///
    /// # Errors
    /// If there is no memory for the table of tunnels.
    pub fn new(setup: &SignallingSetup) -> std::io::Result<Self> {
        let sessions = (setup.tunnels / 2).max(64);
        Ok(Self {
            rules: None,
            settings: Settings::default(),
            policy_since: Nanos(0),
            is_complete: setup.is_complete,
            is_n6_complete: setup.is_n6_complete,
            transactions: Transactions::default(),
            nodes: Nodes::default(),
            store: Store::new(sessions),
            names: Names::default(),
            pseudonyms: Pseudonyms::new(&setup.site_key),
            tunnels: TunnelWriter::new(setup.tunnels, setup.secret)?,
            users: TunnelWriter::new(sessions, setup.secret)?,
            usage: Vec::new(),
            closing: Closing::default(),
            ended: VecDeque::new(),
            places: HashMap::default(),
            up_nodes: HashMap::default(),
            claims: Claims::default(),
            asked: Asked::default(),
            doubts: Doubts::default(),
            removed: Removed::default(),
            strays: Strays::default(),
            senders: Senders::default(),
            sources: Sources::default(),
            homeless: Homeless::default(),
            rounds: Rounds::default(),
            accusations: Accusations::default(),
            records: Vec::new(),
            streams: Copies::default(),
            standings: Vec::new(),
            counters: Counters::default(),
            timed: Timed::default(),
            started: None,
            set_back: Nanos(0),
            now: Nanos(0),
            archivist: None,
        })
    }

    /// What a worker needs: the table to read, and rows to count in.
    ///
    /// # Errors
    /// If there is no memory for the rows.
    pub fn enlist(&mut self) -> std::io::Result<Access> {
        let table = self.tunnels.reader();
        let (usage, counted) = crate::tunnels::usage::usage(table.slots())?;
        self.usage.push(counted);
        Ok(Access { table, usage, users: self.users.reader() })
    }

    /// Shows every session, whole, to `archivist` when it is forgotten.
    pub fn show_forgotten(&mut self, archivist: Archivist) {
        self.archivist = Some(archivist);
    }

    /// Takes other rules.
    pub fn set_rules(&mut self, rules: Arc<Rules>, at: Nanos) {
        self.settings = rules.settings().clone();
        self.policy_since = at;
        // Numbers of equipment mean others now.
        self.nodes.renew(&rules);
        self.claims.forget_names();
        self.up_nodes.clear();
        self.strays.forget_equipment();
        self.senders.forget();
        self.sources.forget();
        self.streams.forget_equipment();
        self.rules = Some(rules);
    }

    /// Reads what N4 said in a slice, merged from all workers by packet time. Datagrams
    /// of one flow keep their order, since one worker sees a flow whole; of different
    /// flows at one moment the ends decide, so that the spreading changes nothing.
    pub fn hear(&mut self, reports: &[Report]) {
        let mut datagrams: Vec<N4Datagram<'_>> =
            reports.iter().flat_map(|report| report.n4.datagrams()).collect();
        datagrams.sort_by_key(|datagram| {
            let (a, b) = (
                (datagram.source, datagram.source_port),
                (datagram.destination, datagram.destination_port),
            );
            (datagram.time, a.min(b), a.max(b))
        });
        self.take_all(&datagrams);
        for report in reports {
            self.dropped(report.n4.dropped());
        }
    }

    /// Takes what a slice's G-PDUs left open, and judges what is due by its end.
    pub fn settle(&mut self, reports: &[Report], now: Nanos) {
        self.advance(now);
        let unresolved = || reports.iter().map(|report| &report.unresolved);
        let attributed = unresolved().map(|it| it.attributed).sum();
        self.counters.dropped_observations += unresolved().map(|it| it.dropped).sum::<u64>();
        self.resolve(
            merged(unresolved().map(|it| &it.strays)),
            merged(unresolved().map(|it| &it.complaints)),
            attributed,
        );
        self.resolve_senders(merged(unresolved().map(|it| &it.changes)), now);
        let escapes = merged(unresolved().map(|it| &it.escapes));
        self.resolve_sources(merged(unresolved().map(|it| &it.odd_sources)), escapes, now);
        self.resolve_users(merged(unresolved().map(|it| &it.homeless)));
        self.settle_due(now);
        self.look_at_streams(now);
    }

    /// Lets time pass before a slice: what was due in between is judged.
    pub fn pass(&mut self, now: Nanos) {
        if self.started.is_some() && now > self.now {
            self.advance(now);
            self.settle_due(now);
            self.look_at_streams(now);
        }
    }

    /// The clock was set back: what began when is known anew from now on.
    pub(crate) fn begin_anew(&mut self, now: Nanos) {
        // Of a clock that is set back without end nothing is learned without end.
        if now.since(self.set_back) > association::RESTARTS_APART {
            self.started = Some(now);
        }
        self.set_back = now;
    }

    /// Judges what is due.
    fn settle_due(&mut self, now: Nanos) {
        self.settle_strays(now);
        self.settle_users(now);
        self.settle_disputes(now);
        self.settle_moves(now);
        self.settle_ways(now);
    }

    /// Counts N4 datagrams that found no room.
    fn dropped(&mut self, dropped: &[u64; N4Loss::ALL.len()]) {
        for (sum, more) in self.counters.dropped.iter_mut().zip(dropped) {
            *sum += more;
        }
    }

    /// Reads a datagram: every message that is bundled in it, as far as each goes.
    pub fn take(&mut self, datagram: &N4Datagram<'_>) {
        self.advance(datagram.time);
        let mut rest = datagram.payload;
        while let Ok(message) = Pfcp::parse(rest) {
            let len = (usize::from(message.length()) + 4).min(rest.len());
            self.message(datagram, &message, &rest[..len]);
            match message.next_message() {
                Some(next) => rest = next,
                None => break,
            }
        }
    }

    fn message(&mut self, datagram: &N4Datagram<'_>, message: &Pfcp<'_>, bytes: &[u8]) {
        match message.message().0 {
            1 | 3 | 5 | 7 | 9 | 12 | 14 | 16 | 50 | 52 | 54 | 56 => {
                self.request(datagram, message, bytes);
            }
            code if transactions::is_answer(code) => self.answer(datagram, message, bytes),
            // Version Not Supported answers whatever was asked; it agrees to nothing.
            _ => {}
        }
    }

    /// Lets time run on: requests are given up, ended sessions forgotten.
    pub fn advance(&mut self, now: Nanos) {
        self.started.get_or_insert(now);
        if now <= self.now {
            return;
        }
        self.now = now;
        let mut timed = std::mem::take(&mut self.timed);
        self.transactions.advance(now, &mut timed);
        for key in timed.overdue.drain(..) {
            self.overdue(&key, now);
        }
        self.transactions.give_up(now, &mut timed);
        for (key, waiting) in timed.given_up.drain(..) {
            self.unanswered(&key, waiting);
        }
        for (key, early) in timed.unasked.drain(..) {
            self.unasked(&key, &early);
        }
        self.timed = timed;
        self.close_rows(now);
        while let Some((due, at)) = self.ended.front().copied()
            && due <= now
        {
            self.foresee_ended();
            self.ended.pop_front();
            self.forget(at, due);
        }
    }

    /// Ends the input: nothing more will come, every timer fires, and every session is
    /// shown as it stood at the end.
    pub fn finish(&mut self, last: Nanos) {
        // What waits for its hour gets it, one after the other.
        let end = last.plus(MEMORY).plus(self.settings.redir_uplink);
        self.advance(end);
        self.resolve_senders(Vec::new(), end);
        self.settle_due(end);
        for at in self.store.all(|_| true) {
            self.conclude(at, last);
        }
    }

    /// Shows every session as it stands, and with `pending` those that were asked for and
    /// not answered yet.
    pub fn list_all(&mut self, pending: bool) {
        if pending {
            self.list_pending();
        }
        for at in self.store.all(|_| true) {
            self.forget(at, self.now);
        }
    }

    /// Takes what was found wrong, and how much of it found no room.
    pub fn accusations(&mut self) -> (Vec<Accusation>, u64) {
        self.accusations.take()
    }

    /// Takes what is to be said of sessions.
    pub fn records(&mut self) -> std::vec::Drain<'_, SessionRecord> {
        self.records.drain(..)
    }

    /// Whether N4 ever named this address as an end of a tunnel.
    pub fn is_signalled(&self, address: Address) -> bool {
        self.places.contains_key(&address)
    }

    /// Whether a rule copies traffic to this address: that is told of elsewhere, or nobody's
    /// to know.
    pub fn is_ordered(&self, address: Address) -> bool {
        self.claims.is_target(address)
    }

    /// When the policy in force came.
    pub fn policy_since(&self) -> Nanos {
        self.policy_since
    }

    /// Transactions of the last minute that were seen whole, and all that were seen.
    pub fn coverage(&self) -> (u64, u64) {
        let nodes = self.nodes.all().iter().filter(|node| node.is_up);
        nodes.fold((0, 0), |(whole, seen), node| {
            let (more, of) = node.coverage.of(self.now);
            (whole + more, seen + of)
        })
    }

    /// Rows given up for others: sessions, tunnels, transactions, parked tunnels, nodes.
    pub fn evictions(&self) -> [u64; 5] {
        [
            self.store.evictions(),
            self.counters.tunnels_refused,
            self.transactions.evictions() + self.removed.evictions(),
            self.strays.evictions()
                + self.doubts.evictions()
                + self.counters.dropped_observations
                + self.streams.refused(),
            self.nodes.evictions(),
        ]
    }

    /// N4 datagrams that found no room.
    pub fn lost(&self) -> u64 {
        self.counters.dropped.iter().sum()
    }

    /// Writes the counters down.
    pub fn count(&self, words: &mut JudgeWords) {
        let counters = &self.counters;
        words.sessions = self.store.counts();
        words.sessions_established = counters.established;
        words.sessions_deleted = counters.deleted;
        words.tunnels = self.tunnels.len() as u64;
        words.pfcp_causes = counters.causes;
        words.n4_latency = counters.latency;
        words.n4_latency_sum_ns = counters.latency_sum;
        words.n4_whole = counters.whole;
        words.n4_unanswered = counters.unanswered;
        words.n4_unasked = counters.unasked;
        words.n4_repeated = counters.repeated;
        let (whole, seen) = self.coverage();
        words.n4_coverage_ppm = (whole * 1_000_000).checked_div(seen).unwrap_or(0);
        words.n4_dropped = counters.dropped;
        words.attribution = counters.attribution;
        words.usage_reports = counters.usage_reports;
        words.usage_mismatches = counters.usage_mismatches;
    }
}
