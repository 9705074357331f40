//! Users' source addresses that are not their sessions'.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_wire::Address;
use weir_wire::pfcp_ie::PdnType;

use super::Signalling;
use super::session::{Flagged, Session, SessionRef, is_within};
use crate::Nanos;
use crate::contract::session::SessionState;
use crate::contract::verdict::{Fact, Severity, Spoof};
use crate::detect::GTP_UESPOOF;
use crate::tunnels::unresolved::{Escape, OddSource};
use crate::tunnels::{FTeid, Row, RowFlags};

/// Sessions that are watched.
const SESSIONS: usize = 1 << 14;
/// Sources that are looked for on N6.
const WATCHED: usize = 64;
/// What is compared: a minute.
const WINDOW: Nanos = Nanos::from_secs(60);

/// A session that sends from addresses that it has not.
#[derive(Debug)]
struct Spoofer {
    begin: Nanos,
    /// In the window that is open.
    packets: u64,
    ripe: bool,
    last: Nanos,
    /// The latest of its odd sources, and all of what no alert counts yet.
    uncounted: Option<OddSource>,
    /// Whether the tunnel may be another session's by now.
    may_be_anothers: bool,
    severity: Severity,
    from: Address,
}

/// All of them, and what is watched for on N6.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    spoofers: BTreeMap<SessionRef, Spoofer>,
    watched: BTreeMap<Address, (Nanos, SessionRef)>,
    changed: bool,
}

impl Sources {
    /// Whether a session is known that sends from this address, and has it not.
    pub(super) fn knows(&self, source: Address) -> bool {
        self.watched.contains_key(&source)
    }

    /// Another inventory numbers otherwise.
    pub(crate) fn forget(&mut self) {
        self.spoofers.clear();
        self.watched.clear();
        self.changed = true;
    }
}

impl Signalling {
    /// Takes the odd sources that workers saw in a slice, and what left on N6.
    pub(super) fn resolve_sources(
        &mut self,
        odd: Vec<OddSource>,
        escaped: Vec<Escape>,
        now: Nanos,
    ) {
        for source in odd {
            let row = self.tunnels.row(source.slot);
            let session = row
                .filter(|row| row.flags.generation() == source.generation)
                .and_then(|row| self.store.at(row.session));
            if let Some(at) = session {
                self.spoofed(at, &source);
            }
        }
        for escape in escaped {
            let Some((_, at)) = self.sources.watched.get(&escape.source).copied() else { continue };
            if let Some(spoofer) = self.sources.spoofers.get_mut(&at)
                && spoofer.severity < Severity::High
                && !spoofer.may_be_anothers
            {
                spoofer.severity = Severity::High;
                self.accuse_spoofer(at, Spoof::Leaves);
            }
        }
        let watched = self.sources.watched.len();
        self.sources.watched.retain(|_, (last, _)| now.since(*last) <= WINDOW);
        self.sources.changed |= watched != self.sources.watched.len();
        self.sources.spoofers.retain(|_, spoofer| now.since(spoofer.last) <= Nanos(WINDOW.0 * 10));
    }

    /// The sources to look for on N6, if they have changed.
    pub fn watched_sources(&mut self) -> Option<Arc<[Address]>> {
        std::mem::take(&mut self.sources.changed)
            .then(|| self.sources.watched.keys().copied().collect())
    }

    pub(super) fn spoofed(&mut self, at: SessionRef, odd: &OddSource) {
        let Some(session) = self.store.find(at) else { return };
        if session.state == SessionState::Partial && session.addresses().next().is_none() {
            return self.adopt_user(at, odd.source);
        }
        if self.may_send_from(session, odd.source) {
            return;
        }
        let Some(end) = self.tunnels.row(odd.slot).map(|row| row.end) else { return };
        // Two sessions claim the tunnel, which is PFCP-REDIR's; or it may be another session's
        // by now, whose beginning was half missed.
        if self.is_claimed_for(&end, at, odd.source)
            || self.doubts.excuse(odd.source, end, odd.sum.last)
        {
            return;
        }
        let Some(session) = self.store.find(at) else { return };
        let may_be_anothers = session.was_flagged_for.has(Flagged::MAY_HAVE_ENDED);
        let is_stale = session.state == SessionState::Stale || may_be_anothers;
        let cohort = self.cohort_of(at, odd.from);
        let settings = &self.settings;
        let (min, factor) = (settings.spoof_min_packets, settings.spoof_cohort_factor);
        if self.sources.spoofers.len() >= SESSIONS && !self.sources.spoofers.contains_key(&at) {
            self.strays_full();
            return;
        }
        let spoofer = self.sources.spoofers.entry(at).or_insert_with(|| Spoofer {
            begin: odd.sum.first,
            packets: 0,
            ripe: false,
            last: odd.sum.last,
            uncounted: None,
            may_be_anothers,
            severity: Severity::Info,
            from: odd.from,
        });
        if odd.sum.first.since(spoofer.begin) > WINDOW {
            (spoofer.begin, spoofer.packets) = (odd.sum.first, 0);
        }
        spoofer.may_be_anothers = may_be_anothers;
        spoofer.packets += odd.sum.packets;
        spoofer.last = spoofer.last.max(odd.sum.last);
        match &mut spoofer.uncounted {
            Some(known) => {
                known.sum.join(&odd.sum);
            }
            none => *none = Some(*odd),
        }
        spoofer.ripe |= spoofer.packets >= min;
        if !spoofer.ripe {
            return;
        }
        let much = !may_be_anothers && spoofer.packets as f64 > factor * cohort.max(min as f64);
        if much {
            spoofer.severity = Severity::High;
        }
        let last = spoofer.last;
        if self.sources.watched.len() < WATCHED || self.sources.watched.contains_key(&odd.source) {
            let new = self.sources.watched.insert(odd.source, (last, at)).is_none();
            self.sources.changed |= new;
        }
        let how = match (much, is_stale) {
            (true, _) => Spoof::Much,
            (false, true) => Spoof::Stale,
            (false, false) => Spoof::Odd,
        };
        self.accuse_spoofer(at, how);
    }

    fn strays_full(&mut self) {
        self.counters.dropped_observations += 1;
    }

    /// Odd packets a window of the other sessions behind a sender, on the average.
    fn cohort_of(&self, at: SessionRef, from: Address) -> f64 {
        let others = self.sources.spoofers.iter().filter(|(of, it)| **of != at && it.from == from);
        let (count, packets) =
            others.fold((0_u64, 0), |(count, sum), (_, it)| (count + 1, sum + it.packets));
        packets as f64 / count.max(1) as f64
    }

    /// Whether a session's user may have an address: its own, one behind it, one that names
    /// nobody, or one of a family of which N4 has not told its own.
    fn may_send_from(&self, session: &Session, source: Address) -> bool {
        let is_v4 = source.as_v4().is_some();
        let of_family = session.addresses().any(|ue| ue.address.as_v4().is_some() == is_v4);
        let may_have_family = match PdnType(session.pdn_type) {
            PdnType::IPV4 => is_v4,
            PdnType::IPV6 => !is_v4,
            _ => true,
        };
        source.is_local_scope() || (!of_family && may_have_family) || self.has_user(session, source)
    }

    /// Whether an address is the session's user's, or behind it.
    fn has_user(&self, session: &Session, source: Address) -> bool {
        let mut routes = self.store.routes.iter(session.routes);
        session.addresses().any(|ue| is_within(source, ue.address, ue.prefix))
            || routes.any(|route| is_within(source, route.address, route.prefix))
    }

    /// Whether another live session was given the same tunnel, whose user's address this is.
    fn is_claimed_for(&self, end: &FTeid, at: SessionRef, source: Address) -> bool {
        let of_user = |place| {
            let session = self.store.find(self.store.at(place)?)?;
            (session.is_live() && self.has_user(session, source)).then_some(())
        };
        let claims = |row: &Row| {
            row.flags.has(RowFlags::LOCAL)
                && row.until == Nanos::MAX
                && row.session != at.place
                && of_user(row.session).is_some()
        };
        self.tunnels.find_row(end, claims).is_some()
    }

    fn accuse_spoofer(&mut self, at: SessionRef, how: Spoof) {
        let context = self.store.find(at).map(|session| self.context(session));
        let Some(spoofer) = self.sources.spoofers.get_mut(&at) else { return };
        let severity = spoofer.severity;
        let Some(odd) = spoofer.uncounted else { return };
        // What was told of once is counted once.
        let counted = odd.sum.packets;
        if let Some(kept) = &mut spoofer.uncounted {
            (kept.sum.packets, kept.sum.bytes, kept.sum.wire_bytes) = (0, 0, 0);
            kept.sum.first = kept.sum.last;
        }
        let ends = (odd.from, odd.to);
        let fact = Fact::Spoofed(how);
        let mut accusation =
            self.user_plane(GTP_UESPOOF, severity, fact, ends, &odd.sum, odd.inner);
        accusation.packets = counted;
        accusation.n4.session = context;
        accusation.n4.doubt = if severity >= Severity::High { 0.05 } else { 0.4 };
        self.accusations.add(accusation);
    }
}
