//! How a row grows by what further records say of the same thing.

use weir_engine::contract::session::{MAX_TEIDS, Signalled};
use weir_engine::contract::verdict::{Alert, Fact};

/// Takes over what a graver record shows: that is what the alert is about now.
pub(super) fn escalate(alert: &mut Alert, record: &Alert) {
    alert.severity = record.severity;
    alert.fact = record.fact;
    alert.outer = record.outer.or(alert.outer);
    alert.inner = record.inner.or(alert.inner);
    alert.tunnel = record.tunnel.or(alert.tunnel);
    if let (Some(n4), Some(seen)) = (&mut alert.n4, &record.n4) {
        n4.session = seen.session.clone().or(n4.session.take());
        if seen.before.is_some() || seen.after.is_some() {
            (n4.before, n4.after) = (seen.before, seen.after);
        }
        n4.ordered_by = seen.ordered_by.or(n4.ordered_by);
        n4.doubt = seen.doubt;
    }
}

/// The fact with the larger of its numbers: another instance counts from the start.
pub(super) fn grow(fact: &mut Fact, seen: Fact) {
    match (fact, seen) {
        (Fact::Acknowledged { round_trips: most }, Fact::Acknowledged { round_trips: now })
        | (Fact::Orphans { tunnels: most }, Fact::Orphans { tunnels: now })
        | (Fact::TeidScan { tunnels: most }, Fact::TeidScan { tunnels: now })
        | (
            Fact::ErrorIndications { indications: most },
            Fact::ErrorIndications { indications: now },
        ) => *most = now.max(*most),
        (Fact::N4Dropped { dropped: most }, Fact::N4Dropped { dropped: now }) => {
            *most = now.max(*most);
        }
        (
            Fact::Flood { message: kind, per_second: most },
            Fact::Flood { message, per_second: now },
        ) if now > *most => (*kind, *most) = (message, now),
        (
            Fact::Duplication { sessions: most, authorised },
            Fact::Duplication { sessions, authorised: now },
        ) if sessions >= *most => (*most, *authorised) = (sessions, now),
        (
            Fact::Unmatched { streams: most, authorised: of, .. },
            Fact::Unmatched { streams, authorised, .. },
        ) if streams.saturating_sub(authorised) > most.saturating_sub(*of) => {
            (*most, *of) = (streams, authorised);
        }
        (
            Fact::FailingEstablishments { failed: most, requests: of },
            Fact::FailingEstablishments { failed, requests },
        ) if failed > *most => (*most, *of) = (failed, requests),
        (Fact::Lasting { lasted: most }, Fact::Lasting { lasted }) => *most = lasted.max(*most),
        (
            Fact::OutsideWindow { sent: most, is_remote: was },
            Fact::OutsideWindow { sent, is_remote },
        ) => (*most, *was) = (sent.max(*most), *was || is_remote),
        (fact @ Fact::Cohort { .. }, seen @ Fact::Cohort { .. })
        | (fact @ Fact::Volume { .. }, seen @ Fact::Volume { .. }) => *fact = seen,
        (Fact::Copied { digests: most }, Fact::Copied { digests: now }) => {
            *most = now.max(*most);
        }
        // The window that was told of last.
        (fact @ Fact::Imbalance { .. }, seen @ Fact::Imbalance { .. }) => *fact = seen,
        (fact @ Fact::Names { .. }, seen @ Fact::Names { .. }) => fact.enlarge(seen),
        // The newest beats are what it is like now.
        (fact @ Fact::Beacon { .. }, seen @ Fact::Beacon { .. }) => *fact = seen,
        // What was seen itself is better than what was inferred.
        (fact @ Fact::Acknowledged { .. }, seen) => *fact = seen,
        _ => {}
    }
}

/// What N4 says: the least that was covered, the greatest doubt, all tunnels.
pub(super) fn add(known: &mut Option<Box<Signalled>>, seen: Option<Box<Signalled>>) {
    let Some(seen) = seen else { return };
    let Some(known) = known else {
        *known = Some(seen);
        return;
    };
    known.coverage = match (known.coverage, seen.coverage) {
        (Some(before), Some(now)) => Some(before.min(now)),
        (before, now) => before.or(now),
    };
    known.doubt = known.doubt.max(seen.doubt);
    for teid in seen.teids {
        if known.teids.len() < MAX_TEIDS && !known.teids.contains(&teid) {
            known.teids.push(teid);
        }
    }
    let Signalled { session, before, after, ordered_by, .. } = &mut **known;
    *session = session.take().or(seen.session);
    if before.is_none() && after.is_none() {
        (*before, *after) = (seen.before, seen.after);
    }
    *ordered_by = ordered_by.or(seen.ordered_by);
}
