//! What a frame shows besides its flow: equipment in unlisted clothes, messages
//! that name equipment's peers, and which way the user plane goes.

use weir_wire::ethernet::{self, Ethernet, Vlan};
use weir_wire::gtpu::G_PDU;
use weir_wire::icmp::Icmp;
use weir_wire::ptp::{self, Ptp};
use weir_wire::tcp::Tcp;
use weir_wire::udp::Udp;
use weir_wire::{Address, Layer};

use crate::beginnings::Beginnings;
use crate::decode::{Common, protocol};
use crate::detect::cov_icmp::Echo;
use crate::detect::cov_time::{self, Ntp};
use crate::exhibits::Cause;
use crate::frame::{Frame, LinkType};
use crate::judge::{quic, ssh};
use crate::record::{Evidence, Kind, Record};
use crate::report::{Report, Seen, Shows, Speech, Trait};
use crate::rules::{Equipment, EquipmentId, Party, Roles, Rules};
use crate::track::FlowKey;

/// UDP port of DNS.
const DNS: u16 = 53;

/// Compares what equipment with listed MAC addresses shows below IP. A frame
/// whose wrapper was taken off, or that is none of Ethernet's, shows nothing.
/// To a destination of local scope equipment may speak from wherever it likes.
#[inline]
pub(crate) fn sight(
    report: &mut Report,
    frame: &Frame<'_>,
    record: &Record,
    to_local_scope: bool,
    rules: &Rules,
) {
    if frame.meta.link_type != LinkType::Ethernet {
        return;
    }
    let sender = Party::unpack(record.source).equipment();
    if record.kind == Kind::NotIp {
        sight_below_ip(report, frame, record, rules);
    } else if let Some(id) = sender
        && let Some(equipment) = rules.equipment(id)
        && !equipment.macs.is_empty()
        && !to_local_scope
        && let Ok(ethernet) = Ethernet::parse(frame.bytes)
    {
        if equipment.macs.contains(&ethernet.source()) {
            report.sight(frame, id, Trait::Vlan(record.vlan));
        } else {
            sight_unlisted(report, frame, record, id, Trait::Mac(ethernet.source()));
        }
    }
}

/// Notes what equipment shows that is not listed, and keeps the first such frame of a slice.
#[cold]
fn sight_unlisted(
    report: &mut Report,
    frame: &Frame<'_>,
    record: &Record,
    id: EquipmentId,
    shown: Trait,
) {
    let known = report.sightings.len();
    report.sight(frame, id, shown);
    if report.sightings.len() > known {
        let shown = Record { source: Party::Equipment(id).pack(), ..*record };
        let ends = record.outer_addresses(frame.bytes).unwrap_or_default();
        report.exhibits.keep(frame, &shown, Cause::Unlisted, ends);
    }
}

/// What a frame shows below IP: the octets of its Ethernet header from the source address
/// on, and its VLAN.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Shown {
    header: u64,
    vlan: u16,
}

impl Shown {
    #[inline]
    pub(crate) fn of(common: &Common) -> Self {
        Self { header: common.source_and_type, vlan: common.vlan }
    }

    /// The same of a frame that has a record: as one with that tag alone, or none, shows it, since
    /// what else stands before IP is not looked at. None if it is none of Ethernet's.
    #[inline]
    pub(crate) fn of_record(record: &Record, frame: &Frame<'_>) -> Option<Self> {
        if frame.meta.link_type != LinkType::Ethernet {
            return None;
        }
        let source_and_type = frame.bytes.get(6..)?.first_chunk()?;
        let is_tagged = record.vlan != Record::UNTAGGED;
        let ether_type = if is_tagged { ethernet::VLAN } else { ethernet::IPV4 };
        let source = u64::from_be_bytes(*source_and_type) & !u64::from(u16::MAX);
        Some(Self { header: source | u64::from(ether_type), vlan: record.vlan })
    }

    /// What of it is not as it is listed for that equipment.
    pub(crate) fn oddity(self, equipment: &Equipment) -> Trait {
        let [mac @ .., _, _] = self.header.to_be_bytes();
        if equipment.macs.contains(&mac) { Trait::Vlan(self.vlan) } else { Trait::Mac(mac) }
    }
}

#[cold]
fn sight_below_ip(report: &mut Report, frame: &Frame<'_>, record: &Record, rules: &Rules) {
    let Ok(ethernet) = Ethernet::parse(frame.bytes) else { return };
    if record.ether_type == ptp::ETHER_TYPE
        && let Some(client) = rules.equipment_by_mac(ethernet.source())
        && let Some(element) = unusual_element(behind_tags(ethernet))
    {
        let seen = Seen {
            time: record.time,
            client,
            flow: FlowKey::default(),
            upward: true,
            bytes: record.wire_len,
            tap: record.tap,
            link: record.link,
        };
        report.mark(seen, Shows::Ptp(element));
    }
    if let Some(id) = rules.equipment_by_mac(ethernet.source())
        && !is_common(record.ether_type)
    {
        sight_unlisted(report, frame, record, id, Trait::EtherType(record.ether_type));
    }
}

/// What stands behind the VLAN tags of a frame, as far as the decoder goes.
fn behind_tags(ethernet: Ethernet<'_>) -> &[u8] {
    let (mut kind, mut payload) = (ethernet.ether_type(), ethernet.payload());
    while ethernet::is_vlan(kind)
        && let Ok(vlan) = Vlan::parse(payload)
    {
        (kind, payload) = (vlan.ether_type(), vlan.payload());
    }
    payload
}

/// The first element of a PTP message that no profile asks for.
fn unusual_element(message: &[u8]) -> Option<u16> {
    let ptp = Ptp::parse(message).ok()?;
    ptp.elements().find(|element| !cov_time::is_usual(ptp.kind(), *element))
}

/// Keeps what equipment asks the DNS and is answered, and its TLS hellos, and counts the user
/// plane's directions.
#[inline]
pub(crate) fn listen(
    report: &mut Report,
    beginnings: &mut Beginnings,
    frame: &Frame<'_>,
    record: &Record,
    rules: &Rules,
) {
    if record.kind == Kind::Gtpu && record.message == G_PDU {
        if let Some(uplink) = uplink(record, rules) {
            report.direction(record.tap, uplink, 1);
        }
    } else if record.evidence.any(Evidence::DATA.or(Evidence::OPENS).or(Evidence::REPORTS))
        && !record.is_gtp_or_pfcp()
    {
        overhear(report, beginnings, frame, record, rules);
    }
}

/// Keeps what a packet of equipment says, if it is of a kind that is looked at.
fn overhear(
    report: &mut Report,
    beginnings: &mut Beginnings,
    frame: &Frame<'_>,
    record: &Record,
    rules: &Rules,
) {
    let parties = (Party::unpack(record.source), Party::unpack(record.destination));
    let (from, to) = (parties.0.equipment(), parties.1.equipment());
    if from.is_none() && to.is_none() {
        return;
    }
    let Some(ends) = record.outer_addresses(frame.bytes) else { return };
    let seen = |client| {
        let (flow, upward) = FlowKey::of(record, ends.0, ends.1);
        let (time, bytes, tap, link) = (record.time, record.wire_len, record.tap, record.link);
        Seen { time, client, flow, upward, bytes, tap, link }
    };
    let transport = transport(frame, record);
    let echo = match record.protocol {
        protocol::ICMP => Some((Layer::Icmp, [8, 0])),
        protocol::ICMPV6 => Some((Layer::Icmpv6, [128, 129])),
        _ => None,
    };
    if let Some((layer, kinds)) = echo {
        if let Ok(icmp) = Icmp::parse(transport, layer)
            && kinds.contains(&icmp.kind())
            && let Some(client) = from.or(to)
        {
            let body = icmp.body().get(..usize::from(record.payload_len)).unwrap_or(icmp.body());
            if let Some(echo) = Echo::parse(icmp.kind() == kinds[1], record.is_fragment(), body) {
                report.mark(seen(client), Shows::Echo(echo));
            }
        }
        return;
    }
    if !record.evidence.any(Evidence::DATA) {
        return;
    }
    let payload = match record.protocol {
        protocol::TCP => Tcp::parse(transport).ok().map(|tcp| tcp.payload()),
        protocol::UDP => Udp::parse(transport).ok().map(|udp| udp.payload()),
        _ => None,
    };
    let Some(payload) = payload else { return };
    // Behind the segment may stand what pads or trails the frame.
    let payload = payload.get(..usize::from(record.payload_len)).unwrap_or(payload);
    let is_tcp = record.protocol == protocol::TCP;
    let ports = [record.source_port, record.destination_port];
    if let Some(client) = from
        && ports.iter().any(|port| is_clear(record.protocol, *port))
    {
        let (seen, enough) = (seen(client), rules.settings().crypto_octets);
        if beginnings.admits((seen.flow, seen.upward), seen.time, payload.len(), enough) {
            report.hear(seen, Speech::Clear, payload);
        }
    }
    if record.source_port == DNS
        && let Some(client) = to
    {
        if !is_tcp {
            report.hear(seen(client), Speech::DnsAnswer, payload);
        }
    } else if record.destination_port == DNS
        && let Some(client) = from
        // What resolvers ask they ask for others.
        && !rules.equipment(client).is_some_and(|equipment| equipment.roles.any(Roles::DNS))
    {
        if is_tcp {
            let mut seen = seen(client);
            for message in in_stream(payload) {
                report.hear(seen, Speech::DnsQuestion, message);
                // The packet's bytes count once.
                seen.bytes = 0;
            }
        } else {
            report.hear(seen(client), Speech::DnsQuestion, payload);
        }
    } else if !is_tcp && ports.contains(&cov_time::NTP) {
        if let (Some(client), Some(ntp)) = (from.or(to), Ntp::parse(payload)) {
            report.mark(seen(client), Shows::Ntp(ntp));
        }
    } else if !is_tcp && [ptp::EVENT_PORT, ptp::GENERAL_PORT].contains(&record.destination_port) {
        if let (Some(client), Some(element)) = (from, unusual_element(payload)) {
            report.mark(seen(client), Shows::Ptp(element));
        }
    } else if let Some(client) = from
        && let Some(speech) = opening(is_tcp, payload, ends.1)
    {
        report.hear(seen(client), speech, payload);
    }
}

/// What begins a conversation, if a payload does.
fn opening(is_tcp: bool, payload: &[u8], server: Address) -> Option<Speech> {
    match payload {
        _ if !is_tcp => quic::begins(payload).then_some(Speech::Quic),
        // A ClientHello: a handshake record, of which servers ignore the minor version, with a
        // message of type 1 (RFC 8446 §4, §5.1).
        [0x16, 3, _, _, _, 1, ..] => Some(Speech::ClientHello(server)),
        _ if ssh::begins(payload) => Some(Speech::Ssh),
        _ if is_request(payload) => Some(Speech::Http),
        _ => None,
    }
}

/// Whether a payload begins with a method of HTTP.
fn is_request(payload: &[u8]) -> bool {
    let methods = ["GET ", "POST ", "PUT ", "HEAD ", "PATCH ", "DELETE ", "OPTIONS ", "CONNECT "];
    methods.iter().any(|method| payload.starts_with(method.as_bytes()))
}

/// Whether on this service everything is clear text by its standard: FTP, Telnet, SMTP, DNS, TFTP, HTTP,
/// NTP, SNMP, LDAP, syslog.
fn is_clear(protocol: u8, port: u16) -> bool {
    match protocol {
        protocol::TCP => matches!(port, 21 | 23 | 25 | 53 | 80 | 389 | 514 | 601 | 8080),
        protocol::UDP => matches!(port, 53 | 69 | 123 | 161 | 162 | 514),
        _ => false,
    }
}

/// The DNS questions that begin in a segment: each behind its length (RFC 1035 §4.2.2), unless
/// that came in a segment of its own. Clients may ask several at once (RFC 7766 §6.2.1.1).
fn in_stream(mut segment: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let whole = segment;
        let (len, behind) = whole.split_first_chunk::<2>()?;
        let len = usize::from(u16::from_be_bytes(*len));
        // What looks like a length may be the number of a question.
        let has_length = is_question(behind) || !is_question(whole) && len <= behind.len();
        let Some((message, rest)) = behind.split_at_checked(len).filter(|_| has_length) else {
            segment = &[];
            return Some(if has_length { behind } else { whole });
        };
        segment = rest;
        Some(message)
    })
}

/// Whether a DNS message is a question, and one only.
fn is_question(message: &[u8]) -> bool {
    matches!(message, [_, _, flags, _, 0, 1, ..] if flags & 0x80 == 0)
}

/// The outer transport header and what follows it; nothing in a later fragment.
#[inline]
fn transport<'a>(frame: &Frame<'a>, record: &Record) -> &'a [u8] {
    match record.outer_l4 {
        Record::ABSENT => &[],
        offset => frame.bytes.get(usize::from(offset)..).unwrap_or_default(),
    }
}

/// Whether a G-PDU between the radio side and a UPF goes up; none between others.
pub(crate) fn uplink(record: &Record, rules: &Rules) -> Option<bool> {
    let roles = |packed: u32| {
        Party::unpack(packed)
            .equipment()
            .and_then(|id: EquipmentId| rules.equipment(id))
            .map(|equipment| equipment.roles)
    };
    let (from, to) = (roles(record.source)?, roles(record.destination)?);
    // Up and down take turns as they like: a branch between them would be guessed wrong.
    let up = from.any(Roles::RADIO) & to.any(Roles::UPF);
    let down = from.any(Roles::UPF) & to.any(Roles::RADIO);
    (up | down).then_some(up)
}

/// EtherTypes that carriers' equipment speaks as a matter of course; below
/// 1,536 stand lengths of 802.3 frames, which carry spanning tree.
const fn is_common(ether_type: u16) -> bool {
    matches!(
        ether_type,
        0..0x600
            | 0x0800 // IPv4
            | 0x0806 // ARP
            | 0x86dd // IPv6
            | 0x8809 // LACP and Ethernet OAM
            | 0x88cc // LLDP
            | 0x88f7 // PTP
            | 0x8902 // connectivity fault management
            | 0x888e // 802.1X
            | 0x8847 | 0x8848 // MPLS
            | 0x8863 | 0x8864 // PPPoE
            | 0x8100 | 0x88a8 | 0x9100 // VLAN tags beyond the decoder's depth
    )
}
