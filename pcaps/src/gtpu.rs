//! GTP-U messages (TS 29.281) with the PDU Session Container (TS 38.415 §5.5).

/// The UDP port of GTP-U.
pub(crate) const PORT: u16 = 2152;

pub(crate) const ECHO_REQUEST: u8 = 1;
pub(crate) const ECHO_RESPONSE: u8 = 2;
pub(crate) const END_MARKER: u8 = 254;
pub(crate) const G_PDU: u8 = 255;

const VERSION_1_GTP: u8 = 0x30;
const EXTENSION: u8 = 0x04;
const SEQUENCE: u8 = 0x02;
const PDU_SESSION_CONTAINER: u8 = 0x85;
/// Recovery (§8.2): the restart counter is not used in GTP-U and is 0.
const RECOVERY: [u8; 2] = [14, 0];

/// Which way a PDU goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Direction {
    Uplink,
    Downlink,
}

/// What the PDU Session Container of a G-PDU says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Container {
    pub direction: Direction,
    pub qfi: u8,
    /// Reflective QoS Indication; downlink only.
    pub rqi: bool,
}

/// A G-PDU: header, the sequence number if there is one, PDU Session Container, user packet.
pub(crate) fn g_pdu(teid: u32, sequence: Option<u16>, psc: Container, packet: &[u8]) -> Vec<u8> {
    let (kind, rqi) = match psc.direction {
        Direction::Downlink => (0x00, u8::from(psc.rqi) << 6),
        Direction::Uplink => (0x10, 0),
    };
    let extension = [1, kind, rqi | (psc.qfi & 0x3f), 0];
    let flags = EXTENSION | if sequence.is_some() { SEQUENCE } else { 0 };
    let optional = optional(sequence.unwrap_or(0), PDU_SESSION_CONTAINER);
    message(flags, G_PDU, teid, &[&optional, &extension, packet])
}

/// Echo Request (§7.2.1).
pub(crate) fn echo_request(sequence: u16) -> Vec<u8> {
    message(SEQUENCE, ECHO_REQUEST, 0, &[&optional(sequence, 0)])
}

/// Echo Response (§7.2.2).
pub(crate) fn echo_response(sequence: u16) -> Vec<u8> {
    message(SEQUENCE, ECHO_RESPONSE, 0, &[&optional(sequence, 0), &RECOVERY])
}

/// End Marker (§7.3.2): nothing more will come through this tunnel.
pub(crate) fn end_marker(teid: u32) -> Vec<u8> {
    message(0, END_MARKER, teid, &[])
}

/// Sequence number, N-PDU number (never used here) and the type of the next extension header.
fn optional(sequence: u16, next: u8) -> [u8; 4] {
    let [high, low] = sequence.to_be_bytes();
    [high, low, 0, next]
}

fn message(flags: u8, kind: u8, teid: u32, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut bytes = Vec::with_capacity(8 + length);
    bytes.extend([VERSION_1_GTP | flags, kind]);
    bytes.extend((length as u16).to_be_bytes());
    bytes.extend(teid.to_be_bytes());
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_g_pdu_is_laid_out_as_the_clause_says() {
        let psc = Container { direction: Direction::Downlink, qfi: 9, rqi: true };
        let bytes = g_pdu(0x0102_0304, Some(0x0506), psc, &[0x45]);
        assert_eq!(bytes, [0x36, 255, 0, 9, 1, 2, 3, 4, 5, 6, 0, 0x85, 1, 0x00, 0x49, 0, 0x45]);
        let psc = Container { direction: Direction::Uplink, qfi: 5, rqi: true };
        let bytes = g_pdu(1, None, psc, &[]);
        assert_eq!(bytes, [0x34, 255, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0x85, 1, 0x10, 5, 0]);
    }

    #[test]
    fn path_messages_are_laid_out_as_the_clause_says() {
        assert_eq!(echo_request(7), [0x32, 1, 0, 4, 0, 0, 0, 0, 0, 7, 0, 0]);
        assert_eq!(echo_response(7), [0x32, 2, 0, 6, 0, 0, 0, 0, 0, 7, 0, 0, 14, 0]);
        assert_eq!(end_marker(9), [0x30, 254, 0, 0, 0, 0, 0, 9]);
    }
}
