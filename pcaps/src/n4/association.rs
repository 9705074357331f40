//! The association of an SMF and a UPF: set up once, then kept by heartbeats from both.

use std::net::SocketAddr;

use crate::chance::Chance;
use crate::n4::{Exchange, Exposure, exchange, ntp_seconds};
use crate::pfcp;
use crate::stage::{Actor, MILLI, Micros, Stage};

/// An association and its heartbeats.
pub(crate) struct Association {
    pub smf: usize,
    pub upf: usize,
    /// Absent: no heartbeats.
    pub every: Option<Micros>,
    pub set_up: bool,
    pub chance: Chance,
}

impl Actor for Association {
    fn wake(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        if self.set_up {
            let ends = (self.smf, self.upf);
            heartbeat(stage, now, ends, true, &mut self.chance);
            let later = now + self.chance.between(100 * MILLI, 400 * MILLI);
            heartbeat(stage, later, ends, false, &mut self.chance);
        } else {
            set_up(stage, now, (self.smf, self.upf), &mut self.chance);
            self.set_up = true;
        }
        self.every.map(|every| now + every)
    }
}

/// A heartbeat of the SMF or, backwards, of the UPF. A node that is down does not ask; those who
/// miss it repeat the question that is open already.
pub(crate) fn heartbeat(
    stage: &mut Stage,
    at: Micros,
    (smf, upf): (usize, usize),
    by_smf: bool,
    chance: &mut Chance,
) {
    let answered = chance.between(500, 2 * MILLI);
    let [cp, up] = stage.plan.n4(smf, upf);
    let ((from, own), (to, other)) =
        if by_smf { ((smf, cp), (upf, up)) } else { ((upf, up), (smf, cp)) };
    if stage.down.is_some_and(|down| down == from || down == to) {
        return;
    }
    let node = &stage.plan.nodes[from];
    let (follows, unnumbered) = (node.follows_clock, node.heartbeats_unnumbered);
    let sequence = if unnumbered { 0 } else { stage.numbers.sequence(from) };
    let group = stage.group;
    if unnumbered {
        stage.group = stage.zero_group;
    }
    let stamp = match follows {
        true => ntp_seconds(stage.start_ns(), at),
        false => stage.numbers.recovery(from),
    };
    if follows {
        stage.group = stage.clock_group;
    }
    let message =
        |kind, stamp| pfcp::node_message(kind, sequence, &[pfcp::recovery_time_stamp(stamp)]);
    stage.pfcp(at, (own, other), &message(pfcp::HEARTBEAT_REQUEST, stamp));
    let answer = message(pfcp::HEARTBEAT_RESPONSE, stage.numbers.recovery(to));
    stage.pfcp(at + answered, (other, own), &answer);
    stage.group = group;
}

/// A node-related transaction, of the SMF or of the UPF. Returns when it is answered.
fn transact(
    stage: &mut Stage,
    at: Micros,
    (from, to): ((usize, SocketAddr), SocketAddr),
    (request, response): (u8, u8),
    (asked, answered): (&[Vec<u8>], &[Vec<u8>]),
    chance: &mut Chance,
) {
    let sequence = stage.numbers.sequence(from.0);
    let told = Exchange {
        from: from.1,
        to,
        request: pfcp::node_message(request, sequence, asked),
        response: pfcp::node_message(response, sequence, answered),
        exposure: Exposure::None,
    };
    let answer_at = at + chance.between(MILLI, 5 * MILLI);
    exchange(stage, (at, answer_at), &told, chance);
}

/// The SMF sets the association up.
pub(crate) fn set_up(
    stage: &mut Stage,
    at: Micros,
    (smf, upf): (usize, usize),
    chance: &mut Chance,
) {
    let [cp, up] = stage.plan.n4(smf, upf);
    let started = |node| pfcp::recovery_time_stamp(stage.numbers.recovery(node));
    let asked = [pfcp::node_id(cp.ip()), started(smf), pfcp::cp_features()];
    let answered = [pfcp::node_id(up.ip()), pfcp::accepted(), started(upf), pfcp::up_features()];
    let kinds = (pfcp::ASSOCIATION_SETUP_REQUEST, pfcp::ASSOCIATION_SETUP_RESPONSE);
    transact(stage, at, ((smf, cp), up), kinds, (&asked, &answered), chance);
}

/// The UPF says that it wants to be released soon.
pub(crate) fn update(
    stage: &mut Stage,
    at: Micros,
    (smf, upf): (usize, usize),
    chance: &mut Chance,
) {
    let [cp, up] = stage.plan.n4(smf, upf);
    let asked = [pfcp::node_id(up.ip()), pfcp::up_features(), pfcp::graceful_release_period(1)];
    let answered = [pfcp::node_id(cp.ip()), pfcp::accepted(), pfcp::cp_features()];
    let kinds = (pfcp::ASSOCIATION_UPDATE_REQUEST, pfcp::ASSOCIATION_UPDATE_RESPONSE);
    transact(stage, at, ((upf, up), cp), kinds, (&asked, &answered), chance);
}

/// The SMF ends the association, and with it every session of the two.
pub(crate) fn release(
    stage: &mut Stage,
    at: Micros,
    (smf, upf): (usize, usize),
    chance: &mut Chance,
) {
    let [cp, up] = stage.plan.n4(smf, upf);
    let asked = [pfcp::node_id(cp.ip())];
    let answered = [pfcp::node_id(up.ip()), pfcp::accepted()];
    let kinds = (pfcp::ASSOCIATION_RELEASE_REQUEST, pfcp::ASSOCIATION_RELEASE_RESPONSE);
    transact(stage, at, ((smf, cp), up), kinds, (&asked, &answered), chance);
}

/// The SMF ends every session of a set.
pub(crate) fn delete_set(
    stage: &mut Stage,
    at: Micros,
    (smf, upf): (usize, usize),
    set: u16,
    chance: &mut Chance,
) {
    let [cp, up] = stage.plan.n4(smf, upf);
    let asked = [pfcp::node_id(cp.ip()), pfcp::fq_csid(set, cp.ip())];
    let answered = [pfcp::node_id(up.ip()), pfcp::accepted()];
    let kinds = (pfcp::SET_DELETION_REQUEST, pfcp::SET_DELETION_RESPONSE);
    transact(stage, at, ((smf, cp), up), kinds, (&asked, &answered), chance);
}
