//! The key `pfcp`: the messages of a datagram with the types of their elements.

use weir_engine::decode::pfcp_bundle;
use weir_wire::pfcp::Pfcp;
use weir_wire::pfcp_walk::walk;
use weir_wire::{ErrorKind, Layer, WireError};

use super::json::Json;

/// What is wrong in a datagram, and the offset in it of the header that is.
pub(super) type Fault = (WireError, usize);

/// The messages of a datagram if there is one, each as far as it goes; gives the first thing that
/// is wrong.
pub(super) fn write(datagram: &[u8], json: &mut Json<'_>) -> Option<Fault> {
    if let Err(error) = Pfcp::parse(datagram) {
        return Some((error, 0));
    }
    let mut fault = None;
    json.key("pfcp").list(|json| fault = messages(datagram, json));
    fault
}

fn messages(datagram: &[u8], json: &mut Json<'_>) -> Option<Fault> {
    let mut first = None;
    let mut start = 0;
    for message in pfcp_bundle(datagram) {
        let pfcp = match message {
            Ok(pfcp) => pfcp,
            Err(error) => return first.or(Some((error, start))),
        };
        let mut fault = None;
        json.object(|json| {
            json.key("type").number(pfcp.message().0);
            if let Some(seid) = pfcp.seid() {
                json.key("seid").hex(seid.0);
            }
            json.key("seq").number(pfcp.sequence());
            json.key("length").number(pfcp.length());
            json.key("ie").list(|json| {
                fault = walk(&pfcp, &mut |_, element| json.number(element.kind));
            });
        });
        let fault = fault.map(|(error, at)| (error, offset(datagram, at)));
        let incomplete = pfcp.is_short().then_some((TRUNCATED, start));
        first = first.or(fault).or(incomplete);
        if let Some(next) = pfcp.next_message() {
            start = offset(datagram, next);
        }
    }
    first
}

const TRUNCATED: WireError = WireError { layer: Layer::Pfcp, kind: ErrorKind::Truncated };

/// Where a part of the datagram stands in it.
fn offset(datagram: &[u8], part: &[u8]) -> usize {
    (part.as_ptr() as usize).saturating_sub(datagram.as_ptr() as usize)
}
