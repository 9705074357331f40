//! Who talked to whom: the flows of equipment added up by hour, peer and service.
//!
//! A flow's record tells its sums from its beginning; what it did since the one before is put down
//! at the hour of its last packet. What was told of a flow that goes on is therefore kept, in the
//! store like the hours themselves, so that a restart neither loses nor doubles anything.
//!
//! An hour has room for so many rows. A part of it is each equipment's own, so that who scans
//! everything drives out nobody else: what finds no room becomes one row for all others.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use weir_engine::Nanos;
use weir_engine::contract::verdict::{Flow, FlowEnd, Initiator};
use weir_policy::ServiceMatch;

use super::far::Far;
use crate::rulebook::Rulebook;
use crate::store::Store;

/// Rows of an hour that each equipment has for itself, those that all share beyond them, and the
/// most that one may have of both.
const OWN: u32 = 8;
const SHARED: u32 = 20_000;
const MOST: u32 = 500;
/// Hours whose rows are known without asking the store. Packets come nearly in order.
const OPEN: usize = 3;
/// Flows that go on: the sensor has no more at a time.
const STANDINGS: usize = 1 << 18;
/// A flow that goes on is heard of every hour; what was not for so long is lost with its record.
const LOST: Nanos = Nanos::from_secs(3 * 3600);
/// Rows that wait for a disk that refuses.
const WAITING: usize = 1 << 16;

const HOUR: u64 = 3_600_000_000_000;

/// What a row is about.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Key {
    /// Hours since 1970.
    pub hour: u64,
    /// The equipment's id, or `#` and its number.
    pub equipment: String,
    /// Whom it talked to.
    pub far: Far,
    /// The IP protocol.
    pub protocol: u8,
    /// The responder's port; 0 where there is none, or it is not known.
    pub port: u16,
    /// Who began, as [`initiator`] numbers it.
    pub initiator: u8,
}

/// What is added up in a row. Packets and bytes are those of the equipment and those of the peer.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Sum {
    pub packets: [u64; 2],
    pub bytes: [u64; 2],
    /// Flows that were told of in this hour.
    pub flows: u64,
    pub first: Nanos,
    pub last: Nanos,
    /// Whether the policy of then allowed all of it.
    pub declared: bool,
    /// Whether the same is told from the peer's side, which is the one that counts where each
    /// conversation is to be seen once.
    pub is_mirror: bool,
    /// The peer's address, if it is equipment.
    pub address: Option<IpAddr>,
    /// What DNS calls the peer.
    pub name: Option<String>,
}

impl Sum {
    fn join(&mut self, more: Sum) {
        for way in 0..2 {
            self.packets[way] = self.packets[way].saturating_add(more.packets[way]);
            self.bytes[way] = self.bytes[way].saturating_add(more.bytes[way]);
        }
        self.flows = self.flows.saturating_add(more.flows);
        self.first = self.first.min(more.first);
        self.last = self.last.max(more.last);
        self.declared &= more.declared;
        self.is_mirror &= more.is_mirror;
        self.address = more.address.or(self.address);
        self.name = more.name.or(self.name.take());
    }
}

/// Who began, by its number in the store.
pub const INITIATORS: [Initiator; 3] = [Initiator::Equipment, Initiator::Peer, Initiator::Unknown];

fn number(initiator: Initiator) -> u8 {
    INITIATORS.iter().position(|it| *it == initiator).unwrap_or(2) as u8
}

/// What was told of a flow that goes on: packets and bytes of its first side and of its second, and
/// its last packet.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[allow(missing_docs)]
pub struct Told {
    pub counts: [u64; 4],
    pub last: Nanos,
}

/// The rows that an hour has.
#[derive(Debug, Default)]
struct Rows {
    keys: HashSet<Key>,
    of: HashMap<String, u32>,
    shared: u32,
}

impl Rows {
    fn of(keys: impl IntoIterator<Item = Key>) -> Self {
        let mut rows = Self::default();
        keys.into_iter().for_each(|key| rows.add(key));
        rows
    }

    fn add(&mut self, key: Key) {
        // What is the others' has room always: it is one row for each equipment.
        if key.far != Far::Other {
            let count = self.of.entry(key.equipment.clone()).or_default();
            *count += 1;
            self.shared += u32::from(*count > OWN);
        }
        self.keys.insert(key);
    }

    fn has_room(&self, key: &Key) -> bool {
        let count = self.of.get(&key.equipment).copied().unwrap_or(0);
        count < OWN || (count < MOST && self.shared < SHARED)
    }
}

/// What changed since it was stored.
#[derive(Debug, Default)]
pub struct Hours {
    pending: BTreeMap<Key, Sum>,
    rows: BTreeMap<u64, Rows>,
    told: HashMap<u64, Told>,
    retold: BTreeSet<u64>,
    is_anew: bool,
    folded: u64,
    unheld: u64,
}

impl Hours {
    /// Goes on with flows that were told of.
    pub fn new(told: HashMap<u64, Told>) -> Self {
        Self { told, ..Self::default() }
    }

    /// Another sensor took over: its flows are others.
    pub fn restarted(&mut self) {
        self.told.clear();
        self.retold.clear();
        self.is_anew = true;
    }

    /// Whether anything changed.
    pub fn has_changed(&self) -> bool {
        !self.pending.is_empty() || !self.retold.is_empty() || self.is_anew
    }

    /// It is stored.
    pub fn stored(&mut self) {
        self.pending.clear();
        self.retold.clear();
        self.is_anew = false;
    }

    /// The rows that are to be added to those that are stored.
    pub fn pending(&self) -> impl Iterator<Item = (&Key, &Sum)> {
        self.pending.iter()
    }

    /// Whether all that was told of flows is to be forgotten first.
    pub fn is_anew(&self) -> bool {
        self.is_anew
    }

    /// What was told of flows since; none of those that have ended.
    pub fn retold(&self) -> impl Iterator<Item = (u64, Option<&Told>)> {
        self.retold.iter().map(|flow| (*flow, self.told.get(flow)))
    }

    /// Rows that were put down under others for lack of room, and records of flows that go on that
    /// found none: they are counted when the flow ends.
    pub fn given_up(&self) -> (u64, u64) {
        (self.folded, self.unheld)
    }

    /// Takes in the record of a flow, for each side that is equipment; `ids` are their ids.
    pub fn flow(
        &mut self,
        flow: &Flow,
        ids: [Option<String>; 2],
        rulebook: Option<&Rulebook>,
        store: &Store,
    ) {
        let Some(since) = self.since(flow) else { return };
        let [source, destination] = ids;
        let port = responder(flow);
        let sides = [
            (source.clone(), destination.clone(), flow.tuple.destination, [0, 1]),
            (destination, source, flow.tuple.source, [1, 0]),
        ];
        let mut is_mirror = false;
        for (own, other, address, [mine, theirs]) in sides {
            let Some(equipment) = own else { continue };
            let is_equipment = other.is_some();
            let far = other.map_or_else(|| Far::stranger(address, rulebook), Far::Equipment);
            let initiator = match (flow.initiator_known, mine) {
                (false, _) => Initiator::Unknown,
                (true, 0) => Initiator::Equipment,
                (true, _) => Initiator::Peer,
            };
            let key = Key {
                hour: flow.last.0 / HOUR,
                equipment,
                far,
                protocol: flow.tuple.protocol,
                port,
                initiator: number(initiator),
            };
            let sum = Sum {
                packets: [since[mine], since[theirs]],
                bytes: [since[2 + mine], since[2 + theirs]],
                flows: 1,
                first: flow.first,
                last: flow.last,
                declared: flow.allowed,
                is_mirror,
                address: is_equipment.then_some(address),
                // A subscriber's name may say who it is.
                name: flow.name.clone().filter(|_| matches!(key.far, Far::Network(_))),
            };
            self.add(key, sum, store);
            is_mirror = true;
        }
    }

    /// What a flow did since it was told of before: packets and bytes of its first side and of its second, packets
    /// first. None where that can't be held; it is told of at the flow's end then.
    fn since(&mut self, flow: &Flow) -> Option<[u64; 4]> {
        let (up, down) = (flow.to_server, flow.to_client);
        let counts = [up.packets, down.packets, up.bytes, down.bytes];
        let id = flow.flow_id;
        let before = if flow.end == FlowEnd::Hourly {
            if !self.told.contains_key(&id) && !self.has_room_for_a_flow(flow.last) {
                self.unheld += 1;
                return None;
            }
            self.retold.insert(id);
            self.told.insert(id, Told { counts, last: flow.last })
        } else {
            let before = self.told.remove(&id);
            if before.is_some() {
                self.retold.insert(id);
            }
            before
        };
        // Sums that shrink are those of another flow of the same name.
        let before = before.map(|told| told.counts).unwrap_or_default();
        let is_same = before.iter().zip(counts).all(|(before, now)| *before <= now);
        Some(if is_same { std::array::from_fn(|at| counts[at] - before[at]) } else { counts })
    }

    fn has_room_for_a_flow(&mut self, now: Nanos) -> bool {
        if self.told.len() < STANDINGS {
            return true;
        }
        let retold = &mut self.retold;
        self.told.retain(|id, told| {
            let is_lost = now.since(told.last) > LOST;
            if is_lost {
                retold.insert(*id);
            }
            !is_lost
        });
        self.told.len() < STANDINGS
    }

    fn add(&mut self, key: Key, sum: Sum, store: &Store) {
        let key = self.place(key, store);
        if let Some(waiting) = self.pending.get_mut(&key) {
            waiting.join(sum);
        } else if self.pending.len() < WAITING {
            self.pending.insert(key, sum);
        } else {
            self.folded += 1;
        }
    }

    /// The row that a conversation is put down in: its own if there is room for it.
    fn place(&mut self, key: Key, store: &Store) -> Key {
        if !self.rows.contains_key(&key.hour) {
            if self.rows.len() >= OPEN {
                self.rows.pop_first();
            }
            // Of what can't be read nothing is known: the rows are merged when they are stored.
            let stored = store.hour(key.hour).unwrap_or_default();
            let waiting = self.pending.keys().filter(|waiting| waiting.hour == key.hour).cloned();
            self.rows.insert(key.hour, Rows::of(stored.into_iter().chain(waiting)));
        }
        let Some(rows) = self.rows.get_mut(&key.hour) else { return key };
        if rows.keys.contains(&key) {
            return key;
        }
        let placed = if rows.has_room(&key) {
            key
        } else {
            self.folded += 1;
            Key { far: Far::Other, protocol: 0, port: 0, initiator: 2, ..key }
        };
        if !rows.keys.contains(&placed) {
            rows.add(placed.clone());
        }
        placed
    }
}

/// The responder's port: of two whose order was not seen, the one that is known for a service, else
/// the lower.
fn responder(flow: &Flow) -> u16 {
    let (tuple, ports) = (&flow.tuple, [flow.tuple.destination_port, flow.tuple.source_port]);
    let is_service = |port: &&u16| ServiceMatch::known_as(tuple.protocol, Some(**port)).is_some();
    match (flow.initiator_known, ports.iter().filter(|port| **port > 0).find(is_service)) {
        (true, _) => tuple.destination_port,
        (false, Some(port)) => *port,
        (false, None) => ports.into_iter().filter(|port| *port > 0).min().unwrap_or(0),
    }
}

/// How a protocol and the responder's port are called.
pub fn service(protocol: u8, port: u16) -> String {
    let of = Some(port).filter(|port| *port > 0);
    let known = ServiceMatch::known_as(protocol, of).map(str::to_owned);
    let named = known.or_else(|| ServiceMatch::narrowest(protocol, of));
    named.unwrap_or_else(|| match protocol {
        6 => "tcp".into(),
        17 => "udp".into(),
        _ => "sctp".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_engine::contract::verdict::{Tuple, Volume};
    use weir_engine::rules::{EquipmentId, Link};

    fn flow(id: u64, end: FlowEnd, hour: u64, packets: u64) -> Flow {
        let volume = Volume { packets, bytes: packets * 100, tcp_flags: 0 };
        Flow {
            flow_id: id,
            tuple: Tuple {
                source: [10, 0, 0, 1].into(),
                destination: [198, 51, 100, 7].into(),
                source_port: 40_000,
                destination_port: 443,
                protocol: 6,
            },
            initiator_known: true,
            source: Some(EquipmentId(0)),
            destination: None,
            to_server: volume,
            to_client: Volume::default(),
            first: Nanos(1),
            last: Nanos(hour * HOUR + 5),
            at: Nanos(hour * HOUR + 5),
            end,
            allowed: true,
            name: None,
            tap: 0,
            link: Link::N3,
            policy: 1,
        }
    }

    fn store() -> (tempfile::TempDir, Store) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        (directory, store)
    }

    fn take(hours: &mut Hours, store: &Store, flow: &Flow) {
        hours.flow(flow, [Some("gnb-1".into()), None], None, store);
    }

    fn packets(hours: &Hours) -> Vec<(u64, u64)> {
        hours.pending().map(|(key, sum)| (key.hour, sum.packets[0])).collect()
    }

    #[test]
    fn an_hour_has_what_was_done_since_it_was_told_before() {
        let (_directory, store) = store();
        let mut hours = Hours::default();
        for (end, hour, sum) in
            [(FlowEnd::Hourly, 1, 10), (FlowEnd::Hourly, 2, 25), (FlowEnd::Idle, 3, 26)]
        {
            take(&mut hours, &store, &flow(7, end, hour, sum));
        }
        assert_eq!(packets(&hours), [(1, 10), (2, 15), (3, 1)]);
        assert_eq!(hours.retold().collect::<Vec<_>>(), [(7, None)], "nothing is kept of it");
        // Another flow of that name has less than was told of the one before.
        take(&mut hours, &store, &flow(8, FlowEnd::Hourly, 4, 50));
        take(&mut hours, &store, &flow(8, FlowEnd::Closed, 5, 20));
        assert_eq!(packets(&hours)[3..], [(4, 50), (5, 20)]);
        hours.stored();
        assert!(!hours.has_changed());
    }

    #[test]
    fn a_flow_that_can_not_be_held_is_told_of_at_its_end_and_lost_ones_make_room() {
        let (_directory, store) = store();
        let held = |hour: u64| Told { counts: [1; 4], last: Nanos(hour * HOUR) };
        let full = (0..STANDINGS as u64).map(|id| (1_000 + id, held(9))).collect();
        let mut hours = Hours::new(full);
        take(&mut hours, &store, &flow(7, FlowEnd::Hourly, 10, 10));
        take(&mut hours, &store, &flow(7, FlowEnd::Closed, 11, 30));
        assert_eq!((packets(&hours), hours.given_up()), (vec![(11, 30)], (0, 1)));
        take(&mut hours, &store, &flow(8, FlowEnd::Hourly, 13, 5));
        assert_eq!((packets(&hours)[1], hours.told.len()), ((13, 5), 1), "they were lost");
        assert_eq!(hours.retold().count(), STANDINGS + 1);
    }

    #[test]
    fn who_needs_more_rows_than_all_share_leaves_the_others_their_own() {
        let mut rows = Rows::default();
        let key = |equipment: String, port: u16| Key {
            hour: 1,
            equipment,
            far: Far::Subscribers,
            protocol: 6,
            port,
            initiator: 0,
        };
        for equipment in 0..100 {
            for port in 0..600 {
                let key = key(format!("scanner-{equipment}"), port);
                if rows.has_room(&key) {
                    rows.add(key);
                }
            }
        }
        assert_eq!(rows.shared, SHARED);
        assert_eq!(rows.of["scanner-0"], MOST);
        assert_eq!(rows.of["scanner-99"], OWN);
        let own = (0..10).filter(|port| {
            let key = key("quiet".into(), *port);
            let has_room = rows.has_room(&key);
            if has_room {
                rows.add(key);
            }
            has_room
        });
        assert_eq!(own.count() as u32, OWN);
    }

    #[test]
    fn the_responders_port_is_the_known_one_where_nobody_saw_who_began() {
        let mut flow = flow(1, FlowEnd::Closed, 1, 1);
        assert_eq!(responder(&flow), 443);
        flow.initiator_known = false;
        (flow.tuple.source_port, flow.tuple.destination_port) = (443, 40_000);
        assert_eq!(responder(&flow), 443);
        (flow.tuple.source_port, flow.tuple.destination_port) = (50_000, 40_000);
        assert_eq!(responder(&flow), 40_000);
        (flow.tuple.source_port, flow.tuple.destination_port) = (0, 0);
        assert_eq!((responder(&flow), service(6, 0).as_str()), (0, "tcp"));
        assert_eq!((service(17, 53).as_str(), service(6, 8_443).as_str()), ("dns", "tcp/8443"));
    }
}
