//! The site as it was seen: who talked to whom, who was seen when, and the sessions of subscribers.
//! What records of the sensor tell of it is held until it is stored with the position in the ring.

pub mod far;
pub mod hours;
pub mod ranges;
pub mod seal;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use weir_engine::Nanos;
use weir_engine::contract::session::SessionRecord;
use weir_engine::contract::verdict::{Activity, Flow};

use crate::rulebook::Rulebook;
use crate::store::Store;
use hours::{Hours, Told};
use seal::Seal;

/// Sessions' records that wait for a disk that refuses.
const WAITING: usize = 1 << 14;

/// Rows that found no room, since the start of the process, by [`TABLES`].
pub type GivenUp = [u64; TABLES.len()];

/// Of what too much is given up, as the metric label `table` names it.
pub const TABLES: [&str; 3] = ["stored_talks", "stored_flows", "stored_sessions"];

/// What is to be stored.
pub struct Site {
    /// Who talked to whom.
    pub hours: Hours,
    /// Sessions that were agreed or have ended.
    pub sessions: Vec<SessionRecord>,
    /// Where their subscribers are hidden.
    pub seal: Arc<Seal>,
    seen: BTreeMap<String, Nanos>,
    lost: u64,
    /// Nobody can ask a replay that ends with its capture.
    is_kept: bool,
}

impl Site {
    /// Goes on with flows that were told of.
    pub fn new(told: HashMap<u64, Told>, seal: Arc<Seal>, is_kept: bool) -> Self {
        let (sessions, seen) = (Vec::new(), BTreeMap::new());
        Self { hours: Hours::new(told), sessions, seal, seen, lost: 0, is_kept }
    }

    /// Another sensor took over.
    pub fn restarted(&mut self) {
        self.hours.restarted();
    }

    /// Whether anything is to be stored.
    pub fn has_changed(&self) -> bool {
        self.hours.has_changed() || !self.sessions.is_empty() || !self.seen.is_empty()
    }

    /// All of it is stored.
    pub fn stored(&mut self) {
        self.hours.stored();
        self.sessions.clear();
        self.seen.clear();
    }

    /// Who was seen, and when last.
    pub fn seen(&self) -> impl Iterator<Item = (&str, Nanos)> {
        self.seen.iter().map(|(id, last)| (id.as_str(), *last))
    }

    /// What found no room; `stored` is how many sessions made room for others in the store.
    pub fn given_up(&self, stored: u64) -> GivenUp {
        let (talks, flows) = self.hours.given_up();
        [talks, flows, self.lost + stored]
    }

    /// Takes in the record of a flow; `ids` are those of its sides, where they are equipment.
    pub fn flow(
        &mut self,
        flow: &Flow,
        ids: [Option<String>; 2],
        rulebook: Option<&Rulebook>,
        store: &Store,
    ) {
        if !self.is_kept {
            return;
        }
        let sent = [flow.to_server.packets, flow.to_client.packets];
        self.see(&ids, sent, flow.last);
        self.hours.flow(flow, ids, rulebook, store);
    }

    /// The same of a spell of activity, which comes sooner.
    pub fn activity(&mut self, activity: &Activity, ids: &[Option<String>; 2]) {
        if self.is_kept {
            self.see(ids, [activity.to_server.0, activity.to_client.0], activity.last);
        }
    }

    /// Whoever sent something is there.
    fn see(&mut self, ids: &[Option<String>; 2], sent: [u64; 2], at: Nanos) {
        for (id, packets) in ids.iter().zip(sent) {
            let Some(id) = id.as_ref().filter(|_| packets > 0) else { continue };
            match self.seen.get_mut(id) {
                Some(last) => *last = at.max(*last),
                None => {
                    self.seen.insert(id.clone(), at);
                }
            }
        }
    }

    /// Takes in what is said of a session.
    pub fn session(&mut self, record: &SessionRecord) {
        if !self.is_kept {
            return;
        }
        if self.sessions.len() < WAITING {
            self.sessions.push(record.clone());
        } else {
            self.lost += 1;
        }
    }
}
