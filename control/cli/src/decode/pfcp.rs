//! The key `pfcp`: the messages of a datagram with the types of their elements.

use weir_engine::decode::pfcp_bundle;
use weir_wire::WireError;
use weir_wire::pfcp::Pfcp;
use weir_wire::pfcp_walk::walk;

use super::json::Json;

/// What is wrong in a datagram, and the offset in it of the header that is.
pub(super) type Fault = (WireError, usize);

/// The messages of a datagram, each as far as it goes; gives the first thing that is wrong.
/// Without the type of a first message there is none.
pub(super) fn write(datagram: &[u8], json: &mut Json<'_>) -> Option<Fault> {
    if datagram.len() < 2 {
        return Pfcp::parse(datagram).err().map(|error| (error, 0));
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
            Err(error) => {
                part(datagram.get(start..).unwrap_or_default(), json);
                return first.or(Some((error, start)));
            }
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
        let incomplete = pfcp.shortage().map(|error| (error, start));
        first = first.or(fault).or(incomplete);
        if let Some(next) = pfcp.next_message() {
            start = offset(datagram, next);
        }
    }
    first
}

/// Of a message whose header is cut, or whose length can't be, what is there: nothing without its
/// type, or if it is not of version 1.
fn part(bytes: &[u8], json: &mut Json<'_>) {
    let [flags, kind, rest @ ..] = bytes else { return };
    if !Pfcp::is_version_1(*flags) {
        return;
    }
    let length = rest.first_chunk().map(|field| u16::from_be_bytes(*field));
    let granted = rest.get(2..).unwrap_or_default();
    let granted = &granted[..granted.len().min(length.unwrap_or_default().into())];
    let (seid, behind) = if flags & 1 == 0 {
        (None, granted)
    } else {
        granted.split_first_chunk().map_or((None, &[][..]), |(seid, rest)| (Some(seid), rest))
    };
    let sequence = behind.first_chunk().map(|[a, b, c]| u32::from_be_bytes([0, *a, *b, *c]));
    json.object(|json| {
        json.key("type").number(*kind);
        if let Some(seid) = seid {
            json.key("seid").hex(u64::from_be_bytes(*seid));
        }
        json.number_if_any("seq", sequence);
        json.number_if_any("length", length);
        json.key("ie").list(|_| {});
    });
}

/// Where a part of the datagram stands in it.
fn offset(datagram: &[u8], part: &[u8]) -> usize {
    (part.as_ptr() as usize).saturating_sub(datagram.as_ptr() as usize)
}
