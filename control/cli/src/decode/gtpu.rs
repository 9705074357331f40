//! The key `gtpu`: the header and its extension headers.

use serde::Serialize;
use weir_wire::gtpu::Gtpu;
use weir_wire::gtpu_extension::{Extension, PDU_SESSION_CONTAINER, PduSession};

/// A GTP-U header.
#[derive(Serialize)]
pub(super) struct Header {
    #[serde(rename = "type")]
    kind: u8,
    teid: u32,
    length: u16,
    seq: Option<u16>,
    npdu: Option<u8>,
    ext: Vec<ExtensionHeader>,
}

#[derive(Serialize)]
struct ExtensionHeader {
    #[serde(rename = "type")]
    kind: u8,
    len: usize,
    #[serde(flatten)]
    container: Option<Container>,
}

/// A PDU Session Container (TS 38.415 §5.5.2). RQI, PPP and PPI are fields of the downlink PDU
/// only, QMP and SNP of the two that are defined.
#[derive(Serialize)]
struct Container {
    pdu_type: u8,
    qfi: u8,
    #[serde(flatten)]
    downlink: Option<Downlink>,
    #[serde(flatten)]
    measured: Option<Measured>,
}

#[derive(Serialize)]
struct Downlink {
    rqi: bool,
    ppp: bool,
    ppi: Option<u8>,
}

#[derive(Serialize)]
struct Measured {
    qmp: bool,
    snp: bool,
}

impl Header {
    /// Reads the header at the start of a UDP payload, and the bytes behind its extension headers.
    pub(super) fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let gtpu = Gtpu::parse(bytes).ok()?;
        let mut extensions = gtpu.extensions();
        let ext = extensions.by_ref().map_while(Result::ok).map(ExtensionHeader::of).collect();
        let header = Self {
            kind: gtpu.message_code(),
            teid: gtpu.teid().0,
            length: gtpu.length(),
            seq: gtpu.sequence(),
            npdu: gtpu.n_pdu(),
            ext,
        };
        Some((header, extensions.rest()))
    }
}

impl ExtensionHeader {
    fn of(extension: Extension<'_>) -> Self {
        let container = (extension.kind == PDU_SESSION_CONTAINER)
            .then(|| PduSession::parse(extension.content).ok())
            .flatten()
            .map(|container| Container::of(&container));
        Self { kind: extension.kind, len: extension.len(), container }
    }
}

impl Container {
    fn of(container: &PduSession<'_>) -> Self {
        let downlink =
            Downlink { rqi: container.rqi(), ppp: container.ppp(), ppi: container.ppi() };
        let measured = Measured { qmp: container.qmp(), snp: container.snp() };
        Self {
            pdu_type: container.pdu_type(),
            qfi: container.qfi(),
            downlink: (container.pdu_type() == 0).then_some(downlink),
            measured: (container.pdu_type() <= 1).then_some(measured),
        }
    }
}
