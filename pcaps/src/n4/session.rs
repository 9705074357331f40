//! The life of a session on N4: established, pointed at its gNB, changed, deleted.

use std::net::{IpAddr, Ipv6Addr};

use crate::chance::Chance;
use crate::n4::rules::{self, Terms};
use crate::n4::{Attachment, Exchange, Exposure, Meter, Reporter, exchange, identity, usage_of};
use crate::pfcp;
use crate::plan::Link;
use crate::stage::{MILLI, Micros, Passes, SECOND, Session, Stage};

/// A session with numbers that nobody has, of which N4 has not spoken yet.
pub(crate) fn expect(
    stage: &mut Stage,
    now: Micros,
    attachment: &Attachment,
    chance: &mut Chance,
) -> Session {
    let &Attachment { smf, upf, gnb, .. } = attachment;
    let (up_seid, new_teid) = stage.numbers.at_upf(upf, now);
    Session {
        cp_seid: stage.numbers.seid(smf),
        up_seid,
        ue: attachment.ue,
        smf,
        upf,
        gnb,
        realm: attachment.realm.clone(),
        uplink_teid: attachment.tunnel.unwrap_or(new_teid),
        downlink_teid: stage.numbers.teid(gnb),
        sequence: attachment.numbered.then(|| [chance.u16(), chance.u16()]),
        passes: Passes::Both,
        exposed: attachment.exposed,
        began: now,
        meter: Meter::new(now),
    }
}

/// Establishes a session and, once the gNB has its end, tells the UPF where downlink goes.
/// Returns when user packets may flow.
pub(crate) fn establish(
    stage: &mut Stage,
    now: Micros,
    attachment: &Attachment,
    chance: &mut Chance,
) -> Micros {
    let session = expect(stage, now, attachment, chance);
    let &Attachment { smf, upf, .. } = attachment;
    let [cp, up] = stage.plan.n4(smf, upf);
    let node = &stage.plan.nodes[upf];
    let (tells_late, exposed) = (node.tells_late, attachment.exposed);
    let identity = identity(attachment.slot as u32);
    let terms = Terms {
        cp_seid: session.cp_seid,
        cp: cp.ip(),
        ue: if attachment.late_address { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { attachment.ue },
        realm: &attachment.realm,
        identity: (!attachment.nameless).then_some(&identity),
        uplink_teid: session.uplink_teid,
        user_plane: node.on(Link::N3),
        chooses: node.chooses_f_teid,
        endpoints: attachment.endpoints,
        report_seconds: stage.habits.report_seconds,
        set: attachment.set,
    };
    let created = rules::created(&terms);
    let sequence = stage.numbers.sequence(smf);
    let request = rules::establishment(&terms);
    let answer_at = now + chance.between(2 * MILLI, 6 * MILLI);
    let mut answer =
        vec![pfcp::node_id(up.ip()), pfcp::accepted(), pfcp::f_seid(session.up_seid, up.ip())];
    if !tells_late {
        answer.extend(created.clone());
    }
    answer.extend(attachment.set.map(|set| pfcp::fq_csid(set, up.ip())));
    let told = Exchange {
        from: cp,
        to: up,
        request: pfcp::session_message(pfcp::ESTABLISHMENT_REQUEST, 0, sequence, &request),
        response: pfcp::session_message(
            pfcp::ESTABLISHMENT_RESPONSE,
            session.cp_seid,
            sequence,
            &answer,
        ),
        // The answer alone tells the tunnel where the UPF chose it.
        exposure: match exposed && terms.chooses && !tells_late {
            true => Exposure::Request,
            false => Exposure::None,
        },
    };
    exchange(stage, (now, answer_at), &told, chance);
    let modify_at = answer_at + chance.between(20 * MILLI, 60 * MILLI);
    let mut changes = Vec::new();
    if attachment.late_address {
        changes.extend(rules::late_address(&Terms { ue: attachment.ue, ..terms }));
    }
    let end = (session.downlink_teid, stage.plan.nodes[session.gnb].on(Link::N3));
    changes.push(rules::redirection(&session.realm, end, false));
    let mut modified = vec![pfcp::accepted()];
    if tells_late {
        modified.extend(created);
    }
    let kinds = (pfcp::MODIFICATION_REQUEST, pfcp::MODIFICATION_RESPONSE);
    transact(stage, modify_at, &session, kinds, (&changes, &modified), Exposure::None, chance);
    watch(stage, modify_at, &session, attachment);
    stage.sessions[attachment.slot] = Some(session);
    modify_at + 20 * MILLI
}

/// Lets the session report and fall idle as the scenario's habits say.
fn watch(stage: &mut Stage, at: Micros, session: &Session, attachment: &Attachment) {
    let every = stage.habits.report_seconds.map(|seconds| seconds * SECOND);
    let idle_share = if attachment.exposed { stage.habits.idle_share } else { 0.0 };
    if every.is_none() && idle_share == 0.0 {
        return;
    }
    let mut chance = stage.chance();
    let idle = chance.happens(idle_share);
    let reporter = Reporter {
        slot: attachment.slot,
        began: session.began,
        every,
        report_at: at + every.unwrap_or(0),
        idle_at: idle.then(|| at + chance.between(5 * SECOND, 40 * SECOND)),
        chance,
    };
    let first = every.map(|every| at + every).into_iter().chain(reporter.idle_at).min();
    if let Some(first) = first {
        stage.enter(first, reporter);
    }
}

/// Points a session's downlink at the gNB that the session names.
pub(crate) fn redirect(
    stage: &mut Stage,
    at: Micros,
    session: &Session,
    handover: bool,
    chance: &mut Chance,
) {
    let end = (session.downlink_teid, stage.plan.nodes[session.gnb].on(Link::N3));
    let change = rules::redirection(&session.realm, end, handover);
    let kinds = (pfcp::MODIFICATION_REQUEST, pfcp::MODIFICATION_RESPONSE);
    let exposure = if session.exposed { Exposure::Response } else { Exposure::None };
    transact(stage, at, session, kinds, (&[change], &[pfcp::accepted()]), exposure, chance);
}

/// Changes a session in any way that moves no tunnel.
pub(crate) fn modify(
    stage: &mut Stage,
    at: Micros,
    session: &Session,
    changes: &[Vec<u8>],
    chance: &mut Chance,
) {
    let kinds = (pfcp::MODIFICATION_REQUEST, pfcp::MODIFICATION_RESPONSE);
    let exposure = if session.exposed { Exposure::Either } else { Exposure::None };
    transact(stage, at, session, kinds, (changes, &[pfcp::accepted()]), exposure, chance);
}

/// Ends a session; the answer says what it carried.
pub(crate) fn delete(stage: &mut Stage, at: Micros, mut session: Session, chance: &mut Chance) {
    let tunnel = (session.upf, session.uplink_teid);
    let mut others = stage.sessions.iter().flatten();
    // A tunnel that another session has taken, or was taken from, is not free.
    if !others.any(|other| (other.upf, other.uplink_teid) == tunnel) {
        stage.numbers.retire(session.upf, at, (session.up_seid, session.uplink_teid));
    }
    let kinds = (pfcp::DELETION_REQUEST, pfcp::DELETION_RESPONSE);
    let about = (pfcp::USAGE_REPORT_OF_DELETION, pfcp::TRIGGER_TERMINATION);
    let answered = [pfcp::accepted(), usage_of(stage, &mut session, at, about)];
    let exposure = if session.exposed { Exposure::Either } else { Exposure::None };
    transact(stage, at, &session, kinds, (&[], &answered), exposure, chance);
}

/// The owner asks for something and hears that there is no such session.
pub(crate) fn ask_in_vain(
    stage: &mut Stage,
    at: Micros,
    session: &Session,
    (request, asked): (u8, &[Vec<u8>]),
    chance: &mut Chance,
) {
    let [cp, up] = stage.plan.n4(session.smf, session.upf);
    let sequence = stage.numbers.sequence(session.smf);
    let refusal = [pfcp::cause(pfcp::NO_SUCH_SESSION)];
    let told = Exchange {
        from: cp,
        to: up,
        request: pfcp::session_message(request, session.up_seid, sequence, asked),
        // An answer's type is one more.
        response: pfcp::session_message(request + 1, 0, sequence, &refusal),
        exposure: Exposure::None,
    };
    let answer_at = at + chance.between(MILLI, 5 * MILLI);
    exchange(stage, (at, answer_at), &told, chance);
}

/// The owner asks for a change of a FAR and hears that there is no such FAR.
pub(crate) fn refused(
    stage: &mut Stage,
    at: Micros,
    session: &Session,
    (changes, far): (&[Vec<u8>], u32),
    chance: &mut Chance,
) {
    let kinds = (pfcp::MODIFICATION_REQUEST, pfcp::MODIFICATION_RESPONSE);
    let refusal = [pfcp::cause(pfcp::RULE_FAILURE), pfcp::failed_far(far)];
    transact(stage, at, session, kinds, (changes, &refusal), Exposure::None, chance);
}

/// Another SMF of the set goes on with a session, with a SEID of its own.
pub(crate) fn take_over(
    stage: &mut Stage,
    at: Micros,
    session: &mut Session,
    smf: usize,
    chance: &mut Chance,
) {
    session.smf = smf;
    session.cp_seid = stage.numbers.seid(smf);
    let [cp, _] = stage.plan.n4(smf, session.upf);
    let changes = [pfcp::f_seid(session.cp_seid, cp.ip()), rules::rates(40_000, 200_000)];
    modify(stage, at, session, &changes, chance);
}

/// Two sessions of one SMF at one UPF and what changes in each: in one datagram, answered in one.
pub(crate) fn bundled_changes(
    stage: &mut Stage,
    at: Micros,
    sessions: [(&Session, Vec<Vec<u8>>); 2],
    chance: &mut Chance,
) {
    let [cp, up] = stage.plan.n4(sessions[0].0.smf, sessions[0].0.upf);
    let messages = sessions.map(|(session, changes)| {
        let sequence = stage.numbers.sequence(session.smf);
        let (asks, answers) = (pfcp::MODIFICATION_REQUEST, pfcp::MODIFICATION_RESPONSE);
        (
            pfcp::session_message(asks, session.up_seid, sequence, &changes),
            pfcp::session_message(answers, session.cp_seid, sequence, &[pfcp::accepted()]),
        )
    });
    let [(one, one_answered), (other, other_answered)] = messages;
    let told = Exchange {
        from: cp,
        to: up,
        request: pfcp::bundle(&[one, other]),
        response: pfcp::bundle(&[one_answered, other_answered]),
        exposure: Exposure::None,
    };
    let answer_at = at + chance.between(MILLI, 5 * MILLI);
    exchange(stage, (at, answer_at), &told, chance);
}

fn transact(
    stage: &mut Stage,
    at: Micros,
    session: &Session,
    (request, response): (u8, u8),
    (asked, answered): (&[Vec<u8>], &[Vec<u8>]),
    exposure: Exposure,
    chance: &mut Chance,
) {
    let [cp, up] = stage.plan.n4(session.smf, session.upf);
    let sequence = stage.numbers.sequence(session.smf);
    let told = Exchange {
        from: cp,
        to: up,
        request: pfcp::session_message(request, session.up_seid, sequence, asked),
        response: pfcp::session_message(response, session.cp_seid, sequence, answered),
        exposure,
    };
    let answer_at = at + chance.between(MILLI, 5 * MILLI);
    exchange(stage, (at, answer_at), &told, chance);
}
