//! A session's rows in the table of tunnels: what its rules ask for, no more and no less.

use std::collections::VecDeque;

use weir_wire::Address;

use super::apply::is_access;
use super::session::{Counts, Held, LocalEnd, Session, SessionRef, UeAddress};
use super::store::ClaimKey;
use super::transactions::TransactionKey;
use super::{MEMORY, PLACES, Place, Signalling};
use crate::Nanos;
use crate::contract::session::SessionState;
use crate::tunnels::usage::Counted;
use crate::tunnels::{FTeid, Row, RowFlags, Slot, TunnelWriter};

/// Tunnels of one session; what its rules ask for beyond is left out.
pub(super) const TUNNELS: usize = 24;

/// Closed rows of one F-TEID that are kept.
const CLOSED_ROWS: usize = 4;

/// Closed rows in the order in which they are taken out.
#[derive(Debug, Default)]
pub(crate) struct Closing {
    rows: VecDeque<(Nanos, Slot, u16)>,
    users: VecDeque<(Nanos, Slot, u16)>,
}

impl Closing {
    /// Closes a row. Whoever opens and closes without end has no more closed rows than the
    /// table has.
    fn close(&mut self, tunnels: &mut TunnelWriter, held: &Held, until: Nanos, now: Nanos) {
        tunnels.update(held.slot, |row| row.until = until.max(row.since));
        if self.rows.len() >= tunnels.slots()
            && let Some((_, slot, generation)) = self.rows.pop_front()
        {
            take_out(tunnels, slot, generation);
        }
        self.rows.push_back((now.max(until).plus(MEMORY), held.slot, held.generation));
    }
}

impl Closing {
    /// The tunnel's row that is taken out after so many others.
    pub(super) fn tunnel(&self, ahead: usize) -> Option<Slot> {
        self.rows.get(ahead).map(|(_, slot, _)| *slot)
    }

    /// The user's row that is taken out after so many others.
    pub(super) fn user(&self, ahead: usize) -> Option<Slot> {
        self.users.get(ahead).map(|(_, slot, _)| *slot)
    }
}

/// Removes a row, unless its place is another's by now.
fn take_out(table: &mut TunnelWriter, slot: Slot, generation: u16) {
    let row = table.row(slot);
    if row.is_some_and(|row| row.flags.generation() == generation) {
        table.remove(slot);
    }
}

/// Rows that a session's rules ask for.
#[derive(Default)]
struct Wanted {
    rows: [(FTeid, bool, bool); TUNNELS],
    len: usize,
}

impl Wanted {
    fn add(&mut self, address: Address, teid: u32, downlink: bool, local: bool) {
        let end = FTeid { address, teid };
        let known = self.rows[..self.len].iter().any(|(of, _, is)| *of == end && *is == local);
        if !known && self.len < TUNNELS {
            self.rows[self.len] = (end, downlink, local);
            self.len += 1;
        }
    }

    fn local(&mut self, end: &LocalEnd, downlink: bool) {
        if end.teid != 0 {
            end.addresses.iter().for_each(|address| self.add(address, end.teid, downlink, true));
        }
    }

    fn rows(&self) -> &[(FTeid, bool, bool)] {
        &self.rows[..self.len]
    }
}

impl Signalling {
    /// Brings a session's rows in line with its rules. `since` is when they were asked for.
    pub(super) fn sync_tunnels(
        &mut self,
        key: &TransactionKey,
        at: SessionRef,
        session: &mut Session,
        since: Nanos,
    ) {
        let wanted = self.wanted(session);
        let mut moved_to = None;
        let mut closed = Nanos(0);
        let mut kept = session.tunnels;
        // What is held and not wanted any more.
        while let Some(held) = self.store.held.remove(&mut kept, |held| {
            !wanted.rows().iter().any(|(end, _, local)| *end == held.end && *local == held.local)
        }) {
            if held.is_primary() {
                session.kept[usize::from(held.downlink)].add(&self.counted(&held));
            }
            if held.downlink && !held.local {
                closed = since;
            }
            self.closing.close(&mut self.tunnels, &held, since, self.now);
        }
        session.tunnels = kept;
        wanted.rows().iter().for_each(|(end, ..)| self.tunnels.prefetch_tags(end));
        wanted.rows().iter().for_each(|(end, ..)| self.tunnels.prefetch_free(end));
        for (end, downlink, local) in wanted.rows() {
            let known = self
                .store
                .held
                .find(session.tunnels, |held| held.end == *end && held.local == *local)
                .copied();
            match known {
                Some(held) => self.refresh(&held, session, *downlink, *local),
                None => {
                    if *downlink && !*local {
                        moved_to = Some(end.address);
                    }
                    self.open(key, at, session, (*end, *downlink, *local), since);
                }
            }
        }
        if let Some(to) = moved_to {
            // The first downlink of a session is no move.
            if closed != Nanos(0) {
                self.watch_move(key, at, to, since);
            }
            if session.was_reached {
                session.moved = since;
            }
            session.was_reached = true;
        }
    }

    fn wanted(&self, session: &Session) -> Wanted {
        let mut wanted = Wanted::default();
        for pdr in self.store.pdrs.iter(session.pdrs) {
            let downlink = !is_access(pdr.source);
            if let Some(end) = &pdr.end {
                wanted.local(end, downlink);
            }
            let endpoint = pdr.endpoint.and_then(|id| {
                self.store.endpoints.find(session.endpoints, |endpoint| endpoint.id == id)
            });
            if let Some(end) = endpoint.and_then(|endpoint| endpoint.end) {
                wanted.local(&end, downlink);
            }
        }
        for endpoint in self.store.endpoints.iter(session.endpoints) {
            // One that no PDR names yet.
            if let Some(end) = &endpoint.end {
                wanted.local(end, false);
            }
        }
        for far in self.store.fars.iter(session.fars) {
            if let Some(to) = far.to
                && let Some(teid) = to.teid.filter(|teid| *teid != 0)
            {
                // Where a FAR's interface was never said, it is the radio side's.
                let downlink = far.destination == u8::MAX || is_access(far.destination);
                to.addresses.iter().for_each(|address| wanted.add(address, teid, downlink, false));
            }
        }
        wanted
    }

    fn open(
        &mut self,
        key: &TransactionKey,
        at: SessionRef,
        session: &mut Session,
        (end, downlink, local): (FTeid, bool, bool),
        since: Nanos,
    ) {
        if self.places.len() < PLACES || self.places.contains_key(&end.address) {
            let place = self.places.entry(end.address).or_insert(Place { up_node: None });
            if local {
                place.up_node = Some(session.up_node);
            }
        }
        if local {
            self.challenge(key, at, &end, since);
        }
        let (ue4, ue6, flags) = facts(session, downlink, local);
        let row = Row { end, flags, since, until: Nanos::MAX, session: at.place, ue4, ue6 };
        self.thin_out(&end);
        let Ok(slot) = self.tunnels.insert(row) else {
            self.counters.tunnels_refused += 1;
            return;
        };
        let generation = self.tunnels.row(slot).map_or(0, |row| row.flags.generation());
        let held = Held { end, slot, generation, downlink, local };
        if self.store.held.push(&mut session.tunnels, held).is_err() {
            self.tunnels.remove(slot);
            self.counters.tunnels_refused += 1;
        }
    }

    /// Of an F-TEID that is given away again and again, only the latest closed rows are kept.
    fn thin_out(&mut self, end: &FTeid) {
        let (mut closed, mut oldest) = (0, None);
        self.tunnels.find_row(end, |row| {
            if row.until != Nanos::MAX {
                closed += 1;
                oldest = oldest.filter(|until| *until <= row.until).or(Some(row.until));
            }
            false
        });
        if closed >= CLOSED_ROWS
            && let Some((slot, _)) = self.tunnels.find_row(end, |row| Some(row.until) == oldest)
        {
            self.tunnels.remove(slot);
        }
    }

    /// Another live session gave this F-TEID: who is right?
    fn challenge(&mut self, key: &TransactionKey, at: SessionRef, end: &FTeid, since: Nanos) {
        let store = &self.store;
        let other = self.tunnels.find_row(end, |row| {
            let lives = |place| store.find(store.at(place)?).map(Session::is_live);
            row.flags.has(RowFlags::LOCAL)
                && row.until == Nanos::MAX
                && row.session != at.place
                && lives(row.session) == Some(true)
        });
        let Some((_, row)) = other else { return };
        let Some(older) = self.store.at(row.session) else { return };
        let state = self.store.find(older).map(|session| session.state);
        if matches!(state, Some(SessionState::Stale | SessionState::Partial)) {
            // It was before the restart; the F-TEID is free again.
            self.replace(older, since);
        } else {
            self.dispute(key, (older, at), false, since);
        }
    }

    /// Brings a row's facts up to date.
    fn refresh(&mut self, held: &Held, session: &Session, downlink: bool, local: bool) {
        let (ue4, ue6, flags) = facts(session, downlink, local);
        self.tunnels.update(held.slot, |row| {
            let of_senders = RowFlags::CONTESTED.or(RowFlags::SHARED);
            let kept = RowFlags(row.flags.0 & of_senders.0);
            (row.ue4, row.ue6, row.flags) = (ue4, ue6, flags);
            row.flags.set(kept);
        });
    }

    /// Closes the rows of a session that has ended, and keeps what was counted on them.
    pub(super) fn close_tunnels(&mut self, at: SessionRef, until: Nanos) {
        let Some(tunnels) = self.store.find(at).map(|session| session.tunnels) else { return };
        for held in self.store.held.iter(tunnels) {
            self.tunnels.prefetch_slot(held.slot);
        }
        for held in self.store.held.iter(tunnels) {
            self.closing.close(&mut self.tunnels, held, until, self.now);
        }
        let Some(users) = self.store.find(at).map(|session| session.ue) else { return };
        self.close_users(&users, &[], until);
    }

    /// Closes the rows of a session's addresses that it no longer has.
    pub(super) fn close_users(&mut self, users: &[UeAddress], kept: &[UeAddress], until: Nanos) {
        for (slot, generation) in users.iter().filter_map(|ue| ue.row) {
            if kept.iter().any(|ue| ue.row == Some((slot, generation))) {
                continue;
            }
            self.users.update(slot, |row| row.until = until.max(row.since));
            let due = self.now.max(until).plus(MEMORY);
            self.closing.users.push_back((due, slot, generation));
        }
    }

    /// Takes closed rows out whose time is over.
    pub(super) fn close_rows(&mut self, now: Nanos) {
        while let Some((due, slot, generation)) = self.closing.rows.front().copied()
            && due <= now
        {
            self.foresee_closed_tunnel();
            self.closing.rows.pop_front();
            take_out(&mut self.tunnels, slot, generation);
        }
        while let Some((due, slot, generation)) = self.closing.users.front().copied()
            && due <= now
        {
            self.foresee_closed_user();
            self.closing.users.pop_front();
            take_out(&mut self.users, slot, generation);
        }
    }

    /// Takes the rows out of a session that is forgotten.
    pub(super) fn release_tunnels(&mut self, session: &Session) {
        for held in self.store.held.iter(session.tunnels) {
            take_out(&mut self.tunnels, held.slot, held.generation);
        }
        for (slot, generation) in session.ue.iter().filter_map(|ue| ue.row) {
            take_out(&mut self.users, slot, generation);
        }
    }

    /// What all workers counted on a row.
    pub(super) fn counted(&self, held: &Held) -> Counted {
        let mut sum = Counted::default();
        for usage in &self.usage {
            sum.join(&usage.of(held.slot, held.generation));
        }
        sum
    }

    /// A session that is known in part has this user: its own tunnels carried the packets.
    pub(super) fn adopt_user(&mut self, at: SessionRef, user: Address) {
        if user.is_local_scope() {
            return;
        }
        let key = FTeid::of_user(user);
        let row = self.open_user(at, user, self.now);
        let Some(session) = self.store.find_mut(at) else { return };
        let prefix = if user.as_v4().is_some() { 32 } else { 64 };
        session.ue[0] = UeAddress { address: key.address, prefix, claimed: false, row };
        let session = session.clone();
        let held: Vec<Held> = self.store.held.iter(session.tunnels).copied().collect();
        for held in held {
            self.refresh(&held, &session, held.downlink, held.local);
        }
    }

    /// Claims a session's addresses, and looks who had them.
    pub(super) fn claim_addresses(
        &mut self,
        key: &TransactionKey,
        at: SessionRef,
        addresses: &[UeAddress],
        time: Nanos,
    ) {
        let Some(session) = self.store.find(at) else { return };
        let (up_node, instance) = (session.up_node, session.instance);
        let mut fresh = false;
        for (place, ue) in addresses.iter().enumerate().filter(|(_, ue)| ue.prefix != 0) {
            if ue.claimed {
                continue;
            }
            fresh = true;
            let claim = ClaimKey { up_node, instance, address: ue.address };
            if let Some(older) = self.store.claimant(&claim)
                && older != at
                && let Some(session) = self.store.find(older)
                && session.addresses().any(|of_it| of_it.address == ue.address)
            {
                self.dispute(key, (older, at), true, time);
            }
            self.store.claim(claim, at);
            // One that was taken for its user has a row already.
            let row = ue.row.or_else(|| self.open_user(at, ue.address, time));
            if let Some(session) = self.store.find_mut(at) {
                session.ue[place].claimed = true;
                session.ue[place].row = row;
            }
        }
        if fresh && key.message == 52 {
            self.look_again(key, at, time);
        }
    }
}

impl Counts {
    pub(crate) fn add(&mut self, counted: &Counted) {
        self.packets += counted.packets;
        self.bytes += counted.bytes;
        self.flows.join(counted.flows);
    }
}

/// What a row says of its session's user.
fn facts(session: &Session, downlink: bool, local: bool) -> (u32, u64, RowFlags) {
    let mut flags = RowFlags::default();
    if downlink {
        flags.set(RowFlags::DOWNLINK);
    }
    if local {
        flags.set(RowFlags::LOCAL);
    }
    let (mut ue4, mut ue6) = (0, 0);
    for ue in session.addresses() {
        match ue.address.as_v4() {
            Some(v4) => {
                ue4 = v4;
                flags.set(RowFlags::UE_V4);
            }
            // A prefix shorter than the row's is compared by the session machine.
            None if ue.prefix >= 64 => {
                ue6 = (ue.address.0 >> 64) as u64;
                flags.set(RowFlags::UE_V6);
            }
            None => {}
        }
    }
    if session.state == SessionState::Partial && session.addresses().next().is_none() {
        flags.set(RowFlags::NAMELESS);
    }
    // Ethernet and unstructured PDUs have no address (PDN types 4 and 5).
    let is_ip = session.pdn_type <= 3;
    if !downlink && is_ip && session.addresses().next().is_some() {
        flags.set(RowFlags::CHECKED);
    }
    (ue4, ue6, flags)
}
