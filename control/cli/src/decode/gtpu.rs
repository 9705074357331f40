//! The key `gtpu`: the header, its extension headers, and the elements of messages that have some.

use std::fmt;
use std::net::IpAddr;

use serde::{Serialize, Serializer};
use weir_wire::ErrorKind;
use weir_wire::gtpu::{Gtpu, Message};
use weir_wire::gtpu_element::{Element, Elements};
use weir_wire::gtpu_extension::{Extension, Extensions, PDU_SESSION_CONTAINER};
use weir_wire::pdu_session::PduSession;

/// A GTP-U header.
#[derive(Serialize)]
pub(super) struct Header<'a> {
    #[serde(rename = "type")]
    kind: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    teid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<u16>,
    seq: Option<u16>,
    npdu: Option<u8>,
    ext: Vec<ExtensionHeader>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ie: Vec<InformationElement<'a>>,
}

/// An extension header, and of a PDU Session Container (TS 38.415 §5.5.2) its fields: RQI, PPP and
/// PPI are those of the downlink PDU only, QMP and SNP of the two that are defined.
#[derive(Default, Serialize)]
struct ExtensionHeader {
    #[serde(rename = "type")]
    kind: u8,
    len: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pdu_type: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    qfi: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rqi: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ppp: Option<bool>,
    /// Null in a downlink PDU without.
    #[serde(skip_serializing_if = "Option::is_none")]
    ppi: Option<Option<u8>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    qmp: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snp: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    qfi_seq: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mbs_qfi_seq: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dl_sent: Option<Hex>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dl_received: Option<Hex>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ul_sent: Option<Hex>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dl_delay: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ul_delay: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n3_n9_delay: Option<u32>,
}

/// An information element by its type, with what it means where Weir reads it.
#[derive(Serialize)]
struct InformationElement<'a> {
    #[serde(rename = "type")]
    kind: u8,
    len: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    teid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extension_types: Option<&'a [u8]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tunnel_status: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_time_stamp: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enterprise: Option<u16>,
}

/// A 64-bit time stamp (RFC 5905 format), as a hexadecimal string.
struct Hex(u64);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'a> Header<'a> {
    /// Reads the header at the start of a UDP payload; of one that is cut or whose length
    /// can't be, what is there. None if not even the type is.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let Ok(gtpu) = Gtpu::parse(bytes) else { return Self::of_part(bytes) };
        let mut extensions = gtpu.extensions();
        let ext = extension_headers(&mut extensions);
        let ie = if gtpu.message() == Message::GPdu {
            Vec::new()
        } else {
            let elements = Elements::new(extensions.rest());
            elements.map_while(Result::ok).map(InformationElement::of).collect()
        };
        Some(Self {
            kind: gtpu.message_code(),
            teid: Some(gtpu.teid().0),
            length: Some(gtpu.length()),
            seq: gtpu.sequence(),
            npdu: gtpu.n_pdu(),
            ext,
            ie,
        })
    }

    fn of_part(bytes: &[u8]) -> Option<Self> {
        let length = bytes.get(2..4).and_then(|field| field.try_into().ok());
        let teid = bytes.get(4..8).and_then(|field| field.try_into().ok());
        Some(Self {
            kind: *bytes.get(1)?,
            teid: teid.map(u32::from_be_bytes),
            length: length.map(u16::from_be_bytes),
            seq: None,
            npdu: None,
            ext: Vec::new(),
            ie: Vec::new(),
        })
    }
}

/// Walks the chain. A header that ends it by its length is listed with the length that it claims.
fn extension_headers(extensions: &mut Extensions<'_>) -> Vec<ExtensionHeader> {
    let mut headers = Vec::new();
    loop {
        let claimed = extensions.claimed();
        match extensions.next() {
            None => return headers,
            Some(Ok(extension)) => headers.push(ExtensionHeader::of(extension)),
            Some(Err(error)) => {
                let claimed = claimed.filter(|_| error.kind != ErrorKind::Depth);
                let part = |(kind, len)| ExtensionHeader { kind, len, ..Default::default() };
                headers.extend(claimed.map(part));
                return headers;
            }
        }
    }
}

impl ExtensionHeader {
    fn of(extension: Extension<'_>) -> Self {
        let bare = Self { kind: extension.kind, len: extension.len(), ..Self::default() };
        if extension.kind != PDU_SESSION_CONTAINER {
            return bare;
        }
        match PduSession::parse(extension.content) {
            Ok(container) => bare.with(&container),
            Err(_) => bare,
        }
    }

    fn with(self, container: &PduSession<'_>) -> Self {
        let downlink = container.pdu_type() == 0;
        let defined = container.pdu_type() <= 1;
        Self {
            pdu_type: Some(container.pdu_type()),
            qfi: Some(container.qfi()),
            rqi: downlink.then(|| container.rqi()),
            ppp: downlink.then(|| container.ppp()),
            ppi: downlink.then(|| container.ppi()),
            qmp: defined.then(|| container.qmp()),
            snp: defined.then(|| container.snp()),
            qfi_seq: container.qfi_sequence_number(),
            mbs_qfi_seq: container.mbs_qfi_sequence_number(),
            dl_sent: container.dl_sending_time_stamp().map(Hex),
            dl_received: container.dl_received_time_stamp().map(Hex),
            ul_sent: container.ul_sending_time_stamp().map(Hex),
            dl_delay: container.dl_delay_result(),
            ul_delay: container.ul_delay_result(),
            n3_n9_delay: container.n3_n9_delay_result(),
            ..self
        }
    }
}

impl<'a> InformationElement<'a> {
    fn of(element: Element<'a>) -> Self {
        Self {
            kind: element.kind,
            len: element.value.len(),
            recovery: element.recovery(),
            teid: element.teid().map(|teid| teid.0),
            peer: element.peer().map(IpAddr::from),
            extension_types: element.extension_types(),
            tunnel_status: element.tunnel_status(),
            recovery_time_stamp: element.recovery_time_stamp(),
            enterprise: element.private_extension().map(|(enterprise, _)| enterprise),
        }
    }
}
