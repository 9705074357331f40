//! The key `pfcp`: the messages of a datagram with the types of their elements.

use std::fmt;

use serde::{Serialize, Serializer};
use weir_engine::decode::pfcp_bundle;
use weir_wire::pfcp::{Elements, Pfcp, Seid};
use weir_wire::{ErrorKind, Layer, WireError};

/// The deepest nesting that is followed; TS 29.244 nests four deep.
const MAX_DEPTH: usize = 16;

/// One PFCP message.
#[derive(Serialize)]
pub(super) struct Message {
    #[serde(rename = "type")]
    kind: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    seid: Option<Hex>,
    seq: u32,
    length: u16,
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
                break;
            }
        };
        let (ie, fault) = element_types(datagram, &pfcp, start);
        let incomplete = pfcp.is_short().then_some((truncated(), start));
        first = first.or(fault).or(incomplete);
        messages.push(Message {
            kind: pfcp.message().0,
            seid: pfcp.seid().map(Hex),
            seq: pfcp.sequence(),
            length: pfcp.length(),
            ie,
        });
        if let Some(next) = pfcp.next_message() {
            start = offset(datagram, next);
        }
    }
    (messages, first)
}

/// The types of a message's elements, the members of a grouped one behind it. A member that is cut
/// ends its group only: what follows the group is still read.
fn element_types(datagram: &[u8], pfcp: &Pfcp<'_>, start: usize) -> (Vec<u16>, Option<Fault>) {
    let mut types = Vec::new();
    let mut fault = None;
    let header = if pfcp.seid().is_some() { 16 } else { 8 };
    let mut groups = vec![(pfcp.elements(), start + header)];
    while let Some((elements, at)) = groups.last_mut() {
        match elements.next() {
            None => {
                groups.pop();
            }
            Some(Err(error)) => {
                fault.get_or_insert((error, *at));
                groups.pop();
            }
            Some(Ok(element)) => {
                let value = offset(datagram, element.value);
                let element_at = std::mem::replace(at, value + element.value.len());
                types.push(element.kind);
                if !element.is_grouped() {
                    continue;
                }
                if groups.len() == MAX_DEPTH {
                    let error = WireError { layer: Layer::Pfcp, kind: ErrorKind::Depth };
                    fault.get_or_insert((error, element_at));
                } else {
                    groups.push((Elements::new(element.value), value));
                }
            }
        }
    }
    (types, fault)
}

fn truncated() -> WireError {
    WireError { layer: Layer::Pfcp, kind: ErrorKind::Truncated }
}

/// Where a part of the datagram stands in it.
fn offset(datagram: &[u8], part: &[u8]) -> usize {
    (part.as_ptr() as usize).saturating_sub(datagram.as_ptr() as usize)
}
