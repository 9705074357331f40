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
const N_PDU: u8 = 0x01;
pub(crate) const PDU_SESSION_CONTAINER: u8 = 0x85;
/// Recovery (§8.2): the restart counter is not used in GTP-U and is 0.
pub(crate) const RECOVERY: [u8; 2] = [14, 0];

pub(crate) const ERROR_INDICATION: u8 = 26;
pub(crate) const SUPPORTED_EXTENSION_HEADERS: u8 = 31;
pub(crate) const TUNNEL_STATUS: u8 = 253;

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

/// An extension header: its type, and what stands between its length and the next type.
#[derive(Clone, Debug)]
pub(crate) struct Extension {
    pub kind: u8,
    pub content: Vec<u8>,
}

impl Extension {
    /// An extension header; the content is filled with zeros to the next 4n − 2 octets.
    pub(crate) fn new(kind: u8, content: &[u8]) -> Self {
        let mut content = content.to_vec();
        content.resize((content.len() + 2).next_multiple_of(4).max(4) - 2, 0);
        Self { kind, content }
    }

    /// The length in units of four octets, the content, and the type of what follows.
    fn bytes(&self, next: u8) -> Vec<u8> {
        [&[((self.content.len() + 2) / 4) as u8][..], &self.content, &[next]].concat()
    }
}

/// A message whose header says all that a header can.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Header<'a> {
    pub kind: u8,
    pub teid: u32,
    pub sequence: Option<u16>,
    pub n_pdu: Option<u8>,
    pub extensions: &'a [Extension],
}

impl Header<'_> {
    /// The message around its body.
    pub(crate) fn around(&self, body: &[u8]) -> Vec<u8> {
        let flag = |present: bool, bit: u8| if present { bit } else { 0 };
        let flags = flag(!self.extensions.is_empty(), EXTENSION)
            | flag(self.sequence.is_some(), SEQUENCE)
            | flag(self.n_pdu.is_some(), N_PDU);
        let next = |n: usize| self.extensions.get(n).map_or(0, |extension| extension.kind);
        let mut optional = optional(self.sequence.unwrap_or(0), next(0));
        optional[2] = self.n_pdu.unwrap_or(0);
        let chain: Vec<u8> = self
            .extensions
            .iter()
            .enumerate()
            .flat_map(|(n, extension)| extension.bytes(next(n + 1)))
            .collect();
        let optional: &[u8] = if flags == 0 { &[] } else { &optional };
        message(flags, self.kind, self.teid, &[optional, &chain, body])
    }
}

/// An information element with a length (§8.1).
pub(crate) fn element(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[kind][..], &(value.len() as u16).to_be_bytes(), value].concat()
}

/// Sequence number, N-PDU number (never used here) and the type of the next extension header.
fn optional(sequence: u16, next: u8) -> [u8; 4] {
    let [high, low] = sequence.to_be_bytes();
    [high, low, 0, next]
}

/// A message as its flags say, right or wrong: the parts are laid down as they are.
pub(crate) fn message(flags: u8, kind: u8, teid: u32, parts: &[&[u8]]) -> Vec<u8> {
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
    fn a_chain_names_each_next_header_and_ends_in_none() {
        let extensions = [Extension::new(0x40, &[0x08, 0x68]), Extension::new(0x82, &[1, 2, 3])];
        let header = Header { kind: G_PDU, teid: 5, extensions: &extensions, ..Header::default() };
        let bytes = header.around(&[0x45]);
        assert_eq!(bytes[..12], [0x34, 255, 0, 17, 0, 0, 0, 5, 0, 0, 0, 0x40]);
        assert_eq!(bytes[12..], [1, 0x08, 0x68, 0x82, 2, 1, 2, 3, 0, 0, 0, 0, 0x45]);
        let plain = Header { kind: END_MARKER, teid: 9, ..Header::default() };
        assert_eq!(plain.around(&[]), end_marker(9));
    }

    #[test]
    fn path_messages_are_laid_out_as_the_clause_says() {
        assert_eq!(echo_request(7), [0x32, 1, 0, 4, 0, 0, 0, 0, 0, 7, 0, 0]);
        assert_eq!(echo_response(7), [0x32, 2, 0, 6, 0, 0, 0, 0, 0, 7, 0, 0, 14, 0]);
        assert_eq!(end_marker(9), [0x30, 254, 0, 0, 0, 0, 0, 9]);
    }
}
