//! Foresight: the rows that the next messages, and the next timers, will touch are asked
//! for while those before them are served. With a million sessions nearly every one of
//! them would else wait for memory, five times a message.

use weir_mem::prefetch_slice;
use weir_wire::pfcp::Pfcp;

use super::Signalling;
use super::datagram::N4Datagram;
use super::keyed::hash_key;
use super::session::{Session, SessionRef};
use super::transactions::{TransactionKey, is_answer};
use crate::tunnels::FTeid;

/// How many messages ahead their own bytes are asked for, the slots of indices, the sessions and
/// transactions that stand in them, and the rules that sessions name.
const BYTES_AHEAD: usize = 16;
const SLOTS_AHEAD: usize = 8;
pub(super) const ROWS_AHEAD: usize = 5;
const RULES_AHEAD: usize = 2;

/// Bytes of a message that are asked for; those behind them follow by themselves.
const PAYLOAD: usize = 128;

/// How many timers ahead: a session's slots are known only once it itself is there.
pub(super) const TIMERS_AHEAD: usize = 8;
pub(super) const TIMERS_NEAR: usize = 4;

/// Where a message's rows are looked for.
#[derive(Clone, Copy, Debug, Default)]
struct Wanted {
    /// The hash of its transaction.
    transaction: u64,
    /// The hash of its session's F-SEID, and whether that is the UP function's; 0 without one.
    session: u64,
    by_up: bool,
    is_answer: bool,
    /// The session, once that is known.
    at: Option<SessionRef>,
}

impl Wanted {
    /// What the first message of a datagram will ask for.
    fn of(datagram: &N4Datagram<'_>) -> Self {
        let Ok(message) = Pfcp::parse(datagram.payload) else { return Self::default() };
        let code = message.message().0;
        let seid = message.seid().map_or(0, |seid| seid.0);
        let is_answer = is_answer(code);
        let key = if is_answer {
            TransactionKey::answered_by(datagram, &message)
        } else {
            TransactionKey::of_request(datagram, &message)
        };
        // An establishment's answer names the session that there was before, if any.
        let has_session = matches!(code, 51 | 52 | 54 | 56);
        Self {
            transaction: hash_key(&key),
            session: if has_session { hash_key(&(datagram.destination, seid)) } else { 0 },
            by_up: matches!(code, 52 | 54),
            is_answer,
            at: None,
        }
    }
}

impl Signalling {
    /// Reads datagrams in their order.
    pub fn take_all(&mut self, datagrams: &[N4Datagram<'_>]) {
        let mut wanted = [Wanted::default(); SLOTS_AHEAD];
        for (n, datagram) in datagrams.iter().take(SLOTS_AHEAD).enumerate() {
            wanted[n] = self.foresee_slots(datagram);
        }
        for (n, datagram) in datagrams.iter().enumerate() {
            self.foresee_rows(&mut wanted[(n + ROWS_AHEAD) % SLOTS_AHEAD]);
            if let Some(at) = wanted[(n + RULES_AHEAD) % SLOTS_AHEAD].at {
                self.store.foresee_rules(at);
            }
            if let Some(ahead) = datagrams.get(n + BYTES_AHEAD) {
                (0..PAYLOAD).step_by(64).for_each(|at| prefetch_slice(ahead.payload, at));
            }
            self.take(datagram);
            wanted[n % SLOTS_AHEAD] = match datagrams.get(n + SLOTS_AHEAD) {
                Some(ahead) => self.foresee_slots(ahead),
                None => Wanted::default(),
            };
        }
    }

    fn foresee_slots(&self, datagram: &N4Datagram<'_>) -> Wanted {
        let wanted = Wanted::of(datagram);
        self.transactions.foresee_slot(wanted.transaction);
        if wanted.session != 0 {
            self.store.foresee_slot(wanted.session, wanted.by_up);
        }
        wanted
    }

    fn foresee_rows(&self, wanted: &mut Wanted) {
        if wanted.is_answer {
            self.transactions.foresee_row(wanted.transaction);
        }
        if wanted.session != 0 {
            wanted.at = self.store.foresee_session(wanted.session, wanted.by_up);
        }
    }

    /// Asks for what an answer about a session will touch, when the request comes: its tunnels,
    /// and what was counted on them.
    pub(super) fn foresee_tunnels(&self, at: SessionRef) {
        let Some(session) = self.store.find(at) else { return };
        for held in self.store.held.iter(session.tunnels) {
            self.tunnels.prefetch_slot(held.slot);
            self.usage.iter().for_each(|usage| usage.prefetch(held.slot));
        }
    }

    /// Asks for the places of a session's addresses.
    pub(super) fn foresee_users(&self, session: &Session) {
        for ue in session.addresses().filter(|ue| !ue.claimed) {
            self.store.foresee_claim(session, ue);
            self.users.prefetch_tags(&FTeid::of_user(ue.address));
        }
    }

    /// Asks for the sessions that are forgotten soon.
    pub(super) fn foresee_ended(&self) {
        if let Some((_, at)) = self.ended.get(TIMERS_AHEAD) {
            self.store.foresee_place(*at);
        }
        if let Some((_, at)) = self.ended.get(TIMERS_NEAR) {
            self.store.foresee_indices(*at);
        }
    }

    /// Asks for a tunnel's row that is taken out soon.
    pub(super) fn foresee_closed_tunnel(&self) {
        if let Some(slot) = self.closing.tunnel(TIMERS_AHEAD) {
            self.tunnels.prefetch_slot(slot);
        }
    }

    /// Asks for a user's row that is taken out soon.
    pub(super) fn foresee_closed_user(&self) {
        if let Some(slot) = self.closing.user(TIMERS_AHEAD) {
            self.users.prefetch_slot(slot);
        }
    }
}
