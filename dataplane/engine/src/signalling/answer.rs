//! An answer: which request it is for, and what it makes of it.

use arrayvec::ArrayVec;
use weir_wire::Address;
use weir_wire::pfcp::Pfcp;
use weir_wire::pfcp_ie::{Cause, kind};

use super::Signalling;
use super::coverage::Half;
use super::datagram::N4Datagram;
use super::order;
use super::pool::NIL;
use super::request::{element, groups};
use super::session::{Flagged, SessionRef};
use super::transactions::{Early, OVERDUE, TransactionKey, WINDOW, Waiting};
use crate::Nanos;
use crate::contract::words::{N4_LATENCY_BUCKETS, N4_REQUESTS};

/// Addresses that one establishment asks for, as far as they are looked at.
const USERS: usize = 16;

impl Signalling {
    pub(super) fn answer(&mut self, datagram: &N4Datagram<'_>, message: &Pfcp<'_>, bytes: &[u8]) {
        let key = TransactionKey::answered_by(datagram, message);
        let pair = self.pair(datagram);
        let declared = self.nodes.is_declared(pair);
        if !declared {
            self.accuse_stranger(datagram, pair);
        }
        let is_for_it = self.transactions.waiting(&key).map(|waiting| answers(waiting, message));
        match is_for_it {
            Some(true) => self.answered(&key, message, datagram.time),
            // An old answer under a new request's number agrees to nothing.
            Some(false) => self.counters.repeated += 1,
            None if let Some(since) = self.transactions.since(&key) => {
                self.counters.repeated += 1;
                self.answered_again(&key, message, since, datagram.time);
            }
            None if !declared => self.counters.unasked += 1,
            None => {
                self.transactions.keep_early(key, bytes, datagram.time);
                self.know_in_part(&key, message, datagram.time);
            }
        }
    }

    /// A session whose establishment was answered is known in part at once: its
    /// modification may follow before its request is given up, or comes late.
    fn know_in_part(&mut self, key: &TransactionKey, answer: &Pfcp<'_>, time: Nanos) {
        if key.message == 50 && cause_of(answer).is_some_and(Cause::is_accepted) {
            let pair = self.pair_of(key.source, key.destination, time);
            let waiting = Waiting { pair, time, ..Waiting::default() };
            self.establish(key, &waiting, None, answer, time);
        }
    }

    /// A request has its answer.
    pub(super) fn answered(&mut self, key: &TransactionKey, answer: &Pfcp<'_>, time: Nanos) {
        let Some(waiting) = self.transactions.answer(key) else { return };
        self.counters.whole += 1;
        let pair = self.nodes.pair(waiting.pair);
        let (declared, ends) =
            pair.map_or((false, [NIL; 2]), |pair| (pair.declared, [pair.from, pair.to]));
        if declared {
            for number in ends {
                if let Some(node) = self.nodes.node_mut(number) {
                    node.coverage.whole(time, waiting.overdue);
                }
            }
        }
        self.time_answer(key.message, time.since(waiting.time));
        let cause = cause_of(answer);
        if let Some(cause) = cause {
            self.counters.causes[cause.counter()] += 1;
        }
        let accepted = cause.is_some_and(|cause| cause.is_accepted() || cause.is_partly_accepted());
        // What strangers agree on among or with declared nodes is told of, and changes nothing.
        if declared && let Ok(request) = Pfcp::parse(&waiting.bytes) {
            match key.message {
                50 if accepted => self.establish(key, &waiting, Some(&request), answer, time),
                50 => self.failed(&waiting, key.message),
                52 if accepted => {
                    if cause.is_some_and(Cause::is_partly_accepted) {
                        self.refused(key, &waiting, (&request, answer), cause, time);
                    }
                    self.modify(&waiting, &request, answer, time);
                }
                54 if accepted => self.delete(&waiting, answer, time),
                52 | 54 => self.refused(key, &waiting, (&request, answer), cause, time),
                _ => self.node_answered(key, &waiting, &request, answer, accepted, time),
            }
        }
        self.transactions.reuse(Some(waiting));
    }

    fn time_answer(&mut self, request: u8, took: Nanos) {
        let Some(row) = N4_REQUESTS.iter().position(|of| *of == request) else { return };
        let bucket = (took.0.max(1).ilog2() as usize).saturating_sub(9).min(N4_LATENCY_BUCKETS - 1);
        self.counters.latency[row * N4_LATENCY_BUCKETS + bucket] += 1;
        self.counters.latency_sum[row] = self.counters.latency_sum[row].saturating_add(took.0);
    }

    /// A request has no answer after the time that one takes. If its sender may order it,
    /// a modification is taken to hold: taps lose more answers than UP functions give none.
    pub(super) fn overdue(&mut self, key: &TransactionKey, now: Nanos) {
        let Some(waiting) = self.transactions.waiting(key) else { return };
        let (pair, session, doubted) = (waiting.pair, waiting.session, waiting.doubted);
        let asked = waiting.time;
        let declared = self.nodes.is_declared(pair);
        let presumed = key.message == 52 && declared && !doubted && session.is_some();
        waiting.presumed = presumed;
        let bytes = presumed.then(|| waiting.bytes.clone());
        self.count_half(pair, Half::Request, (asked.plus(OVERDUE), now));
        if !declared || doubted {
            return;
        }
        match (key.message, session) {
            (50, _) => self.doubt_asked_users(key, now),
            (52 | 54, Some(at)) => self.doubt_users(at, key.message, now),
            _ => {}
        }
        if let (Some(at), Some(bytes)) = (session, bytes)
            && let Ok(request) = Pfcp::parse(&bytes)
        {
            self.presume(key, at, &request, asked);
        }
    }

    /// One half of a transaction was seen and the other was not by `due`, as it shows `now`. Where
    /// time has run on in one step there was nothing to cover.
    fn count_half(&mut self, pair: u32, half: Half, (due, now): (Nanos, Nanos)) {
        let Some(pair) = self.nodes.pair(pair).filter(|pair| pair.declared) else { return };
        for number in [pair.from, pair.to] {
            if let Some(node) = self.nodes.node_mut(number) {
                node.coverage.half(half, due);
                if now.since(due) <= WINDOW {
                    node.coverage.half_of_minute(due);
                }
            }
        }
    }

    /// A request is given up: nothing answered it.
    pub(super) fn unanswered(&mut self, key: &TransactionKey, waiting: Waiting) {
        self.counters.unanswered += 1;
        if !waiting.overdue {
            self.count_half(waiting.pair, Half::Request, (waiting.time, waiting.time));
        }
        match key.message {
            50 => self.failed(&waiting, key.message),
            1 => self.heartbeat_missed(waiting.pair),
            _ => {}
        }
        self.transactions.reuse(Some(waiting));
    }

    /// An establishment came to nothing.
    fn failed(&mut self, waiting: &Waiting, message: u8) {
        let Some(pair) = self.nodes.pair_mut(waiting.pair) else { return };
        let flood = pair.rates.failed(message, waiting.time, &self.settings);
        if let Some(flood) = flood {
            self.accuse_flood(waiting.pair, &flood, waiting.time);
        }
    }

    /// An answer whose request was not seen.
    pub(super) fn unasked(&mut self, key: &TransactionKey, early: &Early) {
        self.counters.unasked += 1;
        let pair = self.pair_of(key.source, key.destination, early.time);
        self.count_half(pair, Half::Answer, (early.time, early.time));
        let Ok(answer) = Pfcp::parse(&early.bytes) else { return };
        let cause = cause_of(&answer);
        if let Some(cause) = cause {
            self.counters.causes[cause.counter()] += 1;
        }
        match key.message {
            // Something about the session has changed, or it has ended, and nobody saw who
            // asked for that: it is uncertain, since anybody may send an answer.
            52 | 54 => {
                if let Some(at) = self.session_answered(key, &answer) {
                    self.doubt_users(at, key.message, early.time);
                }
            }
            // A node that was restarted may answer what nobody seems to have asked.
            1 | 5 => {
                let responder = self.nodes.pair(pair).map(|pair| pair.to);
                self.recover(responder, &answer, early.time);
            }
            _ => {}
        }
    }
}

impl Signalling {
    /// The session that an answer is about, if it is its UP function that answers.
    fn session_answered(&self, key: &TransactionKey, answer: &Pfcp<'_>) -> Option<SessionRef> {
        let seid = answer.seid().map_or(0, |seid| seid.0);
        let at = self.store.by_cp(key.source, seid)?;
        let up = self.nodes.node(self.store.find(at)?.up_node)?;
        let is_its = self.nodes.at(key.destination).and_then(|node| self.nodes.node(node));
        is_its.is_some_and(|node| self.are_one(up, node)).then_some(at)
    }

    /// A session is known by a half.
    fn doubt_users(&mut self, at: SessionRef, message: u8, time: Nanos) {
        let Some(session) = self.store.find_mut(at) else { return };
        let was_certain = session.uncertain == Nanos(0);
        session.uncertain = time;
        if message == 54 {
            session.was_flagged_for.set(Flagged::MAY_HAVE_ENDED);
        }
        let (up_node, users) = (session.up_node, session.users());
        if users.is_empty() && was_certain {
            self.await_user(up_node, at);
        }
        for user in users {
            self.doubts.add(user, time);
        }
    }

    /// The users of an establishment that nobody saw answered.
    fn doubt_asked_users(&mut self, key: &TransactionKey, time: Nanos) {
        let Some(waiting) = self.transactions.waiting(key) else { return };
        let Ok(request) = Pfcp::parse(&waiting.bytes) else { return };
        let kinds = [kind::CREATE_PDR, kind::CREATE_TRAFFIC_ENDPOINT];
        let places =
            kinds.iter().flat_map(|of| groups(&request, *of).map(|it| order::place_of(*of, it)));
        let users = places.filter_map(|(_, ue)| ue);
        let users: ArrayVec<Address, USERS> =
            users.flat_map(|ue| ue.addresses().collect::<ArrayVec<_, 2>>()).take(USERS).collect();
        for user in users {
            self.doubts.add(user, time);
        }
    }

    /// An answer came once more, `since` its request. Whoever it is for asked once more, though
    /// the tap may have missed that.
    fn answered_again(
        &mut self,
        key: &TransactionKey,
        answer: &Pfcp<'_>,
        since: Nanos,
        time: Nanos,
    ) {
        if matches!(key.message, 52 | 54)
            && !self.transactions.is_doubted(key)
            && let Some(at) = self.session_answered(key, answer)
        {
            self.unheard(at, since, time);
        }
    }
}

/// Whether an answer is for this request: its header carries the SEID that the request
/// gave, or, where there is no session, none.
fn answers(waiting: &Waiting, answer: &Pfcp<'_>) -> bool {
    let seid = answer.seid().map_or(0, |seid| seid.0);
    waiting.answer_seid.is_none_or(|expected| {
        seid == expected
            || waiting.new_seid == Some(seid)
            || (seid == 0 && !cause_of(answer).is_some_and(Cause::is_accepted))
    })
}

fn cause_of(answer: &Pfcp<'_>) -> Option<Cause> {
    element(answer, kind::CAUSE).and_then(|value| Cause::parse(value).ok())
}
