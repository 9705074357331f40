//! Streams of copies: sessions that an order copies, and sessions whose copies proof saw though no
//! order is known. How many go to a place is held against how many are authorised, over all UPFs
//! together; what is too much is told in counts.

use std::collections::{BTreeMap, HashMap};

use weir_wire::Address;

use super::Signalling;
use super::session::SessionRef;
use crate::Nanos;
use crate::contract::streams::Streams;
use crate::rules::{EquipmentId, Roles, Rules};

/// Places that are followed at a time.
const PLACES: usize = 4096;
/// Sessions that orders copy, and as many that are seen copied without.
const STREAMS: usize = 1 << 16;
/// How long a place without streams is remembered.
const MEMORY: Nanos = Nanos::from_secs(60);
/// A change is told no sooner after the record before.
const PAUSE: Nanos = Nanos::from_secs(1);
/// What does not change is told again so often: so time passes for who is told.
const REPEAT: Nanos = Nanos::from_secs(10);

/// Looking walks all that are seen: no sooner again than this.
const LOOK: Nanos = Nanos(100_000_000);

/// Where copies go; none: where the UPF is set to send them.
type To = Option<Address>;

/// A session that an order copies.
#[derive(Clone, Copy, Debug)]
struct Ordered {
    to: To,
    /// The UPF's address on N4.
    up: Address,
}

/// Whose copies were seen: of a session, if it is known, from an equipment, if it is one.
type Seen = (Option<SessionRef>, To, Option<EquipmentId>);

/// A place that copies go to.
#[derive(Clone, Copy, Debug)]
struct Place {
    number: u32,
    /// Who was told of: at the end nobody copies any more.
    suspect: Option<EquipmentId>,
    /// Whether it was one of interception at any time since copies go there.
    was_declared: bool,
    /// Sessions that orders copy there, and the most at a time since the last look.
    orders: u32,
    peak: u32,
    /// Since the last record.
    fewest: u32,
    most: u32,
    authorised: u32,
    /// What the last record ended with, if there were too many then.
    told: Option<Standing>,
    /// When that was, if there was one.
    said: Option<Nanos>,
    /// When there was a stream last.
    alive: Nanos,
}

/// How a place stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Standing {
    at: Nanos,
    streams: u32,
    authorised: u32,
}

/// All streams.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    ordered: HashMap<SessionRef, Ordered>,
    seen: BTreeMap<Seen, Nanos>,
    places: BTreeMap<To, Place>,
    numbers: u32,
    refused: u64,
    /// When they were looked at last.
    looked: Option<Nanos>,
}

impl Copies {
    /// An order copies a session to a place, and nowhere else.
    pub(super) fn order(&mut self, at: SessionRef, up: Address, to: To, now: Nanos) {
        if self.ordered.len() >= STREAMS && !self.ordered.contains_key(&at) {
            self.refused += 1;
            return;
        }
        self.end_order(at);
        if let Some(place) = self.place(to, now) {
            place.orders += 1;
            place.peak = place.peak.max(place.orders);
            self.ordered.insert(at, Ordered { to, up });
        }
    }

    /// No order copies a session any more.
    pub(super) fn end_order(&mut self, at: SessionRef) {
        let ended = self.ordered.remove(&at);
        if let Some(place) = ended.and_then(|order| self.places.get_mut(&order.to)) {
            place.orders -= 1;
        }
    }

    /// A session is over.
    pub(super) fn forget(&mut self, at: SessionRef) {
        self.end_order(at);
        let of = (Some(at), None, None);
        while let Some(key) = self.seen.range(of..).next().map(|(key, _)| *key)
            && key.0 == Some(at)
        {
            self.seen.remove(&key);
        }
    }

    /// Numbers of equipment mean others now.
    pub(super) fn forget_equipment(&mut self) {
        self.seen = std::mem::take(&mut self.seen)
            .into_iter()
            .map(|((session, to, _), at)| ((session, to, None), at))
            .collect();
        self.places.values_mut().for_each(|place| place.suspect = None);
    }

    /// Copies were seen.
    fn see(&mut self, seen: Seen, at: Nanos) {
        if self.seen.len() >= STREAMS && !self.seen.contains_key(&seen) {
            self.refused += 1;
            return;
        }
        if self.place(seen.1, at).is_some() {
            let last = self.seen.entry(seen).or_default();
            *last = at.max(*last);
        }
    }

    fn place(&mut self, to: To, now: Nanos) -> Option<&mut Place> {
        if self.places.len() >= PLACES && !self.places.contains_key(&to) {
            self.refused += 1;
            return None;
        }
        Some(self.places.entry(to).or_insert_with(|| {
            self.numbers = self.numbers.wrapping_add(1);
            Place {
                number: self.numbers,
                suspect: None,
                was_declared: false,
                orders: 0,
                peak: 0,
                fewest: 0,
                most: 0,
                authorised: 0,
                told: None,
                said: None,
                alive: now,
            }
        }))
    }

    /// How many streams there are to each place beside those that orders make: one a session.
    fn unordered(&self) -> HashMap<To, u32> {
        let mut counts: HashMap<To, u32> = HashMap::new();
        let mut before = None;
        for (session, to, _) in self.seen.keys() {
            // Several equipment that copy a session to one place, one behind the other, are one
            // stream: they are neighbours.
            let is_ordered = session
                .is_some_and(|at| self.ordered.get(&at).is_some_and(|order| order.to == *to));
            if !is_ordered && (session.is_none() || before != Some((*session, *to))) {
                *counts.entry(*to).or_default() += 1;
            }
            before = Some((*session, *to));
        }
        counts
    }

    /// Of each of these places the UPF that copies most there beyond what it may; of several the
    /// first.
    fn suspects(&self, due: &[(To, Standing)], rules: &Rules) -> HashMap<To, EquipmentId> {
        let mut streams: HashMap<To, BTreeMap<EquipmentId, i64>> =
            due.iter().map(|(to, _)| (*to, BTreeMap::new())).collect();
        let ordered = self.ordered.values().map(|order| (order.to, rules.holder(order.up)));
        let seen = self.seen.keys().map(|(_, to, by)| (*to, *by));
        for (to, by) in ordered.chain(seen) {
            if let (Some(of), Some(upf)) = (streams.get_mut(&to), by) {
                *of.entry(upf).or_default() += 1;
            }
        }
        let beyond = |to: To, upf, streams| {
            let may = to.map_or(0, |to| rules.authorised_copies(Some(upf), to));
            streams - i64::from(may)
        };
        let most = |to, of: BTreeMap<EquipmentId, i64>| {
            let of = of.into_iter().map(|(upf, streams)| (beyond(to, upf, streams), upf));
            of.max_by_key(|(beyond, upf)| (*beyond, std::cmp::Reverse(upf.0)))
        };
        streams.into_iter().filter_map(|(to, of)| Some((to, most(to, of)?.1))).collect()
    }

    /// Whether it is time to look again. The peaks hold what is between; a clock that was set
    /// back begins anew.
    fn is_due(&self, now: Nanos) -> bool {
        self.looked.is_none_or(|looked| now < looked || now.since(looked) >= LOOK)
    }

    /// Looks how the places stand at `now`, and tells of those that have more streams than are
    /// authorised, or had. What was seen copied goes on for `window` after its last copy. The last
    /// look tells what would wait.
    fn look(
        &mut self,
        (now, is_last): (Nanos, bool),
        rules: &Rules,
        window: Nanos,
        say: &mut impl FnMut(Streams),
    ) {
        if !is_last && !self.is_due(now) {
            return;
        }
        self.looked = Some(now);
        self.seen.retain(|_, last| now.since(*last) < window);
        if self.places.is_empty() {
            return;
        }
        let unordered = self.unordered();
        let mut due = Vec::new();
        self.places.retain(|to, place| {
            let streams = place.orders + unordered.get(to).copied().unwrap_or(0);
            let authorised = to.map_or(0, |to| rules.authorised_anywhere(to));
            place.was_declared |= to.is_some_and(|to| is_mediation(to, rules));
            if streams > 0 || now < place.alive {
                place.alive = now;
            }
            let most = std::mem::take(&mut place.peak).max(streams);
            let is_judged = rules.declares_interception();
            if place.note((streams, most), authorised, (now, is_last), is_judged) {
                due.push((*to, Standing { at: now, streams, authorised }));
            }
            streams > 0 || place.told.is_some() || now.since(place.alive) < MEMORY
        });
        let suspects = self.suspects(&due, rules);
        for (to, standing) in due {
            if let Some(place) = self.places.get_mut(&to) {
                place.suspect = suspects.get(&to).copied().or(place.suspect);
                say(Streams { policy: rules.version(), ..place.tell(standing) });
            }
        }
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused
    }
}

impl Place {
    /// Notes how it stands; whether that is to be told.
    fn note(
        &mut self,
        (streams, most): (u32, u32),
        authorised: u32,
        (now, is_last): (Nanos, bool),
        is_judged: bool,
    ) -> bool {
        // At the end nothing waits for its turn, but what was told just now is not told twice.
        let (pause, repeat) = if is_last { (Nanos(0), Nanos(1)) } else { (PAUSE, REPEAT) };
        // A clock that was set back begins anew.
        let waited = self.said.filter(|said| *said <= now).map_or(REPEAT, |said| now.since(said));
        self.most = self.most.max(most);
        let Some(told) = self.told.filter(|_| is_judged) else {
            (self.told, self.fewest, self.authorised) = (None, streams, authorised);
            // Who is no mediation function must not have any for a moment.
            let worst = if self.was_declared { streams } else { self.most };
            let is_due = is_judged && worst > authorised && waited >= pause;
            if !is_judged || waited >= pause && !is_due {
                self.most = 0;
            }
            return is_due;
        };
        self.fewest = self.fewest.min(streams);
        self.authorised = self.authorised.max(authorised);
        let has_changed = (told.streams, told.authorised) != (streams, authorised);
        waited >= repeat || has_changed && waited >= pause
    }

    /// Its record, without what others know.
    fn tell(&mut self, standing: Standing) -> Streams {
        let record = Streams {
            place: self.number,
            upf: self.suspect,
            is_declared: self.was_declared,
            fewest: self.fewest,
            most: self.most,
            authorised: self.authorised,
            from: self.told.map_or(standing.at, |told| told.at.min(standing.at)),
            until: standing.at,
            coverage: None,
            loss_ratio: 0.0,
            degraded: false,
            policy: 0,
        };
        let Standing { streams, authorised, .. } = standing;
        (self.fewest, self.most, self.authorised) = (streams, streams, authorised);
        self.told = (streams > authorised).then_some(standing);
        self.said = Some(standing.at);
        record
    }
}

/// Whether the policy knows a place as one of interception.
fn is_mediation(to: Address, rules: &Rules) -> bool {
    let entry = rules.holder(to).and_then(|id| rules.equipment(id));
    rules.is_mediation(to) || entry.is_some_and(|entry| entry.roles.any(Roles::MEDIATION))
}

impl Signalling {
    /// Proof saw copies of a session, if it is known, go to a place.
    pub(crate) fn see_copies(
        &mut self,
        of: Option<SessionRef>,
        to: Address,
        by: Option<EquipmentId>,
        last: Nanos,
    ) {
        self.streams.see((of, Some(to), by), last);
    }

    /// Looks how many streams of copies there are at `now`, if it is time to.
    pub(super) fn look_at_streams(&mut self, now: Nanos) {
        self.tell_of_streams(now, false);
    }

    /// Looks a last time, at the end of the input.
    pub(crate) fn look_at_streams_last(&mut self, now: Nanos) {
        self.tell_of_streams(now, true);
    }

    fn tell_of_streams(&mut self, now: Nanos, is_last: bool) {
        let Some(rules) = self.rules.clone() else { return };
        let (whole, seen) = self.coverage();
        let coverage = (seen > 0).then(|| whole as f64 / seen as f64);
        let degraded = coverage.is_some_and(|share| share < self.settings.blind_coverage);
        let coverage = coverage.map(|share| share as f32);
        let standings = &mut self.standings;
        self.streams.look((now, is_last), &rules, self.settings.dup_window, &mut |streams| {
            standings.push(Streams { coverage, degraded, ..streams });
        });
    }

    /// Takes what is to be told of streams.
    pub fn standings(&mut self) -> std::vec::Drain<'_, Streams> {
        self.standings.drain(..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lpm::Prefix;
    use crate::rules::{Authorised, Equipment, RuleSet};

    const UPFS: [[u8; 4]; 2] = [[10, 0, 1, 1], [10, 0, 1, 2]];
    const FUNCTION: [u8; 4] = [10, 9, 9, 9];
    const THIEF: [u8; 4] = [198, 51, 100, 7];

    fn rules(sessions: Option<u32>) -> Rules {
        let equipment = |address: [u8; 4], roles| Equipment {
            roles,
            prefixes: vec![Prefix::new(Address::v4(address), 32).unwrap()],
            ..Equipment::default()
        };
        let order = |sessions| Authorised { upf: None, to: Address::v4(FUNCTION), sessions };
        Rules::compile(RuleSet {
            equipment: vec![equipment(UPFS[0], Roles::UPF), equipment(UPFS[1], Roles::UPF)],
            authorised: sessions
                .map(|sessions| if sessions == 0 { vec![] } else { vec![order(sessions)] }),
            ..RuleSet::default()
        })
        .unwrap()
    }

    fn session(place: u32) -> SessionRef {
        SessionRef { place, uses: 1 }
    }

    fn at(tenths: u64) -> Nanos {
        Nanos(Nanos::from_secs(1_000).0 + tenths * 100_000_000)
    }

    /// Copies of so many sessions, of every other UPF in turn.
    fn copied(copies: &mut Copies, sessions: std::ops::Range<u32>, to: [u8; 4], now: Nanos) {
        for place in sessions {
            let up = Address::v4(UPFS[place as usize % 2]);
            copies.order(session(place), up, Some(Address::v4(to)), now);
        }
    }

    fn look(copies: &mut Copies, now: Nanos, rules: &Rules) -> Vec<Streams> {
        let mut said = Vec::new();
        copies.look((now, false), rules, Nanos::from_secs(3_600), &mut |it| said.push(it));
        said
    }

    #[test]
    fn as_many_as_are_authorised_are_told_to_nobody() {
        let (mut copies, rules) = (Copies::default(), rules(Some(2)));
        copied(&mut copies, 0..2, FUNCTION, at(0));
        assert!((0..1_000).all(|now| look(&mut copies, at(now), &rules).is_empty()));
    }

    #[test]
    fn what_is_beyond_over_all_upfs_is_told_until_it_ends() {
        let (mut copies, rules) = (Copies::default(), rules(Some(2)));
        copied(&mut copies, 0..3, FUNCTION, at(0));
        let said: Vec<_> = (0..=350).flat_map(|now| look(&mut copies, at(now), &rules)).collect();
        // At once, and every ten seconds; each goes on where the one before ended.
        assert_eq!(said.len(), 4);
        assert!(said.windows(2).all(|pair| pair[0].until == pair[1].from));
        let Streams { upf, is_declared, fewest, most, authorised, .. } = said[3];
        // Two of the three are of the first.
        assert_eq!(upf, Some(EquipmentId(0)));
        assert_eq!((is_declared, fewest, most, authorised), (true, 3, 3, 2));
        (0..3).for_each(|n| copies.end_order(session(n)));
        let last = look(&mut copies, at(351), &rules);
        assert_eq!((last.len(), last[0].fewest, last[0].until), (1, 0, at(351)));
        // Though nobody copies any more.
        assert_eq!(last[0].upf, upf);
        assert!((352..900).all(|now| look(&mut copies, at(now), &rules).is_empty()));
    }

    #[test]
    fn a_change_of_a_session_does_not_end_its_stream() {
        let (mut copies, rules) = (Copies::default(), rules(Some(0)));
        copied(&mut copies, 0..1, FUNCTION, at(0));
        let mut said = Vec::new();
        for now in 0..300 {
            copies.end_order(session(0));
            copied(&mut copies, 0..1, FUNCTION, at(now));
            said.extend(look(&mut copies, at(now), &rules));
        }
        assert!(said.len() == 3 && said.iter().all(|it| it.fewest == 1), "{said:?}");
    }

    #[test]
    fn nothing_is_told_where_nobody_says_what_is_authorised() {
        let mut copies = Copies::default();
        copied(&mut copies, 0..9, THIEF, at(0));
        assert_eq!(look(&mut copies, at(1), &rules(None)), []);
        let said = look(&mut copies, at(2), &rules(Some(0)));
        assert_eq!((said.len(), said[0].fewest, said[0].from), (1, 9, at(2)));
    }

    #[test]
    fn who_is_no_mediation_function_is_told_of_however_short_it_was() {
        let (mut copies, rules) = (Copies::default(), rules(Some(9)));
        copied(&mut copies, 0..1, THIEF, at(0));
        copies.end_order(session(0));
        copied(&mut copies, 1..2, FUNCTION, at(0));
        copies.end_order(session(1));
        let said = look(&mut copies, at(1), &rules);
        assert_eq!(said.len(), 1);
        assert_eq!((said[0].is_declared, said[0].most, said[0].fewest), (false, 1, 0));
        // Flapping is told once a second at most.
        let mut more = 0;
        for now in 2..102 {
            copied(&mut copies, 0..1, THIEF, at(now));
            copies.end_order(session(0));
            more += look(&mut copies, at(now), &rules).len();
        }
        assert_eq!(more, 10);
    }

    #[test]
    fn the_first_look_is_at_once_and_peaks_hold_what_is_between_two() {
        let (mut copies, rules) = (Copies::default(), rules(Some(9)));
        assert_eq!(look(&mut copies, at(1), &rules), []);
        copied(&mut copies, 0..3, THIEF, at(1));
        let between = Nanos(at(2).0 - 1);
        assert_eq!(look(&mut copies, between, &rules), [], "walked all again within the tenth");
        (0..3).for_each(|n| copies.end_order(session(n)));
        let said = look(&mut copies, at(2), &rules);
        assert_eq!((said.len(), said[0].most, said[0].fewest), (1, 3, 0));
        // A clock that was set back waits for no tenth of what was.
        copied(&mut copies, 0..1, THIEF, at(0));
        assert_eq!(look(&mut copies, at(0), &rules).len(), 1);
    }

    #[test]
    fn the_last_look_tells_what_would_wait() {
        let (mut copies, rules) = (Copies::default(), rules(Some(1)));
        let last = |copies: &mut Copies, now| {
            let mut said = Vec::new();
            copies.look((now, true), &rules, REPEAT, &mut |it| said.push(it));
            said
        };
        copied(&mut copies, 0..2, FUNCTION, at(0));
        assert_eq!(look(&mut copies, at(0), &rules)[0].most, 2);
        // What stands as it was told at this moment is not told again.
        assert_eq!(last(&mut copies, at(0)), []);
        copied(&mut copies, 2..3, FUNCTION, at(0));
        let said = last(&mut copies, Nanos(at(0).0 + 1));
        assert_eq!((said.len(), said[0].fewest, said[0].most), (1, 2, 3));
        assert_eq!((said[0].from, said[0].until), (at(0), Nanos(at(0).0 + 1)));
        // Nor is anything told of who copies no more than it may.
        let mut copies = Copies::default();
        copied(&mut copies, 0..1, FUNCTION, at(0));
        assert_eq!(last(&mut copies, at(0)), []);
    }

    #[test]
    fn a_mediation_function_of_the_inventory_is_declared_without_any_authorisation() {
        let equipment = Equipment {
            roles: Roles::MEDIATION,
            prefixes: vec![Prefix::new(Address::v4(FUNCTION), 32).unwrap()],
            ..Equipment::default()
        };
        let set = RuleSet {
            equipment: vec![equipment],
            authorised: Some(Vec::new()),
            ..RuleSet::default()
        };
        let mut copies = Copies::default();
        copied(&mut copies, 0..1, FUNCTION, at(0));
        let said = look(&mut copies, at(1), &Rules::compile(set).unwrap());
        assert_eq!((said[0].is_declared, said[0].authorised), (true, 0));
    }

    #[test]
    fn one_whose_authorisation_ended_was_declared_nevertheless() {
        let mut copies = Copies::default();
        copied(&mut copies, 0..1, FUNCTION, at(0));
        assert_eq!(look(&mut copies, at(1), &rules(Some(1))), []);
        let said = look(&mut copies, at(2), &rules(Some(0)));
        assert_eq!((said[0].is_declared, said[0].fewest, said[0].authorised), (true, 1, 0));
    }

    #[test]
    fn copies_that_are_seen_count_once_a_session_and_beside_what_is_ordered() {
        let (mut copies, rules) = (Copies::default(), rules(Some(1)));
        let to = Some(Address::v4(FUNCTION));
        copied(&mut copies, 0..1, FUNCTION, at(0));
        copies.see((Some(session(0)), to, Some(EquipmentId(0))), at(1));
        assert_eq!(look(&mut copies, at(1), &rules), []);
        for upf in 0..2 {
            copies.see((Some(session(7)), to, Some(EquipmentId(upf))), at(1));
        }
        copies.see((None, to, None), at(1));
        assert_eq!(look(&mut copies, at(2), &rules)[0].fewest, 3);
        copies.forget(session(7));
        assert_eq!(look(&mut copies, at(12), &rules)[0].fewest, 2);
        // An hour after the last copy it has ended.
        let over = look(&mut copies, at(36_011), &rules);
        assert_eq!((over[0].fewest, over[0].authorised), (1, 1));
    }

    #[test]
    fn whatever_is_ordered_and_seen_memory_is_bounded() {
        let (mut copies, rules) = (Copies::default(), rules(Some(1)));
        for n in 0..2 * STREAMS as u32 {
            let to = Some(Address::v4(n.to_be_bytes()));
            copies.order(session(n), Address::v4(UPFS[0]), to, at(0));
            copies.see((Some(session(n)), to, None), at(0));
        }
        assert_eq!((copies.places.len(), copies.ordered.len()), (PLACES, PLACES));
        assert!(copies.refused() > 0 && copies.seen.len() <= STREAMS);
        assert_eq!(look(&mut copies, at(1), &rules).len(), PLACES);
        // To one place as many as there is room for.
        let mut copies = Copies::default();
        copied(&mut copies, 0..2 * STREAMS as u32, FUNCTION, at(0));
        assert_eq!((copies.ordered.len(), copies.refused()), (STREAMS, STREAMS as u64));
        for n in 0..2 * STREAMS as u32 {
            copies.forget(session(n));
        }
        look(&mut copies, at(1), &rules);
        look(&mut copies, at(700), &rules);
        assert!(copies.places.is_empty() && copies.ordered.is_empty());
    }
}
