//! The table of equipment flows: exact, bounded, and timed.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use crate::Nanos;
use crate::contract::verdict::FlowEnd;
use crate::judge::flow::{Flow, HOUR};
use crate::judge::spell::Spell;
use crate::track::{FlowDelta, FlowKey};

/// Flows that are kept at a time.
pub(crate) const FLOWS: usize = 1 << 18;

/// How many rows are compared when one must give way.
const CANDIDATES: usize = 64;

/// The flows, by key and by the time at which something is due.
#[derive(Debug, Default)]
pub(crate) struct Flows {
    rows: Vec<Option<Flow>>,
    free: Vec<usize>,
    index: HashMap<FlowKey, usize>,
    /// When a row wants to be looked at. A row may have lived on meanwhile; it
    /// is then put back with its new time.
    timers: BinaryHeap<Reverse<(Nanos, usize)>>,
    /// Where the search for a row that gives way goes on.
    hand: usize,
    seen: u64,
    evictions: u64,
}

/// Where a flow is, and what came of adding to it.
#[derive(Debug)]
pub(crate) struct Added {
    /// Its row.
    pub(crate) row: usize,
    /// The spell of activity that is over.
    pub(crate) spell: Option<Spell>,
    /// The flow that gave way.
    pub(crate) evicted: Option<Due>,
}

/// Something that happened to a flow by time or for want of room.
#[derive(Debug)]
pub(crate) struct Due {
    /// The flow, as it stands.
    pub(crate) flow: Flow,
    /// When.
    pub(crate) at: Nanos,
    /// Why.
    pub(crate) end: FlowEnd,
}

impl Flows {
    /// Adds what a flow did in a slice. A full table gives up a row, which comes
    /// back as [`FlowEnd::Evicted`]: of the next 64, the allowed one idle longest,
    /// else the one idle longest, so that the harmless go first.
    pub(crate) fn add(&mut self, delta: &FlowDelta) -> Added {
        if let Some(&row) = self.index.get(&delta.key)
            && let Some(flow) = self.row(row)
        {
            let spell = flow.add(delta);
            return Added { row, spell, evicted: None };
        }
        let evicted = if self.index.len() >= FLOWS { self.evict() } else { None };
        let flow = Flow::new(delta);
        let timer = flow.deadline().min(flow.hourly);
        let row = match self.free.pop() {
            Some(row) => {
                self.rows[row] = Some(flow);
                row
            }
            None => {
                self.rows.push(Some(flow));
                self.rows.len() - 1
            }
        };
        self.index.insert(delta.key, row);
        self.timers.push(Reverse((timer, row)));
        self.seen += 1;
        Added { row, spell: None, evicted }
    }

    /// A row that [`Flows::add`] named; another flow's, or none, if it has given way since.
    pub(crate) fn row(&mut self, row: usize) -> Option<&mut Flow> {
        self.rows.get_mut(row)?.as_mut()
    }

    /// The flow of a key, if it is in the table.
    pub(crate) fn find(&self, key: &FlowKey) -> Option<&Flow> {
        self.rows.get(*self.index.get(key)?)?.as_ref()
    }

    fn evict(&mut self) -> Option<Due> {
        let len = self.rows.len();
        let victim = (self.hand..self.hand + CANDIDATES)
            .map(|row| row % len)
            .filter_map(|row| self.rows[row].as_ref().map(|flow| (row, flow)))
            .min_by_key(|(row, flow)| (flow.offence.is_some(), !flow.allowed, flow.last(), *row))
            .map(|(row, _)| row)?;
        self.hand = (self.hand + CANDIDATES) % len;
        self.evictions += 1;
        let flow = self.remove(victim)?;
        Some(Due { at: flow.last(), flow, end: FlowEnd::Evicted })
    }

    fn remove(&mut self, row: usize) -> Option<Flow> {
        let flow = self.rows[row].take()?;
        self.index.remove(&flow.key);
        self.free.push(row);
        Some(flow)
    }

    /// What is due up to `now`, in order of time. The end of time ends all flows.
    pub(crate) fn due(&mut self, now: Nanos) -> Vec<Due> {
        let mut due = Vec::new();
        while let Some(&Reverse((time, row))) = self.timers.peek() {
            if time > now {
                break;
            }
            self.timers.pop();
            let Some(flow) = self.rows[row].as_mut() else { continue };
            let (deadline, hourly) = (flow.deadline(), flow.hourly);
            if deadline <= now && deadline <= hourly {
                let end = match (now == Nanos::MAX, flow.is_closed()) {
                    (_, true) => FlowEnd::Closed,
                    (true, false) => FlowEnd::Input,
                    (false, false) => FlowEnd::Idle,
                };
                due.extend(self.remove(row).map(|flow| Due { flow, at: deadline, end }));
                continue;
            }
            if hourly <= now {
                due.push(Due { flow: flow.clone(), at: hourly, end: FlowEnd::Hourly });
                // An hour is said once, however long ago the one before was due.
                let hours = now.since(hourly).0 / HOUR.0 + 1;
                flow.hourly = hourly.plus(Nanos(HOUR.0.saturating_mul(hours)));
            }
            let next = flow.deadline().min(flow.hourly);
            self.timers.push(Reverse((next, row)));
        }
        due.sort_by_key(|due| (due.at, due.flow.key));
        due
    }

    /// Flows in the table.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// Flows ever seen.
    pub(crate) fn seen(&self) -> u64 {
        self.seen
    }

    /// Rows given up for others so far.
    pub(crate) fn evictions(&self) -> u64 {
        self.evictions
    }
}
