//! Who talked to whom: flows added up by equipment, peer and service, within bounds.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use weir_analytics::rhythm::Beat;
use weir_engine::Nanos;
use weir_policy::{Detection, EquipmentId, Inventory, ServiceMatch};

use super::course::Course;
use super::seen::{Flagged, Record};

/// Talks that are remembered at a time. When there are more, each equipment keeps those with the most
/// flows, so that who floods drives out its own only.
const TALKS: usize = 1 << 16;
/// Beats of a talk that are, the newest.
const BEATS: usize = 256;
/// Names of a peer that are told.
const NAMES: usize = 4;
/// Flows that go on. The sensor holds no more at a time.
const OPEN: usize = 1 << 18;
/// A flow that goes on is heard of every hour; what was not for so long has been lost with its sensor.
const LOST: Nanos = Nanos::from_secs(3 * 3600);
/// Places and their visitors.
const VISITS: usize = 1 << 18;
/// Findings.
const FINDINGS: usize = 1 << 16;
/// The largest frame whose TCP segment is empty, in bytes: Ethernet with two tags, IPv6, all options.
const EMPTY: u64 = 14 + 8 + 40 + 60;

const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;
const PSH: u8 = 0x08;

/// The other side of a talk.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Far {
    Equipment(EquipmentId),
    Stranger(IpAddr),
}

/// What a rule would be for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Key {
    /// Whose doing it is: who opened it, unless a stranger did.
    pub(crate) equipment: EquipmentId,
    pub(crate) far: Far,
    pub(crate) protocol: u8,
    /// The responder's.
    pub(crate) port: Option<u16>,
    /// Whether the equipment is the responder.
    pub(crate) serves: bool,
}

/// The flows of one key.
#[derive(Clone, Debug)]
pub(crate) struct Talk {
    pub(crate) flows: u64,
    pub(crate) first: Nanos,
    pub(crate) last: Nanos,
    /// Packets and bytes of the equipment.
    pub(crate) sent: (u64, u64),
    /// Those of the other side.
    pub(crate) received: (u64, u64),
    /// What the other side is called.
    pub(crate) names: BTreeSet<String>,
    /// What was sent, over time.
    pub(crate) course: Course,
    /// UTC days with any of it.
    pub(crate) days: u32,
    /// Whether all of it was between 22 and 6 o'clock, UTC.
    pub(crate) is_nightly: bool,
    /// Whether a stranger opened a flow and got data.
    pub(crate) was_answered: bool,
    /// Whether a connection's opening was missed, so that who opened it is a guess by the ports.
    pub(crate) is_guessed: bool,
    beats: Vec<Beat>,
}

impl Talk {
    fn new(first: Nanos) -> Self {
        Self {
            flows: 0,
            first,
            last: first,
            sent: (0, 0),
            received: (0, 0),
            names: BTreeSet::new(),
            course: Course::from(first),
            days: 0,
            is_nightly: true,
            was_answered: false,
            is_guessed: false,
            beats: Vec::new(),
        }
    }

    /// When its flows began, in the order of time.
    pub(crate) fn beats(&self) -> Vec<Beat> {
        let mut beats = self.beats.clone();
        beats.sort_by_key(|beat| beat.at);
        beats
    }

    fn beat(&mut self, beat: Beat) {
        if self.beats.len() >= 2 * BEATS {
            self.beats.sort_by_key(|beat| beat.at);
            self.beats.drain(..BEATS);
        }
        self.beats.push(beat);
    }
}

/// Where equipment turns to: a network as EGR-COHORT sees it, or a name.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Place {
    Network(IpAddr),
    Name(String),
}

impl Place {
    /// The /24 or /48 of an address.
    pub(crate) fn of(address: IpAddr) -> Self {
        Self::Network(match address {
            IpAddr::V4(four) => {
                let [a, b, c, _] = four.octets();
                [a, b, c, 0].into()
            }
            IpAddr::V6(six) => {
                let [a, b, c, ..] = six.segments();
                [a, b, c, 0, 0, 0, 0, 0].into()
            }
        })
    }
}

/// Flows by what became of them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Counts {
    /// All.
    pub(crate) flows: u64,
    /// Those that the policy allows.
    pub(crate) allowed: u64,
    /// Those that strangers opened and got no data on.
    pub(crate) unanswered: u64,
    /// Those that nobody opened: ICMP errors.
    pub(crate) unopened: u64,
    /// Those whose ports were not seen.
    pub(crate) portless: u64,
    /// Those of equipment that the inventory does not have.
    pub(crate) unlisted: u64,
    /// Talks that gave way to others, and their flows.
    pub(crate) forgotten: (u64, u64),
}

/// All talks, and what is needed to judge them.
#[derive(Debug)]
pub(crate) struct Talks<'i> {
    pub(crate) inventory: &'i Inventory,
    pub(crate) talks: BTreeMap<Key, Talk>,
    pub(crate) counts: Counts,
    /// The first and the last packet of all.
    pub(crate) span: Option<(Nanos, Nanos)>,
    /// Equipment that did anything.
    active: BTreeSet<EquipmentId>,
    visits: BTreeMap<Place, BTreeSet<EquipmentId>>,
    visit_count: usize,
    findings: BTreeMap<(EquipmentId, Far), BTreeSet<String>>,
    open: HashMap<(String, u64), Open>,
    since: Nanos,
}

/// What earlier records of a flow have told.
#[derive(Clone, Copy, Debug)]
struct Open {
    last: Nanos,
    sums: [(u64, u64); 2],
    is_counted: bool,
}

/// Both ends in the order in which a rule names them.
struct Oriented {
    from: (Far, u16),
    to: (Far, u16),
    is_guessed: bool,
}

impl<'i> Talks<'i> {
    /// Of equipment of this inventory, from then on.
    pub(crate) fn since(inventory: &'i Inventory, since: Nanos) -> Self {
        Self {
            inventory,
            talks: BTreeMap::new(),
            counts: Counts::default(),
            span: None,
            active: BTreeSet::new(),
            visits: BTreeMap::new(),
            visit_count: 0,
            findings: BTreeMap::new(),
            open: HashMap::new(),
            since,
        }
    }

    /// Takes a record of a flow in; the records of one flow are joined by its id.
    pub(crate) fn take(&mut self, record: &Record, is_allowed: bool) {
        let before = self.open.remove(&(record.flow_id.clone(), record.first.0));
        let sums = [record.to_server, record.to_client];
        let is_past = record.last < self.since;
        if record.goes_on {
            let is_counted = !is_past || before.is_some_and(|open| open.is_counted);
            self.keep_open(record, Open { last: record.last, sums, is_counted });
        }
        if is_past {
            return;
        }
        let told = before.map_or([(0, 0); 2], |open| open.sums);
        let more = |side: usize| {
            let ((packets, bytes), (told_packets, told_bytes)) = (sums[side], told[side]);
            (packets.saturating_sub(told_packets), bytes.saturating_sub(told_bytes))
        };
        let is_new = !before.is_some_and(|open| open.is_counted);
        let ([to_server, to_client], is_open) = ([more(0), more(1)], before.is_some());
        self.add(record, is_allowed, is_new, [to_server, to_client], is_open);
    }

    fn keep_open(&mut self, record: &Record, open: Open) {
        if self.open.len() >= OPEN {
            self.open.retain(|_, open| record.last.since(open.last) < LOST);
        }
        if self.open.len() < OPEN {
            self.open.insert((record.flow_id.clone(), record.first.0), open);
        }
    }

    fn add(
        &mut self,
        record: &Record,
        is_allowed: bool,
        is_new: bool,
        [to_server, to_client]: [(u64, u64); 2],
        was_open: bool,
    ) {
        let one = u64::from(is_new);
        self.counts.flows += one;
        let (first, last) = self.span.unwrap_or((record.first, record.last));
        self.span = Some((first.min(record.first.max(self.since)), last.max(record.last)));
        let Some(own) = self.inventory.find(&record.equipment) else {
            self.counts.unlisted += one;
            return;
        };
        let own_first = record.peer.0 != record.source.0;
        let peer = record.peer.1.as_deref().and_then(|id| self.inventory.find(id));
        let peer = peer.map_or(Far::Stranger(record.peer.0), Far::Equipment);
        let own = Far::Equipment(own);
        let oriented = orient(record, if own_first { (own, peer) } else { (peer, own) });
        let Oriented { from, to, is_guessed } = oriented;
        let mut acts = |far: Far| {
            if let Far::Equipment(id) = far {
                self.active.insert(id);
            }
        };
        [from.0, to.0].into_iter().for_each(&mut acts);
        let (equipment, far, serves) = match (from.0, to.0) {
            (Far::Equipment(id), far) => (id, far, false),
            (far, Far::Equipment(id)) => (id, far, true),
            _ => return,
        };
        let is_icmp = matches!(record.protocol, 1 | 58);
        let by_stranger = record.is_opener_known && matches!(peer, Far::Stranger(_)) && !own_first;
        if is_allowed {
            self.counts.allowed += one;
            self.visit(equipment, far, record.name.as_deref());
            return;
        }
        if is_icmp && !record.is_opener_known {
            self.counts.unopened += one;
            return;
        }
        if by_stranger && (is_icmp || !is_answered(record)) {
            self.counts.unanswered += one;
            return;
        }
        let has_ports = matches!(record.protocol, TCP | UDP | SCTP);
        let port = has_ports.then_some(to.1).filter(|port| *port > 0);
        if has_ports && port.is_none() {
            self.counts.portless += one;
            return;
        }
        self.visit(equipment, far, record.name.as_deref());
        let key = Key { equipment, far, protocol: record.protocol, port, serves };
        let (sent, received) = match equipment_sent_first(&key, own_first, own) {
            true => (to_server, to_client),
            false => (to_client, to_server),
        };
        let begins = record.first.max(self.since);
        let talk = self.talks.entry(key).or_insert_with(|| Talk::new(begins));
        let is_new_day = talk.days == 0 || talk.last.day() < record.last.day();
        talk.days += u32::from(is_new_day);
        talk.flows += one;
        talk.first = talk.first.min(begins);
        talk.last = talk.last.max(record.last);
        add_to(&mut talk.sent, sent);
        add_to(&mut talk.received, received);
        talk.course.add(record.last, sent.1);
        talk.is_nightly &= is_night(record.last)
            && (was_open || is_night(begins))
            && record.last.since(record.first) < Nanos::from_secs(8 * 3600);
        talk.was_answered |= by_stranger;
        talk.is_guessed |= is_guessed;
        if let Some(name) = record.name.as_deref().filter(|_| talk.names.len() < NAMES) {
            talk.names.insert(name.to_owned());
        }
        if is_new {
            talk.beat(Beat { at: record.first, bytes: sent.1 });
        }
        if self.talks.len() > TALKS {
            self.forget();
        }
    }

    /// Notes an alert; what it says of a stranger holds for the stranger's network, as alerts do.
    /// Restricted ones are left out.
    pub(crate) fn flag(&mut self, flagged: &Flagged) {
        // A policy may be read by many, who must not learn from a proposal who is intercepted.
        if Detection::find(&flagged.detection).is_none_or(Detection::is_restricted) {
            return;
        }
        let Some(equipment) = self.inventory.find(&flagged.equipment) else { return };
        if flagged.last < self.since || self.findings.len() >= FINDINGS {
            return;
        }
        let peer = flagged.peer_equipment.as_deref().and_then(|id| self.inventory.find(id));
        let far = match (peer, Place::of(flagged.peer)) {
            (Some(id), _) => Far::Equipment(id),
            (None, Place::Network(net)) => Far::Stranger(net),
            (None, Place::Name(_)) => return,
        };
        self.findings.entry((equipment, far)).or_default().insert(flagged.detection.clone());
    }

    /// The detections that named equipment and a peer.
    pub(crate) fn findings(&self, equipment: EquipmentId, far: Far) -> impl Iterator<Item = &str> {
        let far = match far {
            Far::Stranger(address) => match Place::of(address) {
                Place::Network(net) => Far::Stranger(net),
                Place::Name(_) => far,
            },
            equipment => equipment,
        };
        let found = self.findings.get(&(equipment, far));
        found.into_iter().flatten().map(String::as_str)
    }

    fn visit(&mut self, equipment: EquipmentId, far: Far, name: Option<&str>) {
        let Far::Stranger(address) = far else { return };
        let name = name.map(|name| Place::Name(name.to_ascii_lowercase()));
        for place in [Some(Place::of(address)), name].into_iter().flatten() {
            if self.visit_count < VISITS && self.visits.entry(place).or_default().insert(equipment)
            {
                self.visit_count += 1;
            }
        }
    }

    /// The equipment that turned to a place.
    pub(crate) fn visitors(&self, place: &Place) -> impl Iterator<Item = EquipmentId> + Clone {
        self.visits.get(place).into_iter().flatten().copied()
    }

    /// The equipment that did anything.
    pub(crate) fn active(&self) -> impl Iterator<Item = EquipmentId> {
        self.active.iter().copied()
    }

    /// Halves the talks.
    fn forget(&mut self) {
        let mut ranked: Vec<(Key, u64)> =
            self.talks.iter().map(|(key, talk)| (*key, talk.flows)).collect();
        ranked.sort_by_key(|(key, flows)| (key.equipment, u64::MAX - flows, *key));
        let mut rank = (None, 0_usize);
        let mut ranked: Vec<(usize, Key, u64)> = ranked
            .into_iter()
            .map(|(key, flows)| {
                rank = if rank.0 == Some(key.equipment) {
                    (rank.0, rank.1 + 1)
                } else {
                    (Some(key.equipment), 0)
                };
                (rank.1, key, flows)
            })
            .collect();
        ranked.sort_by_key(|(rank, key, _)| (*rank, *key));
        for (_, key, flows) in ranked.split_off(TALKS / 2) {
            self.talks.remove(&key);
            self.counts.forgotten.0 += 1;
            self.counts.forgotten.1 += flows;
        }
    }
}

fn add_to(sum: &mut (u64, u64), more: (u64, u64)) {
    *sum = (sum.0.saturating_add(more.0), sum.1.saturating_add(more.1));
}

/// Whether the record's first side is the equipment of the key.
fn equipment_sent_first(key: &Key, own_first: bool, own: Far) -> bool {
    own_first == (own == Far::Equipment(key.equipment))
}

/// Whether data came back: a scanner gets RST, or a SYN-ACK without data, at most.
fn is_answered(record: &Record) -> bool {
    let (packets, bytes) = record.to_client;
    match record.protocol {
        TCP => record.answer_flags & PSH != 0 || bytes > packets.saturating_mul(EMPTY),
        SCTP => bytes > packets.saturating_mul(EMPTY),
        _ => packets > 0,
    }
}

/// Who opened it, as the policy asks: as it was seen; where the opening of a connection was missed,
/// or an answer was the first datagram seen, the side with a service's port responds.
fn orient(record: &Record, (first, second): (Far, Far)) -> Oriented {
    let (source, destination) = ((first, record.source.1), (second, record.destination.1));
    let weight = |port: u16| match ServiceMatch::known_as(record.protocol, Some(port)) {
        Some(_) => 2,
        None => u8::from((1..1024).contains(&port)),
    };
    let (ours, theirs) = (weight(source.1), weight(destination.1));
    let is_guessed = matches!(record.protocol, TCP | SCTP) && !record.is_opener_known;
    let is_turned = match record.protocol {
        TCP | SCTP => is_guessed && (ours, destination.1) > (theirs, source.1),
        UDP => ours == 2 && theirs == 0,
        _ => false,
    };
    let (from, to) = if is_turned { (destination, source) } else { (source, destination) };
    Oriented { from, to, is_guessed }
}

fn is_night(time: Nanos) -> bool {
    !(6..22).contains(&(time.0 / 3_600_000_000_000 % 24))
}

#[cfg(test)]
#[path = "talks_tests.rs"]
mod tests;
