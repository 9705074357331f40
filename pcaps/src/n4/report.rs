//! Reports of the UPF: what was carried, and that there is a packet for someone idle.

use crate::chance::Chance;
use crate::frame::{self, Route};
use crate::guest;
use crate::n4::rules::{DOWNLINK, URR};
use crate::n4::{self, Exchange, Exposure, exchange, ntp_seconds};
use crate::pfcp::{self, Usage};
use crate::stage::{Actor, MILLI, Micros, Passes, SECOND, Session, Stage};

/// What a session carried since its last report. Packets are put on the stage before their time,
/// so those that are still to come are kept apart.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter {
    bytes: [u64; 2],
    packets: [u64; 2],
    ahead: Vec<(Micros, bool, u64)>,
    reports: u32,
    since: Micros,
}

impl Meter {
    pub(crate) fn new(since: Micros) -> Self {
        Self { since, ..Self::default() }
    }

    /// A T-PDU that passes N3 at a time.
    pub(crate) fn count(&mut self, now: Micros, at: Micros, downlink: bool, bytes: usize) {
        self.settle(now);
        self.ahead.push((at, downlink, bytes as u64));
    }

    fn settle(&mut self, until: Micros) {
        let (bytes, packets) = (&mut self.bytes, &mut self.packets);
        self.ahead.retain(|(at, downlink, length)| {
            let passed = *at <= until;
            if passed {
                bytes[usize::from(*downlink)] += length;
                packets[usize::from(*downlink)] += 1;
            }
            !passed
        });
    }

    fn report(&mut self, start_ns: u64, at: Micros, trigger: [u8; 3]) -> Usage {
        self.settle(at);
        let usage = Usage {
            urr: URR,
            number: self.reports,
            trigger,
            from: ntp_seconds(start_ns, self.since),
            to: ntp_seconds(start_ns, at),
            bytes: std::mem::take(&mut self.bytes),
            packets: std::mem::take(&mut self.packets),
        };
        self.reports += 1;
        self.since = at;
        usage
    }
}

/// What a session carried up to a moment, as a usage report of that kind.
pub(crate) fn usage_of(
    stage: &Stage,
    session: &mut Session,
    at: Micros,
    (kind, trigger): (u16, [u8; 3]),
) -> Vec<u8> {
    pfcp::usage_report(kind, &session.meter.report(stage.start_ns(), at, trigger))
}

/// A session that is watched: it reports usage, and may fall idle once.
pub(crate) struct Reporter {
    pub slot: usize,
    pub began: Micros,
    /// From one usage report to the next.
    pub every: Option<Micros>,
    pub report_at: Micros,
    pub idle_at: Option<Micros>,
    pub chance: Chance,
}

impl Actor for Reporter {
    fn wake(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        // A subscriber who came back has another session.
        let session = stage.sessions[self.slot].as_ref();
        let session = session.filter(|session| session.began == self.began)?;
        let idle = session.passes == Passes::Nothing;
        if self.idle_at.is_some_and(|at| now >= at) {
            if !idle {
                self.fall_idle(now, stage);
                self.idle_at = Some(now + self.chance.between(3 * SECOND, 6 * SECOND));
            } else {
                self.idle_at = None;
                self.call(now, stage);
            }
        } else if self.every.is_some_and(|_| now >= self.report_at) {
            // Who is idle has carried nothing, and a UPF that lost the session says nothing.
            if !idle {
                self.usage(now, stage);
            }
            self.report_at = now + self.every.unwrap_or(Micros::MAX);
        }
        let report_at = self.every.map(|_| self.report_at);
        report_at.into_iter().chain(self.idle_at).min()
    }
}

impl Reporter {
    fn usage(&mut self, now: Micros, stage: &mut Stage) {
        let Some(mut session) = stage.sessions[self.slot].take() else { return };
        let about = (pfcp::USAGE_REPORT_OF_REPORT, pfcp::TRIGGER_PERIODIC);
        let report = usage_of(stage, &mut session, now, about);
        let elements = [pfcp::report_type(pfcp::REPORTS_USAGE), report];
        tell(stage, now, &session, &elements, &mut self.chance);
        stage.sessions[self.slot] = Some(session);
    }

    /// The radio lets go; downlink waits at the UPF.
    fn fall_idle(&mut self, now: Micros, stage: &mut Stage) {
        let Some(mut session) = stage.sessions[self.slot].take() else { return };
        n4::modify(stage, now, &session, &[n4::rules::buffering()], &mut self.chance);
        session.passes = Passes::Nothing;
        stage.sessions[self.slot] = Some(session);
    }

    /// A packet comes, the UPF says so, and the subscriber comes back with a new downlink tunnel
    /// through which it goes on.
    fn call(&mut self, now: Micros, stage: &mut Stage) {
        let Some(mut session) = stage.sessions[self.slot].take() else { return };
        let waiting = [pfcp::pdr_id(DOWNLINK)];
        let elements = [
            pfcp::report_type(pfcp::REPORTS_DOWNLINK_DATA),
            pfcp::group(pfcp::DOWNLINK_DATA_REPORT, &waiting),
        ];
        let host = stage.plan.host(2_000 + self.slot as u32, session.ue.is_ipv6());
        let payload = guest::noise(&mut self.chance, 80);
        let packet = frame::udp(&Route::new(host, session.ue), 443, 40_410, &payload);
        let answer = frame::udp(&Route::new(session.ue, host), 40_410, 443, &payload);
        stage.n6(now, session.upf, false, &packet);
        tell(stage, now + MILLI, &session, &elements, &mut self.chance);
        // Sooner than who detaches now is gone.
        let paged = now + self.chance.between(150 * MILLI, 450 * MILLI);
        session.downlink_teid = stage.numbers.teid(session.gnb);
        n4::redirect(stage, paged, &session, false, &mut self.chance);
        session.passes = Passes::Both;
        stage.sessions[self.slot] = Some(session);
        stage.downlink_n3(paged + 20 * MILLI, self.slot, (9, false), &packet);
        stage.uplink(paged + 30 * MILLI, self.slot, 9, &answer);
    }
}

/// A report request of the UPF and the SMF's answer.
fn tell(
    stage: &mut Stage,
    at: Micros,
    session: &Session,
    elements: &[Vec<u8>],
    chance: &mut Chance,
) {
    let [cp, up] = stage.plan.n4(session.smf, session.upf);
    let sequence = stage.numbers.sequence(session.upf);
    let request = pfcp::session_message(pfcp::REPORT_REQUEST, session.cp_seid, sequence, elements);
    let accepted = [pfcp::accepted()];
    let response =
        pfcp::session_message(pfcp::REPORT_RESPONSE, session.up_seid, sequence, &accepted);
    let exposure = if session.exposed { Exposure::Either } else { Exposure::None };
    let answer_at = at + chance.between(MILLI, 5 * MILLI);
    let told = Exchange { from: up, to: cp, request, response, exposure };
    exchange(stage, (at, answer_at), &told, chance);
}
