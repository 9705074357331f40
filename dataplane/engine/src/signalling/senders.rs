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
/// Senders of one tunnel that are told apart.
const SENDERS: usize = 16;
/// A suspect that was quiet for so long is let go.
const QUIET: Nanos = Nanos::from_secs(60);

/// A tunnel with two senders.
#[derive(Debug)]
struct Contest {
    session: SessionRef,
    end: FTeid,
    at: Nanos,
    due: Nanos,
    /// Whether a handover explained it before, and both went on.
    again: bool,
    /// Both, and more, each with what no alert counts yet.
    senders: Vec<Claimant>,
    suspect: Option<Sender>,
}

#[derive(Clone, Copy, Debug)]
struct Claimant {
    sender: Sender,
    from: Address,
    last: Nanos,
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
    pub(super) fn resolve_senders(&mut self, mut changes: Vec<Change>, now: Nanos) {
        // A worker that sees both senders tells of each, two workers of the second alone: what came
        // first begins the contest either way.
        changes.sort_by_key(|change| change.sum.first);
        for change in changes {
            let key = (change.slot, change.generation);
            if let Some(contest) = self.senders.contests.get_mut(&key) {
                contest.add(&change);
                continue;
            }
            let others = self.other_senders(&change);
            if let Some(other) = others.near
                && self.senders.contests.len() < CONTESTS
            {
                self.contest(&change, other);
            } else if others.any {
                self.mark(&change, RowFlags::SHARED);
            }
        }
        self.settle_contests(now);
    }

    /// Other equipment that sent on the tunnel, as far as workers remember.
    fn other_senders(&self, change: &Change) -> Others {
        let mut others = Others::default();
        if change.sender.equipment().is_none() {
            return others;
        }
        let window = self.settings.clone_window;
        let near = |last: Nanos| {
            change.sum.first.since(last) <= window && last.since(change.sum.last) <= window
        };
        let elsewhere = self.usage.iter().map(|usage| {
            let counted = usage.of(change.slot, change.generation);
            (counted.sender, counted.last)
        });
        for other in elsewhere.chain([(change.before, change.before_last)]) {
            if other.0 == change.sender || other.0.equipment().is_none() {
                continue;
            }
            others.any = true;
            if near(other.1) && others.near.is_none_or(|known| other < known) {
                others.near = Some(other);
            }
        }
        others
    }

    /// Tells workers how closely to look at a tunnel; no if it is another one by now.
    fn mark(&mut self, change: &Change, how: RowFlags) -> bool {
        let row = self.tunnels.row(change.slot);
        let is_it = row.is_some_and(|row| {
            // Of one that was closed meanwhile, the end may be another session's by then.
            row.flags.generation() == change.generation && change.sum.last < row.until
        });
        if is_it {
            self.tunnels.update(change.slot, |row| row.flags.set(how));
        }
        is_it
    }

    fn contest(&mut self, change: &Change, (other, last): (Sender, Nanos)) {
        // From now on every packet's sender is told.
        if !self.mark(change, RowFlags::CONTESTED.or(RowFlags::SHARED)) {
            return;
        }
        let Some(row) = self.tunnels.row(change.slot) else { return };
        let Some(session) = self.store.at(row.session) else { return };
        let first = change.sum.first;
        let unseen = Claimant { sender: other, from: Address(0), last, uncounted: None };
        let mut contest = Contest {
            session,
            end: row.end,
            at: first,
            due: first.plus(self.settings.clone_window),
            again: false,
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
            let both_went_on = contest.heard_since(contest.at) > 1;
            // Of a handover that nobody saw, only the new place goes on.
            let is_evident = both_went_on || !contest.again && !self.may_have_moved(&contest);
            if contest.suspect.is_none() && is_evident {
                contest.suspect = self.suspect(&contest);
            }
            let goes_on = match contest.suspect {
                Some(suspect) => {
                    self.accuse_clone(&mut contest, suspect);
                    now.since(contest.last_of(suspect)) < QUIET
                }
                None => {
                    contest.look_again(now, self.settings.clone_window);
                    both_went_on
                }
            };
            if goes_on {
                self.senders.contests.insert(key, contest);
            } else {
                self.tunnels.update(key.0, |row| {
                    if row.flags.generation() == key.1 {
                        row.flags.clear(RowFlags::CONTESTED);
                    }
                });
            }
        }
    }

    /// Whether N4 is not seen so well that a handover could not have gone by unseen.
    fn may_have_moved(&self, contest: &Contest) -> bool {
        let node = self.store.find(contest.session).map(|session| session.up_node);
        node.is_some_and(|node| self.is_lossy(node))
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
        let too_few = (contest.senders.len() as u64) < self.settings.clone_min_equipment;
        if session.state == SessionState::Stale || moved || uncertain || too_few {
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

/// Who else sends on a tunnel.
#[derive(Clone, Copy, Debug, Default)]
struct Others {
    /// Whether anybody did.
    any: bool,
    /// One who did so shortly before or after.
    near: Option<(Sender, Nanos)>,
}

impl Contest {
    fn add(&mut self, change: &Change) {
        let known = self.senders.iter().position(|it| it.sender == change.sender);
        let place = known.unwrap_or(self.senders.len());
        if known.is_none() && self.senders.len() < SENDERS {
            let (sender, from) = (change.sender, change.from);
            self.senders.push(Claimant { sender, from, last: Nanos(0), uncounted: None });
        }
        let Some(claimant) = self.senders.get_mut(place) else { return };
        claimant.from = change.from;
        claimant.last = claimant.last.max(change.sum.last);
        match &mut claimant.uncounted {
            Some((sum, _)) => {
                sum.join(&change.sum);
            }
            none => *none = Some((change.sum, change.inner)),
        }
    }

    /// How many senders sent since then.
    fn heard_since(&self, time: Nanos) -> usize {
        self.senders.iter().filter(|it| it.last >= time).count()
    }

    fn last_of(&self, sender: Sender) -> Nanos {
        let its = self.senders.iter().find(|it| it.sender == sender);
        its.map_or(Nanos(0), |claimant| claimant.last)
    }

    /// What was seen so far had its reason; what comes may have none.
    fn look_again(&mut self, now: Nanos, window: Nanos) {
        self.at = now;
        self.due = now.plus(window);
        self.again = true;
        self.senders.iter_mut().for_each(|claimant| claimant.uncounted = None);
    }
}
