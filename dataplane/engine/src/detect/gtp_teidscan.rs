//! GTP-TEIDSCAN: a peer tries many F-TEIDs that no session has, or earns Error
//! Indications for such.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use weir_wire::Address;

use crate::Nanos;
use crate::contract::session::MAX_TEIDS;
use crate::detect::Detection;
use crate::rules::Settings;
use crate::track::Inner;
use crate::tunnels::unresolved::Sum;

/// The standing data.
pub const DETECTION: Detection = Detection {
    id: "GTP-TEIDSCAN",
    signature_id: 5_290_015,
    signature: "A peer tries tunnels that no session has",
    category: "Attempted Information Leak",
    rank: 4,
    technique: &["T1046"],
    restricted: false,
};

/// Senders that are watched.
const SENDERS: usize = 1 << 13;
/// Tries of one sender that are kept.
const TRIES: usize = 1024;

/// A tunnel that somebody tried, or was told not to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tried {
    pub(crate) from: Address,
    pub(crate) to: Address,
    pub(crate) teid: u32,
    pub(crate) sum: Sum,
    pub(crate) inner: Option<Inner>,
    pub(crate) is_complaint: bool,
}

/// A scan, as far as it was not told yet.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) tunnels: u32,
    pub(crate) teids: Vec<u32>,
    pub(crate) sum: Sum,
    pub(crate) inner: Option<Inner>,
}

#[derive(Debug, Default)]
struct Sender {
    /// What no alert counts yet: of each tunnel one, of complaints all.
    tries: VecDeque<Tried>,
    scanning_until: Option<Nanos>,
    last: Nanos,
}

/// All senders, those who try and those who are told not to apart.
#[derive(Debug, Default)]
pub(crate) struct Scans {
    senders: BTreeMap<(bool, Address), Sender>,
    evictions: u64,
}

impl Scans {
    /// Takes a try; gives what is to be told of a scan.
    pub(crate) fn tried(&mut self, tried: &Tried, settings: &Settings) -> Option<Scan> {
        let key = (tried.is_complaint, tried.from);
        if self.senders.len() >= SENDERS && !self.senders.contains_key(&key) {
            let idle = self.senders.iter().min_by_key(|(_, sender)| sender.last);
            let idle = idle.map(|(key, _)| *key);
            if let Some(idle) = idle {
                self.senders.remove(&idle);
                self.evictions += 1;
            }
        }
        let sender = self.senders.entry(key).or_default();
        let now = tried.sum.last;
        sender.last = sender.last.max(now);
        let same = |known: &&mut Tried| (known.to, known.teid) == (tried.to, tried.teid);
        match sender.tries.iter_mut().find(same).filter(|_| !tried.is_complaint) {
            Some(known) => {
                known.sum.join(&tried.sum);
            }
            None => {
                if sender.tries.len() >= TRIES {
                    sender.tries.pop_front();
                }
                sender.tries.push_back(*tried);
            }
        }
        let goes_on = sender.scanning_until.is_some_and(|until| now <= until);
        if !goes_on {
            sender.tries.retain(|known| now.since(known.sum.last) <= settings.scan_window);
            let packets: u64 = sender.tries.iter().map(|it| it.sum.packets).sum();
            let enough = if tried.is_complaint {
                packets >= settings.scan_min_errors
            } else {
                sender.tries.len() as u64 >= settings.scan_min_teids
            };
            if !enough {
                return None;
            }
        }
        sender.scanning_until = Some(now.plus(settings.scan_window));
        let tries = std::mem::take(&mut sender.tries);
        let teids: BTreeSet<u32> = tries.iter().map(|tried| tried.teid).collect();
        let mut tries = tries.into_iter();
        let first = tries.next()?;
        let mut sum = first.sum;
        for tried in tries {
            sum.join(&tried.sum);
        }
        Some(Scan {
            tunnels: teids.len() as u32,
            teids: teids.into_iter().take(MAX_TEIDS).collect(),
            sum,
            inner: first.inner,
        })
    }

    /// Whether a sender is scanning.
    pub(crate) fn is_scanning(&self, from: Address, now: Nanos, settings: &Settings) -> bool {
        let sender = self.senders.get(&(false, from));
        let until = sender.and_then(|sender| sender.scanning_until);
        // What it tried is judged later than it was sent by the grace.
        until.is_some_and(|until| {
            now <= until.plus(settings.orphan_grace).plus(settings.scan_window)
        })
    }

    pub(crate) fn forget(&mut self) {
        self.senders.clear();
    }

    pub(crate) fn evictions(&self) -> u64 {
        self.evictions
    }
}
