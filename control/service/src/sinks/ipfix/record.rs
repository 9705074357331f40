//! Records of IPFIX and their templates, in the elements that IANA registers.
//!
//! A flow is one record of both directions (RFC 5103): forward is from the side that opened it, as
//! far as that is known. What Weir does not know has no element: there is one template for each
//! shape, and never a value in place of one that is missing.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use weir_engine::Nanos;
use weir_engine::contract::exhibit::Kept;
use weir_engine::contract::verdict::{Alert, Flow, FlowEnd, Tuple};
use weir_engine::detect::CATALOGUE;

use super::header::Header;
use crate::sinks::Meter;
use crate::sinks::queue::Item;

/// The first template's number; lower ones are the protocol's (RFC 7011 §3.4.1).
const FIRST: u16 = 256;
/// The enterprise number under which an element means the other direction (RFC 5103 §6.1).
const REVERSE: u32 = 29305;
/// Our one element: the detection's signature_id.
const SIGNATURE: u16 = 1;
/// A length that stands before the value itself.
const VARIABLE: u16 = 0xffff;
/// The longest name of a tap that has one octet of length.
const NAME: usize = 254;
/// A flow that lives longer has been told of before.
const HOUR: Nanos = Nanos::from_secs(3600);
/// Flows whose last standing is remembered, so that the next one can tell the difference.
const STANDINGS: usize = 65_536;
/// A G-PDU (TS 29.281 §6.1).
const GPDU: u8 = 255;

/// An element: number, octets, and whose number it is.
#[derive(Clone, Copy)]
struct Element(u16, u16, Option<u32>);

const fn iana(number: u16, length: u16) -> Element {
    Element(number, length, None)
}

const fn reverse(number: u16, length: u16) -> Element {
    Element(number, length, Some(REVERSE))
}

const OCTET_DELTA: u16 = 1;
const PACKET_DELTA: u16 = 2;
const PROTOCOL: Element = iana(4, 1);
const TCP_CONTROL_BITS: u16 = 6;
const SOURCE_PORT: Element = iana(7, 2);
const DESTINATION_PORT: Element = iana(11, 2);
const OCTET_TOTAL: u16 = 85;
const PACKET_TOTAL: u16 = 86;
const INTERFACE_NAME: Element = iana(82, VARIABLE);
const FLOW_END_REASON: Element = iana(136, 1);
const FLOW_ID: Element = iana(148, 8);
const START_MILLISECONDS: Element = iana(152, 8);
const END_MILLISECONDS: Element = iana(153, 8);
const BIFLOW_DIRECTION: Element = iana(239, 1);
const GTPU_FLAGS: Element = iana(505, 1);
const GTPU_MESSAGE_TYPE: Element = iana(506, 1);
const GTPU_TEID: Element = iana(507, 4);
const GTPU_SEQUENCE: Element = iana(508, 2);
const GTPU_QFI: Element = iana(509, 1);
const GTPU_PDU_TYPE: Element = iana(510, 1);

const fn addresses(is_v6: bool) -> [Element; 2] {
    if is_v6 { [iana(27, 16), iana(28, 16)] } else { [iana(8, 4), iana(12, 4)] }
}

/// What is known of a flow, and so its template.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Shape {
    /// No ports.
    Bare,
    /// Ports.
    Ports,
    /// Ports and flags.
    Tcp,
}

const SHAPES: [Shape; 3] = [Shape::Bare, Shape::Ports, Shape::Tcp];

impl Shape {
    fn of(tuple: &Tuple) -> Self {
        match (tuple.source_port, tuple.destination_port, tuple.protocol) {
            (0, 0, _) => Shape::Bare,
            (_, _, 6) => Shape::Tcp,
            _ => Shape::Ports,
        }
    }
}

/// The template of a flow, by what is known of it.
const fn flow_template(shape: Shape, is_v6: bool, is_total: bool) -> u16 {
    FIRST + (shape as u16) * 4 + (is_v6 as u16) * 2 + is_total as u16
}

/// What is known of the header of a G-PDU.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Headed {
    /// No frame of it was kept.
    Not,
    /// It has no sequence number.
    Flags,
    /// It has one.
    Sequence,
}

const HEADED: [Headed; 3] = [Headed::Not, Headed::Flags, Headed::Sequence];

impl Headed {
    fn of(header: Option<&Header>) -> Self {
        match header {
            None => Headed::Not,
            Some(Header { sequence: None, .. }) => Headed::Flags,
            Some(_) => Headed::Sequence,
        }
    }
}

/// The template of a tunnel that an alert is about.
const fn tunnel_template(headed: Headed, is_v6: bool, has_qfi: bool) -> u16 {
    let flows = (SHAPES.len() as u16) * 4;
    FIRST + flows + (headed as u16) * 4 + (is_v6 as u16) * 2 + has_qfi as u16
}

fn flow_elements(shape: Shape, is_v6: bool, is_total: bool) -> Vec<Element> {
    let mut elements = vec![FLOW_ID, START_MILLISECONDS, END_MILLISECONDS];
    elements.extend(addresses(is_v6));
    elements.push(PROTOCOL);
    if shape != Shape::Bare {
        elements.extend([SOURCE_PORT, DESTINATION_PORT]);
    }
    let [octets, packets] =
        if is_total { [OCTET_TOTAL, PACKET_TOTAL] } else { [OCTET_DELTA, PACKET_DELTA] };
    elements.extend([iana(octets, 8), iana(packets, 8), reverse(octets, 8), reverse(packets, 8)]);
    if shape == Shape::Tcp {
        elements.extend([iana(TCP_CONTROL_BITS, 1), reverse(TCP_CONTROL_BITS, 1)]);
    }
    elements.extend([FLOW_END_REASON, BIFLOW_DIRECTION, INTERFACE_NAME]);
    elements
}

fn tunnel_elements(headed: Headed, is_v6: bool, has_qfi: bool, enterprise: u32) -> Vec<Element> {
    let mut elements = vec![START_MILLISECONDS, END_MILLISECONDS];
    elements.extend(addresses(is_v6));
    elements.extend([PROTOCOL, SOURCE_PORT, DESTINATION_PORT, GTPU_MESSAGE_TYPE, GTPU_TEID]);
    if headed != Headed::Not {
        elements.push(GTPU_FLAGS);
    }
    if headed == Headed::Sequence {
        elements.push(GTPU_SEQUENCE);
    }
    if has_qfi {
        elements.push(GTPU_QFI);
        if headed != Headed::Not {
            elements.push(GTPU_PDU_TYPE);
        }
    }
    elements.extend([Element(SIGNATURE, 4, Some(enterprise)), INTERFACE_NAME]);
    elements
}

/// Every template record, in the order of their numbers.
pub(super) fn templates(enterprise: u32) -> Vec<Vec<u8>> {
    let ways = [(false, false), (false, true), (true, false), (true, true)];
    let flows = SHAPES.into_iter().flat_map(|shape| {
        ways.map(|(is_v6, is_total)| {
            (flow_template(shape, is_v6, is_total), flow_elements(shape, is_v6, is_total))
        })
    });
    let tunnels = HEADED.into_iter().flat_map(|headed| {
        ways.map(|(is_v6, has_qfi)| {
            let elements = tunnel_elements(headed, is_v6, has_qfi, enterprise);
            (tunnel_template(headed, is_v6, has_qfi), elements)
        })
    });
    flows.chain(tunnels).map(|(id, elements)| template(id, &elements)).collect()
}

fn template(id: u16, elements: &[Element]) -> Vec<u8> {
    let mut template = BytesMut::new();
    template.put_u16(id);
    template.put_u16(elements.len() as u16);
    for Element(number, length, enterprise) in elements {
        let foreign = if enterprise.is_some() { 0x8000 } else { 0 };
        template.put_u16(number | foreign);
        template.put_u16(*length);
        if let Some(enterprise) = enterprise {
            template.put_u32(*enterprise);
        }
    }
    template.to_vec()
}

/// A flow's counts: octets and packets forward, octets and packets back.
type Counts = [u64; 4];

/// Where flows go, and what was told of those that go on.
#[derive(Debug, Default)]
pub struct Flows {
    sinks: Vec<Arc<Meter>>,
    standings: HashMap<u64, Counts>,
}

impl Flows {
    /// Into these sinks.
    pub(in crate::sinks) fn into_sinks(sinks: Vec<Arc<Meter>>) -> Self {
        Self { sinks, standings: HashMap::new() }
    }

    /// Tells of a flow that `tap` saw.
    pub fn flow(&mut self, flow: &Flow, tap: Option<&str>) {
        if self.sinks.is_empty() {
            return;
        }
        let total = [
            flow.to_server.bytes,
            flow.to_server.packets,
            flow.to_client.bytes,
            flow.to_client.packets,
        ];
        let before = self.before(flow, total);
        let (source, destination) = (flow.tuple.source, flow.tuple.destination);
        // Both ends of a flow are of one family, else there is no template for it.
        if source.is_ipv6() != destination.is_ipv6() {
            return;
        }
        let shape = Shape::of(&flow.tuple);
        let mut record = BytesMut::new();
        record.put_u64(flow.flow_id);
        put_times(flow.first, flow.last, &mut record);
        put_address(source, &mut record);
        put_address(destination, &mut record);
        record.put_u8(flow.tuple.protocol);
        if shape != Shape::Bare {
            record.put_u16(flow.tuple.source_port);
            record.put_u16(flow.tuple.destination_port);
        }
        for (now, before) in total.into_iter().zip(before.unwrap_or_default()) {
            record.put_u64(now.saturating_sub(before));
        }
        if shape == Shape::Tcp {
            record.put_u8(flow.to_server.tcp_flags);
            record.put_u8(flow.to_client.tcp_flags);
        }
        record.put_u8(end_reason(flow.end));
        record.put_u8(u8::from(flow.initiator_known));
        put_name(tap, &mut record);
        let template = flow_template(shape, source.is_ipv6(), before.is_none());
        self.put(template, false, &record);
    }

    /// What was told of this flow before; none where that is not known any more.
    fn before(&mut self, flow: &Flow, total: Counts) -> Option<Counts> {
        let told = match flow.end {
            FlowEnd::Hourly
                if self.standings.len() < STANDINGS
                    || self.standings.contains_key(&flow.flow_id) =>
            {
                self.standings.insert(flow.flow_id, total)
            }
            // Who finds no room is told of in totals from its second hour on.
            FlowEnd::Hourly => None,
            _ => self.standings.remove(&flow.flow_id),
        };
        let is_first = flow.at.since(flow.first) <= HOUR;
        told.or(is_first.then(Counts::default))
    }

    /// Tells of the tunnel of the first packet that an alert is about, if it is in one; of that packet's
    /// header what the frames show that came with the alert.
    pub fn alert(&self, alert: &Alert, frames: &[Kept], tap: Option<&str>) {
        if self.sinks.is_empty() {
            return;
        }
        let (Some(tunnel), Some(outer)) = (&alert.tunnel, &alert.outer) else { return };
        let Some(detection) = CATALOGUE.get(usize::from(alert.detection)) else { return };
        if detection.restricted || outer.source.is_ipv6() != outer.destination.is_ipv6() {
            return;
        }
        let header = Header::of(frames, *tunnel, outer);
        let headed = Headed::of(header.as_ref());
        let template = tunnel_template(headed, outer.source.is_ipv6(), tunnel.qfi.is_some());
        let mut record = BytesMut::new();
        put_times(alert.first, alert.last, &mut record);
        put_address(outer.source, &mut record);
        put_address(outer.destination, &mut record);
        record.put_u8(outer.protocol);
        record.put_u16(outer.source_port);
        record.put_u16(outer.destination_port);
        record.put_u8(GPDU);
        record.put_u32(tunnel.teid);
        if let Some(header) = header {
            record.put_u8(header.flags);
        }
        if let Some(sequence) = header.and_then(|it| it.sequence) {
            record.put_u16(sequence);
        }
        if let Some(qfi) = tunnel.qfi {
            record.put_u8(qfi);
        }
        if let Some(kind) = header.and_then(|it| it.pdu_type()) {
            record.put_u8(kind);
        }
        record.put_u32(detection.signature_id);
        put_name(tap, &mut record);
        self.put(template, true, &record);
    }

    fn put(&self, tag: u16, is_grave: bool, record: &[u8]) {
        for meter in &self.sinks {
            meter.put(Item { is_grave, tag, bytes: record.to_vec() });
        }
    }
}

/// Milliseconds since 1970 (RFC 7011 §6.1.8).
fn put_times(first: Nanos, last: Nanos, record: &mut BytesMut) {
    record.put_u64(first.0 / 1_000_000);
    record.put_u64(last.0 / 1_000_000);
}

fn put_address(address: IpAddr, record: &mut BytesMut) {
    match address {
        IpAddr::V4(address) => record.put_slice(&address.octets()),
        IpAddr::V6(address) => record.put_slice(&address.octets()),
    }
}

/// A text of variable length (RFC 7011 §7), cut between two characters.
fn put_name(name: Option<&str>, record: &mut BytesMut) {
    let name = name.unwrap_or_default();
    let fits = (0..=NAME.min(name.len())).rev().find(|length| name.is_char_boundary(*length));
    let name = &name[..fits.unwrap_or_default()];
    record.put_u8(name.len() as u8);
    record.put_slice(name.as_bytes());
}

/// IANA's flowEndReason.
fn end_reason(end: FlowEnd) -> u8 {
    match end {
        FlowEnd::Idle => 1,
        FlowEnd::Hourly => 2,
        FlowEnd::Closed => 3,
        FlowEnd::Input => 4,
        FlowEnd::Evicted => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use weir_engine::contract::verdict::Volume;
    use weir_engine::rules::Link;

    fn flow(end: FlowEnd, hours: u64, bytes: u64) -> Flow {
        let volume = |bytes| Volume { packets: bytes / 100, bytes, tcp_flags: 0x1b };
        Flow {
            flow_id: 7,
            tuple: Tuple {
                source: IpAddr::from([10, 0, 0, 1]),
                destination: IpAddr::from([198, 51, 100, 7]),
                source_port: 40_000,
                destination_port: 443,
                protocol: 6,
            },
            initiator_known: true,
            source: None,
            destination: None,
            to_server: volume(bytes),
            to_client: volume(bytes * 2),
            first: Nanos(1_000_000),
            last: Nanos(2_000_000),
            at: Nanos(1_000_000).plus(Nanos(HOUR.0 * hours)),
            end,
            allowed: false,
            name: None,
            tap: 0,
            link: Link::N6,
            policy: 1,
        }
    }

    fn flows() -> (Flows, Arc<Meter>) {
        let meter = Arc::new(Meter::new("ipfix-1"));
        (Flows::into_sinks(vec![Arc::clone(&meter)]), meter)
    }

    fn told(meter: &Meter) -> Vec<Item> {
        meter.queue.take(100, usize::MAX, Duration::ZERO)
    }

    /// Template and forward octets of a record of TCP over IPv4.
    fn octets(item: &Item) -> (u16, u64) {
        let at = 8 + 16 + 8 + 1 + 4;
        (item.tag, u64::from_be_bytes(item.bytes[at..at + 8].try_into().unwrap()))
    }

    const DELTA: u16 = flow_template(Shape::Tcp, false, false);
    const TOTAL: u16 = flow_template(Shape::Tcp, false, true);

    #[test]
    fn hourly_records_tell_the_difference_and_the_sum_where_that_is_not_known() {
        let (mut flows, meter) = flows();
        for (end, hours, bytes) in
            [(FlowEnd::Hourly, 1, 100), (FlowEnd::Hourly, 2, 250), (FlowEnd::Idle, 3, 300)]
        {
            flows.flow(&flow(end, hours, bytes), None);
        }
        let records: Vec<_> = told(&meter).iter().map(octets).collect();
        assert_eq!(records, [(DELTA, 100), (DELTA, 150), (DELTA, 50)]);
        assert!(flows.standings.is_empty());
        // After a restart nothing is remembered.
        flows.flow(&flow(FlowEnd::Closed, 4, 900), None);
        flows.flow(&flow(FlowEnd::Closed, 0, 900), None);
        let records: Vec<_> = told(&meter).iter().map(octets).collect();
        assert_eq!(records, [(TOTAL, 900), (DELTA, 900)]);
    }

    /// The octets that a template announces, without those of variable length.
    fn announced(elements: &[Element]) -> usize {
        let fixed = elements.iter().filter(|element| element.1 != VARIABLE);
        fixed.map(|element| usize::from(element.1)).sum()
    }

    #[test]
    fn records_have_the_length_that_their_template_announces() {
        let (mut flows, meter) = flows();
        for is_v6 in [false, true] {
            for shape in SHAPES {
                let mut it = flow(FlowEnd::Idle, 0, 100);
                if is_v6 {
                    let far = IpAddr::from([0xfd; 16]);
                    (it.tuple.source, it.tuple.destination) = (far, far);
                }
                match shape {
                    Shape::Bare => {
                        (it.tuple.source_port, it.tuple.destination_port) = (0, 0);
                        it.tuple.protocol = 1;
                    }
                    Shape::Ports => it.tuple.protocol = 17,
                    Shape::Tcp => {}
                }
                flows.flow(&it, Some("n6"));
                let item = told(&meter).remove(0);
                assert_eq!(item.tag, flow_template(shape, is_v6, false));
                let length = announced(&flow_elements(shape, is_v6, false)) + 1 + 2;
                assert_eq!(item.bytes.len(), length, "{shape:?} {is_v6}");
                assert!(item.bytes.ends_with(b"\x01\x01\x02n6"), "idle, opened by the source, n6");
            }
        }
        let plain = 16 + 8 + 1 + 4 + 1 + 4 + 4;
        for (headed, has_qfi, more) in [
            (Headed::Not, false, 0),
            (Headed::Not, true, 1),
            (Headed::Flags, false, 1),
            (Headed::Flags, true, 3),
            (Headed::Sequence, false, 3),
            (Headed::Sequence, true, 5),
        ] {
            let elements = tunnel_elements(headed, false, has_qfi, 1);
            assert_eq!(announced(&elements), plain + more, "{headed:?} {has_qfi}");
        }
    }

    #[test]
    fn templates_have_numbers_in_order_and_reverse_elements_have_their_owner() {
        let all = templates(99);
        assert_eq!(all.len(), 24);
        for (number, template) in (FIRST..).zip(&all) {
            assert_eq!(template[..2], number.to_be_bytes());
        }
        let reverse_octets = [0x80, 1, 0, 8, 0, 0, 0x72, 0x79];
        assert!(all[0].windows(8).any(|window| window == reverse_octets));
        let signature = [0x80, 1, 0, 4, 0, 0, 0, 99];
        assert!(all[23].windows(8).any(|window| window == signature));
    }

    #[test]
    fn names_are_cut_between_characters() {
        let mut record = BytesMut::new();
        put_name(Some(&"§".repeat(200)), &mut record);
        assert_eq!((record[0], record.len()), (254, 255));
        let mut record = BytesMut::new();
        put_name(None, &mut record);
        assert_eq!(record[..], [0]);
    }
}
