//! CNS-BALANCE: a UPF lets out more users' packets than came to it. What came in must come out,
//! and nothing else may; what a UPF makes by itself (echoes, reports, errors, neighbour
//! discovery) is no user's packet.
//!
//! One of 256 packets is followed from tap to tap by its digest, so that what left without having
//! come is known packet by packet and not by subtraction: packets that a UPF drops hide nothing.

use std::collections::BTreeMap;

use crate::detect::Detection;
use crate::proof::{Flow, Window};
use crate::rules::{EquipmentId, Settings};

/// The standing data.
pub const DETECTION: Detection = Detection {
    id: "CNS-BALANCE",
    signature_id: 5_290_027,
    signature: "A UPF lets out users' packets that never came to it",
    category: "Potential Corporate Privacy Violation",
    rank: 1,
    technique: &["T1048", "T1565"],
    restricted: false,
};

/// One of so many packets is followed.
pub(crate) const RARITY: u64 = 256;

/// What came of a window and direction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// Nothing to say, as yet.
    Even,
    /// What is lost between UPF and sensor may explain what is too much.
    Degraded,
    /// The other side of the UPF is not seen.
    NotCovered,
    /// Too much left, in so many windows in a row; or so much at once.
    TooMuch {
        /// How many.
        windows: u32,
    },
}

/// How many windows in a row were too much, and the last of them, by UPF and direction.
#[derive(Debug, Default)]
pub(crate) struct Balances {
    runs: BTreeMap<(EquipmentId, bool), (u64, u32)>,
}

impl Balances {
    /// Judges both directions of a UPF's window, uplink first.
    pub(crate) fn judge(
        &mut self,
        number: u64,
        upf: EquipmentId,
        window: &Window,
        settings: &Settings,
    ) -> [Outcome; 2] {
        let [up, down] = &window.flows;
        let judged = [(up, down), (down, up)].map(|(flow, back)| {
            // What a line towards the UPF loses of one direction, it loses of the other coming
            // from it: packets that came and were not seen to leave.
            let lost = if back.came == 0 { 0.0 } else { back.lost as f64 / back.came as f64 };
            judge_flow(flow, lost.max(window.loss), settings)
        });
        let mut outcomes = [Outcome::Even; 2];
        for (way, (outcome, (excess, is_flood))) in outcomes.iter_mut().zip(judged).enumerate() {
            let (last, before) = self.runs.get(&(upf, way == 1)).copied().unwrap_or_default();
            let is_next = last + 1 == number;
            let row = match excess {
                Excess::Clear if is_next => before.saturating_add(1),
                Excess::Clear => 1,
                // A window that can't be judged neither adds to a row nor ends it.
                Excess::Doubtful if is_next => before,
                Excess::Doubtful | Excess::Unseen | Excess::None => 0,
            };
            self.runs.insert((upf, way == 1), (number, row));
            let is_long = u64::from(row) >= settings.balance_windows;
            *outcome = match excess {
                Excess::Clear if is_flood || is_long => Outcome::TooMuch { windows: row },
                Excess::Clear | Excess::None => Outcome::Even,
                Excess::Doubtful => Outcome::Degraded,
                Excess::Unseen => Outcome::NotCovered,
            };
        }
        outcomes
    }

    pub(crate) fn forget(&mut self) {
        self.runs.clear();
    }
}

/// What left a UPF in one direction without having come, held against what came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Excess {
    None,
    /// Too much, by more than chance and the lines' losses.
    Clear,
    /// Too much, unless so much was lost where it came.
    Doubtful,
    /// Nothing is seen to come at all.
    Unseen,
}

/// Judges a direction of which this share is lost; says too whether it is a flood.
fn judge_flow(flow: &Flow, lost: f64, settings: &Settings) -> (Excess, bool) {
    let (came, extra) = (flow.came as f64, flow.extra as f64);
    let sigmas = settings.balance_sigmas;
    // Of rare events about as many are seen as their square root says more or less.
    let beyond = extra - sigmas * extra.sqrt();
    let bound = settings.balance_max_ratio * came;
    let flood = |lost: f64| {
        let bytes = flow.extra_bytes as f64 - sigmas * (flow.extra_squares as f64).sqrt();
        let beside = bytes - lost * flow.came_bytes as f64;
        let minutes = settings.balance_window.0 as f64 / 60e9;
        let most = settings.balance_max_mebibytes * minutes * f64::from(1 << 20);
        beside * RARITY as f64 > most
    };
    let is_over = extra > 0.0 && beyond > bound;
    if !is_over && !flood(0.0) {
        return (Excess::None, false);
    }
    if flow.came == 0 {
        return (Excess::Unseen, false);
    }
    let is_clear = extra > 0.0 && beyond > bound + lost * came;
    match (is_clear, flood(lost)) {
        (false, false) => (Excess::Doubtful, false),
        (_, is_flood) => (Excess::Clear, is_flood),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPF: EquipmentId = EquipmentId(3);

    fn flow(came: u64, lost: u64, extra: u64, bytes: u64) -> Flow {
        Flow {
            came,
            came_bytes: came * bytes,
            left: came - lost + extra,
            lost,
            extra,
            extra_bytes: extra * bytes,
            extra_squares: extra * bytes * bytes,
            ..Flow::default()
        }
    }

    fn uplink(balances: &mut Balances, number: u64, up: Flow, down: Flow) -> Outcome {
        let window = Window { flows: [up, down], loss: 0.0 };
        balances.judge(number, UPF, &window, &Settings::default())[0]
    }

    #[test]
    fn five_windows_in_a_row_beyond_ratio_and_chance_are_too_much() {
        let mut balances = Balances::default();
        let mut say = |number, extra| {
            uplink(&mut balances, number, flow(1_000, 0, extra, 60), flow(1_000, 0, 0, 60))
        };
        for number in 1..5 {
            assert_eq!(say(number, 30), Outcome::Even);
        }
        assert_eq!(say(5, 30), Outcome::TooMuch { windows: 5 });
        assert_eq!(say(6, 30), Outcome::TooMuch { windows: 6 });
        // 3 sigma of 17 are 12.4: 4.6 of 1,000 are less than 0.5 %.
        assert_eq!(say(7, 17), Outcome::Even);
        assert_eq!(say(8, 30), Outcome::Even, "a row begins anew");
        for number in 9..12 {
            assert_eq!(say(number, 30), Outcome::Even);
        }
        assert_eq!(say(13, 30), Outcome::Even, "a window in between was quiet");
    }

    #[test]
    fn much_at_once_is_too_much_at_once() {
        let mut balances = Balances::default();
        let quiet = flow(10_000, 0, 0, 1_400);
        // 12 packets are 4.2 MB a minute, within three sigma of 0.6; 20 are not.
        assert_eq!(uplink(&mut balances, 1, flow(100_000, 0, 11, 1_400), quiet), Outcome::Even);
        let many = uplink(&mut balances, 2, flow(100_000, 0, 20, 1_400), quiet);
        assert_eq!(many, Outcome::TooMuch { windows: 1 });
    }

    #[test]
    fn what_a_lossy_line_explains_is_degraded_and_what_drops_is_no_excuse_for_the_rest() {
        let mut balances = Balances::default();
        let lossy = flow(1_000, 50, 0, 60);
        for number in 1..10 {
            let said = uplink(&mut balances, number, flow(1_000, 0, 50, 60), lossy);
            assert_eq!(said, Outcome::Degraded);
        }
        for number in 10..15 {
            let said = uplink(&mut balances, number, flow(1_000, 0, 200, 60), lossy);
            assert_eq!(said == Outcome::TooMuch { windows: 5 }, number == 14, "{said:?}");
        }
        // Frames that the sensor lost count alike.
        let window = Window { flows: [flow(1_000, 0, 50, 60), flow(1_000, 0, 0, 60)], loss: 0.05 };
        assert_eq!(
            balances.judge(20, UPF, &window, &Settings::default()),
            [Outcome::Degraded, Outcome::Even]
        );
    }

    #[test]
    fn a_side_that_is_not_seen_is_not_covered() {
        let mut balances = Balances::default();
        for number in 1..9 {
            let said = uplink(&mut balances, number, flow(0, 0, 500, 1_400), flow(9, 0, 0, 60));
            assert_eq!(said, Outcome::NotCovered);
        }
    }
}
