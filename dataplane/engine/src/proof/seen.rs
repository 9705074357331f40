//! The digests of the last minute: where each packet was seen on its way. A row is judged when
//! its time is over, so that neither order nor delay between two taps matters.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasherDefault;
use std::net::IpAddr;

use arrayvec::ArrayVec;
use weir_wire::Address;

use super::digest::Digests;
use super::path::Hop;
use super::sample::Sample;
use crate::Nanos;
use crate::contract::verdict::Tuple;
use crate::keyed_hash::keyed_hash;
use crate::rules::EquipmentId;
use crate::signalling::KeyedHasher;

/// How long a packet may be on its way, buffered while its user is paged.
pub(crate) const WINDOW: Nanos = Nanos::from_secs(60);
/// A copy on the same hop within this time is the tap's: of its lines, or its broker.
const DOUBLED: Nanos = Nanos(50_000_000);
/// Rows at a time.
const DIGESTS: usize = 1 << 19;
/// Hops and UPFs of a packet that are kept.
const HOPS: usize = 8;
const VISITS: usize = 4;
/// Packets of one content that are told apart: users say the same to several others.
const ALIKE: usize = 4;

/// A UPF on a packet's way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visit {
    pub(crate) upf: EquipmentId,
    /// When it came, if that was seen.
    pub(crate) came: Option<Nanos>,
    /// When it left.
    pub(crate) left: Option<Nanos>,
    /// Whether its other side is behind a NAT, so that nothing more is known of it.
    pub(crate) is_masked: bool,
    pub(crate) is_up: bool,
}

/// A packet on its way.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) first: Nanos,
    /// The last time that the row is needed.
    due: Nanos,
    content: u64,
    /// The user's packet.
    pub(crate) user: Tuple,
    pub(crate) bytes: u16,
    /// Whether a UPF that makes or remakes it does what it should: fragments and error reports.
    pub(crate) is_excused: bool,
    is_masked: bool,
    /// Whether its user sent it.
    is_up: bool,
    hops: ArrayVec<(u64, Nanos), HOPS>,
    pub(crate) visits: ArrayVec<Visit, VISITS>,
}

impl Seen {
    fn new(sample: &Sample, hop: Hop, due: Nanos) -> Self {
        Self {
            first: sample.time,
            due,
            content: sample.digests.content,
            user: sample.inner(),
            bytes: sample.bytes,
            is_excused: sample.is_fragment || sample.is_report,
            is_masked: false,
            is_up: hop.is_up,
            hops: ArrayVec::new(),
            visits: ArrayVec::new(),
        }
    }

    /// Whether a UPF has let it out.
    pub(crate) fn has_left(&self) -> bool {
        self.visits.iter().any(|visit| visit.left.is_some() || visit.is_masked)
    }

    /// Whether a sample is this packet with another address of its user.
    fn is_masked_as(&self, sample: &Sample) -> bool {
        if self.is_up {
            self.user.destination == IpAddr::from(sample.user.1)
        } else {
            self.user.source == IpAddr::from(sample.user.0)
        }
    }

    fn mask(&mut self) {
        self.is_masked = true;
        self.visits.iter_mut().for_each(|visit| visit.is_masked = true);
    }

    fn visit(&mut self, upf: EquipmentId, is_up: bool) -> Option<&mut Visit> {
        let known = self.visits.iter().position(|visit| visit.upf == upf);
        if known.is_none() {
            let visit = Visit { upf, came: None, left: None, is_masked: false, is_up };
            self.visits.try_push(visit).ok()?;
        }
        let place = known.unwrap_or(self.visits.len().checked_sub(1)?);
        self.visits.get_mut(place)
    }
}

type Map<V> = HashMap<u64, V, BuildHasherDefault<KeyedHasher>>;

/// The table.
#[derive(Debug)]
pub(crate) struct Table {
    bound: usize,
    rows: Map<Seen>,
    /// The rows of each content.
    contents: Map<ArrayVec<u64, ALIKE>>,
    order: VecDeque<(Nanos, u64)>,
    latest: Nanos,
    evictions: u64,
}

impl Default for Table {
    fn default() -> Self {
        Self::of(DIGESTS)
    }
}

impl Table {
    /// An empty table of at most so many rows.
    fn of(bound: usize) -> Self {
        Self {
            bound,
            rows: Map::default(),
            contents: Map::default(),
            order: VecDeque::new(),
            latest: Nanos(0),
            evictions: 0,
        }
    }

    /// The row of a packet.
    pub(crate) fn find(&self, sample: &Sample) -> Option<&Seen> {
        self.rows.get(&sample.digests.whole)
    }

    /// The rows of packets with the same content and other ends.
    fn alike(&self, whole: u64, content: u64) -> impl Iterator<Item = (u64, &Seen)> {
        let rows = self.contents.get(&content).into_iter().flatten();
        rows.filter(move |of| **of != whole).filter_map(|of| Some((*of, self.rows.get(of)?)))
    }

    /// The row of a packet that a sample repeats with other ends: with another one than its
    /// user's too, which no NAT between them changes.
    pub(crate) fn find_rewritten(&self, sample: &Sample) -> Option<&Seen> {
        let Digests { whole, content } = sample.digests;
        let mut alike = self.alike(whole, content).map(|(_, seen)| seen).peekable();
        let first = alike.peek().copied()?;
        alike.all(|seen| !seen.is_masked_as(sample)).then_some(first)
    }

    /// Whether a sample is a packet on its way behind a NAT; then it is noted that there is one.
    pub(crate) fn mask(&mut self, sample: &Sample) -> bool {
        let Digests { whole, content } = sample.digests;
        let mut alike = self.alike(whole, content);
        let Some((of, _)) = alike.find(|(_, seen)| seen.is_masked_as(sample)) else {
            return false;
        };
        drop(alike);
        if let Some(seen) = self.rows.get_mut(&of) {
            seen.mask();
        }
        true
    }

    /// Whether the tap has told of a packet on this hop already.
    pub(crate) fn is_doubled(&self, sample: &Sample) -> bool {
        let hop = hop_of(sample);
        self.find(sample).is_some_and(|seen| {
            let mut same = seen.hops.iter().filter(|(of, _)| *of == hop);
            same.any(|(_, at)| sample.time.since(*at).max(at.since(sample.time)) <= DOUBLED)
        })
    }

    /// Notes a packet on its way. Gives the row that made room for it, if one did.
    pub(crate) fn note(&mut self, sample: &Sample, hop: Hop) -> Option<Seen> {
        let whole = sample.digests.whole;
        let mut evicted = None;
        if !self.rows.contains_key(&whole) {
            if self.rows.len() >= self.bound {
                evicted = self.pop();
                self.evictions += 1;
            }
            self.latest = self.latest.max(sample.time);
            let due = self.latest.plus(WINDOW);
            self.order.push_back((due, whole));
            if sample.digests.content != 0 {
                // Beyond those the first stand for all.
                let alike = self.contents.entry(sample.digests.content).or_default();
                if !alike.is_full() {
                    alike.push(whole);
                }
            }
        }
        let due = self.latest.plus(WINDOW);
        let seen = self.rows.entry(whole).or_insert_with(|| Seen::new(sample, hop, due));
        seen.first = seen.first.min(sample.time);
        seen.is_masked |= hop.is_masked;
        note_hop(seen, hop_of(sample), sample.time);
        if let Some(visit) = hop.came.and_then(|upf| seen.visit(upf, hop.is_up)) {
            visit.came.get_or_insert(sample.time);
        }
        if let Some(visit) = hop.left.and_then(|upf| seen.visit(upf, hop.is_up)) {
            visit.left.get_or_insert(sample.time);
        }
        self.unmask(whole);
        evicted
    }

    /// A packet before and after a declared NAT is one: what left with another address came out,
    /// and what came with another one came in.
    fn unmask(&mut self, whole: u64) {
        let Some(seen) = self.rows.get(&whole) else { return };
        let others: ArrayVec<(u64, bool), ALIKE> =
            self.alike(whole, seen.content).map(|(of, other)| (of, other.is_masked)).collect();
        let is_masked = seen.is_masked;
        let is_of_nat = is_masked || others.iter().any(|(_, is_masked)| *is_masked);
        if is_of_nat {
            let rows = others.iter().map(|(of, _)| *of).chain([whole]);
            for row in rows {
                let visits = self.rows.get_mut(&row).into_iter().flat_map(|seen| &mut seen.visits);
                visits.for_each(|visit| visit.is_masked = true);
            }
        }
    }

    /// The next row whose time is over at `now`.
    pub(crate) fn due(&mut self, now: Nanos) -> Option<Seen> {
        let (due, _) = *self.order.front()?;
        if due > now { None } else { self.pop() }
    }

    fn pop(&mut self) -> Option<Seen> {
        let (due, whole) = self.order.pop_front()?;
        let seen = self.rows.remove(&whole)?;
        debug_assert_eq!(seen.due, due);
        if let Some(alike) = self.contents.get_mut(&seen.content) {
            alike.retain(|of| *of != whole);
            if alike.is_empty() {
                self.contents.remove(&seen.content);
            }
        }
        Some(seen)
    }

    /// Empties the table; what it gave up stays counted.
    pub(crate) fn forget(&mut self) {
        self.rows.clear();
        self.contents.clear();
        self.order.clear();
        self.latest = Nanos(0);
    }

    pub(crate) fn evictions(&self) -> u64 {
        self.evictions
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }
}

/// Of more hops than are kept, the first stays: it is the one that others are doubles of.
fn note_hop(seen: &mut Seen, hop: u64, at: Nanos) {
    if let Some((_, last)) = seen.hops.iter_mut().find(|(of, _)| *of == hop) {
        *last = (*last).max(at);
    } else if !seen.hops.is_full() {
        seen.hops.push((hop, at));
    }
}

/// What makes two places one hop: the link, the outermost ends and the tunnel.
fn hop_of(sample: &Sample) -> u64 {
    let fold = |Address(ends): Address| ends as u64 ^ (ends >> 64) as u64;
    let port = u64::from(sample.port) << 16 | u64::from(sample.protocol) << 8;
    keyed_hash(
        [fold(sample.from), fold(sample.to), port, u64::from(sample.teid), sample.link as u64],
        sample.digests.whole,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::test_samples;

    const UPF: EquipmentId = EquipmentId(2);

    fn sample(millis: u64, whole: u64, to: u128) -> Sample {
        let time = Nanos(1_000_000_000_000 + millis * 1_000_000);
        test_samples::sample(time, Digests { whole, content: whole ^ 0xff00 }, to)
    }

    fn came() -> Hop {
        Hop { came: Some(UPF), is_up: true, ..Hop::default() }
    }

    #[test]
    fn the_same_hop_within_50_ms_is_the_taps_doing() {
        let mut table = Table::of(16);
        table.note(&sample(0, 7, 2), came());
        assert!(table.is_doubled(&sample(50, 7, 2)));
        assert!(!table.is_doubled(&sample(51, 7, 2)), "sent again");
        assert!(!table.is_doubled(&sample(1, 7, 5)), "another hop");
        assert!(!table.is_doubled(&Sample { teid: 2, ..sample(1, 7, 2) }));
    }

    #[test]
    fn a_row_is_judged_when_its_minute_is_over_whatever_came_first() {
        let mut table = Table::of(16);
        let left = Hop { left: Some(UPF), is_up: true, ..Hop::default() };
        table.note(&sample(20, 7, 3), left);
        table.note(&sample(0, 7, 2), came());
        assert!(table.due(sample(59_000, 0, 0).time).is_none());
        let seen = table.due(sample(61_000, 0, 0).time).unwrap();
        let [visit] = seen.visits[..] else { panic!("{:?}", seen.visits) };
        assert!(visit.came.is_some() && visit.left.is_some() && seen.has_left());
        assert_eq!(table.len(), 0);
        assert!(table.contents.is_empty() && table.order.is_empty());
    }

    #[test]
    fn a_flood_of_digests_pushes_the_oldest_out_and_nothing_else_grows() {
        let mut table = Table::of(64);
        let mut pushed = Vec::new();
        for n in 0..1_000 {
            pushed.extend(table.note(&sample(n, n + 1, 2), came()).map(|seen| seen.first));
        }
        assert_eq!((table.len(), table.evictions()), (64, 936));
        assert_eq!((table.order.len(), table.contents.len()), (64, 64));
        assert!(pushed.is_sorted() && pushed.len() == 936);
        // One packet on ever new hops.
        for to in 0..1_000 {
            table.note(&Sample { time: sample(1_001, 0, 0).time, ..sample(0, 5_000, to) }, came());
        }
        let seen = table.find(&sample(0, 5_000, 0)).unwrap();
        assert_eq!((seen.hops.len(), seen.visits.len()), (HOPS, 1));
    }
}
