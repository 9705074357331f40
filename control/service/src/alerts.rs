//! The state of alerts: one row per (detection, equipment, peer /24 or /48, UTC
//! day), said when it begins, at every tenfold of its packets, when it becomes graver and
//! when it is explained by a more specific one, and closed by exactly one final word.

mod growth;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::{Deserialize, Serialize};
use weir_engine::Nanos;
use weir_engine::contract::verdict::Alert;
use weir_engine::detect::CATALOGUE;
use weir_wire::Address;

use crate::eve;
use crate::evidence::Capture;

/// Rows that are kept at a time. Beyond them the least grave and least recent
/// rows are closed early.
const ROWS: usize = 1 << 17;
/// Rows that are closed at once when there is no room: so that a flood
/// of keys does not cost a search each.
const CLOSED_AT_ONCE: usize = ROWS / 64;
/// How long after midnight a day's alerts still grow: findings are held back for more
/// specific ones, and what N4 tells may be a minute late.
const GRACE: Nanos = Nanos::from_secs(90);

/// A set of equals: vendor, model and build.
pub type Build = (String, String, String);

/// Who the alert is about, in words that outlive the policy's numbers.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Subject {
    /// The suspect's id, or `#` and its number.
    pub equipment: Option<String>,
    /// Its build, if its entry gives one.
    pub build: Option<Build>,
    /// The policy that judged.
    pub policy: Option<[u8; 32]>,
}

/// Packets and bytes.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
struct Size {
    packets: u64,
    bytes: u64,
}

impl Size {
    fn add(&mut self, more: Size) {
        self.packets = self.packets.saturating_add(more.packets);
        self.bytes = self.bytes.saturating_add(more.bytes);
    }
}

/// One alert.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Row {
    /// The first record, with what grows kept up to date and the counts of all instances.
    pub alert: Alert,
    /// Who it is about.
    pub subject: Subject,
    /// What ended instances counted.
    ended: Size,
    /// What the instances of this boot that still live count.
    live: BTreeMap<u64, Size>,
    /// Events said so far.
    pub said: u32,
    /// Packets at which the next update is due.
    threshold: u64,
    /// Whether the last event was the final one.
    pub closed: bool,
    /// Whether it was counted as suppressed.
    pub suppressed: bool,
    /// Packets at which what is suppressed is stored again.
    silent_threshold: u64,
    /// Its frames.
    pub evidence: Option<Capture>,
}

/// What becomes of a record.
#[derive(Clone, Debug)]
pub enum Observed {
    /// Nothing is due.
    Nothing,
    /// An event is to be said.
    Due(Saying),
    /// It would be, but for a suppression.
    Silenced {
        /// What is not said.
        saying: Saying,
        /// Whether this alert is silenced for the first time.
        is_first: bool,
    },
}

/// An event that is due.
#[derive(Clone, Debug)]
pub struct Saying {
    /// The alert as it stands.
    pub row: Row,
    /// Its key as text.
    pub dedup: String,
    /// The number of the event, from 0.
    pub update: u32,
    /// Whether it is the last.
    pub is_final: bool,
    /// How many of the same build show the same detection on the same day.
    pub showing: u32,
}

/// All alerts of the days that are not over.
#[derive(Debug, Default)]
pub struct Alerts {
    rows: BTreeMap<String, Row>,
    showing: HashMap<(u16, u32, Build), HashSet<String>>,
    by_day: BTreeSet<(u32, String)>,
    changed: BTreeSet<String>,
    evictions: u64,
    /// How many rows only a named role may know of.
    restricted: usize,
}

/// Whether a detection, by its position in the catalogue, shows who is intercepted.
pub fn is_restricted(detection: u16) -> bool {
    CATALOGUE.get(usize::from(detection)).is_some_and(|known| known.restricted)
}

/// The key of an alert as a stable text.
pub fn dedup(alert: &Alert, subject: &Subject) -> String {
    let detection = CATALOGUE.get(usize::from(alert.detection)).map_or("?", |known| known.id);
    let equipment = subject.equipment.as_deref().unwrap_or("-");
    let peer = alert.peer.map_or_else(
        || "-".into(),
        |peer| {
            let around = std::net::IpAddr::from(Address::from(peer).neighbourhood());
            let bits = if around.is_ipv4() { 24 } else { 48 };
            format!("{around}/{bits}")
        },
    );
    let mut text = format!("{detection}|{equipment}|{peer}|{}", eve::date(alert.day));
    let discriminator = alert.fact.discriminator();
    if discriminator != 0 {
        text.push_str(&format!("|{discriminator:x}"));
    }
    text
}

impl Alerts {
    /// Takes over a stored row.
    pub fn restore(&mut self, key: String, row: Row) {
        self.show(&row);
        self.by_day.insert((row.alert.day, key.clone()));
        self.rows.insert(key, row);
    }

    /// Notes the frames of the alert with this key; one whose day is over has had its last word.
    pub fn prove(&mut self, key: &str, capture: &Capture) {
        if let Some(row) = self.rows.get_mut(key) {
            row.evidence = Some(capture.clone());
            self.changed.insert(key.to_owned());
        }
    }

    /// The captures that may still grow.
    pub fn captures(&self) -> impl Iterator<Item = &Capture> {
        self.rows.values().filter_map(|row| row.evidence.as_ref())
    }

    /// Takes a record in, and tells what is due. `suppressed` silences it without forgetting it.
    pub fn observe(&mut self, record: Alert, subject: Subject, suppressed: bool) -> Observed {
        let key = dedup(&record, &subject);
        let fresh = !self.rows.contains_key(&key);
        if fresh {
            let row = Row {
                alert: record.clone(),
                subject,
                ended: Size::default(),
                live: BTreeMap::new(),
                said: 0,
                threshold: 0,
                closed: false,
                suppressed: false,
                silent_threshold: 0,
                evidence: None,
            };
            self.show(&row);
            self.by_day.insert((row.alert.day, key.clone()));
            self.rows.insert(key.clone(), row);
        }
        self.changed.insert(key.clone());
        let Some(row) = self.rows.get_mut(&key) else { return Observed::Nothing };
        let news = row.take(record);
        if suppressed {
            let is_first = !row.suppressed;
            if !is_first && !news && row.alert.packets < row.silent_threshold {
                return Observed::Nothing;
            }
            row.suppressed = true;
            row.silent_threshold = tenfold(row.alert.packets);
            let saying = self.saying(&key, false);
            return saying
                .map_or(Observed::Nothing, |saying| Observed::Silenced { saying, is_first });
        }
        let due = row.said == 0 || row.closed || news || row.alert.packets >= row.threshold;
        if !due {
            return Observed::Nothing;
        }
        row.closed = false;
        self.say(&key, false).map_or(Observed::Nothing, Observed::Due)
    }

    fn say(&mut self, key: &str, is_final: bool) -> Option<Saying> {
        let saying = self.saying(key, is_final)?;
        let row = self.rows.get_mut(key)?;
        row.said += 1;
        row.threshold = tenfold(row.alert.packets);
        row.closed = is_final;
        self.changed.insert(key.to_owned());
        Some(saying)
    }

    /// The alert as it stands, as its next event would say it.
    fn saying(&self, key: &str, is_final: bool) -> Option<Saying> {
        let row = self.rows.get(key)?.clone();
        let update = row.said;
        let build = row.subject.build.clone();
        let showing = build
            .and_then(|build| self.showing.get(&(row.alert.detection, row.alert.day, build)))
            .map_or(1, |ids| ids.len() as u32);
        Some(Saying { dedup: key.to_owned(), update, is_final, showing, row })
    }

    fn show(&mut self, row: &Row) {
        self.restricted += usize::from(row.is_restricted());
        if let (Some(build), Some(id)) = (&row.subject.build, &row.subject.equipment) {
            let day = (row.alert.detection, row.alert.day, build.clone());
            self.showing.entry(day).or_default().insert(id.clone());
        }
    }

    /// Counts alerts as silenced that were said already and are silenced from now on; how many of
    /// each detection.
    pub fn silence(&mut self, is_silenced: impl Fn(&Row) -> bool) -> BTreeMap<u16, u64> {
        let mut counts = BTreeMap::new();
        let rows = self.rows.iter_mut().filter(|(_, row)| !row.suppressed && is_silenced(row));
        for (key, row) in rows {
            row.suppressed = true;
            self.changed.insert(key.clone());
            *counts.entry(row.alert.detection).or_default() += 1;
        }
        counts
    }

    /// The first day whose alerts may still grow at `now`.
    pub fn oldest_open_day(&self, now: Nanos) -> u32 {
        Nanos(now.0.saturating_sub(GRACE.0)).day()
    }

    /// Whether rows are of a day that is over at `now`, or there are too many.
    pub fn has_due(&self, now: Nanos) -> bool {
        self.rows.len() >= ROWS || self.by_day.first().is_some_and(|(day, _)| is_over(*day, now))
    }

    /// Closes at most `most` rows whose day is over at `now`, and some more if
    /// there is no room: their final words.
    pub fn close_due(&mut self, now: Nanos, most: usize) -> Vec<Saying> {
        let mut keys: Vec<String> = self
            .by_day
            .iter()
            .take_while(|(day, _)| is_over(*day, now))
            .take(most)
            .map(|(_, key)| key.clone())
            .collect();
        if keys.is_empty() && self.rows.len() >= ROWS {
            let mut order: Vec<_> = self
                .rows
                .iter()
                .map(|(key, row)| (row.alert.severity, row.alert.last, key))
                .collect();
            order.sort_unstable();
            keys = order.into_iter().take(CLOSED_AT_ONCE).map(|(.., key)| key.clone()).collect();
            self.evictions += keys.len() as u64;
        }
        keys.into_iter().filter_map(|key| self.forget(&key)).collect()
    }

    /// Says the last word about at most `most` rows that are open, and keeps
    /// them: the end of the input or of the process is not the end of the day.
    pub fn close_open(&mut self, most: usize) -> Vec<Saying> {
        let open = self.rows.iter().filter(|(_, row)| row.said > 0 && !row.closed);
        let keys: Vec<String> = open.map(|(key, _)| key.clone()).take(most).collect();
        keys.into_iter().filter_map(|key| self.say(&key, true)).collect()
    }

    fn forget(&mut self, key: &str) -> Option<Saying> {
        let open = self.rows.get(key).is_some_and(|row| row.said > 0 && !row.closed);
        let saying = if open { self.say(key, true) } else { None };
        let row = self.rows.remove(key)?;
        self.by_day.remove(&(row.alert.day, key.to_owned()));
        self.restricted -= usize::from(row.is_restricted());
        self.changed.insert(key.to_owned());
        if let (Some(build), Some(id)) = (row.subject.build, row.subject.equipment) {
            let day = (row.alert.detection, row.alert.day, build);
            if let Some(ids) = self.showing.get_mut(&day) {
                ids.remove(&id);
                if ids.is_empty() {
                    self.showing.remove(&day);
                }
            }
        }
        saying
    }

    /// Another sensor took over: instances count from 0 again.
    pub fn restarted(&mut self) {
        for (key, row) in &mut self.rows {
            for (_, size) in std::mem::take(&mut row.live) {
                row.ended.add(size);
                self.changed.insert(key.clone());
            }
        }
    }

    /// The rows that changed since the last time, and the keys of those that
    /// are gone; what is taken is to be stored.
    pub fn changed(&self) -> impl Iterator<Item = (&str, Option<&Row>)> {
        self.changed.iter().map(|key| (key.as_str(), self.rows.get(key)))
    }

    /// What changed has been stored.
    pub fn stored(&mut self) {
        self.changed.clear();
    }

    /// Whether anything changed since [`Alerts::stored`].
    pub fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The number of rows that everybody may know of.
    pub fn unrestricted(&self) -> usize {
        self.rows.len() - self.restricted
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Rows closed early for lack of room.
    pub fn evictions(&self) -> u64 {
        self.evictions
    }
}

/// Packets at which an alert is told of again.
fn tenfold(packets: u64) -> u64 {
    packets.saturating_mul(10).max(10)
}

fn is_over(day: u32, now: Nanos) -> bool {
    now.0.saturating_sub(GRACE.0) / 86_400_000_000_000 > u64::from(day)
}

impl Row {
    fn is_restricted(&self) -> bool {
        is_restricted(self.alert.detection)
    }

    /// Brings the row up to date; whether it is news: a more specific detection came to explain
    /// it, or it is graver than it was.
    fn take(&mut self, record: Alert) -> bool {
        let size = Size { packets: record.packets, bytes: record.bytes };
        if record.last_word {
            self.live.remove(&record.instance);
            self.ended.add(size);
        } else {
            self.live.insert(record.instance, size);
        }
        let mut total = self.ended;
        self.live.values().for_each(|size| total.add(*size));
        let alert = &mut self.alert;
        (alert.packets, alert.bytes) = (total.packets, total.bytes);
        alert.first = alert.first.min(record.first);
        alert.last = alert.last.max(record.last);
        alert.at = alert.at.max(record.at);
        alert.degraded |= record.degraded;
        alert.loss_ratio = alert.loss_ratio.max(record.loss_ratio);
        let graver = record.severity > alert.severity;
        if graver {
            growth::escalate(alert, &record);
        } else {
            growth::grow(&mut alert.fact, record.fact);
        }
        growth::add(&mut alert.n4, record.n4);
        if alert.peer_name.is_none() {
            alert.peer_name = record.peer_name;
        }
        let explained = alert.superseded_by.is_none() && record.superseded_by.is_some();
        alert.superseded_by = record.superseded_by;
        explained || graver
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;
    use weir_engine::contract::session::{Forwarding, Signalled};
    use weir_engine::contract::verdict::{Fact, Initiator, Severity, Spoof};
    use weir_engine::detect::{EGR_NOTALLOWED, GTP_ORPHAN, GTP_PEER, GTP_UESPOOF, PFCP_DUPL};
    use weir_engine::rules::Link;

    fn record(instance: u64, peer: [u8; 4], packets: u64) -> Alert {
        Alert {
            detection: EGR_NOTALLOWED,
            instance,
            day: 19_675,
            last_word: false,
            severity: Severity::High,
            superseded_by: None,
            degraded: false,
            loss_ratio: 0.0,
            equipment: None,
            peer_equipment: None,
            peer: Some(IpAddr::from(peer)),
            peer_name: None,
            initiator: Initiator::Equipment,
            fact: Fact::Opened,
            tap: 0,
            link: Link::N3,
            direction: None,
            outer: None,
            inner: None,
            tunnel: None,
            flow_id: 1,
            packets,
            bytes: packets * 10,
            first: Nanos(5),
            last: Nanos(6),
            at: Nanos(7),
            policy: 1,
            n4: None,
            evidence: None,
        }
    }

    fn subject(id: &str) -> Subject {
        let build = Some(("A".into(), "M".into(), "1".into()));
        Subject { equipment: Some(id.into()), build, policy: None }
    }

    fn due(alerts: &mut Alerts, record: Alert, id: &str) -> Option<Saying> {
        match alerts.observe(record, subject(id), false) {
            Observed::Due(saying) => Some(saying),
            _ => None,
        }
    }

    fn observe(alerts: &mut Alerts, record: Alert, id: &str) -> Option<(u32, u64)> {
        due(alerts, record, id).map(|saying| (saying.update, saying.row.alert.packets))
    }

    #[test]
    fn counts_are_the_sum_over_instances_and_lives_of_the_sensor() {
        let mut alerts = Alerts::default();
        let peer = [198, 51, 100, 7];
        assert_eq!(observe(&mut alerts, record(1, peer, 3), "a"), Some((0, 3)));
        let last = Alert { last_word: true, ..record(1, peer, 5) };
        assert_eq!(observe(&mut alerts, last, "a"), None);
        // The same /24, and another row of the sensor's table.
        assert_eq!(observe(&mut alerts, record(2, [198, 51, 100, 9], 24), "a"), None);
        assert_eq!(observe(&mut alerts, record(2, peer, 25), "a"), Some((1, 30)));
        alerts.restarted();
        assert_eq!(observe(&mut alerts, record(2, peer, 270), "a"), Some((2, 300)));
        assert_eq!(alerts.len(), 1);
        assert_eq!(observe(&mut alerts, record(3, [198, 51, 101, 9], 1), "a"), Some((0, 1)));
    }

    #[test]
    fn an_alert_is_closed_once_and_opened_again_by_what_follows() {
        let mut alerts = Alerts::default();
        let peer = [198, 51, 100, 7];
        observe(&mut alerts, record(1, peer, 3), "a");
        observe(&mut alerts, record(2, peer, 3), "b");
        let closed = alerts.close_open(1);
        assert!(closed.len() == 1 && closed[0].is_final && closed[0].showing == 2);
        assert_eq!(alerts.close_open(9).len(), 1);
        assert_eq!(alerts.close_open(9).len(), 0);
        assert_eq!(observe(&mut alerts, record(1, peer, 4), "a"), Some((2, 4)));
        let midnight = Nanos::from_secs(19_676 * 86_400);
        assert!(!alerts.has_due(midnight));
        let over = midnight.plus(GRACE);
        assert!(alerts.has_due(over));
        let finals: Vec<_> = alerts.close_due(over, 9).into_iter().map(|s| s.dedup).collect();
        assert_eq!(finals, ["EGR-NOTALLOWED|a|198.51.100.0/24|2023-11-14"]);
        assert!(alerts.is_empty() && !alerts.has_due(over) && alerts.showing.is_empty());
        assert_eq!(alerts.changed().filter(|(_, row)| row.is_none()).count(), 2);
    }

    #[test]
    fn what_is_suppressed_grows_in_silence() {
        let mut alerts = Alerts::default();
        let peer = [198, 51, 100, 7];
        let mut silenced =
            |packets| match alerts.observe(record(1, peer, packets), subject("a"), true) {
                Observed::Silenced { saying, is_first } => {
                    Some((saying.row.alert.packets, is_first))
                }
                Observed::Nothing => None,
                Observed::Due(_) => panic!("it is suppressed"),
            };
        assert_eq!(
            [3, 29, 30, 299].map(&mut silenced),
            [Some((3, true)), None, Some((30, false)), None]
        );
        assert_eq!(silenced(300), Some((300, false)));
        assert!(alerts.close_open(9).is_empty());
        assert_eq!(observe(&mut alerts, record(1, peer, 301), "a"), Some((0, 301)));
    }

    #[test]
    fn facts_without_a_peer_have_alerts_of_their_own() {
        let key = |fact| {
            let alert = Alert { peer: None, fact, ..record(1, [0; 4], 1) };
            dedup(&alert, &Subject::default())
        };
        assert_ne!(key(Fact::NoPolicy), key(Fact::ControlAway));
        assert_eq!(key(Fact::ClockBack { by: 1 }), key(Fact::ClockBack { by: 2 }));
        let far = IpAddr::from([0x2001, 0xdb8, 0xaaaa, 0xbbbb, 0, 0, 0, 1u16]);
        let far = Alert { peer: Some(far), detection: GTP_PEER, ..record(1, [0; 4], 1) };
        assert_eq!(dedup(&far, &subject("a")), "GTP-PEER|a|2001:db8:aaaa::/48|2023-11-14");
    }

    #[test]
    fn what_becomes_graver_is_said_at_once_and_tells_the_graver_story() {
        let mut alerts = Alerts::default();
        let peer = [198, 51, 100, 7];
        let spoof = |severity, spoof, far| {
            let to = Forwarding { far, apply: 2, to: None };
            let n4 = Signalled { after: Some(to), ..Signalled::default() };
            let fact = Fact::Spoofed(spoof);
            let n4 = Some(Box::new(n4));
            Alert { detection: GTP_UESPOOF, severity, fact, n4, ..record(1, peer, 5) }
        };
        let odd = spoof(Severity::Info, Spoof::Odd, 1);
        assert!(due(&mut alerts, odd.clone(), "a").is_some());
        assert!(due(&mut alerts, odd.clone(), "a").is_none());
        let leaves = spoof(Severity::High, Spoof::Leaves, 2);
        let saying = due(&mut alerts, leaves, "a").unwrap();
        assert_eq!(saying.update, 1);
        assert!(due(&mut alerts, odd, "a").is_none());
        let alert = alerts.close_open(9).remove(0).row.alert;
        assert_eq!((alert.severity, alert.fact), (Severity::High, Fact::Spoofed(Spoof::Leaves)));
        assert_eq!(alert.n4.unwrap().after.unwrap().far, 2);
    }

    #[test]
    fn numbers_and_tunnels_grow_and_coverage_falls() {
        let mut alerts = Alerts::default();
        let orphans = |tunnels, coverage, doubt, teids: &[u32]| {
            let n4 = Signalled { coverage, doubt, teids: teids.to_vec(), ..Signalled::default() };
            let fact = Fact::Orphans { tunnels };
            let n4 = Some(Box::new(n4));
            Alert { detection: GTP_ORPHAN, fact, n4, ..record(1, [10, 0, 1, 1], 10) }
        };
        for record in [
            orphans(2, Some(0.98), 0.0, &[1, 2]),
            orphans(3, Some(0.95), 0.2, &[2, 3]),
            orphans(1, None, 0.1, &(0..40).collect::<Vec<_>>()),
        ] {
            alerts.observe(record, subject("a"), false);
        }
        let alert = alerts.close_open(9).remove(0).row.alert;
        assert_eq!(alert.fact, Fact::Orphans { tunnels: 3 });
        let n4 = alert.n4.unwrap();
        assert_eq!((n4.coverage, n4.doubt), (Some(0.95), 0.2));
        assert_eq!((n4.teids.len(), &n4.teids[..4]), (16, &[1, 2, 3, 0][..]));
    }

    #[test]
    fn rows_that_show_who_is_intercepted_are_not_among_those_that_all_may_count() {
        let mut alerts = Alerts::default();
        alerts.observe(record(1, [198, 51, 100, 7], 3), subject("a"), false);
        let secret = Alert { detection: PFCP_DUPL, ..record(1, [198, 51, 100, 7], 3) };
        alerts.observe(secret, subject("a"), false);
        assert_eq!((alerts.len(), alerts.unrestricted()), (2, 1));
        let over = Nanos::from_secs(19_676 * 86_400).plus(GRACE);
        assert_eq!(alerts.close_due(over, 9).len(), 2);
        assert_eq!((alerts.len(), alerts.unrestricted()), (0, 0));
    }
}
