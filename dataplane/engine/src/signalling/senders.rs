//! Who sends on a tunnel: two pieces of equipment at a time are one too many, unless
//! the subscriber has just moved.

use std::collections::BTreeMap;

use weir_wire::Address;

use super::Signalling;
use super::session::SessionRef;
use crate::Nanos;
use crate::contract::session::SessionState;
use crate::contract::verdict::{Fact, Severity};
use crate::detect::GTP_TEIDCLONE;
use crate::rules::EquipmentId;
use crate::track::Inner;
use crate::tunnels::unresolved::{Change, Sum};
use crate::tunnels::{FTeid, RowFlags, Sender, Slot};

/// Tunnels that are looked at closely at a time.
const CONTESTS: usize = 4096;
/// One that was quiet for so long is let go.
const QUIET: Nanos = Nanos::from_secs(60);

/// A tunnel with two senders.
#[derive(Debug)]
struct Contest {
    session: SessionRef,
    end: FTeid,
    at: Nanos,
    due: Nanos,
    last: Nanos,
    /// Both, and more, each with what no alert counts yet.
    senders: Vec<Claimant>,
    suspect: Option<Sender>,
}

#[derive(Clone, Copy, Debug)]
struct Claimant {
    sender: Sender,
    from: Address,
    uncounted: Option<(Sum, Option<Inner>)>,
}

/// All such tunnels.
#[derive(Debug, Default)]
pub(crate) struct Senders {
    contests: BTreeMap<(Slot, u16), Contest>,
}

impl Senders {
    /// Another inventory numbers otherwise.
    pub(crate) fn forget(&mut self) {
        self.contests.clear();
    }
}

impl Signalling {
    /// Takes the changes of senders that workers saw in a slice.
    pub(super) fn resolve_senders(&mut self, changes: Vec<Change>, now: Nanos) {
        for change in changes {
            let key = (change.slot, change.generation);
            if let Some(contest) = self.senders.contests.get_mut(&key) {
                contest.add(&change);
            } else if let Some(other) = self.other_sender(&change)
                && self.senders.contests.len() < CONTESTS
            {
                self.contest(&change, other);
            }
        }
        self.settle_contests(now);
    }

    /// Another equipment that sent on the tunnel shortly before or after.
    fn other_sender(&self, change: &Change) -> Option<Sender> {
        change.sender.equipment()?;
        let window = self.settings.clone_window;
        let near = |last: Nanos| {
            change.sum.first.since(last) <= window && last.since(change.sum.last) <= window
        };
        let elsewhere = self.usage.iter().map(|usage| {
            let counted = usage.of(change.slot, change.generation);
            (counted.sender, counted.last)
        });
        elsewhere
            .chain([(change.before, change.before_last)])
            .filter(|(sender, last)| {
                *sender != change.sender && sender.equipment().is_some() && near(*last)
            })
            .map(|(sender, _)| sender)
            .min()
    }

    fn contest(&mut self, change: &Change, other: Sender) {
        let Some(row) = self.tunnels.row(change.slot) else { return };
        // Of one that was closed meanwhile, the end may be another session's by then.
        if row.flags.generation() != change.generation || change.sum.last >= row.until {
            return;
        }
        let Some(session) = self.store.at(row.session) else { return };
        // From now on every packet's sender is told.
        self.tunnels.update(change.slot, |row| row.flags.set(RowFlags::CONTESTED));
        let first = change.sum.first;
        let unseen = Claimant { sender: other, from: Address(0), uncounted: None };
        let mut contest = Contest {
            session,
            end: row.end,
            at: first,
            due: first.plus(self.settings.clone_window),
            last: first,
            senders: vec![unseen],
            suspect: None,
        };
        contest.add(change);
        self.senders.contests.insert((change.slot, change.generation), contest);
    }

    fn settle_contests(&mut self, now: Nanos) {
        let keys: Vec<(Slot, u16)> = self
            .senders
            .contests
            .iter()
            .filter(|(_, contest)| contest.due <= now)
            .map(|(key, _)| *key)
            .collect();
        for key in keys {
            let Some(mut contest) = self.senders.contests.remove(&key) else { continue };
            if contest.suspect.is_none() {
                contest.suspect = self.suspect(&contest);
            }
            let Some(suspect) = contest.suspect.filter(|_| now.since(contest.last) < QUIET) else {
                self.tunnels.update(key.0, |row| row.flags.clear(RowFlags::CONTESTED));
                continue;
            };
            self.accuse_clone(&mut contest, suspect);
            self.senders.contests.insert(key, contest);
        }
    }

    /// Who of the senders should not be one; none if a handover explains both.
    fn suspect(&self, contest: &Contest) -> Option<Sender> {
        let session = self.store.find(contest.session)?;
        let window = self.settings.clone_window;
        let moved = contest.at.since(session.moved) <= window
            && session.moved.since(contest.at.plus(window)) == Nanos(0)
            && session.moved != Nanos(0);
        // A move that nobody saw explains as much.
        let uncertain = session.uncertain != Nanos(0)
            && contest.at.since(session.uncertain) <= Nanos(window.0 * 2);
        if session.state == SessionState::Stale || moved || uncertain {
            return None;
        }
        let targets: Vec<EquipmentId> = self
            .store
            .held
            .iter(session.tunnels)
            .filter(|held| held.downlink && !held.local)
            .filter_map(|held| self.rules.as_deref()?.holder(held.end.address))
            .collect();
        let is_expected =
            |sender: Sender| sender.equipment().is_some_and(|id| targets.contains(&id));
        let mut unexpected = contest.senders.iter().filter(|it| !is_expected(it.sender));
        // Where N4 does not say who it is, the later one is.
        let later = if targets.is_empty() { contest.senders.last() } else { unexpected.next() };
        later.map(|claimant| claimant.sender)
    }

    fn accuse_clone(&mut self, contest: &mut Contest, suspect: Sender) {
        let mut said = None;
        for claimant in &mut contest.senders {
            let uncounted = claimant.uncounted.take();
            if claimant.sender == suspect {
                said = uncounted.map(|uncounted| (claimant.from, uncounted));
            }
        }
        let Some((from, (sum, inner))) = said else { return };
        let context = self.store.find(contest.session).map(|session| self.context(session));
        let ends = (from, contest.end.address);
        let fact = Fact::TunnelShared;
        let mut accusation =
            self.user_plane(GTP_TEIDCLONE, Severity::High, fact, ends, &sum, inner);
        accusation.n4.session = context;
        accusation.n4.teids = vec![contest.end.teid];
        accusation.n4.doubt = 0.03;
        self.accusations.add(accusation);
    }
}

impl Contest {
    fn add(&mut self, change: &Change) {
        self.last = self.last.max(change.sum.last);
        let known = self.senders.iter().position(|it| it.sender == change.sender);
        let place = known.unwrap_or(self.senders.len());
        if known.is_none() && self.senders.len() < 4 {
            let fresh = Claimant { sender: change.sender, from: change.from, uncounted: None };
            self.senders.push(fresh);
        }
        let Some(claimant) = self.senders.get_mut(place) else { return };
        claimant.from = change.from;
        match &mut claimant.uncounted {
            Some((sum, _)) => {
                sum.join(&change.sum);
            }
            none => *none = Some((change.sum, change.inner)),
        }
    }
}
