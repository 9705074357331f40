//! N4: association, heartbeats and the life of a session between SMF and UPF (TS 29.244).

use std::net::Ipv4Addr;

use crate::chance::Chance;
use crate::pfcp::{self, Interface};
use crate::plan::Link;
use crate::stage::{Actor, MILLI, Micros, Session, Stage};

const UPLINK: u16 = 1;
const DOWNLINK: u16 = 2;
const DEFAULT_QFI: u8 = 9;
/// NTP counts from 1900, Unix from 1970.
const NTP_OFFSET_SECONDS: i64 = 2_208_988_800;

/// The numbers that nodes give away: TEIDs, SEIDs, PFCP sequence numbers; and when each started.
pub(crate) struct Numbers {
    teids: Vec<u32>,
    seids: Vec<u64>,
    sequences: Vec<u32>,
    recovery: Vec<u32>,
}

impl Numbers {
    pub(crate) fn new(start: jiff::Timestamp, nodes: usize) -> Self {
        let start = start.as_second() + NTP_OFFSET_SECONDS;
        // Every node has been up for some days before the capture.
        let recovery = (1..=nodes as i64).map(|node| (start - node * 93_600) as u32).collect();
        Self { teids: vec![0; nodes], seids: vec![0; nodes], sequences: vec![0; nodes], recovery }
    }

    /// A TEID that the node has not given before. The odd factor spreads the count over all 32
    /// bits without repeating.
    pub(crate) fn teid(&mut self, node: usize) -> u32 {
        self.teids[node] += 1;
        self.teids[node].wrapping_mul(0x9e37_79b1)
    }

    fn seid(&mut self, node: usize) -> u64 {
        self.seids[node] += 1;
        self.seids[node] | (node as u64 + 1) << 32
    }

    fn sequence(&mut self, node: usize) -> u32 {
        self.sequences[node] = self.sequences[node] % 0xff_ffff + 1;
        self.sequences[node]
    }
}

/// Who a new session is for and where.
pub(crate) struct Attachment<'a> {
    pub subscriber: usize,
    pub imsi: &'a str,
    pub ue: std::net::IpAddr,
    pub smf: usize,
    pub upf: usize,
    pub gnb: usize,
    pub numbered: bool,
}

/// Establishes a session and, once the gNB has its end, tells the UPF where downlink goes.
/// Returns when user packets may flow.
pub(crate) fn establish(
    stage: &mut Stage,
    now: Micros,
    attachment: &Attachment<'_>,
    chance: &mut Chance,
) -> Micros {
    let &Attachment { smf, upf, gnb, ue, .. } = attachment;
    let session = Session {
        cp_seid: stage.numbers.seid(smf),
        up_seid: stage.numbers.seid(upf),
        ue,
        smf,
        upf,
        gnb,
        uplink_teid: stage.numbers.teid(upf),
        downlink_teid: stage.numbers.teid(gnb),
        sequence: attachment.numbered.then(|| [chance.u16(), chance.u16()]),
    };
    let (cp, up) = (stage.plan.nodes[smf].on(Link::N4), stage.plan.nodes[upf].on(Link::N4));
    let user_plane = stage.plan.nodes[upf].on(Link::N3);
    let chooses = stage.plan.nodes[upf].chooses_f_teid;
    let sequence = stage.numbers.sequence(smf);

    let uplink_end = pfcp::f_teid(session.uplink_teid, user_plane);
    let asked = if chooses { pfcp::f_teid_choose() } else { uplink_end.clone() };
    let request = establishment_request(stage, attachment, (session.cp_seid, cp), asked);
    let answer_at = now + chance.between(2 * MILLI, 6 * MILLI);
    stage.pfcp(
        now,
        (cp, up),
        &pfcp::session_message(pfcp::ESTABLISHMENT_REQUEST, 0, sequence, &request),
    );
    let mut response = vec![pfcp::node_id(up), pfcp::accepted(), pfcp::f_seid(session.up_seid, up)];
    if chooses {
        response.push(pfcp::group(pfcp::CREATED_PDR, &[pfcp::pdr_id(UPLINK), uplink_end]));
    }
    stage.pfcp(
        answer_at,
        (up, cp),
        &pfcp::session_message(pfcp::ESTABLISHMENT_RESPONSE, session.cp_seid, sequence, &response),
    );
    let modify_at = answer_at + chance.between(20 * MILLI, 60 * MILLI);
    redirect(stage, modify_at, &session, chance);
    stage.sessions[attachment.subscriber] = Some(session);
    modify_at + 20 * MILLI
}

/// The elements of an establishment request: one PDR and FAR each way, one QER.
fn establishment_request(
    stage: &Stage,
    attachment: &Attachment<'_>,
    (cp_seid, cp): (u64, Ipv4Addr),
    uplink_end: Vec<u8>,
) -> Vec<Vec<u8>> {
    let (ue, plan) = (attachment.ue, &stage.plan);
    let instance = || pfcp::network_instance(&plan.dnn);
    let uplink = pfcp::group(
        pfcp::CREATE_PDR,
        &[
            pfcp::pdr_id(UPLINK),
            pfcp::precedence(255),
            pfcp::group(
                pfcp::PDI,
                &[
                    pfcp::source_interface(Interface::Access),
                    uplink_end,
                    instance(),
                    pfcp::ue_ip(ue, false),
                    pfcp::qfi(DEFAULT_QFI),
                ],
            ),
            pfcp::outer_header_removal(),
            pfcp::far_id(UPLINK.into()),
            pfcp::qer_id(1),
        ],
    );
    let downlink = pfcp::group(
        pfcp::CREATE_PDR,
        &[
            pfcp::pdr_id(DOWNLINK),
            pfcp::precedence(255),
            pfcp::group(
                pfcp::PDI,
                &[pfcp::source_interface(Interface::Core), instance(), pfcp::ue_ip(ue, true)],
            ),
            pfcp::far_id(DOWNLINK.into()),
            pfcp::qer_id(1),
        ],
    );
    let to_core = pfcp::group(
        pfcp::CREATE_FAR,
        &[
            pfcp::far_id(UPLINK.into()),
            pfcp::apply_action(pfcp::APPLY_FORW),
            pfcp::group(
                pfcp::FORWARDING_PARAMETERS,
                &[pfcp::destination_interface(Interface::Core), instance()],
            ),
        ],
    );
    let to_access = pfcp::group(
        pfcp::CREATE_FAR,
        &[pfcp::far_id(DOWNLINK.into()), pfcp::apply_action(pfcp::APPLY_BUFF_NOCP)],
    );
    let quality = pfcp::group(
        pfcp::CREATE_QER,
        &[
            pfcp::qer_id(1),
            pfcp::gate_status_open(),
            pfcp::mbr(50_000, 300_000),
            pfcp::qfi(DEFAULT_QFI),
        ],
    );
    vec![
        pfcp::node_id(cp),
        pfcp::f_seid(cp_seid, cp),
        uplink,
        downlink,
        to_core,
        to_access,
        quality,
        pfcp::pdn_type(ue),
        pfcp::user_id(attachment.imsi),
        pfcp::dnn(&plan.dnn),
        pfcp::s_nssai(plan.slice.sst, plan.slice.sd),
    ]
}

/// Points a session's downlink at the gNB that the session names.
pub(crate) fn redirect(stage: &mut Stage, at: Micros, session: &Session, chance: &mut Chance) {
    let gnb = stage.plan.nodes[session.gnb].on(Link::N3);
    let update = pfcp::group(
        pfcp::UPDATE_FAR,
        &[
            pfcp::far_id(DOWNLINK.into()),
            pfcp::apply_action(pfcp::APPLY_FORW),
            pfcp::group(
                pfcp::UPDATE_FORWARDING_PARAMETERS,
                &[
                    pfcp::destination_interface(Interface::Access),
                    pfcp::network_instance(&stage.plan.dnn),
                    pfcp::outer_header_creation(session.downlink_teid, gnb),
                ],
            ),
        ],
    );
    transact(
        stage,
        at,
        session,
        (pfcp::MODIFICATION_REQUEST, pfcp::MODIFICATION_RESPONSE),
        &[update],
        chance,
    );
}

/// Ends a session.
pub(crate) fn delete(stage: &mut Stage, at: Micros, session: &Session, chance: &mut Chance) {
    let kinds = (pfcp::DELETION_REQUEST, pfcp::DELETION_RESPONSE);
    transact(stage, at, session, kinds, &[], chance);
}

fn transact(
    stage: &mut Stage,
    at: Micros,
    session: &Session,
    (request, response): (u8, u8),
    elements: &[Vec<u8>],
    chance: &mut Chance,
) {
    let cp = stage.plan.nodes[session.smf].on(Link::N4);
    let up = stage.plan.nodes[session.upf].on(Link::N4);
    let sequence = stage.numbers.sequence(session.smf);
    let asked = pfcp::session_message(request, session.up_seid, sequence, elements);
    stage.pfcp(at, (cp, up), &asked);
    let answer_at = at + chance.between(MILLI, 5 * MILLI);
    let accepted = [pfcp::accepted()];
    let answered = pfcp::session_message(response, session.cp_seid, sequence, &accepted);
    stage.pfcp(answer_at, (up, cp), &answered);
}

/// The association of an SMF and a UPF: set up once, then kept by heartbeats from both.
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
            self.heartbeat(now, stage, (self.smf, self.upf));
            let later = now + self.chance.between(100 * MILLI, 400 * MILLI);
            self.heartbeat(later, stage, (self.upf, self.smf));
        } else {
            self.associate(now, stage);
            self.set_up = true;
        }
        self.every.map(|every| now + every)
    }
}

impl Association {
    fn associate(&mut self, now: Micros, stage: &mut Stage) {
        let cp = stage.plan.nodes[self.smf].on(Link::N4);
        let up = stage.plan.nodes[self.upf].on(Link::N4);
        let sequence = stage.numbers.sequence(self.smf);
        let started = |node: usize| pfcp::recovery_time_stamp(stage.numbers.recovery[node]);
        let request = [pfcp::node_id(cp), started(self.smf), pfcp::cp_features()];
        let response =
            [pfcp::node_id(up), pfcp::accepted(), started(self.upf), pfcp::up_features()];
        let answer_at = now + self.chance.between(MILLI, 5 * MILLI);
        let request = pfcp::node_message(pfcp::ASSOCIATION_SETUP_REQUEST, sequence, &request);
        let response = pfcp::node_message(pfcp::ASSOCIATION_SETUP_RESPONSE, sequence, &response);
        stage.pfcp(now, (cp, up), &request);
        stage.pfcp(answer_at, (up, cp), &response);
    }

    fn heartbeat(&mut self, at: Micros, stage: &mut Stage, (from, to): (usize, usize)) {
        let ends = (stage.plan.nodes[from].on(Link::N4), stage.plan.nodes[to].on(Link::N4));
        let sequence = stage.numbers.sequence(from);
        let mut send = |at, ends, kind, node: usize| {
            let stamp = pfcp::recovery_time_stamp(stage.numbers.recovery[node]);
            stage.pfcp(at, ends, &pfcp::node_message(kind, sequence, &[stamp]));
        };
        send(at, ends, pfcp::HEARTBEAT_REQUEST, from);
        let answer_at = at + self.chance.between(500, 2 * MILLI);
        send(answer_at, (ends.1, ends.0), pfcp::HEARTBEAT_RESPONSE, to);
    }
}
