//! The elements of the messages about a session, whatever carries them.

use std::net::{IpAddr, Ipv4Addr};

use crate::pfcp::{self, Identity, Interface};
use crate::plan::Realm;

pub(crate) const UPLINK: u16 = 1;
pub(crate) const DOWNLINK: u16 = 2;
/// Voice, in the same uplink tunnel.
const UPLINK_VOICE: u16 = 3;
const DEFAULT_QFI: u8 = 9;
const VOICE_QFI: u8 = 1;
const GUARANTEED_QFI: u8 = 5;
const ADDED_PDR: u16 = 4;
/// FAR and QER of an added flow.
pub(crate) const ADDED: u32 = 3;
const ADDED_PRECEDENCE: u32 = 64;
const BOTH_UPLINKS: u8 = 1;
const ACCESS_ENDPOINT: u8 = 1;
const CORE_ENDPOINT: u8 = 2;
pub(crate) const QER: u32 = 1;
pub(crate) const URR: u32 = 1;
const DEFAULT_PRECEDENCE: u32 = 255;
const VOICE_PRECEDENCE: u32 = 128;
/// What a URR without a habit of its own says: an hour.
const REPORT_SECONDS: u32 = 3_600;

/// What an SMF tells a UPF of a new session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms<'a> {
    pub cp_seid: u64,
    pub cp: IpAddr,
    /// The subscriber's address as it is told: `::` where the SMF does not know it yet.
    pub ue: IpAddr,
    pub realm: &'a Realm,
    pub identity: Option<&'a Identity>,
    /// The uplink F-TEID.
    pub uplink_teid: u32,
    pub user_plane: Ipv4Addr,
    /// The UPF chooses that F-TEID.
    pub chooses: bool,
    /// F-TEID and address stand in traffic endpoints.
    pub endpoints: bool,
    pub report_seconds: Option<u64>,
    /// The set of sessions that it falls with, when its SMF does.
    pub set: Option<u16>,
}

/// The elements of an establishment request: PDRs and FARs each way, one URR, one QER.
pub(crate) fn establishment(terms: &Terms<'_>) -> Vec<Vec<u8>> {
    let &Terms { cp, ue, realm, .. } = terms;
    let mut elements = vec![pfcp::node_id(cp), pfcp::f_seid(terms.cp_seid, cp)];
    elements.extend([uplink(terms, UPLINK), downlink(terms), uplink(terms, UPLINK_VOICE)]);
    elements.push(pfcp::group(
        pfcp::CREATE_FAR,
        &[
            pfcp::far_id(UPLINK.into()),
            pfcp::apply_action(pfcp::APPLY_FORW),
            pfcp::group(
                pfcp::FORWARDING_PARAMETERS,
                &[pfcp::destination_interface(Interface::Core), pfcp::network_instance(&realm.dnn)],
            ),
        ],
    ));
    elements.push(pfcp::group(
        pfcp::CREATE_FAR,
        &[pfcp::far_id(DOWNLINK.into()), pfcp::apply_action(pfcp::APPLY_BUFF_NOCP)],
    ));
    let period = terms.report_seconds.map_or(REPORT_SECONDS, |period| period as u32);
    elements.push(pfcp::create_urr(URR, period));
    elements.push(pfcp::group(
        pfcp::CREATE_QER,
        &[
            pfcp::qer_id(QER),
            pfcp::gate_status_open(),
            pfcp::mbr(50_000, 300_000),
            pfcp::qfi(DEFAULT_QFI),
        ],
    ));
    if terms.endpoints {
        elements.extend(endpoints(terms));
    }
    elements.push(pfcp::pdn_type(ue));
    elements.extend(terms.set.map(|set| pfcp::fq_csid(set, cp)));
    elements.extend(terms.identity.map(pfcp::user_id));
    elements.push(pfcp::dnn(&realm.dnn));
    elements.push(pfcp::s_nssai(realm.slice.sst, realm.slice.sd));
    elements
}

/// What the UPF says about the F-TEIDs that it chose; nothing where the SMF did.
pub(crate) fn created(terms: &Terms<'_>) -> Vec<Vec<u8>> {
    let end = pfcp::f_teid(terms.uplink_teid, terms.user_plane);
    match (terms.chooses, terms.endpoints) {
        (false, _) => Vec::new(),
        (true, true) => {
            let id = pfcp::traffic_endpoint_id(ACCESS_ENDPOINT);
            vec![pfcp::group(pfcp::CREATED_TRAFFIC_ENDPOINT, &[id, end])]
        }
        (true, false) => [UPLINK, UPLINK_VOICE]
            .map(|id| pfcp::group(pfcp::CREATED_PDR, &[pfcp::pdr_id(id), end.clone()]))
            .to_vec(),
    }
}

fn uplink(terms: &Terms<'_>, id: u16) -> Vec<u8> {
    let precedence = if id == UPLINK_VOICE { VOICE_PRECEDENCE } else { DEFAULT_PRECEDENCE };
    let members = [
        pfcp::pdr_id(id),
        pfcp::precedence(precedence),
        uplink_detection(terms, id),
        pfcp::outer_header_removal(),
        pfcp::far_id(UPLINK.into()),
        pfcp::urr_id(URR),
        pfcp::qer_id(QER),
    ];
    pfcp::group(pfcp::CREATE_PDR, &members)
}

fn uplink_detection(terms: &Terms<'_>, id: u16) -> Vec<u8> {
    let mut detection = vec![pfcp::source_interface(Interface::Access)];
    if terms.endpoints {
        detection.push(pfcp::traffic_endpoint_id(ACCESS_ENDPOINT));
    } else {
        detection.extend(local_end(terms));
    }
    if id == UPLINK_VOICE {
        detection.push(pfcp::sdf_filter("permit out 17 from any 20000-25600 to assigned"));
    }
    detection.push(pfcp::qfi(if id == UPLINK_VOICE { VOICE_QFI } else { DEFAULT_QFI }));
    pfcp::group(pfcp::PDI, &detection)
}

fn downlink(terms: &Terms<'_>) -> Vec<u8> {
    let members = [
        pfcp::pdr_id(DOWNLINK),
        pfcp::precedence(DEFAULT_PRECEDENCE),
        downlink_detection(terms),
        pfcp::far_id(DOWNLINK.into()),
        pfcp::urr_id(URR),
        pfcp::qer_id(QER),
    ];
    pfcp::group(pfcp::CREATE_PDR, &members)
}

fn downlink_detection(terms: &Terms<'_>) -> Vec<u8> {
    let mut detection = vec![pfcp::source_interface(Interface::Core)];
    if terms.endpoints {
        detection.push(pfcp::traffic_endpoint_id(CORE_ENDPOINT));
    } else {
        detection.push(pfcp::network_instance(&terms.realm.dnn));
        detection.push(pfcp::ue_ip(terms.ue, true));
    }
    pfcp::group(pfcp::PDI, &detection)
}

/// The end of the uplink tunnel at the UPF, and whose packets come out of it.
fn local_end(terms: &Terms<'_>) -> [Vec<u8>; 3] {
    let end = match terms.chooses {
        true => pfcp::f_teid_choose_id(BOTH_UPLINKS),
        false => pfcp::f_teid(terms.uplink_teid, terms.user_plane),
    };
    [end, pfcp::network_instance(&terms.realm.dnn), pfcp::ue_ip(terms.ue, false)]
}

fn endpoints(terms: &Terms<'_>) -> [Vec<u8>; 2] {
    let mut access = vec![pfcp::traffic_endpoint_id(ACCESS_ENDPOINT)];
    access.extend(local_end(terms));
    let core = [
        pfcp::traffic_endpoint_id(CORE_ENDPOINT),
        pfcp::network_instance(&terms.realm.dnn),
        pfcp::ue_ip(terms.ue, true),
    ];
    [
        pfcp::group(pfcp::CREATE_TRAFFIC_ENDPOINT, &access),
        pfcp::group(pfcp::CREATE_TRAFFIC_ENDPOINT, &core),
    ]
}

/// The address that the establishment did not tell. A PDI is replaced as a whole, so the F-TEID
/// stands in it again, as the one that it has become.
pub(crate) fn late_address(terms: &Terms<'_>) -> [Vec<u8>; 3] {
    let known = Terms { chooses: false, ..*terms };
    [UPLINK, DOWNLINK, UPLINK_VOICE].map(|id| {
        let detection = match id {
            DOWNLINK => downlink_detection(&known),
            _ => uplink_detection(&known, id),
        };
        pfcp::group(pfcp::UPDATE_PDR, &[pfcp::pdr_id(id), detection])
    })
}

/// Downlink goes to that end. A handover asks for the End Marker too.
pub(crate) fn redirection(
    realm: &Realm,
    (teid, address): (u32, Ipv4Addr),
    handover: bool,
) -> Vec<u8> {
    let mut parameters = vec![
        pfcp::destination_interface(Interface::Access),
        pfcp::network_instance(&realm.dnn),
        pfcp::outer_header_creation(teid, address),
    ];
    if handover {
        parameters.push(pfcp::send_end_marker());
    }
    let members = [
        pfcp::far_id(DOWNLINK.into()),
        pfcp::apply_action(pfcp::APPLY_FORW),
        pfcp::group(pfcp::UPDATE_FORWARDING_PARAMETERS, &parameters),
    ];
    pfcp::group(pfcp::UPDATE_FAR, &members)
}

/// Downlink is copied to that end as well.
pub(crate) fn duplication((teid, address): (u32, Ipv4Addr)) -> Vec<u8> {
    let copy =
        [pfcp::destination_interface(Interface::Core), pfcp::outer_header_creation(teid, address)];
    let members = [
        pfcp::far_id(DOWNLINK.into()),
        pfcp::apply_action(pfcp::APPLY_FORW_DUPL),
        pfcp::group(pfcp::UPDATE_DUPLICATING_PARAMETERS, &copy),
    ];
    pfcp::group(pfcp::UPDATE_FAR, &members)
}

/// Downlink waits at the UPF, which says when there is some.
pub(crate) fn buffering() -> Vec<u8> {
    let members = [pfcp::far_id(DOWNLINK.into()), pfcp::apply_action(pfcp::APPLY_BUFF_NOCP)];
    pfcp::group(pfcp::UPDATE_FAR, &members)
}

/// Downlink goes nowhere.
pub(crate) fn dropping() -> Vec<u8> {
    let members = [pfcp::far_id(DOWNLINK.into()), pfcp::apply_action(pfcp::APPLY_DROP)];
    pfcp::group(pfcp::UPDATE_FAR, &members)
}

/// Nothing says any more what becomes of downlink.
pub(crate) fn removed_downlink() -> Vec<u8> {
    pfcp::group(pfcp::REMOVE_FAR, &[pfcp::far_id(DOWNLINK.into())])
}

/// A flow with a guaranteed rate, in the uplink tunnel that is there.
pub(crate) fn added_flow(
    realm: &Realm,
    ue: IpAddr,
    (teid, user_plane): (u32, Ipv4Addr),
) -> Vec<Vec<u8>> {
    let detection = [
        pfcp::source_interface(Interface::Access),
        pfcp::f_teid(teid, user_plane),
        pfcp::network_instance(&realm.dnn),
        pfcp::ue_ip(ue, false),
        pfcp::qfi(GUARANTEED_QFI),
    ];
    let pdr = [
        pfcp::pdr_id(ADDED_PDR),
        pfcp::precedence(ADDED_PRECEDENCE),
        pfcp::group(pfcp::PDI, &detection),
        pfcp::outer_header_removal(),
        pfcp::far_id(ADDED),
        pfcp::urr_id(URR),
        pfcp::qer_id(ADDED),
    ];
    let parameters =
        [pfcp::destination_interface(Interface::Core), pfcp::network_instance(&realm.dnn)];
    let far = [
        pfcp::far_id(ADDED),
        pfcp::apply_action(pfcp::APPLY_FORW),
        pfcp::group(pfcp::FORWARDING_PARAMETERS, &parameters),
    ];
    let qer = [
        pfcp::qer_id(ADDED),
        pfcp::gate_status_open(),
        pfcp::mbr(2_000, 2_000),
        pfcp::gbr(500, 500),
        pfcp::qfi(GUARANTEED_QFI),
    ];
    vec![
        pfcp::group(pfcp::CREATE_PDR, &pdr),
        pfcp::group(pfcp::CREATE_FAR, &far),
        pfcp::group(pfcp::CREATE_QER, &qer),
    ]
}

/// That flow is over.
pub(crate) fn removed_flow() -> Vec<Vec<u8>> {
    vec![
        pfcp::group(pfcp::REMOVE_PDR, &[pfcp::pdr_id(ADDED_PDR)]),
        pfcp::group(pfcp::REMOVE_FAR, &[pfcp::far_id(ADDED)]),
        pfcp::group(pfcp::REMOVE_QER, &[pfcp::qer_id(ADDED)]),
    ]
}

/// A UPF in between: uplink goes on to the next UPF, and downlink comes from there.
pub(crate) fn intermediate(
    realm: &Realm,
    (next_teid, next): (u32, Ipv4Addr),
    (own_teid, own): (u32, Ipv4Addr),
) -> Vec<Vec<u8>> {
    let parameters = [
        pfcp::destination_interface(Interface::Core),
        pfcp::network_instance(&realm.dnn),
        pfcp::outer_header_creation(next_teid, next),
    ];
    let far = [
        pfcp::far_id(UPLINK.into()),
        pfcp::apply_action(pfcp::APPLY_FORW),
        pfcp::group(pfcp::UPDATE_FORWARDING_PARAMETERS, &parameters),
    ];
    let detection = [
        pfcp::source_interface(Interface::Core),
        pfcp::f_teid(own_teid, own),
        pfcp::network_instance(&realm.dnn),
    ];
    let pdr =
        [pfcp::pdr_id(DOWNLINK), pfcp::outer_header_removal(), pfcp::group(pfcp::PDI, &detection)];
    vec![pfcp::group(pfcp::UPDATE_FAR, &far), pfcp::group(pfcp::UPDATE_PDR, &pdr)]
}

/// Other rates.
pub(crate) fn rates(uplink: u32, downlink: u32) -> Vec<u8> {
    pfcp::group(pfcp::UPDATE_QER, &[pfcp::qer_id(QER), pfcp::mbr(uplink, downlink)])
}
