//! OPS-BLIND: Weir can't see what it should, and says so.
//!
//! Packets lost before inspection, no policy, a direction of a two-way tap gone
//! silent, the clock set back (or, live, ahead), a table full, control away.

use std::collections::HashMap;

use crate::contract::verdict::{Direction, Fact};
use crate::contract::words::Table;
use crate::detect::Detection;
use crate::report::Report;
use crate::rules::Settings;
use crate::time::REORDER_TOLERANCE;
use crate::{Nanos, TapId};

/// The standing data.
pub const DETECTION: Detection = Detection {
    id: "OPS-BLIND",
    signature_id: 5_290_029,
    signature: "Weir does not see everything that it should",
    category: "Not Suspicious Traffic",
    rank: 0,
    technique: &["T1562"],
    restricted: false,
};

/// A live clock that jumps ahead by more than this was set.
const AHEAD_TOLERANCE: Nanos = Nanos::from_secs(60);

/// How long a live sensor may wait for its first policy.
const BRIEFING: Nanos = Nanos::from_secs(10);

/// What the sensor knows of itself at the end of a slice.
#[derive(Clone, Copy, Debug, Default)]
pub struct Vitals {
    /// Frames received so far, lost ones included.
    pub received: u64,
    /// Frames lost before inspection so far.
    pub lost: u64,
    /// How long control has been away.
    pub control_away: Nanos,
    /// Whether this is a live tap.
    pub live: bool,
}

/// What is seen of N4 at the end of a slice.
#[derive(Clone, Copy, Debug, Default)]
pub struct N4Sight {
    /// Transactions of the last minute that were seen whole, and all that were seen.
    pub coverage: (u64, u64),
    /// Datagrams that found no room so far.
    pub lost: u64,
}

/// A two-way tap whose directions are watched.
#[derive(Clone, Copy, Debug)]
struct TapSides {
    last: [Option<Nanos>; 2],
    said: [bool; 2],
}

/// The watch.
#[derive(Debug, Default)]
pub struct Watch {
    window: Option<(Nanos, Vitals)>,
    /// Lost ÷ received in the last full window.
    loss_ratio: f64,
    taps: HashMap<TapId, TapSides>,
    evictions: [u64; Table::ALL.len()],
    control_away: bool,
    /// Whether too little of N4 is seen, and what had found no room.
    n4_dim: bool,
    n4_lost: u64,
    /// Since when there is no policy, and whether that was said.
    without_policy: Option<(Nanos, bool)>,
}

impl Watch {
    /// Watches both directions of these taps.
    pub fn new(two_way: impl IntoIterator<Item = TapId>) -> Self {
        let sides = TapSides { last: [None; 2], said: [false; 2] };
        Self { taps: two_way.into_iter().map(|tap| (tap, sides)).collect(), ..Self::default() }
    }

    /// The loss ratio of the last full window, for the confidence of alerts.
    pub fn loss_ratio(&self) -> f64 {
        self.loss_ratio
    }

    /// What became invisible in a slice that ended at `now`.
    pub fn slice(
        &mut self,
        now: Nanos,
        reports: &[Report],
        vitals: &Vitals,
        evictions: [u64; Table::ALL.len()],
        n4: &N4Sight,
        settings: Option<&Settings>,
    ) -> Vec<(TapId, Fact)> {
        let mut facts = Vec::new();
        let nowhere = TapId(0);
        if settings.is_some() {
            self.without_policy = None;
        } else {
            let (since, said) = self.without_policy.get_or_insert((now, false));
            let patience = if vitals.live { BRIEFING } else { Nanos(0) };
            if !*said && now.since(*since) >= patience {
                *said = true;
                facts.push((nowhere, Fact::NoPolicy));
            }
        }
        let defaults = Settings::default();
        let settings = settings.unwrap_or(&defaults);
        facts.extend(self.loss(now, vitals, settings).map(|fact| (nowhere, fact)));
        for report in reports {
            if report.clock_back > REORDER_TOLERANCE {
                facts.push((nowhere, Fact::ClockBack { by: report.clock_back.0 }));
            }
            if vitals.live && report.clock_ahead > AHEAD_TOLERANCE {
                facts.push((nowhere, Fact::ClockAhead { by: report.clock_ahead.0 }));
            }
        }
        for (table, (now, before)) in
            Table::ALL.into_iter().zip(evictions.iter().zip(&mut self.evictions))
        {
            if now > before {
                facts.push((nowhere, Fact::table_full(table)));
                *before = *now;
            }
        }
        let (whole, seen) = n4.coverage;
        let dim = seen >= settings.blind_transactions
            && (whole as f64) < settings.blind_coverage * seen as f64;
        if dim && !self.n4_dim {
            facts.push((nowhere, Fact::N4Coverage { whole, seen }));
        }
        self.n4_dim = dim;
        if n4.lost > self.n4_lost {
            facts.push((nowhere, Fact::N4Dropped { dropped: n4.lost - self.n4_lost }));
            self.n4_lost = n4.lost;
        }
        let away = vitals.control_away > settings.blind_control_away;
        if away && !self.control_away {
            facts.push((nowhere, Fact::ControlAway));
        }
        self.control_away = away;
        self.silence(now, reports, settings.blind_silent, &mut facts);
        facts
    }

    fn loss(&mut self, now: Nanos, vitals: &Vitals, settings: &Settings) -> Option<Fact> {
        let (since, before) = *self.window.get_or_insert((now, *vitals));
        if now.since(since) < settings.blind_loss_window {
            return None;
        }
        self.window = Some((now, *vitals));
        let received = vitals.received.saturating_sub(before.received);
        let lost = vitals.lost.saturating_sub(before.lost);
        self.loss_ratio = if received == 0 { 0.0 } else { lost as f64 / received as f64 };
        (self.loss_ratio > settings.blind_loss_ratio).then_some(Fact::Loss { lost, received })
    }

    fn silence(
        &mut self,
        now: Nanos,
        reports: &[Report],
        bound: Nanos,
        facts: &mut Vec<(TapId, Fact)>,
    ) {
        for (tap, up, down) in reports.iter().flat_map(|report| &report.directions) {
            let Some(sides) = self.taps.get_mut(tap) else { continue };
            for (side, packets) in [*up, *down].into_iter().enumerate() {
                if packets > 0 {
                    sides.last[side] = Some(now);
                    sides.said[side] = false;
                }
            }
            // A direction never seen is silent since the other one began.
            let began = sides.last[0].or(sides.last[1]);
            for last in &mut sides.last {
                *last = (*last).or(began);
            }
        }
        let mut taps: Vec<_> = self.taps.iter_mut().collect();
        taps.sort_by_key(|(tap, _)| tap.0);
        for (tap, sides) in taps {
            let latest = sides.last.iter().flatten().max().copied();
            for (side, direction) in [Direction::Ul, Direction::Dl].into_iter().enumerate() {
                let silent = sides.last[side].is_some_and(|last| now.since(last) > bound);
                // A tap that is silent both ways carries nothing: a quiet night.
                let other_speaks = latest.is_some_and(|latest| now.since(latest) <= bound);
                if silent && other_speaks && !sides.said[side] {
                    sides.said[side] = true;
                    facts.push((*tap, Fact::Silent(direction)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(watch: &mut Watch, second: u64, report: Report, vitals: &Vitals) -> Vec<Fact> {
        let settings = Settings::default();
        watch
            .slice(
                Nanos::from_secs(second),
                &[report],
                vitals,
                [0; Table::ALL.len()],
                &N4Sight::default(),
                Some(&settings),
            )
            .into_iter()
            .map(|(_, fact)| fact)
            .collect()
    }

    #[test]
    fn loss_beyond_the_ratio_in_a_window_is_said() {
        let mut watch = Watch::default();
        let at = |received, lost| Vitals { received, lost, ..Vitals::default() };
        assert_eq!(slice(&mut watch, 0, Report::default(), &at(0, 0)), []);
        assert_eq!(slice(&mut watch, 10, Report::default(), &at(1_000_000, 10)), []);
        assert_eq!(
            slice(&mut watch, 20, Report::default(), &at(2_000_000, 21)),
            [Fact::Loss { lost: 11, received: 1_000_000 }]
        );
        assert!(watch.loss_ratio() > 1e-5);
    }

    #[test]
    fn a_direction_that_goes_silent_is_said_once() {
        let mut watch = Watch::new([TapId(3)]);
        let both =
            |up, down| Report { directions: vec![(TapId(3), up, down)], ..Report::default() };
        let calm = Vitals::default();
        assert_eq!(slice(&mut watch, 1, both(5, 5), &calm), []);
        assert_eq!(slice(&mut watch, 61, both(5, 0), &calm), []);
        assert_eq!(slice(&mut watch, 62, both(5, 0), &calm), [Fact::Silent(Direction::Dl)]);
        assert_eq!(slice(&mut watch, 63, both(5, 0), &calm), []);
        // A quiet night is silent both ways.
        assert_eq!(slice(&mut watch, 500, Report::default(), &calm), []);
    }

    #[test]
    fn clocks_control_and_tables_are_watched() {
        let mut watch = Watch::default();
        let reordered = Report { clock_back: Nanos(5_000), ..Report::default() };
        assert_eq!(slice(&mut watch, 1, reordered, &Vitals::default()), []);
        let back = Report { clock_back: Nanos::from_secs(5), ..Report::default() };
        assert_eq!(
            slice(&mut watch, 2, back, &Vitals::default()),
            [Fact::ClockBack { by: 5_000_000_000 }]
        );
        let away = Vitals { control_away: Nanos::from_secs(61), ..Vitals::default() };
        assert_eq!(slice(&mut watch, 3, Report::default(), &away), [Fact::ControlAway]);
        assert_eq!(slice(&mut watch, 4, Report::default(), &away), []);
        let mut one_eviction = [0; Table::ALL.len()];
        one_eviction[Table::Flows as usize] = 1;
        let full = watch.slice(
            Nanos::from_secs(5),
            &[],
            &away,
            one_eviction,
            &N4Sight::default(),
            Some(&Settings::default()),
        );
        assert_eq!(full, [(TapId(0), Fact::table_full(Table::Flows))]);
        let blind =
            watch.slice(Nanos::from_secs(6), &[], &away, one_eviction, &N4Sight::default(), None);
        assert_eq!(blind, [(TapId(0), Fact::NoPolicy)]);
    }

    #[test]
    fn a_live_sensor_may_wait_for_its_policy() {
        let mut watch = Watch::default();
        let live = Vitals { live: true, ..Vitals::default() };
        let mut at = |second| {
            watch.slice(
                Nanos::from_secs(second),
                &[],
                &live,
                [0; Table::ALL.len()],
                &N4Sight::default(),
                None,
            )
        };
        assert_eq!(at(1), []);
        assert_eq!(at(10), []);
        assert_eq!(at(11), [(TapId(0), Fact::NoPolicy)]);
        assert_eq!(at(12), []);
    }
}
