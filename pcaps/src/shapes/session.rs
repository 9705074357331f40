//! PFCP about one session: the eight messages with what real cores put into them, and variants
//! that differ between releases (TS 29.244 §7.5).

use super::node::{bundle, vendor};
use super::{Scene, Shape, TEID};
use crate::pfcp::{self, Interface, element, group, session_message};
use crate::plan::Link;

const CP_SEID: u64 = 0x11;
const UP_SEID: u64 = 0x2a00_0000_0001;

pub(super) fn shapes(scene: &Scene) -> Vec<Shape> {
    let [(_, cp), (_, up)] = scene.n4;
    let ok = pfcp::accepted;
    let up_f_seid = || pfcp::f_seid(UP_SEID, up);
    let f_teid = || pfcp::f_teid(TEID, scene.upf.four);
    let to_up = |kind, sequence, elements: &[Vec<u8>]| {
        scene.ask(&session_message(kind, UP_SEID, sequence, elements))
    };
    let to_cp = |kind, sequence, elements: &[Vec<u8>]| {
        scene.tell(&session_message(kind, CP_SEID, sequence, elements))
    };
    let volume = element(
        66,
        &[&[0x07][..], &3_000u64.to_be_bytes(), &1_000u64.to_be_bytes(), &2_000u64.to_be_bytes()]
            .concat(),
    );
    let report = |kind, trigger: &[u8]| {
        let stamp = 0xed00_0100u32.to_be_bytes();
        let duration = element(67, &60u32.to_be_bytes());
        let number = element(104, &1u32.to_be_bytes());
        group(
            kind,
            &[
                urr_id(),
                number,
                element(63, trigger),
                element(75, &stamp),
                element(76, &stamp),
                volume.clone(),
                duration,
            ],
        )
    };
    let created = || group(pfcp::CREATED_PDR, &[pfcp::pdr_id(1), f_teid()]);
    let both = element(
        21,
        &[&[0x03][..], &TEID.to_be_bytes(), &scene.upf.four.octets(), &scene.upf.six.octets()]
            .concat(),
    );
    let endpoint = group(128, &[element(131, &[1]), both]);
    let changes = [
        group(9, &[pfcp::pdr_id(1), pfcp::precedence(200)]),
        group(
            pfcp::UPDATE_FAR,
            &[
                pfcp::far_id(2),
                element(44, &[0x02, 0x00]),
                group(
                    pfcp::UPDATE_FORWARDING_PARAMETERS,
                    &[
                        pfcp::destination_interface(Interface::Access),
                        pfcp::outer_header_creation(TEID, scene.gnb.four),
                        element(49, &[0x02]),
                    ],
                ),
            ],
        ),
        group(13, &[urr_id(), element(31, &[&[0x01][..], &9_000u64.to_be_bytes()].concat())]),
        group(14, &[pfcp::qer_id(1), pfcp::mbr(10, 20)]),
        group(15, &[pfcp::pdr_id(3)]),
        group(16, &[pfcp::far_id(3)]),
        group(18, &[pfcp::qer_id(3)]),
        group(77, &[urr_id()]),
    ];
    let duplicated = group(
        pfcp::UPDATE_FAR,
        &[
            pfcp::far_id(2),
            element(44, &[0x12]),
            group(
                105,
                &[
                    pfcp::destination_interface(Interface::Core),
                    pfcp::outer_header_creation(9, scene.host),
                ],
            ),
        ],
    );
    let rejected = [
        element(60, &[&[0u8][..], &up.octets()].concat()),
        element(19, &[73]),
        element(40, &[0, 21]),
        element(114, &[0, 0, 1]),
    ];
    let error = group(99, &[pfcp::f_teid(7, scene.gnb.four)]);
    let changed = session_message(52, UP_SEID, 40, &[changes[0].clone()]);
    let gone = session_message(54, UP_SEID, 41, &[]);
    let establishment = |elements: &[Vec<u8>]| scene.ask(&session_message(50, 0, 30, elements));
    let cases = [
        ("establishment-request", "pfcp.msg_type == 50", establishment(&rules(scene))),
        (
            "establishment-response",
            "pfcp.msg_type == 51 && pfcp.ie_type == 8",
            to_cp(51, 30, &[pfcp::node_id(up), ok(), up_f_seid(), created()]),
        ),
        (
            "establishment-request-endpoints",
            "pfcp.ie_type == 127",
            establishment(&endpoints(scene)),
        ),
        (
            "establishment-response-endpoints",
            "pfcp.ie_type == 128",
            to_cp(51, 30, &[pfcp::node_id(up), ok(), up_f_seid(), endpoint]),
        ),
        ("establishment-response-rejected", "pfcp.cause == 73", to_cp(51, 31, &rejected)),
        ("modification-request", "pfcp.msg_type == 52", to_up(52, 32, &changes)),
        (
            "modification-response",
            "pfcp.msg_type == 53 && pfcp.ie_type == 78",
            to_cp(53, 32, &[ok(), created(), report(78, &[0x80, 0])]),
        ),
        ("modification-request-duplicating", "pfcp.ie_type == 105", to_up(52, 33, &[duplicated])),
        ("deletion-request", "pfcp.msg_type == 54", to_up(54, 34, &[])),
        (
            "deletion-response",
            "pfcp.msg_type == 55 && pfcp.ie_type == 79",
            to_cp(55, 34, &[ok(), report(79, &[0, 0x08, 0])]),
        ),
        (
            "report-request-usage",
            "pfcp.msg_type == 56 && pfcp.ie_type == 80",
            to_cp(56, 35, &[element(39, &[0x02]), report(80, &[0x02, 0, 0])]),
        ),
        (
            "report-request-downlink-data",
            "pfcp.msg_type == 56 && pfcp.ie_type == 83",
            to_cp(56, 36, &[element(39, &[0x01]), group(83, &[pfcp::pdr_id(2)])]),
        ),
        (
            "report-request-error-indication",
            "pfcp.msg_type == 56 && pfcp.ie_type == 99",
            to_cp(56, 37, &[element(39, &[0x04]), error]),
        ),
        ("report-response", "pfcp.msg_type == 57", to_up(57, 35, &[ok()])),
        (
            "modification-request-vendor-elements",
            "pfcp.enterprise_id == 10415",
            to_up(
                52,
                38,
                &[vendor(9, &scene.payload(40)), group(15, &[pfcp::pdr_id(4), vendor(10, &[1])])],
            ),
        ),
        (
            "bundle-2-sessions",
            "pfcp.msg_type == 54",
            scene.ask(&bundle(&[changed.clone(), gone.clone()])),
        ),
        (
            "bundle-3-mixed",
            "pfcp.msg_type == 54",
            scene.ask(&bundle(&[
                pfcp::node_message(1, 42, &[pfcp::recovery_time_stamp(0xed00_0000)]),
                changed,
                gone,
            ])),
        ),
        ("establishment-request-ipv6", "pfcp.msg_type == 50", establishment(&six(scene, cp))),
        (
            "heartbeat-over-ipv6",
            "pfcp.msg_type == 1 && ipv6",
            scene.on_n4(&scene.asking6(&pfcp::node_message(
                pfcp::HEARTBEAT_REQUEST,
                43,
                &[pfcp::recovery_time_stamp(0xed00_0000)],
            ))),
        ),
    ];
    cases
        .into_iter()
        .map(|(name, claim, frame)| Shape::new(format!("pfcp/{name}"), claim, frame).on(Link::N4))
        .collect()
}

/// An establishment request of more than 2,000 octets: what does not fit into one packet.
pub(super) fn long(scene: &Scene) -> Vec<u8> {
    let mut elements = rules(scene);
    for id in 10..34 {
        let filter = format!("permit out udp from 203.0.113.{id} to assigned 1000-2000");
        elements.push(group(
            pfcp::CREATE_PDR,
            &[
                pfcp::pdr_id(id),
                pfcp::precedence(id.into()),
                group(pfcp::PDI, &[pfcp::source_interface(Interface::Core), sdf(&filter)]),
                pfcp::far_id(1),
            ],
        ));
    }
    session_message(50, 0, 39, &elements)
}

fn urr_id() -> Vec<u8> {
    element(81, &1u32.to_be_bytes())
}

/// SDF Filter with a flow description (§8.2.5).
fn sdf(text: &str) -> Vec<u8> {
    element(23, &[&[0x01, 0][..], &(text.len() as u16).to_be_bytes(), text.as_bytes()].concat())
}

/// What a core of some size asks for: filters, usage to report, buffering.
fn rules(scene: &Scene) -> Vec<Vec<u8>> {
    let cp = scene.n4[0].1;
    let instance = || pfcp::network_instance(&scene.dnn);
    let pdi = group(
        pfcp::PDI,
        &[
            pfcp::source_interface(Interface::Access),
            pfcp::f_teid_choose(),
            instance(),
            pfcp::ue_ip(scene.ue.into(), false),
            sdf("permit out ip from any to assigned"),
            pfcp::qfi(9),
            element(160, &[11]),
        ],
    );
    let threshold = element(31, &[&[0x01][..], &1_000_000u64.to_be_bytes()].concat());
    vec![
        pfcp::node_id(cp),
        pfcp::f_seid(CP_SEID, cp),
        group(
            pfcp::CREATE_PDR,
            &[
                pfcp::pdr_id(1),
                pfcp::precedence(255),
                pdi,
                pfcp::outer_header_removal(),
                pfcp::far_id(1),
                urr_id(),
                pfcp::qer_id(1),
            ],
        ),
        group(
            pfcp::CREATE_FAR,
            &[
                pfcp::far_id(1),
                pfcp::apply_action(pfcp::APPLY_FORW),
                group(
                    pfcp::FORWARDING_PARAMETERS,
                    &[pfcp::destination_interface(Interface::Core), instance()],
                ),
            ],
        ),
        group(6, &[urr_id(), element(62, &[0x02]), element(37, &[0x02, 0, 0]), threshold]),
        group(pfcp::CREATE_QER, &[pfcp::qer_id(1), pfcp::gate_status_open(), pfcp::mbr(9, 9)]),
        group(85, &[element(88, &[1])]),
        pfcp::pdn_type(scene.ue.into()),
        pfcp::user_id(&crate::n4::identity(0)),
        pfcp::dnn(&scene.dnn),
        pfcp::s_nssai(1, [1, 2, 3]),
    ]
}

/// The same with F-TEID and UE address in a Traffic Endpoint (§5.2.3.1, PDIU).
fn endpoints(scene: &Scene) -> Vec<Vec<u8>> {
    let cp = scene.n4[0].1;
    let endpoint = element(131, &[1]);
    let choose = element(21, &[0x0d, 7]);
    let ue = pfcp::ue_ip(scene.ue.into(), false);
    let pdi = group(
        pfcp::PDI,
        &[pfcp::source_interface(Interface::Access), endpoint.clone(), pfcp::qfi(9)],
    );
    let pdr = [pfcp::pdr_id(1), pfcp::precedence(255), pdi, element(95, &[0]), pfcp::far_id(1)];
    vec![
        pfcp::node_id(cp),
        pfcp::f_seid(CP_SEID, cp),
        group(pfcp::CREATE_PDR, &pdr),
        group(pfcp::CREATE_FAR, &[pfcp::far_id(1), pfcp::apply_action(pfcp::APPLY_FORW)]),
        group(127, &[endpoint, choose, pfcp::network_instance(&scene.dnn), ue]),
    ]
}

/// A session of IPv6 with both ends' addresses of that family.
fn six(scene: &Scene, cp: std::net::Ipv4Addr) -> Vec<Vec<u8>> {
    let seid =
        [&[0x03][..], &CP_SEID.to_be_bytes(), &cp.octets(), &scene.gnb.six.octets()].concat();
    let teid = [&[0x02][..], &TEID.to_be_bytes(), &scene.upf.six.octets()].concat();
    let creation = [&[0x02, 0x00][..], &TEID.to_be_bytes(), &scene.gnb.six.octets()].concat();
    let ue = pfcp::ue_ip(scene.ue6.into(), true);
    let pdi =
        group(pfcp::PDI, &[pfcp::source_interface(Interface::Access), element(21, &teid), ue]);
    let to_access = group(
        pfcp::FORWARDING_PARAMETERS,
        &[pfcp::destination_interface(Interface::Access), element(84, &creation)],
    );
    vec![
        pfcp::node_id(cp),
        element(57, &seid),
        group(
            pfcp::CREATE_PDR,
            &[pfcp::pdr_id(1), pfcp::precedence(255), pdi, element(95, &[1]), pfcp::far_id(1)],
        ),
        group(
            pfcp::CREATE_FAR,
            &[pfcp::far_id(1), pfcp::apply_action(pfcp::APPLY_FORW), to_access],
        ),
        pfcp::pdn_type(scene.ue6.into()),
    ]
}
