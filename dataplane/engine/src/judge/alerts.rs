//! Alerts of the day: one row per (detection, equipment, peer /24 or /48, day),
//! said when it fires, at every tenfold of its packets, and at its end. The
//! lasting state of alerts is control's; here is only what limits their rate.

use std::collections::{BTreeMap, HashMap};

use weir_wire::Address;

use crate::Nanos;
use crate::contract::verdict::{Alert, Fact};
use crate::detect::{INV_UNKNOWN, rank};
use crate::rules::EquipmentId;

/// Rows that are kept at a time.
const ALERTS: usize = 1 << 16;

/// How long after midnight a day's alerts still grow: the longest that N4 lets anything wait.
pub(super) const DAYS_GRACE: Nanos = Nanos::from_secs(75);

/// Between two records of a row that has not grown tenfold.
const REFRESH: Nanos = Nanos::from_secs(10);

/// What makes two findings one alert.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct AlertKey {
    /// The detection's position in the catalogue.
    pub(crate) detection: u16,
    /// The suspect.
    pub(crate) equipment: Option<EquipmentId>,
    /// The peer's /24 or /48.
    pub(crate) neighbourhood: Option<Address>,
    /// Tells facts apart that have no peer.
    pub(crate) discriminator: u32,
    /// The UTC day.
    pub(crate) day: u32,
}

impl AlertKey {
    /// The key of an alert.
    pub(crate) fn of(alert: &Alert) -> Self {
        Self {
            detection: alert.detection,
            equipment: alert.equipment,
            neighbourhood: alert.peer.map(|peer| Address::from(peer).neighbourhood()),
            discriminator: alert.fact.discriminator(),
            day: alert.day,
        }
    }
}

#[derive(Debug)]
struct Row {
    alert: Alert,
    /// Packets at which an update is due.
    threshold: u64,
    /// When it was last said.
    said: Nanos,
}

/// The rows.
#[derive(Debug, Default)]
pub(crate) struct Alerts {
    rows: BTreeMap<AlertKey, Row>,
    /// Which detection names a peer, with the day.
    named: HashMap<Address, (u16, u32)>,
    /// The first day whose alerts have not ended.
    ended_to: u32,
    instances: u64,
    folded: u64,
    evictions: u64,
}

impl Alerts {
    /// Adds an observation with its packets and bytes to its alert; a new
    /// alert, and one that has grown tenfold, is told to `say`. Gives a new one's number.
    pub(crate) fn observe(&mut self, observed: Alert, say: &mut impl FnMut(Alert)) -> Option<u64> {
        if let Some(peer) = observed.peer {
            self.name(peer.into(), observed.detection, observed.day);
        }
        let key = AlertKey::of(&observed);
        let at = observed.at;
        if let Some(row) = self.rows.get_mut(&key) {
            self.folded += 1;
            let alert = &mut row.alert;
            alert.packets += observed.packets;
            alert.bytes += observed.bytes;
            alert.first = alert.first.min(observed.first);
            alert.last = alert.last.max(observed.last);
            alert.severity = alert.severity.max(observed.severity);
            alert.degraded |= observed.degraded;
            alert.loss_ratio = alert.loss_ratio.max(observed.loss_ratio);
            alert.at = at;
            if alert.peer_name.is_none() {
                alert.peer_name = observed.peer_name;
            }
            // Of what N4 tells the latest stands, and the first of what it has no more of.
            if let Some(n4) = observed.n4 {
                if alert.severity == observed.severity {
                    alert.fact = observed.fact;
                }
                match &mut alert.n4 {
                    Some(known) => known.join(*n4),
                    none => *none = Some(n4),
                }
            }
            if let (Fact::Acknowledged { round_trips }, Fact::Acknowledged { round_trips: now }) =
                (&mut alert.fact, observed.fact)
            {
                *round_trips = (*round_trips).max(now);
            }
            if let (Fact::N4Dropped { dropped }, Fact::N4Dropped { dropped: more }) =
                (&mut alert.fact, observed.fact)
            {
                *dropped += more;
            }
            let explained_no_more =
                alert.superseded_by.is_some() && observed.flow_id != alert.flow_id;
            if explained_no_more {
                alert.superseded_by = None;
                row.say(say);
            } else if alert.packets >= row.threshold {
                row.threshold = row.threshold.saturating_mul(10);
                row.say(say);
            } else if at.since(row.said) >= REFRESH {
                row.say(say);
            }
            return None;
        }
        if self.rows.len() >= ALERTS {
            self.give_up_some(say);
        }
        self.instances += 1;
        let alert = Alert { instance: self.instances, ..observed };
        let mut row = Row { threshold: alert.packets.saturating_mul(10).max(10), said: at, alert };
        row.say(say);
        self.rows.insert(key, row);
        Some(self.instances)
    }

    fn name(&mut self, peer: Address, detection: u16, day: u32) {
        if self.named.len() < ALERTS || self.named.contains_key(&peer) {
            let named = self.named.entry(peer).or_insert((detection, day));
            if rank(detection) > rank(named.0) {
                named.0 = detection;
            }
            named.1 = named.1.max(day);
        }
    }

    /// The most specific detection that names this peer today or did yesterday.
    pub(crate) fn names(&self, peer: Address) -> Option<u16> {
        self.named.get(&peer).map(|(detection, _)| *detection)
    }

    /// A more specific detection explains what these alerts said: they become
    /// info. It explains a flow's own alert, and that its peer is unknown.
    pub(crate) fn supersede(
        &mut self,
        detection: u16,
        (peer, flow): (Address, u64),
        by: u16,
        at: Nanos,
        say: &mut impl FnMut(Alert),
    ) {
        // Most peers are named by nothing more general.
        if self.names(peer).is_none_or(|named| rank(named) >= rank(by)) {
            return;
        }
        for (key, row) in &mut self.rows {
            let alert = &mut row.alert;
            if key.detection == detection
                && key.discriminator == 0
                && alert.peer.map(Address::from) == Some(peer)
                && (detection == INV_UNKNOWN || alert.flow_id == flow)
                && alert.superseded_by.is_none()
            {
                alert.superseded_by = Some(by);
                alert.at = at;
                row.say(say);
            }
        }
    }

    /// A more specific detection explains what this one said of equipment and a peer.
    pub(crate) fn explain(
        &mut self,
        detection: u16,
        equipment: EquipmentId,
        peer: Address,
        by: u16,
        at: Nanos,
        say: &mut impl FnMut(Alert),
    ) {
        for (key, row) in &mut self.rows {
            let alert = &mut row.alert;
            if key.detection == detection
                && key.equipment == Some(equipment)
                && key.neighbourhood == Some(peer.neighbourhood())
                && alert.superseded_by.is_none()
            {
                alert.superseded_by = Some(by);
                alert.at = at;
                row.say(say);
            }
        }
    }

    /// Gives up some rows at once, the least grave and longest silent first, so
    /// that a flood does not sort the table for each of its alerts.
    fn give_up_some(&mut self, say: &mut impl FnMut(Alert)) {
        let mut order: Vec<_> =
            self.rows.iter().map(|(key, row)| (row.alert.severity, row.alert.last, *key)).collect();
        order.sort_unstable();
        for (_, last, key) in order.into_iter().take(ALERTS / 64) {
            if let Some(mut row) = self.rows.remove(&key) {
                self.evictions += 1;
                row.last_word(last, say);
            }
        }
    }

    /// Ends the alerts of the days before `day`.
    pub(crate) fn end_days_before(&mut self, day: u32, at: Nanos, say: &mut impl FnMut(Alert)) {
        if day <= self.ended_to && day != u32::MAX {
            return;
        }
        self.ended_to = if day == u32::MAX { 0 } else { day };
        let ended: Vec<AlertKey> = self.rows.keys().filter(|key| key.day < day).copied().collect();
        for key in ended {
            if let Some(mut row) = self.rows.remove(&key) {
                // However long nothing was seen: it is the last word of its own day.
                let end = Nanos::from_secs((u64::from(key.day) + 1) * 86_400);
                row.last_word(at.min(end.plus(DAYS_GRACE)), say);
            }
        }
        self.named.retain(|_, (_, named)| named.saturating_add(1) >= day);
    }

    /// Observations folded into an alert already said.
    pub(crate) fn folded(&self) -> u64 {
        self.folded
    }

    /// Rows given up for others so far.
    pub(crate) fn evictions(&self) -> u64 {
        self.evictions
    }
}

impl Row {
    fn say(&mut self, say: &mut impl FnMut(Alert)) {
        self.said = self.alert.at;
        say(self.alert.clone());
    }

    fn last_word(&mut self, at: Nanos, say: &mut impl FnMut(Alert)) {
        self.alert.last_word = true;
        self.alert.at = at;
        self.say(say);
    }
}
