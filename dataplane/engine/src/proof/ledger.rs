//! What came to each UPF and what left it, window by window and direction by direction, once
//! every packet's time is over.

use std::collections::BTreeMap;

use super::seen::{Seen, Visit, WINDOW};
use crate::Nanos;
use crate::contract::verdict::Tuple;
use crate::rules::EquipmentId;

/// Windows of UPFs that are kept at a time.
const WINDOWS: usize = 1 << 14;
/// How much later than a packet's time it may be judged.
const LATE: Nanos = Nanos::from_secs(15);

/// One direction of a UPF in a window; of chosen packets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flow {
    /// What came, and its bytes.
    pub(crate) came: u64,
    pub(crate) came_bytes: u64,
    /// What left.
    pub(crate) left: u64,
    /// What came and did not leave.
    pub(crate) lost: u64,
    /// What left and had not come, its bytes, and the sum of their squares.
    pub(crate) extra: u64,
    pub(crate) extra_bytes: u64,
    pub(crate) extra_squares: u64,
    /// The first and the last of that, and the packet.
    pub(crate) span: Option<(Nanos, Nanos, Tuple)>,
}

/// A UPF in a window: uplink, downlink.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Window {
    pub(crate) flows: [Flow; 2],
    /// The share of frames that were lost before inspection, at the worst.
    pub(crate) loss: f64,
}

/// All windows that are not judged yet.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    windows: BTreeMap<(u64, EquipmentId), Window>,
    evictions: u64,
}

impl Ledger {
    /// Enters a packet whose time is over.
    pub(crate) fn enter(&mut self, seen: &Seen, length: Nanos, loss: f64) {
        if seen.is_excused {
            return;
        }
        for visit in &seen.visits {
            self.enter_visit(seen, visit, length, loss);
        }
    }

    fn enter_visit(&mut self, seen: &Seen, visit: &Visit, length: Nanos, loss: f64) {
        let Some(at) = visit.left.or(visit.came) else { return };
        let key = (at.slice(length), visit.upf);
        if self.windows.len() >= WINDOWS && !self.windows.contains_key(&key) {
            self.evictions += 1;
            return;
        }
        let window = self.windows.entry(key).or_default();
        window.loss = window.loss.max(loss);
        let flow = &mut window.flows[usize::from(!visit.is_up)];
        let bytes = u64::from(seen.bytes);
        let (came, left) = (visit.came.is_some(), visit.left.is_some());
        flow.came += u64::from(came);
        flow.came_bytes += u64::from(came) * bytes;
        flow.left += u64::from(left);
        if came && !left && !visit.is_masked {
            flow.lost += 1;
        }
        // A NAT on the link to the data network explains a downlink packet that came with another
        // address, but none that left with its user's own.
        if left && !came && (visit.is_up || !visit.is_masked) {
            flow.extra += 1;
            flow.extra_bytes += bytes;
            flow.extra_squares += bytes * bytes;
            let (first, last, user) = flow.span.unwrap_or((at, at, seen.user));
            let user = if at < first { seen.user } else { user };
            flow.span = Some((first.min(at), last.max(at), user));
        }
    }

    /// The next window of which nothing more can come at `now`.
    pub(crate) fn due(&mut self, now: Nanos, length: Nanos) -> Option<(u64, EquipmentId, Window)> {
        let (number, upf) = *self.windows.first_key_value()?.0;
        let end = Nanos(number.saturating_add(1).saturating_mul(length.0));
        if end.plus(WINDOW).plus(LATE) > now && now != Nanos::MAX {
            return None;
        }
        let window = self.windows.remove(&(number, upf))?;
        Some((number, upf, window))
    }

    /// The largest loss of a window that is not judged yet.
    #[cfg(test)]
    pub(super) fn worst(&self) -> Option<f64> {
        self.windows.values().map(|window| window.loss).reduce(f64::max)
    }

    pub(crate) fn forget(&mut self) {
        self.windows.clear();
    }

    pub(crate) fn evictions(&self) -> u64 {
        self.evictions
    }
}
