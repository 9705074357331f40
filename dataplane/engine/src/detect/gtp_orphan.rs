//! GTP-ORPHAN: G-PDUs on F-TEIDs that no session has, although N4 of their UPF is
//! seen whole.
//!
//! N4 may come late, and sessions may be older than the tap: both have a grace.
//! Tunnels that N4 never signals (RAN to RAN, F1-U, S1-U) are not judged here.

use std::collections::BTreeMap;

use weir_wire::Address;

use crate::Nanos;
use crate::contract::session::MAX_TEIDS;
use crate::detect::Detection;
use crate::rules::Settings;
use crate::track::Inner;
use crate::tunnels::unresolved::{Stray, Sum};

/// The standing data.
pub const DETECTION: Detection = Detection {
    id: "GTP-ORPHAN",
    signature_id: 5_290_014,
    signature: "G-PDUs on tunnels that no session has",
    category: "Misc Attack",
    rank: 3,
    technique: &["T1599", "T1572"],
    restricted: false,
};

/// Directions of pairs that are watched.
const PAIRS: usize = 1 << 12;
/// Different tunnels of one that are told apart.
const TUNNELS: usize = 1024;
/// How long a finding waits for a scan to explain it.
const HOLD: Nanos = Nanos::from_secs(2);
/// A pair that was silent for so long begins anew.
const IDLE: Nanos = Nanos::from_secs(600);

/// Orphans from one address to another.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) sum: Sum,
    pub(crate) inner: Option<Inner>,
    /// How many different tunnels, as far as they are told apart.
    pub(crate) tunnels: u32,
    /// The first of them.
    pub(crate) teids: Vec<u32>,
    /// The least share of N4 that was seen meanwhile.
    pub(crate) coverage: f64,
}

#[derive(Debug)]
struct Watched {
    uncounted: Option<Pair>,
    known: std::collections::BTreeSet<u32>,
    packets: u64,
    last: Nanos,
    /// When it is said, once there are enough.
    due: Option<Nanos>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Orphans {
    pairs: BTreeMap<(Address, Address), Watched>,
    evictions: u64,
}

impl Orphans {
    /// Adds G-PDUs of a tunnel that no session has.
    pub(crate) fn add(&mut self, stray: &Stray, coverage: f64, now: Nanos, settings: &Settings) {
        let ends = (stray.from, stray.end.address);
        if self.pairs.len() >= PAIRS && !self.pairs.contains_key(&ends) {
            let idle = self.pairs.iter().min_by_key(|(_, pair)| pair.last).map(|(ends, _)| *ends);
            if let Some(idle) = idle {
                self.pairs.remove(&idle);
                self.evictions += 1;
            }
        }
        let pair = self.pairs.entry(ends).or_insert_with(|| Watched {
            uncounted: None,
            known: Default::default(),
            packets: 0,
            last: stray.sum.last,
            due: None,
        });
        if stray.sum.first.since(pair.last) > IDLE {
            (pair.packets, pair.due, pair.uncounted) = (0, None, None);
            pair.known.clear();
        }
        pair.last = pair.last.max(stray.sum.last);
        pair.packets += stray.sum.packets;
        if pair.known.len() < TUNNELS {
            pair.known.insert(stray.end.teid);
        }
        match &mut pair.uncounted {
            Some(uncounted) => {
                uncounted.sum.join(&stray.sum);
                uncounted.coverage = uncounted.coverage.min(coverage);
            }
            none => {
                *none = Some(Pair {
                    sum: stray.sum,
                    inner: stray.inner,
                    tunnels: 0,
                    teids: Vec::new(),
                    coverage,
                });
            }
        }
        if pair.packets >= settings.orphan_min_packets && pair.due.is_none() {
            pair.due = Some(now.plus(HOLD));
        }
    }

    /// What is to be said by now.
    pub(crate) fn due(&mut self, now: Nanos) -> Vec<((Address, Address), Pair)> {
        let ripe = self.pairs.iter_mut().filter(|(_, pair)| pair.due.is_some_and(|due| due <= now));
        ripe.filter_map(|(ends, pair)| {
            let mut said = pair.uncounted.take()?;
            said.tunnels = pair.known.len() as u32;
            said.teids = pair.known.iter().copied().take(MAX_TEIDS).collect();
            Some((*ends, said))
        })
        .collect()
    }

    /// Different tunnels to and from an address that are in use.
    pub(crate) fn tunnels_at(&self, address: Address, now: Nanos) -> usize {
        let its = self.pairs.iter().filter(|((from, to), pair)| {
            (*from == address || *to == address) && now.since(pair.last) <= IDLE
        });
        its.map(|(_, pair)| pair.known.len()).sum()
    }

    /// Different tunnels of all pairs, as far as they are told apart.
    pub(crate) fn tunnels(&self) -> usize {
        self.pairs.values().map(|pair| pair.known.len()).sum()
    }

    pub(crate) fn forget(&mut self) {
        self.pairs.clear();
    }

    pub(crate) fn evictions(&self) -> u64 {
        self.evictions
    }
}
