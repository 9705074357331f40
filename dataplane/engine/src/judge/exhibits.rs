//! The frames that belong to an alert: chosen among those which workers kept, the latest before the
//! first packet it tells of and the first ones from there on.

use std::collections::HashMap;
use std::ops::Range;

use weir_wire::pfcp::{Element, Pfcp};
use weir_wire::pfcp_ie::{self, kind};
use weir_wire::{Address, pfcp_walk};

use super::Judge;
use super::shelf::{Place, Shelf};
use crate::contract::verdict::{Activity, Alert, Fact};
use crate::contract::words::ExhibitLoss;
use crate::cut::PFCP_HEADER;
use crate::detect::{
    CATALOGUE, CNS_BALANCE, CNS_DUP, GTP_CPINUP, GTP_HDRCOV, GTP_NEST, GTP_ORPHAN, GTP_PEER,
    GTP_TEIDCLONE, GTP_TEIDSCAN, GTP_UESPOOF, INV_UNKNOWN, OPS_BLIND, PFCP_DUPL, PFCP_FLOOD,
    PFCP_GHOST, PFCP_PEER, PFCP_REDIR,
};
use crate::exhibits::{Cause, Exhibit, Label};
use crate::record::Record;
use crate::report::Report;
use crate::rules::{EquipmentId, Party, Rules};

/// Frames from before an alert's first packet.
const BEFORE: usize = 8;
/// Frames that are given when an alert is first said.
const AT_FIRST: usize = 32;
/// Frames that are given with each later word.
const LATER: usize = 8;
/// Frames that one alert gets in all.
const MOST: usize = 64;
/// Frames that are given of a spell of activity.
const OF_A_SPELL: usize = 2;
/// Frames that are looked at for one alert.
const LOOKED_AT: usize = 4_096;
/// Alerts of a slice that frames are looked for: so many new ones, and so many that were said before.
const ALERTS: usize = 64;
/// Alerts of which it is known what they got.
const KNOWN: usize = 1 << 16;

/// How much room the frames of a cause have, in bytes.
const fn room(cause: Cause) -> usize {
    match cause {
        Cause::Stranger | Cause::Signalling => 16 << 20,
        Cause::Listed | Cause::StrangersSignalling => 8 << 20,
        _ => 2 << 20,
    }
}

/// What frames a detection is about.
fn causes(detection: u16) -> &'static [Cause] {
    match detection {
        OPS_BLIND | CNS_BALANCE | CNS_DUP => &[],
        INV_UNKNOWN => &[Cause::Stranger, Cause::Pair, Cause::Unlisted],
        GTP_PEER => &[Cause::Pair, Cause::Stranger, Cause::Listed],
        GTP_NEST => &[Cause::Nested],
        GTP_CPINUP => &[Cause::Inside],
        GTP_HDRCOV => &[Cause::OddHeader],
        GTP_ORPHAN => &[Cause::Stray],
        GTP_TEIDSCAN => &[Cause::Stray, Cause::Complaint],
        GTP_TEIDCLONE => &[Cause::OtherSender],
        GTP_UESPOOF => &[Cause::OddUser],
        PFCP_PEER | PFCP_DUPL | PFCP_REDIR | PFCP_FLOOD | PFCP_GHOST => {
            &[Cause::Signalling, Cause::StrangersSignalling]
        }
        _ => &[Cause::Stranger, Cause::Listed],
    }
}

/// What an alert got so far.
#[derive(Clone, Copy, Debug, Default)]
struct Handed {
    frames: usize,
    /// The number of the first frame that is news, by cause.
    from: [u64; Cause::ALL.len()],
    /// Whether nobody looked for its frames yet, since too many alerts came at once.
    was_passed_over: bool,
}

/// All frames that are kept, and who got which.
#[derive(Debug)]
pub(super) struct Shelves {
    shelves: [Shelf; Cause::ALL.len()],
    handed: HashMap<u64, Handed>,
    /// New alerts of this slice that frames were looked for.
    asked: usize,
    /// The same of alerts that were said before: at midnight, and at the end of the input, these are all.
    asked_again: usize,
    /// Frames that workers had no room for.
    missed: u64,
    /// Alerts that got none since too many came at once.
    passed_over: u64,
}

impl Default for Shelves {
    fn default() -> Self {
        Self {
            shelves: Cause::ALL.map(|cause| Shelf::new(room(cause))),
            handed: HashMap::new(),
            asked: 0,
            asked_again: 0,
            missed: 0,
            passed_over: 0,
        }
    }
}

impl Shelves {
    /// Takes over what workers kept of a slice under the policy of these rules.
    pub(super) fn take<'a>(&mut self, reports: impl Iterator<Item = &'a Report>) {
        (self.asked, self.asked_again) = (0, 0);
        for report in reports {
            self.missed += report.exhibits.missed();
            for exhibit in report.exhibits.iter() {
                let place = place_of(&exhibit.label);
                self.shelves[exhibit.label.cause as usize].put(&exhibit, place);
            }
        }
    }

    /// Lets go of all: numbers of equipment mean others from now on.
    pub(super) fn clear(&mut self) {
        self.shelves.iter_mut().for_each(Shelf::clear);
        self.handed.clear();
    }

    /// What evidence lacks, by [`ExhibitLoss`].
    pub(super) fn lost(&self) -> [u64; ExhibitLoss::ALL.len()] {
        [self.missed, self.passed_over]
    }

    /// How many frames an alert may get now, and what it got before; none if it may get nothing.
    fn ask(&mut self, instance: u64, is_last: bool) -> Option<(usize, Handed)> {
        let known = self.handed.get(&instance).copied();
        let handed = known.unwrap_or_default();
        let most = match &known {
            Some(handed) if !handed.was_passed_over => {
                LATER.min(MOST.saturating_sub(handed.frames))
            }
            _ => AT_FIRST,
        };
        if is_last {
            self.handed.remove(&instance);
        }
        if most == 0 {
            return None;
        }
        // A last word is never the first; of its alert nothing is known where numbers were forgotten.
        let is_new = known.is_none() && !is_last;
        let asked = if is_new { &mut self.asked } else { &mut self.asked_again };
        let is_known_room = self.handed.len() < KNOWN;
        if *asked < ALERTS && (!is_new || is_known_room) {
            *asked += 1;
            return Some((most, Handed { was_passed_over: false, ..handed }));
        }
        if is_new {
            self.passed_over += 1;
            if is_known_room {
                let handed = Handed { was_passed_over: true, ..handed };
                self.handed.insert(instance, handed);
            }
        }
        None
    }

    fn note(&mut self, instance: u64, before: Handed, frames: usize) {
        let from = std::array::from_fn(|cause| self.shelves[cause].next());
        let frames = before.frames + frames;
        self.handed.insert(instance, Handed { frames, from, ..before });
    }
}

impl Judge {
    /// Gives the frames that belong to an alert and that it did not get before, by their time. What
    /// names a subscriber, or shows who is intercepted, is not among them.
    pub fn exhibits(&mut self, alert: &Alert, show: &mut dyn FnMut(&Exhibit<'_>)) {
        let Some(rules) = self.rules.clone() else { return };
        let causes = causes(alert.detection);
        if causes.is_empty() {
            return;
        }
        let (instance, is_last) = (alert.instance, alert.last_word);
        let Some((most, handed)) = self.shelves.ask(instance, is_last) else { return };
        let is_open = CATALOGUE.get(usize::from(alert.detection)).is_some_and(|it| !it.restricted);
        let known = addresses(alert);
        let mut found: Vec<Exhibit<'_>> = Vec::new();
        for cause in causes {
            let shelf = &self.shelves.shelves[*cause as usize];
            let from = handed.from[*cause as usize];
            for place in places(alert, *cause, &rules) {
                let news = shelf.of(&place).take_while(|(number, _)| *number >= from);
                let own = news.take(LOOKED_AT).map(|(_, exhibit)| exhibit).filter(|exhibit| {
                    is_of(alert, &known, &exhibit.label)
                        && !(is_open && self.is_confidential_exhibit(exhibit))
                });
                found.extend(own);
            }
        }
        found.sort_unstable();
        found.dedup();
        let before = found.partition_point(|exhibit| exhibit.label.time < alert.first);
        let is_first = handed.frames == 0;
        let skipped = if is_first { before.saturating_sub(BEFORE) } else { 0 };
        let mut bytes = Vec::new();
        let mut frames = 0;
        for exhibit in found.into_iter().skip(skipped).take(most) {
            bytes.clear();
            bytes.extend_from_slice(exhibit.bytes);
            if exhibit.label.pfcp != Record::ABSENT {
                conceal_identities(&mut bytes, usize::from(exhibit.label.pfcp));
            }
            show(&Exhibit { bytes: &bytes, ..exhibit });
            frames += 1;
        }
        if !is_last {
            self.shelves.note(instance, handed, frames);
        }
    }

    /// Gives the first frames of a spell of activity with an address that nobody declared.
    pub fn first_frames(&self, activity: &Activity, show: &mut dyn FnMut(&Exhibit<'_>)) {
        let Activity { source, destination, tuple, .. } = activity;
        let ends = (Address::from(tuple.source), Address::from(tuple.destination));
        let stranger = match (source, destination) {
            (Some(_), None) => ends.1,
            (None, Some(_)) => ends.0,
            _ => return,
        };
        if activity.continues || self.is_confidential(stranger) {
            return;
        }
        let is_of = |label: &Label| {
            let is_between = label.ends == ends || label.ends == (ends.1, ends.0);
            is_between && (activity.first..=activity.last).contains(&label.time)
        };
        let shelf = &self.shelves.shelves[Cause::Stranger as usize];
        let place = by_stranger(stranger);
        let recent = shelf.of(&place).take(LOOKED_AT).map(|(_, exhibit)| exhibit);
        let mut found: Vec<Exhibit<'_>> = recent.filter(|it| is_of(&it.label)).collect();
        found.sort_unstable();
        found.iter().take(OF_A_SPELL).for_each(show);
    }

    /// Whether a frame shows who is intercepted: it orders copies, or goes where they go.
    fn is_confidential_exhibit(&self, exhibit: &Exhibit<'_>) -> bool {
        let (source, destination) = exhibit.label.ends;
        self.is_confidential(source)
            || self.is_confidential(destination)
            || exhibit.label.pfcp != Record::ABSENT
                && orders_copies(exhibit.bytes, usize::from(exhibit.label.pfcp))
    }
}

/// Where a frame is looked up: a stranger's by the strangers' neighbourhood, what is below IP by the
/// equipment, all other by both ends'.
fn place_of(label: &Label) -> Place {
    let (source, destination) = label.ends;
    let equipment = |packed| Party::unpack(packed).equipment();
    match label.cause {
        Cause::Unlisted => by_equipment(label.parties.0),
        Cause::Stranger | Cause::Pair => {
            let stranger = if equipment(label.parties.0).is_some() { destination } else { source };
            by_stranger(stranger)
        }
        _ => by_ends(source, destination),
    }
}

fn by_ends(a: Address, b: Address) -> Place {
    let (a, b) = (a.neighbourhood(), b.neighbourhood());
    (a.min(b), a.max(b))
}

fn by_stranger(address: Address) -> Place {
    (address.neighbourhood(), Address::default())
}

fn by_equipment(packed: u32) -> Place {
    (Address(u128::from(packed)), Address::default())
}

/// Where an alert's frames of a cause may be.
fn places(alert: &Alert, cause: Cause, rules: &Rules) -> Vec<Place> {
    let peer = alert.peer.map(Address::from);
    let ends = alert.outer.map(|outer| (Address::from(outer.source), outer.destination.into()));
    match cause {
        Cause::Unlisted => match (alert.equipment, alert.fact) {
            (Some(id), Fact::NewMac(_) | Fact::NewEtherType(_)) => {
                vec![by_equipment(Party::Equipment(id).pack())]
            }
            _ => Vec::new(),
        },
        Cause::Stranger | Cause::Pair => {
            let of_ends = ends.into_iter().flat_map(|(a, b)| [a, b]);
            let is_equipment = |address: &Address| rules.holder(*address).is_some();
            let mut places: Vec<Place> =
                of_ends.chain(peer).filter(|it| !is_equipment(it)).map(by_stranger).collect();
            places.sort_unstable();
            places.dedup();
            places
        }
        _ => ends.into_iter().map(|(a, b)| by_ends(a, b)).collect(),
    }
}

/// The addresses that an alert names.
fn addresses(alert: &Alert) -> Vec<Address> {
    let outer = alert.outer.iter();
    let ends = outer.flat_map(|outer| [Address::from(outer.source), outer.destination.into()]);
    ends.chain(alert.peer.map(Address::from)).collect()
}

/// Whether a frame of an alert's place is its: one end is the suspect, and the other the peer or a
/// neighbour of it. `known` are the addresses that the alert names.
fn is_of(alert: &Alert, known: &[Address], label: &Label) -> bool {
    let ends = [(label.ends.0, label.parties.0), (label.ends.1, label.parties.1)];
    let is_suspect = |id: EquipmentId, packed| Party::unpack(packed) == Party::Equipment(id);
    match alert.equipment {
        Some(id) => ends.iter().any(|(address, packed)| {
            is_suspect(id, *packed) || (known.contains(address) && alert.outer.is_some())
        }),
        // Without a suspect only the very ends are meant, and the very tunnel.
        None => {
            ends.iter().any(|(address, _)| known.contains(address))
                && alert.tunnel.is_none_or(|tunnel| tunnel.teid == label.teid)
        }
    }
}

/// Visits a frame's PFCP messages, as far as they can be read.
fn messages(bytes: &[u8], at: usize, visit: &mut impl FnMut(&Pfcp<'_>)) {
    for message in crate::decode::pfcp_bundle(bytes.get(at..).unwrap_or_default()) {
        match message {
            Ok(message) => visit(&message),
            Err(_) => break,
        }
    }
}

/// Whether a PFCP message orders copies (TS 29.244 §8.2.26: the DUPL bit of Apply Action; §7.5.2.3:
/// Duplicating Parameters).
fn orders_copies(bytes: &[u8], at: usize) -> bool {
    let mut orders = false;
    messages(bytes, at, &mut |message| {
        pfcp_walk::walk(message, &mut |_, element| {
            orders |= match element.kind {
                kind::APPLY_ACTION => element.value.first().is_some_and(|it| it & DUPL != 0),
                kind::DUPLICATING_PARAMETERS | kind::UPDATE_DUPLICATING_PARAMETERS => true,
                _ => false,
            };
        });
    });
    orders
}

/// The bit of Apply Action that orders copies.
const DUPL: u8 = 0x10;

/// Where the identities of a User ID stand: behind the octet that says which there are, each
/// behind its length.
fn identities(value: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 1;
    std::iter::from_fn(move || {
        let length = usize::from(*value.get(at)?);
        let start = at + 1;
        at = start + length;
        Some(start..at.min(value.len()))
    })
}

/// Overwrites the digits of User IDs (TS 29.244 §8.2.101) with zeros, and so whatever can't be read:
/// vendors' own elements, types that have no reader here, what stands behind a message. There may be some in it.
fn conceal_identities(bytes: &mut [u8], at: usize) {
    let mut spans = Vec::new();
    {
        let whole = &*bytes;
        let begin = whole.as_ptr().addr();
        let end = whole.len();
        // The longest header that a message has stays.
        let (mut next, mut unread) = (at, at + PFCP_HEADER..end);
        messages(whole, at, &mut |message| {
            let fault = pfcp_walk::walk(message, &mut |_, element| {
                let start = element.value.as_ptr().addr().wrapping_sub(begin);
                if element.kind == kind::USER_ID && element.enterprise.is_none() {
                    spans.extend(
                        identities(element.value).map(|it| start + it.start..start + it.end),
                    );
                } else if !element.is_grouped() && !is_read(element) {
                    spans.push(start..start + element.value.len());
                }
            });
            if let Some((_, rest)) = fault {
                spans.push(rest.as_ptr().addr().wrapping_sub(begin)..end);
            }
            // The next message shows its header, unless nothing announces one.
            let behind = next + 4 + usize::from(message.length());
            let header = if message.next_message().is_some() { PFCP_HEADER } else { 0 };
            (next, unread) = (behind, behind + header..end);
        });
        spans.push(unread);
    }
    let length = bytes.len();
    for span in spans {
        bytes.get_mut(span.start.min(length)..span.end.min(length)).unwrap_or_default().fill(0);
    }
}

/// Whether an element says what its type should.
fn is_read(element: &Element<'_>) -> bool {
    matches!(pfcp_ie::check(element), Some(Ok(())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames that an alert may get, which are given to it.
    fn given(shelves: &mut Shelves, instance: u64) -> Option<usize> {
        let (most, handed) = shelves.ask(instance, false)?;
        shelves.note(instance, handed, most);
        Some(most)
    }

    #[test]
    fn an_alert_that_got_none_in_a_crowd_is_counted_once_and_gets_its_first_ones_later() {
        let mut shelves = Shelves::default();
        let crowd = 1..=ALERTS as u64 + 6;
        let got = crowd.clone().filter_map(|instance| given(&mut shelves, instance)).sum::<usize>();
        assert_eq!((got, shelves.lost()), (ALERTS * AT_FIRST, [0, 6]));
        // What was said before has room of its own, and those that got none are not counted again.
        let again: Vec<_> = crowd.rev().map(|instance| given(&mut shelves, instance)).collect();
        assert_eq!(again[..6], [Some(AT_FIRST); 6]);
        assert_eq!(again[6..ALERTS], [Some(LATER); ALERTS - 6]);
        assert_eq!(again[ALERTS..], [None; 6]);
        assert_eq!(shelves.lost(), [0, 6]);
    }

    #[test]
    fn last_words_of_a_day_take_no_room_of_new_alerts_and_are_no_loss() {
        let mut shelves = Shelves::default();
        let day = 0..5 * ALERTS as u64;
        for instance in day.clone() {
            shelves.take(std::iter::empty());
            assert_eq!(given(&mut shelves, instance), Some(AT_FIRST));
        }
        shelves.take(std::iter::empty());
        let last = day.clone().filter_map(|instance| shelves.ask(instance, true)).count();
        assert_eq!((last, shelves.handed.len()), (ALERTS, 0));
        // After an exchange of rules nothing is known of those whose last words come.
        assert!(day.clone().all(|instance| shelves.ask(instance, true).is_none()));
        let new = day.end..day.end + ALERTS as u64;
        assert!(new.clone().all(|instance| given(&mut shelves, instance) == Some(AT_FIRST)));
        assert_eq!(shelves.lost(), [0, 0]);
        assert_eq!(given(&mut shelves, new.end), None);
        assert_eq!(shelves.lost(), [0, 1]);
    }

    fn element(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = [kind.to_be_bytes(), (value.len() as u16).to_be_bytes()].concat();
        bytes.extend(value);
        bytes
    }

    /// A frame with a Session Establishment Request that holds these elements.
    fn frame(elements: &[u8]) -> (Vec<u8>, usize) {
        let mut bytes = vec![0xee; 42];
        bytes.extend([0x21, 50]);
        bytes.extend((elements.len() as u16 + 12).to_be_bytes());
        bytes.extend([0; 8]);
        bytes.extend([0, 0, 7, 0]);
        bytes.extend(elements);
        (bytes, 42)
    }

    #[test]
    fn digits_of_identities_become_zeros_and_their_lengths_stay() {
        // IMSI and IMEI, then an element that stays.
        let user = [[3, 8].as_slice(), &[0x62; 8], &[4], &[0x99; 4]].concat();
        let elements = [element(kind::USER_ID, &user), element(kind::CAUSE, &[1])].concat();
        let (mut bytes, at) = frame(&elements);
        let before = bytes.clone();
        conceal_identities(&mut bytes, at);
        let concealed = [[3, 8].as_slice(), &[0; 8], &[4], &[0; 4]].concat();
        let expected = [element(kind::USER_ID, &concealed), element(kind::CAUSE, &[1])].concat();
        assert_eq!(bytes, frame(&expected).0);
        // A length beyond the element conceals what there is.
        let (mut bytes, at) = frame(&element(kind::USER_ID, &[1, 200, 0x62, 0x62]));
        conceal_identities(&mut bytes, at);
        assert_eq!(bytes, frame(&element(kind::USER_ID, &[1, 200, 0, 0])).0);
        // Of what was cut nobody knows what it holds.
        for end in 42..before.len() {
            let mut cut = before[..end].to_vec();
            conceal_identities(&mut cut, 42);
            let header = end.min(42 + PFCP_HEADER);
            assert_eq!(cut[..header], before[..header]);
            assert!(!cut.iter().any(|byte| [0x62, 0x99].contains(byte)), "{end}");
        }
    }

    #[test]
    fn what_has_no_reader_here_and_what_stands_behind_a_message_is_hidden() {
        const NAME: [u8; 8] = [0x5e; 8];
        let vendors = element(0x8001, &[&[0x28, 0xaf], NAME.as_slice()].concat());
        // Header Enrichment (§8.2.67) may carry a number to call.
        let (enrichment, cause) = (element(98, &NAME), element(kind::CAUSE, &[1]));
        let elements = [vendors, enrichment, cause.clone()].concat();
        let (mut bytes, at) = frame(&elements);
        let whole = bytes.len();
        // No flag says that a message follows.
        let order = element(kind::CREATE_FAR, &element(kind::APPLY_ACTION, &[DUPL]));
        let behind = [element(kind::USER_ID, &NAME), order].concat();
        bytes.extend(frame(&behind).0.split_off(at));
        conceal_identities(&mut bytes, at);
        assert!(!bytes.contains(&NAME[0]), "{bytes:02x?}");
        assert!(bytes[..whole].ends_with(&cause));
        assert!(bytes[whole..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn orders_of_copies_are_recognised_at_any_depth() {
        let apply = |bits| element(kind::APPLY_ACTION, &[bits, 0]);
        let far = |members: &[u8]| element(kind::CREATE_FAR, members);
        for (elements, orders) in [
            (far(&apply(0x02)), false),
            (far(&apply(0x12)), true),
            (far(&element(kind::DUPLICATING_PARAMETERS, &[])), true),
            (element(kind::USER_ID, &[0x10]), false),
        ] {
            let (bytes, at) = frame(&elements);
            assert_eq!(orders_copies(&bytes, at), orders, "{elements:02x?}");
        }
    }
}
