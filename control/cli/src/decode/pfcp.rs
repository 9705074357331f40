//! The key `pfcp`: the messages of a datagram with the types of their elements.

use std::fmt;

use serde::{Serialize, Serializer};
use weir_engine::decode::pfcp_bundle;
use weir_wire::WireError;
use weir_wire::pfcp::{Pfcp, Seid};
use weir_wire::pfcp_walk::walk;

/// One PFCP message.
#[derive(Serialize)]
pub(super) struct Message {
    #[serde(rename = "type")]
    kind: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    seid: Option<Hex>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<u16>,
    ie: Vec<u16>,
}

/// A 64-bit identifier, as a hexadecimal string.
struct Hex(Seid);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0.0)
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// What is wrong in a datagram, and the offset in it of the header that is.
pub(super) type Fault = (WireError, usize);

/// Reads every message of a datagram as far as it goes, and the first thing that is wrong.
pub(super) fn read(datagram: &[u8]) -> (Vec<Message>, Option<Fault>) {
    let mut messages = Vec::new();
    let mut first = None;
    let mut start = 0;
    for message in pfcp_bundle(datagram) {
        let pfcp = match message {
            Ok(pfcp) => pfcp,
            Err(error) => {
                first.get_or_insert((error, start));
                messages.extend(datagram.get(start..).and_then(Message::of_part));
                break;
            }
        };
        let mut ie = Vec::new();
        let fault = walk(&pfcp, &mut |_, element| ie.push(element.kind));
        let fault = fault.map(|(error, at)| (error, offset(datagram, at)));
        let incomplete = pfcp.shortage().map(|error| (error, start));
        first = first.or(fault).or(incomplete);
        messages.push(Message {
            kind: pfcp.message().0,
            seid: pfcp.seid().map(Hex),
            seq: Some(pfcp.sequence()),
            length: Some(pfcp.length()),
            ie,
        });
        if let Some(next) = pfcp.next_message() {
            start = offset(datagram, next);
        }
    }
    (messages, first)
}

impl Message {
    /// Of a header that is cut or whose length can't be, what is there; none if not even
    /// the type is, or if it is not of version 1.
    fn of_part(bytes: &[u8]) -> Option<Self> {
        let [flags, kind, rest @ ..] = bytes else { return None };
        if !Pfcp::is_version_1(*flags) {
            return None;
        }
        let length = rest.first_chunk().map(|field| u16::from_be_bytes(*field));
        let granted = rest.get(2..).unwrap_or_default();
        let granted = &granted[..granted.len().min(length.unwrap_or_default().into())];
        let (seid, behind) = if flags & 1 == 0 {
            (None, granted)
        } else {
            granted.split_first_chunk().map_or((None, &[][..]), |(seid, rest)| (Some(seid), rest))
        };
        let seid = seid.map(|field| Hex(Seid(u64::from_be_bytes(*field))));
        let seq = behind.first_chunk().map(|[a, b, c]| u32::from_be_bytes([0, *a, *b, *c]));
        Some(Self { kind: *kind, seid, seq, length, ie: Vec::new() })
    }
}

/// Where a part of the datagram stands in it.
fn offset(datagram: &[u8], part: &[u8]) -> usize {
    (part.as_ptr() as usize).saturating_sub(datagram.as_ptr() as usize)
}
