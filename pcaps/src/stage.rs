//! Where the actors of a scenario play: what they send and when they wake, in order of time.
//! Memory holds what is about to happen, never the capture.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::chance::Chance;
use crate::frame::{self, MacAddr, Route};
use crate::gtpu::{self, Container, Direction};
use crate::labels::{Group, GroupKind};
use crate::n4::{Habits, Meter, Mishaps, Numbers};
use crate::pfcp;
use crate::plan::{Link, Node, Plan, Realm};
use crate::scenario::Scenario;

/// Microseconds since the scenario's start.
pub(crate) type Micros = u64;

pub(crate) const MILLI: Micros = 1_000;
pub(crate) const SECOND: Micros = 1_000_000;

/// How long a UPF takes from one side to the other.
const UPF_TRANSIT: Micros = 35;

/// A frame at its time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Packet {
    /// Nanoseconds since 1970, a whole number of microseconds.
    pub time_ns: u64,
    /// The link that it is seen on.
    pub link: Link,
    /// Frame of the scenario's link type, Ethernet unless it asks for another; no check sequence.
    pub frame: Vec<u8>,
    /// The GTP-U or PFCP message that this frame completes.
    pub message: Option<Message>,
    /// The messages after that one, where a datagram bundles several.
    pub further: Vec<Message>,
    /// The injected misbehaviour that it belongs to: an index into the labels' thefts.
    pub theft: Option<usize>,
    /// The shape, theft or look-alike whose frames are numbered: an index into the labels' groups.
    pub group: Option<usize>,
}

/// A message by its type.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Message {
    /// Message type of TS 29.281 §6.1.
    Gtpu(u8),
    /// Message type of TS 29.244 §7.3.
    Pfcp(u8),
}

/// Someone who acts at a time and says when to act next; `None`: never again.
pub(crate) trait Actor {
    fn wake(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros>;
}

/// A PDU session as both its ends know it.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub cp_seid: u64,
    pub up_seid: u64,
    pub ue: IpAddr,
    pub smf: usize,
    pub upf: usize,
    pub gnb: usize,
    pub realm: Realm,
    pub uplink_teid: u32,
    pub downlink_teid: u32,
    /// The next numbers of uplink and downlink, if G-PDUs are numbered.
    pub sequence: Option<[u16; 2]>,
    /// What of the subscriber's traffic passes now.
    pub passes: Passes,
    /// The tap may disturb its N4.
    pub exposed: bool,
    /// When it began: with its place, what no other session has.
    pub began: Micros,
    pub meter: Meter,
}

/// What passes through a session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Passes {
    Both,
    /// Downlink goes elsewhere.
    Uplink,
    /// The radio is off, or the UPF does not know the session.
    Nothing,
}

enum Item {
    Packet(Packet),
    Actor(Box<dyn Actor>),
}

struct Entry {
    at: Micros,
    order: u64,
    item: Item,
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

/// The stage of one generation.
pub(crate) struct Stage {
    pub plan: Plan,
    /// By subscriber.
    pub sessions: Vec<Option<Session>>,
    pub numbers: Numbers,
    /// What is labelled frame by frame.
    pub groups: Vec<Group>,
    /// The group that what an actor sends belongs to; forgotten when the actor sleeps.
    pub group: Option<usize>,
    /// The theft that it belongs to, likewise.
    pub theft: Option<usize>,
    /// The node that answers nobody on N3 now, and the group of the requests that it leaves open.
    pub lost: Option<(usize, usize)>,
    /// The node that answers nobody on N4 now.
    pub down: Option<usize>,
    pub habits: Habits,
    /// Octets after which the tap cuts frames off.
    pub snap_bytes: Option<u32>,
    /// What the tap does to N4.
    pub mishaps: Option<Mishaps>,
    /// The group of heartbeats whose time stamps follow the clock.
    pub clock_group: Option<usize>,
    /// The group of heartbeats that are all numbered 0.
    pub zero_group: Option<usize>,
    now: Micros,
    seed: u64,
    streams: u64,
    start_ns: u64,
    end: Micros,
    outer_mtu: usize,
    fragmented: u16,
    order: u64,
    queue: BinaryHeap<Reverse<Entry>>,
}

impl Stage {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let subscribers = scenario.subscribers.as_ref().map(|place| place.get_ref());
        let plan = Plan::new(scenario);
        let habits = scenario.n4.as_ref().map(|place| place.get_ref().clone()).unwrap_or_default();
        let mut groups = Vec::new();
        let mishaps = Mishaps::new(&habits, &mut groups);
        let mut habit = |name: &str, has: fn(&Node) -> bool| {
            plan.nodes.iter().any(has).then(|| {
                groups.push(Group::new(name, GroupKind::Silent));
                groups.len() - 1
            })
        };
        let clock_group = habit("clock-following", |node| node.follows_clock);
        let zero_group = habit("unnumbered-heartbeats", |node| node.heartbeats_unnumbered);
        Self {
            numbers: Numbers::new(scenario.start, &plan),
            plan,
            groups,
            group: None,
            theft: None,
            lost: None,
            down: None,
            habits,
            snap_bytes: scenario.snap_bytes(),
            mishaps,
            clock_group,
            zero_group,
            now: 0,
            sessions: vec![None; subscribers.map_or(0, |s| s.count as usize)],
            seed: scenario.seed,
            streams: 0,
            start_ns: u64::try_from(scenario.start.as_nanosecond()).unwrap_or(0),
            end: scenario.duration_seconds.get_ref() * SECOND,
            outer_mtu: subscribers.and_then(|s| s.outer_mtu).map_or(usize::MAX, usize::from),
            fragmented: 0,
            order: 0,
            queue: BinaryHeap::new(),
        }
    }

    /// A stream of chance that nobody else has.
    pub(crate) fn chance(&mut self) -> Chance {
        self.streams += 1;
        Chance::new(self.seed, self.streams)
    }

    /// A group of frames to label one by one; its index.
    pub(crate) fn label(&mut self, group: Group) -> usize {
        self.groups.push(group);
        self.groups.len() - 1
    }

    /// A place for the session of someone who is no ordinary subscriber.
    pub(crate) fn slot(&mut self) -> usize {
        self.sessions.push(None);
        self.sessions.len() - 1
    }

    /// Nanoseconds since 1970 of the scenario's first moment.
    pub(crate) fn start_ns(&self) -> u64 {
        self.start_ns
    }

    /// Lets an actor wake for the first time.
    pub(crate) fn enter(&mut self, at: Micros, actor: impl Actor + 'static) {
        self.push(at, Item::Actor(Box::new(actor)));
    }

    /// The next packet, or `None` when the scenario is over.
    pub(crate) fn next_packet(&mut self) -> Option<Packet> {
        while let Some(Reverse(Entry { at, item, .. })) = self.queue.pop() {
            match item {
                Item::Packet(packet) => return Some(packet),
                Item::Actor(mut actor) => {
                    self.now = at;
                    (self.group, self.theft) = (None, None);
                    if let Some(next) = actor.wake(at, self) {
                        // An actor that names the present is one that would never let time go on.
                        self.push(next.max(at + 1), Item::Actor(actor));
                    }
                }
            }
        }
        None
    }

    /// How many packets and actors wait for their time.
    #[cfg(test)]
    pub(crate) fn pending(&self) -> usize {
        self.queue.len()
    }

    /// An IP packet between the boxes that own its ends.
    pub(crate) fn send(&mut self, at: Micros, link: Link, packet: &[u8]) {
        self.deliver(at, link, packet, &[], None);
    }

    /// The same, as part of a theft.
    pub(crate) fn steal(&mut self, at: Micros, link: Link, packet: &[u8], theft: usize) {
        self.deliver(at, link, packet, &[], Some(theft));
    }

    /// A GTP-U message on N3, in fragments if the scenario's outer MTU asks for them.
    pub(crate) fn gtpu(
        &mut self,
        at: Micros,
        (src, dst): (Ipv4Addr, Ipv4Addr),
        message: &[u8],
        theft: Option<usize>,
    ) {
        let route = Route { dscp: 0x0a, ..Route::new(src.into(), dst.into()) };
        let packet = frame::udp(&route, gtpu::PORT, gtpu::PORT, message);
        if packet.len() > self.outer_mtu {
            self.fragmented = self.fragmented.wrapping_add(1).max(1);
        }
        let mut pieces = frame::fragments(packet, self.outer_mtu, self.fragmented);
        let last = pieces.pop().unwrap_or_default();
        for piece in pieces {
            self.deliver(at, Link::N3, &piece, &[], theft);
        }
        self.deliver(at, Link::N3, &last, &[Message::Gtpu(message[1])], theft);
    }

    /// A datagram of PFCP messages on N4.
    pub(crate) fn pfcp(&mut self, at: Micros, ends: (SocketAddr, SocketAddr), datagram: &[u8]) {
        let packet = pfcp_packet(ends, datagram);
        self.deliver(at, Link::N4, &packet, &pfcp_messages(datagram), None);
    }

    /// A packet of PFCP between MAC addresses that the ends of the packet do not tell.
    pub(crate) fn forge_pfcp(
        &mut self,
        at: Micros,
        (from, to): (MacAddr, MacAddr),
        packet: &[u8],
        datagram: &[u8],
    ) {
        let bytes = frame::ethernet_ip(from, to, packet);
        self.frame(at, Link::N4, bytes, &pfcp_messages(datagram), None);
    }

    /// A subscriber's packet on its way out: on N3 in its tunnel, then on N6 one hop later.
    /// Nothing is sent for a subscriber without a session.
    pub(crate) fn uplink(&mut self, at: Micros, subscriber: usize, qfi: u8, packet: &[u8]) {
        if let Some(upf) = self.uplink_n3(at, subscriber, qfi, packet) {
            self.n6(at + UPF_TRANSIT, upf, true, &frame::forwarded(packet));
        }
    }

    /// The first part of that way alone; the UPF that the packet comes to, unless it does not pass.
    pub(crate) fn uplink_n3(
        &mut self,
        at: Micros,
        subscriber: usize,
        qfi: u8,
        packet: &[u8],
    ) -> Option<usize> {
        let now = self.now;
        let up = |session: &&mut Session| session.passes != Passes::Nothing;
        let session = self.sessions[subscriber].as_mut().filter(up)?;
        session.meter.count(now, at, false, packet.len());
        let psc = Container { direction: Direction::Uplink, qfi, rqi: false };
        let sequence = session.sequence.as_mut().map(|next| post_increment(&mut next[0]));
        let message = gtpu::g_pdu(session.uplink_teid, sequence, psc, packet);
        let (gnb, upf) = (session.gnb, session.upf);
        let ends = (self.plan.nodes[gnb].on(Link::N3), self.plan.nodes[upf].on(Link::N3));
        self.gtpu(at, ends, &message, None);
        Some(upf)
    }

    /// A packet from the data network to a subscriber: on N6, then one hop later in its tunnel.
    pub(crate) fn downlink(
        &mut self,
        at: Micros,
        subscriber: usize,
        (qfi, rqi): (u8, bool),
        packet: &[u8],
    ) {
        let down = |session: &&Session| session.passes == Passes::Both;
        let Some(session) = self.sessions[subscriber].as_ref().filter(down) else { return };
        self.n6(at, session.upf, false, packet);
        self.downlink_n3(at + UPF_TRANSIT, subscriber, (qfi, rqi), packet);
    }

    /// A packet from the data network on the last part of its way: in a subscriber's tunnel.
    pub(crate) fn downlink_n3(
        &mut self,
        at: Micros,
        subscriber: usize,
        (qfi, rqi): (u8, bool),
        packet: &[u8],
    ) {
        let now = self.now;
        let Some(session) = &mut self.sessions[subscriber] else { return };
        session.meter.count(now, at, true, packet.len());
        let psc = Container { direction: Direction::Downlink, qfi, rqi };
        let sequence = session.sequence.as_mut().map(|next| post_increment(&mut next[1]));
        let message = gtpu::g_pdu(session.downlink_teid, sequence, psc, &frame::forwarded(packet));
        let (gnb, upf) = (session.gnb, session.upf);
        let ends = (self.plan.nodes[upf].on(Link::N3), self.plan.nodes[gnb].on(Link::N3));
        self.gtpu(at, ends, &message, None);
    }

    /// A subscriber's packet between a UPF and the router of N6.
    pub(crate) fn n6(&mut self, at: Micros, upf: usize, outward: bool, packet: &[u8]) {
        let own = self.plan.nodes[upf].mac(Link::N6);
        let (src, dst) = frame::ends(packet);
        let bytes = if outward {
            frame::ethernet_ip(own, self.plan.mac(Link::N6, dst), packet)
        } else {
            frame::ethernet_ip(self.plan.mac(Link::N6, src), own, packet)
        };
        self.raw(at, Link::N6, bytes);
    }

    /// A finished frame.
    pub(crate) fn raw(&mut self, at: Micros, link: Link, frame: Vec<u8>) {
        self.frame(at, link, frame, &[], None);
    }

    /// A finished frame that is part of a theft.
    pub(crate) fn steal_raw(&mut self, at: Micros, link: Link, frame: Vec<u8>, theft: usize) {
        self.frame(at, link, frame, &[], Some(theft));
    }

    fn deliver(
        &mut self,
        at: Micros,
        link: Link,
        packet: &[u8],
        messages: &[Message],
        theft: Option<usize>,
    ) {
        let (src, dst) = frame::ends(packet);
        let (from, to) = (self.plan.mac(link, src), self.plan.mac(link, dst));
        self.frame(at, link, frame::ethernet_ip(from, to, packet), messages, theft);
    }

    fn frame(
        &mut self,
        at: Micros,
        link: Link,
        frame: Vec<u8>,
        messages: &[Message],
        theft: Option<usize>,
    ) {
        let packet = Packet {
            time_ns: self.start_ns + at * 1_000,
            link,
            frame,
            message: messages.first().copied(),
            further: messages.get(1..).unwrap_or_default().to_vec(),
            theft: theft.or(self.theft),
            group: self.group,
        };
        self.push(at, Item::Packet(packet));
    }

    /// What lies beyond the end is not kept.
    fn push(&mut self, at: Micros, item: Item) {
        if at < self.end {
            self.order += 1;
            self.queue.push(Reverse(Entry { at, order: self.order, item }));
        }
    }
}

fn post_increment(next: &mut u16) -> u16 {
    let current = *next;
    *next = next.wrapping_add(1);
    current
}

fn pfcp_packet((src, dst): (SocketAddr, SocketAddr), datagram: &[u8]) -> Vec<u8> {
    frame::udp(&Route::new(src.ip(), dst.ip()), src.port(), dst.port(), datagram)
}

fn pfcp_messages(datagram: &[u8]) -> Vec<Message> {
    pfcp::kinds(datagram).into_iter().map(Message::Pfcp).collect()
}
