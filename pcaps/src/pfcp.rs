//! PFCP messages (TS 29.244): headers, bundles, and grouped elements as lists of elements.

mod element;

pub(crate) use element::*;

/// The UDP port of PFCP.
pub(crate) const PORT: u16 = 8805;

pub(crate) const HEARTBEAT_REQUEST: u8 = 1;
pub(crate) const HEARTBEAT_RESPONSE: u8 = 2;
pub(crate) const ASSOCIATION_SETUP_REQUEST: u8 = 5;
pub(crate) const ASSOCIATION_SETUP_RESPONSE: u8 = 6;
pub(crate) const ASSOCIATION_UPDATE_REQUEST: u8 = 7;
pub(crate) const ASSOCIATION_UPDATE_RESPONSE: u8 = 8;
pub(crate) const ASSOCIATION_RELEASE_REQUEST: u8 = 9;
pub(crate) const ASSOCIATION_RELEASE_RESPONSE: u8 = 10;
pub(crate) const SET_DELETION_REQUEST: u8 = 14;
pub(crate) const SET_DELETION_RESPONSE: u8 = 15;
pub(crate) const ESTABLISHMENT_REQUEST: u8 = 50;
pub(crate) const ESTABLISHMENT_RESPONSE: u8 = 51;
pub(crate) const MODIFICATION_REQUEST: u8 = 52;
pub(crate) const MODIFICATION_RESPONSE: u8 = 53;
pub(crate) const DELETION_REQUEST: u8 = 54;
pub(crate) const DELETION_RESPONSE: u8 = 55;
pub(crate) const REPORT_REQUEST: u8 = 56;
pub(crate) const REPORT_RESPONSE: u8 = 57;

pub(crate) const CREATE_PDR: u16 = 1;
pub(crate) const PDI: u16 = 2;
pub(crate) const CREATE_FAR: u16 = 3;
pub(crate) const FORWARDING_PARAMETERS: u16 = 4;
pub(crate) const CREATE_QER: u16 = 7;
pub(crate) const CREATED_PDR: u16 = 8;
pub(crate) const UPDATE_FAR: u16 = 10;
pub(crate) const CREATE_URR: u16 = 6;
pub(crate) const UPDATE_PDR: u16 = 9;
pub(crate) const UPDATE_FORWARDING_PARAMETERS: u16 = 11;
pub(crate) const UPDATE_QER: u16 = 14;
pub(crate) const REMOVE_PDR: u16 = 15;
pub(crate) const REMOVE_FAR: u16 = 16;
pub(crate) const REMOVE_QER: u16 = 18;
pub(crate) const USAGE_REPORT_OF_DELETION: u16 = 79;
pub(crate) const USAGE_REPORT_OF_REPORT: u16 = 80;
pub(crate) const DOWNLINK_DATA_REPORT: u16 = 83;
pub(crate) const UPDATE_DUPLICATING_PARAMETERS: u16 = 105;
pub(crate) const CREATE_TRAFFIC_ENDPOINT: u16 = 127;
pub(crate) const CREATED_TRAFFIC_ENDPOINT: u16 = 128;

pub(crate) const APPLY_DROP: u8 = 1;
pub(crate) const APPLY_FORW: u8 = 2;
pub(crate) const APPLY_BUFF_NOCP: u8 = 4 | 8;
pub(crate) const APPLY_FORW_DUPL: u8 = 2 | 16;

/// Values of Cause (§8.2.1).
pub(crate) const NO_SUCH_SESSION: u8 = 65;
pub(crate) const RULE_FAILURE: u8 = 73;
pub(crate) const NO_RESOURCES: u8 = 75;

const FOLLOWED: u8 = 0x04;
const LENGTH_LEFT_OUT: usize = 4;

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
    let mut bytes = Vec::with_capacity(length + LENGTH_LEFT_OUT);
    bytes.extend([0x20 | u8::from(seid.is_some()), kind]);
    bytes.extend((length as u16).to_be_bytes());
    bytes.extend(seid.into_iter().flat_map(u64::to_be_bytes));
    bytes.extend(&sequence.to_be_bytes()[1..]);
    bytes.push(0);
    elements.iter().for_each(|element| bytes.extend_from_slice(element));
    bytes
}

/// Messages in one datagram: all but the last say that another follows (§7.2.2.1).
pub(crate) fn bundle(messages: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = messages.concat();
    let mut at = 0;
    for message in messages.iter().take(messages.len().saturating_sub(1)) {
        bytes[at] |= FOLLOWED;
        at += message.len();
    }
    bytes
}

/// The types of the messages in a datagram that was built here.
pub(crate) fn kinds(datagram: &[u8]) -> Vec<u8> {
    let mut kinds = Vec::new();
    let mut rest = datagram;
    while let [flags, kind, high, low, ..] = rest {
        kinds.push(*kind);
        if flags & FOLLOWED == 0 {
            break;
        }
        let length = usize::from(u16::from_be_bytes([*high, *low])) + LENGTH_LEFT_OUT;
        rest = rest.get(length..).unwrap_or_default();
    }
    kinds
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
    fn bundled_messages_say_that_another_follows() {
        let first = session_message(DELETION_REQUEST, 1, 2, &[]);
        let second = session_message(MODIFICATION_REQUEST, 1, 3, &[qer_id(1)]);
        let both = bundle(&[first.clone(), second.clone()]);
        assert_eq!((both[0], both[first.len()]), (0x25, 0x21));
        assert_eq!(kinds(&both), [DELETION_REQUEST, MODIFICATION_REQUEST]);
        assert_eq!(kinds(&second), [MODIFICATION_REQUEST]);
        assert!(bundle(&[]).is_empty());
    }
}
