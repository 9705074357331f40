//! PFCP messages (TS 29.244): the header, the information elements that the scenarios speak, and
//! grouped elements as lists of elements.

use std::net::{IpAddr, Ipv4Addr};

/// The UDP port of PFCP.
pub(crate) const PORT: u16 = 8805;

pub(crate) const HEARTBEAT_REQUEST: u8 = 1;
pub(crate) const HEARTBEAT_RESPONSE: u8 = 2;
pub(crate) const ASSOCIATION_SETUP_REQUEST: u8 = 5;
pub(crate) const ASSOCIATION_SETUP_RESPONSE: u8 = 6;
pub(crate) const ESTABLISHMENT_REQUEST: u8 = 50;
pub(crate) const ESTABLISHMENT_RESPONSE: u8 = 51;
pub(crate) const MODIFICATION_REQUEST: u8 = 52;
pub(crate) const MODIFICATION_RESPONSE: u8 = 53;
pub(crate) const DELETION_REQUEST: u8 = 54;
pub(crate) const DELETION_RESPONSE: u8 = 55;

pub(crate) const CREATE_PDR: u16 = 1;
pub(crate) const PDI: u16 = 2;
pub(crate) const CREATE_FAR: u16 = 3;
pub(crate) const FORWARDING_PARAMETERS: u16 = 4;
pub(crate) const CREATE_QER: u16 = 7;
pub(crate) const CREATED_PDR: u16 = 8;
pub(crate) const UPDATE_FAR: u16 = 10;
pub(crate) const UPDATE_FORWARDING_PARAMETERS: u16 = 11;

pub(crate) const APPLY_FORW: u8 = 2;
pub(crate) const APPLY_BUFF_NOCP: u8 = 4 | 8;

/// Source and Destination Interface values (§8.2.2, §8.2.24).
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(crate) enum Interface {
    Access = 0,
    Core = 1,
}

/// A message without session (node related).
pub(crate) fn node_message(kind: u8, sequence: u32, elements: &[Vec<u8>]) -> Vec<u8> {
    message(kind, None, sequence, elements)
}

/// A message of a session; the SEID is the receiver's, 0 in an establishment request.
pub(crate) fn session_message(kind: u8, seid: u64, sequence: u32, elements: &[Vec<u8>]) -> Vec<u8> {
    message(kind, Some(seid), sequence, elements)
}

fn message(kind: u8, seid: Option<u64>, sequence: u32, elements: &[Vec<u8>]) -> Vec<u8> {
    let body: usize = elements.iter().map(Vec::len).sum();
    // The length leaves out the first four octets (§7.2.2.2).
    let length = body + 4 + if seid.is_some() { 8 } else { 0 };
    let mut bytes = Vec::with_capacity(length + 4);
    bytes.extend([0x20 | u8::from(seid.is_some()), kind]);
    bytes.extend((length as u16).to_be_bytes());
    bytes.extend(seid.into_iter().flat_map(u64::to_be_bytes));
    bytes.extend(&sequence.to_be_bytes()[1..]);
    bytes.push(0);
    elements.iter().for_each(|element| bytes.extend_from_slice(element));
    bytes
}

/// An information element as its value is (§8.1.1).
pub(crate) fn element(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4 + value.len());
    bytes.extend(kind.to_be_bytes());
    bytes.extend((value.len() as u16).to_be_bytes());
    bytes.extend_from_slice(value);
    bytes
}

/// A grouped element.
pub(crate) fn group(kind: u16, members: &[Vec<u8>]) -> Vec<u8> {
    element(kind, &members.concat())
}

/// Cause: request accepted.
pub(crate) fn accepted() -> Vec<u8> {
    element(19, &[1])
}

pub(crate) fn source_interface(interface: Interface) -> Vec<u8> {
    element(20, &[interface as u8])
}

pub(crate) fn destination_interface(interface: Interface) -> Vec<u8> {
    element(42, &[interface as u8])
}

/// F-TEID of an IPv4 end (§8.2.3).
pub(crate) fn f_teid(teid: u32, address: Ipv4Addr) -> Vec<u8> {
    element(21, &[&[0x01][..], &teid.to_be_bytes(), &address.octets()].concat())
}

/// F-TEID that the UPF shall choose, for IPv4.
pub(crate) fn f_teid_choose() -> Vec<u8> {
    element(21, &[0x01 | 0x04])
}

/// Network Instance, as the labels of a domain name.
pub(crate) fn network_instance(name: &str) -> Vec<u8> {
    element(22, &labels(name))
}

/// APN/DNN, as the labels of a domain name.
pub(crate) fn dnn(name: &str) -> Vec<u8> {
    element(159, &labels(name))
}

pub(crate) fn gate_status_open() -> Vec<u8> {
    element(25, &[0])
}

/// Maximum bit rates, in kbit/s, of 40 bits each.
pub(crate) fn mbr(uplink: u32, downlink: u32) -> Vec<u8> {
    let rate = |kbit: u32| [&[0][..], &kbit.to_be_bytes()].concat();
    element(26, &[rate(uplink), rate(downlink)].concat())
}

pub(crate) fn precedence(value: u32) -> Vec<u8> {
    element(29, &value.to_be_bytes())
}

pub(crate) fn cp_features() -> Vec<u8> {
    element(89, &[0])
}

/// UP Function Features: FTUP (the UPF may choose F-TEIDs) and EMPU (it sends End Markers).
pub(crate) fn up_features() -> Vec<u8> {
    element(43, &[0x10, 0x01])
}

pub(crate) fn apply_action(action: u8) -> Vec<u8> {
    element(44, &[action])
}

pub(crate) fn pdr_id(id: u16) -> Vec<u8> {
    element(56, &id.to_be_bytes())
}

pub(crate) fn far_id(id: u32) -> Vec<u8> {
    element(108, &id.to_be_bytes())
}

pub(crate) fn qer_id(id: u32) -> Vec<u8> {
    element(109, &id.to_be_bytes())
}

pub(crate) fn qfi(value: u8) -> Vec<u8> {
    element(124, &[value])
}

pub(crate) fn f_seid(seid: u64, address: Ipv4Addr) -> Vec<u8> {
    element(57, &[&[0x02][..], &seid.to_be_bytes(), &address.octets()].concat())
}

/// Node ID as an IPv4 address.
pub(crate) fn node_id(address: Ipv4Addr) -> Vec<u8> {
    element(60, &[&[0][..], &address.octets()].concat())
}

/// Outer Header Creation of GTP-U/UDP/IPv4 (§8.2.56).
pub(crate) fn outer_header_creation(teid: u32, address: Ipv4Addr) -> Vec<u8> {
    element(84, &[&[0x01, 0x00][..], &teid.to_be_bytes(), &address.octets()].concat())
}

/// Outer Header Removal of GTP-U/UDP/IPv4, with the extension headers (§8.2.64).
pub(crate) fn outer_header_removal() -> Vec<u8> {
    element(95, &[0, 1])
}

/// UE IP Address (§8.2.62), as the destination of downlink or the source of uplink.
pub(crate) fn ue_ip(address: IpAddr, destination: bool) -> Vec<u8> {
    let side = u8::from(destination) << 2;
    match address {
        IpAddr::V4(four) => element(93, &[&[0x02 | side][..], &four.octets()].concat()),
        IpAddr::V6(six) => element(93, &[&[0x01 | side][..], &six.octets()].concat()),
    }
}

/// Seconds since 1900 of the moment when the entity last started (§8.2.65).
pub(crate) fn recovery_time_stamp(seconds: u32) -> Vec<u8> {
    element(96, &seconds.to_be_bytes())
}

pub(crate) fn pdn_type(address: IpAddr) -> Vec<u8> {
    element(113, &[if address.is_ipv4() { 1 } else { 2 }])
}

/// User ID with the IMSI in telephony BCD, an odd last digit filled with 0xf (§8.2.101).
pub(crate) fn user_id(imsi: &str) -> Vec<u8> {
    let digits: Vec<u8> = imsi.bytes().map(|digit| digit - b'0').collect();
    let bcd: Vec<u8> =
        digits.chunks(2).map(|pair| pair[0] | pair.get(1).unwrap_or(&0xf) << 4).collect();
    element(141, &[&[0x01, bcd.len() as u8][..], &bcd].concat())
}

pub(crate) fn s_nssai(sst: u8, sd: [u8; 3]) -> Vec<u8> {
    element(257, &[sst, sd[0], sd[1], sd[2]])
}

fn labels(name: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(name.len() + 1);
    for label in name.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_count_what_follows_the_fourth_octet() {
        let stamp = recovery_time_stamp(0x0102_0304);
        assert_eq!(
            node_message(HEARTBEAT_REQUEST, 0x0a0b0c, &[stamp]),
            [0x20, 1, 0, 12, 0x0a, 0x0b, 0x0c, 0, 0, 96, 0, 4, 1, 2, 3, 4]
        );
        assert_eq!(
            session_message(DELETION_REQUEST, 0x2a, 1, &[]),
            [0x21, 54, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0x2a, 0, 0, 1, 0]
        );
    }

    #[test]
    fn groups_nest() {
        let grouped = group(UPDATE_FAR, &[far_id(2), apply_action(APPLY_FORW)]);
        assert_eq!(grouped, [0, 10, 0, 13, 0, 108, 0, 4, 0, 0, 0, 2, 0, 44, 0, 1, 2]);
    }

    #[test]
    fn an_odd_imsi_is_filled() {
        assert_eq!(user_id("26201")[4..], [0x01, 3, 0x62, 0x02, 0xf1]);
    }
}
