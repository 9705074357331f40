//! What has to be known of captures before they are played again.

use std::collections::HashMap;

use weir_capture::{LinkType, Packet, Reader};
use weir_engine::decode::{Ports, pfcp_bundle};
use weir_engine::record::{Kind, Record};
use weir_engine::{Frame, Nanos, RxMeta};
use weir_wire::gtpu::{Gtpu, Message};
use weir_wire::gtpu_extension::PDU_SESSION_CONTAINER;
use weir_wire::pdu_session::PduSession;
use weir_wire::pfcp::Pfcp;
use weir_wire::pfcp_ie::{FSeid, FTeid, NodeId, OuterHeaderCreation, UeIp, kind};
use weir_wire::{Address, Layer, pfcp_walk};

use crate::Stop;
use crate::trail::{Layers, Place, addresses_at, ip_before};
use crate::tunnels::{self, Tunnels};
use crate::users::Users;

/// The most senders of PFCP requests whose counting is known.
const SENDERS: usize = 4_096;

/// Packets after which a stop is looked for and progress told.
const STRIDE: u64 = 1 << 12;

/// How a sender counts its requests, from the first one. Zero is outside of all counting: so some
/// send heartbeats.
#[derive(Clone, Copy, Debug)]
struct Counting {
    first: u32,
    behind: i32,
    ahead: i32,
}

impl Counting {
    fn note(&mut self, sequence: u32) {
        if sequence == 0 {
            return;
        }
        // The 24 bits in the upper part of the word: a signed distance in the circle.
        let distance = (sequence.wrapping_sub(self.first) << 8) as i32 >> 8;
        self.behind = self.behind.min(distance);
        self.ahead = self.ahead.max(distance);
    }

    /// So far a pass goes on.
    fn span(self) -> u32 {
        self.ahead.abs_diff(self.behind) + 1
    }
}

/// Times, users and senders of captures: all that a pass must know beyond the frame.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    first: Option<Nanos>,
    last: Nanos,
    packets: u64,
    pub(crate) users: Users,
    pub(crate) tunnels: Tunnels,
    counting: HashMap<Address, Counting>,
    fragmented: u64,
}

impl Survey {
    /// Reads captures once, as far as they can be read. `progress` is told bytes done with, now and
    /// then.
    pub fn of(
        captures: &[&[u8]],
        ports: &Ports,
        stop: &Stop,
        mut progress: impl FnMut(u64),
    ) -> Self {
        let mut survey = Self::default();
        let mut layers = Layers::default();
        let mut before = 0;
        for capture in captures {
            // What can't be read is told when it is played.
            let packets = Reader::open(capture).into_iter().flatten().map_while(Result::ok);
            for packet in packets {
                survey.see(&packet, ports, &mut layers);
                if survey.packets.is_multiple_of(STRIDE) {
                    progress(before + packet.offset as u64);
                    if stop.is_asked() {
                        return survey;
                    }
                }
            }
            before += capture.len() as u64;
        }
        survey.users.settle();
        survey.tunnels.settle();
        survey
    }

    /// How much later a pass is than the first: each begins after the last one's end, as far as its
    /// packets lie apart on average.
    pub fn shift(&self, pass: u32) -> Nanos {
        let Some(first) = self.first else { return Nanos(0) };
        let took = self.last.since(first).0;
        let apart = took / self.packets.saturating_sub(1).max(1);
        Nanos(took.saturating_add(apart.max(1)).saturating_mul(u64::from(pass)))
    }

    /// What later passes can't make anew, in words.
    pub fn shortcomings(&self) -> Vec<String> {
        let mut all = Vec::new();
        if self.fragmented > 0 {
            all.push(format!(
                "{} datagrams of PFCP came in fragments, which later passes repeat as they are; \
                 --loop; what they say counts once",
                self.fragmented
            ));
        }
        if self.users.left_out > 0 {
            all.push(format!(
                "users' addresses are in more places than are watched; --loop; {} times an address \
                 was met that stays as it is",
                self.users.left_out
            ));
        }
        all
    }

    /// How far a sender's sequence numbers go on with each pass.
    pub(crate) fn span(&self, sender: Address) -> u32 {
        self.counting.get(&sender).map_or(1 << 12, |counting| counting.span())
    }

    fn see(&mut self, packet: &Packet<'_>, ports: &Ports, layers: &mut Layers) {
        self.first = Some(self.first.map_or(packet.time, |first| first.min(packet.time)));
        self.last = self.last.max(packet.time);
        self.packets += 1;
        if matches!(packet.link_type, LinkType::Other(_)) {
            return;
        }
        let meta = RxMeta { link_type: packet.link_type, ..RxMeta::default() };
        let frame = Frame { bytes: packet.bytes, meta };
        let record = layers.walk(&frame, ports);
        let places = layers.places();
        let gtp = places.iter().position(|p| matches!(p.layer, Layer::Gtpu | Layer::Pfcp));
        let Some(gtp) = gtp else { return };
        let carrier = gtp.checked_sub(1).and_then(|udp| ip_before(places, udp));
        let ends = carrier.and_then(|ip| addresses(packet.bytes, ip));
        for end in ends.into_iter().flatten() {
            self.users.equipment(end);
        }
        let bytes = &packet.bytes[places[gtp].start..places[gtp].end];
        if places[gtp].layer == Layer::Pfcp {
            if is_fragmented_pfcp(&record) {
                self.fragmented += 1;
                return;
            }
            for message in pfcp_bundle(bytes).map_while(Result::ok) {
                self.see_message(&message, ends);
            }
            return;
        }
        for place in places.iter().filter(|place| place.layer == Layer::Gtpu) {
            let fields = tunnels::fields(&packet.bytes[place.start..place.end]);
            fields.for_each(|field| self.tunnels.seen(u32::from_be_bytes(*field)));
        }
        if let Some(user) = user_of(bytes, packet.bytes, places.get(gtp + 1)) {
            self.users.seen(user);
        }
    }

    fn count(&mut self, sender: Address, sequence: u32) {
        if let Some(known) = self.counting.get_mut(&sender) {
            known.note(sequence);
        } else if sequence != 0 && self.counting.len() < SENDERS {
            let counting = Counting { first: sequence, behind: 0, ahead: 0 };
            self.counting.insert(sender, counting);
        }
    }

    fn see_message(&mut self, message: &Pfcp<'_>, ends: Option<[Address; 2]>) {
        if let Some([source, _]) = ends.filter(|_| is_request(message)) {
            let sequence = message.sequence();
            self.count(source, sequence);
        }
        pfcp_walk::walk(message, &mut |_, found| match found.kind {
            kind::UE_IP_ADDRESS => {
                let ends = UeIp::parse(found.value).into_iter().flat_map(|ue| ue.addresses());
                ends.for_each(|address| self.users.signalled(address));
            }
            kind::F_TEID => {
                let Ok(end) = FTeid::parse(found.value) else { return };
                end.addresses().for_each(|address| self.users.equipment(address));
                end.teid.into_iter().for_each(|teid| self.tunnels.signalled(teid.0));
            }
            kind::F_SEID => {
                let ends = FSeid::parse(found.value).into_iter().flat_map(|end| end.addresses());
                ends.for_each(|address| self.users.equipment(address));
            }
            kind::OUTER_HEADER_CREATION => {
                let Ok(made) = OuterHeaderCreation::parse(found.value) else { return };
                if let Some(teid) = made.teid {
                    made.addresses().for_each(|address| self.users.equipment(address));
                    self.tunnels.signalled(teid.0);
                }
            }
            kind::NODE_ID => {
                if let Ok(NodeId::Address(address)) = NodeId::parse(found.value) {
                    self.users.equipment(address);
                }
            }
            _ => {}
        });
    }
}

/// Whether a frame is the first fragment of a PFCP datagram: what the others hold is not at hand.
pub(crate) fn is_fragmented_pfcp(record: &Record) -> bool {
    record.is_fragment() && record.kind == Kind::Pfcp
}

/// Whether a message asks (TS 29.244 §7.3): up to Version Not Supported, which answers, the odd
/// types do, and the even ones behind it.
pub(crate) fn is_request(message: &Pfcp<'_>) -> bool {
    match message.message().0 {
        kind @ 1..=10 => kind % 2 == 1,
        11 => false,
        kind => kind.is_multiple_of(2),
    }
}

/// The addresses of an IP header, source first.
pub(crate) fn addresses(bytes: &[u8], ip: &Place) -> Option<[Address; 2]> {
    let ([source, destination], len) = addresses_at(ip);
    let read = |at: usize| match len {
        4 => bytes.get(at..)?.first_chunk().copied().map(Address::v4),
        _ => bytes.get(at..)?.first_chunk().copied().map(Address::v6),
    };
    Some([read(source)?, read(destination)?])
}

/// The user's end of the packet in a G-PDU whose container says which way it goes.
fn user_of(gtpu: &[u8], frame: &[u8], inner: Option<&Place>) -> Option<Address> {
    let inner = inner.filter(|inner| matches!(inner.layer, Layer::Ipv4 | Layer::Ipv6))?;
    let gtpu = Gtpu::parse(gtpu).ok().filter(|gtpu| gtpu.message() == Message::GPdu)?;
    let container = gtpu
        .extensions()
        .map_while(Result::ok)
        .find(|extension| extension.kind == PDU_SESSION_CONTAINER)?;
    let [source, destination] = addresses(frame, inner)?;
    match PduSession::parse(container.content).ok()?.pdu_type() {
        0 => Some(destination),
        1 => Some(source),
        _ => None,
    }
}
