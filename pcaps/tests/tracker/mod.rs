//! Sessions as an honest reader of N4 knows them: written for the tests alone, from the clauses,
//! so that generator and judge share no line.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use weir_pcaps::Packet;

const ETHERNET: usize = 14;
const SECOND: u64 = 1_000_000_000;
const GROUPED: [u16; 17] = [1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 14, 79, 80, 83, 105, 127, 128];

/// A UDP datagram of a frame that is plain IP in Ethernet.
#[derive(Clone, Debug)]
pub(crate) struct Udp {
    pub(crate) src: (IpAddr, u16),
    pub(crate) dst: (IpAddr, u16),
    pub(crate) options: bool,
    pub(crate) payload: Vec<u8>,
}

pub(crate) fn udp(packet: &Packet) -> Option<Udp> {
    let ip = packet.frame.get(ETHERNET..)?;
    let (src, dst, protocol, header, options) = match ip[0] >> 4 {
        4 => {
            let address = |at| Ipv4Addr::from(<[u8; 4]>::try_from(&ip[at..at + 4]).unwrap());
            let header = usize::from(ip[0] & 0xf) * 4;
            (IpAddr::from(address(12)), IpAddr::from(address(16)), ip[9], header, header > 20)
        }
        6 => {
            let address = |at| Ipv6Addr::from(<[u8; 16]>::try_from(&ip[at..at + 16]).unwrap());
            (address(8).into(), address(24).into(), ip[6], 40, false)
        }
        _ => return None,
    };
    let udp = ip.get(header..).filter(|udp| protocol == 17 && udp.len() >= 8)?;
    let word = |at| u16::from_be_bytes([udp[at], udp[at + 1]]);
    let payload = udp[8..usize::from(word(4))].to_vec();
    Some(Udp { src: (src, word(0)), dst: (dst, word(2)), options, payload })
}

/// An information element: its type, that of the group around it, its value.
#[derive(Clone, Debug)]
pub(crate) struct Element {
    pub(crate) kind: u16,
    pub(crate) within: u16,
    pub(crate) value: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) kind: u8,
    pub(crate) seid: Option<u64>,
    pub(crate) sequence: u32,
    pub(crate) elements: Vec<Element>,
}

impl Message {
    pub(crate) fn all(&self, kind: u16) -> impl Iterator<Item = &Element> {
        self.elements.iter().filter(move |element| element.kind == kind)
    }

    pub(crate) fn accepted(&self) -> bool {
        self.all(19).any(|cause| cause.value == [1])
    }
}

/// The messages of a datagram; every length must fit.
pub(crate) fn messages(payload: &[u8]) -> Vec<Message> {
    let (mut rest, mut found) = (payload, Vec::new());
    loop {
        let length = usize::from(u16::from_be_bytes([rest[2], rest[3]])) + 4;
        let (message, after) = rest.split_at(length);
        let header = if message[0] & 1 == 1 { 16 } else { 8 };
        let seid = (header == 16).then(|| u64::from_be_bytes(message[4..12].try_into().unwrap()));
        let number = &message[header - 4..header - 1];
        let sequence = u32::from_be_bytes([0, number[0], number[1], number[2]]);
        let mut elements = Vec::new();
        walk(&message[header..], 0, &mut elements);
        found.push(Message { kind: message[1], seid, sequence, elements });
        if message[0] & 4 == 0 {
            assert!(after.is_empty(), "octets behind the last message");
            return found;
        }
        rest = after;
    }
}

fn walk(mut bytes: &[u8], within: u16, found: &mut Vec<Element>) {
    while !bytes.is_empty() {
        let kind = u16::from_be_bytes([bytes[0], bytes[1]]);
        let length = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
        let (value, rest) = bytes[4..].split_at(length);
        found.push(Element { kind, within, value: value.to_vec() });
        if GROUPED.contains(&kind) {
            walk(value, kind, found);
        }
        bytes = rest;
    }
}

/// An end of a tunnel: TEID and address.
pub(crate) type End = (u32, IpAddr);

#[derive(Clone, Debug, Default)]
pub(crate) struct Session {
    pub(crate) cp: Option<(u64, IpAddr)>,
    pub(crate) ue: BTreeSet<IpAddr>,
    pub(crate) dnn: Vec<u8>,
    pub(crate) named: bool,
    pub(crate) uplink: BTreeSet<End>,
    pub(crate) downlink: BTreeSet<End>,
    pub(crate) ended: Option<u64>,
    /// Octets of user packets that were seen in its tunnels, uplink and downlink.
    pub(crate) carried: [u64; 2],
    /// Octets reported, uplink and downlink, and how often.
    pub(crate) reported: [u64; 2],
    pub(crate) reports: Vec<u32>,
    pub(crate) set: bool,
    /// Its end was told with a report.
    pub(crate) told_at_end: bool,
}

type Sockets = ((IpAddr, u16), (IpAddr, u16));

#[derive(Default)]
pub(crate) struct Tracker {
    /// By the UPF's F-SEID.
    pub(crate) sessions: BTreeMap<(IpAddr, u64), Session>,
    /// Sessions that ended and whose numbers another one has now.
    pub(crate) past: Vec<((IpAddr, u64), Session)>,
    requests: BTreeMap<(Sockets, u32, u8), (u64, Message)>,
    asked: BTreeMap<(Sockets, u32, u8), u64>,
    early: BTreeMap<(Sockets, u32, u8), (u64, Message)>,
    /// Requests and those answered, by UPF and minute.
    pub(crate) coverage: BTreeMap<(IpAddr, u64), (u64, u64)>,
    /// Transactions whose answer came first, and halves without their other.
    pub(crate) reordered: u64,
    pub(crate) halves: u64,
}

fn is_request(kind: u8) -> bool {
    matches!(kind, 1 | 5 | 7 | 9 | 14 | 50 | 52 | 54 | 56)
}

impl Tracker {
    pub(crate) fn take(&mut self, now: u64, datagram: &Udp, upf: IpAddr, minute: u64) {
        self.expire(now);
        for message in messages(&datagram.payload) {
            let (asks, answers) = (datagram.src, datagram.dst);
            if is_request(message.kind) {
                let key = ((asks, answers), message.sequence, message.kind);
                let counts = self.coverage.entry((upf, minute)).or_default();
                // A request that is sent again is the same transaction.
                let before = self.asked.insert(key, now);
                counts.0 += u64::from(before.is_none_or(|before| before + 10 * SECOND < now));
                match self.early.remove(&key) {
                    Some((_, answer)) => {
                        counts.1 += 1;
                        self.reordered += 1;
                        self.commit(now, &key.0, Some(&message), Some(&answer));
                    }
                    None => {
                        self.requests.insert(key, (now, message));
                    }
                }
            } else {
                let key = ((answers, asks), message.sequence, message.kind - 1);
                match self.requests.remove(&key) {
                    Some((_, request)) => {
                        self.coverage.entry((upf, minute)).or_default().1 += 1;
                        self.commit(now, &key.0, Some(&request), Some(&message));
                    }
                    None => {
                        // What an answer tells of a session holds at once.
                        if message.kind == 51 {
                            self.commit(now, &key.0, None, Some(&message));
                        }
                        self.early.insert(key, (now, message));
                    }
                }
            }
        }
    }

    /// What has waited a second for its other half goes on alone.
    fn expire(&mut self, now: u64) {
        let requests = take_old(&mut self.requests, now);
        let early = take_old(&mut self.early, now);
        self.halves += (requests.len() + early.len()) as u64;
        for ((sockets, ..), (at, request)) in requests {
            self.commit(at, &sockets, Some(&request), None);
        }
        for ((sockets, ..), (at, answer)) in early {
            if answer.kind == 51 {
                continue;
            }
            self.commit(at, &sockets, None, Some(&answer));
        }
    }

    fn commit(
        &mut self,
        now: u64,
        (cp, up): &Sockets,
        request: Option<&Message>,
        answer: Option<&Message>,
    ) {
        if answer.is_some_and(|answer| !answer.accepted()) {
            return;
        }
        let kind = request.map_or_else(|| answer.map_or(0, |a| a.kind - 1), |r| r.kind);
        let both = || request.into_iter().chain(answer);
        let key = match kind {
            50 => {
                // Without its answer an establishment has no SEID to be known by.
                let Some(answer) = answer else { return };
                let seid = f_seid(&answer.all(57).next().expect("UP F-SEID").value);
                (seid.1, seid.0)
            }
            52 | 54 => match request {
                Some(request) => (up.0, request.seid.unwrap()),
                None => return self.end_by_cp(now, kind, cp.0, answer),
            },
            56 => {
                if let Some(request) = request {
                    self.report_by_cp((request.seid.unwrap(), up.0), request);
                }
                return;
            }
            9 | 14 => {
                let ended = self.sessions.iter_mut().filter(|(key, session)| {
                    key.0 == up.0
                        && session.cp.is_some_and(|own| own.1 == cp.0)
                        && (kind == 9 || session.set)
                });
                ended.for_each(|(_, session)| session.ended = session.ended.or(Some(now)));
                return;
            }
            _ => return,
        };
        // A session that began before the capture is known by what is said of it now.
        let session = self.sessions.entry(key).or_default();
        // Numbers are given again: an establishment after the end is another session.
        if kind == 50 && session.ended.is_some() {
            let over = std::mem::take(session);
            self.past.push((key, over));
        }
        for element in both().flat_map(|message| &message.elements) {
            match (element.kind, element.within) {
                (57, _) if f_seid(&element.value).1 == cp.0 => {
                    session.cp = Some(f_seid(&element.value));
                }
                (21, _) if element.value[0] & 4 == 0 => {
                    session.uplink.insert(end(&element.value[1..], element.value[0] & 1 == 1));
                }
                (84, 11) => {
                    session.downlink.insert(end(&element.value[2..], element.value[0] & 1 == 1));
                }
                (93, _) => {
                    session.ue.insert(address(&element.value[1..]));
                }
                (159, _) => session.dnn = element.value.clone(),
                (141, _) => session.named = true,
                (65, _) => session.set = true,
                _ => {}
            }
        }
        if let Some(answer) = answer {
            session.cp = session.cp.or(answer.seid.map(|seid| (seid, cp.0)));
            session.report(answer);
        }
        if kind == 54 {
            session.ended = Some(now);
            session.told_at_end = answer.is_some();
        }
    }

    /// A deletion of which the answer alone was seen, by the SMF's F-SEID in its header.
    fn end_by_cp(&mut self, now: u64, kind: u8, cp: IpAddr, answer: Option<&Message>) {
        let Some(answer) = answer else { return };
        let own = Some((answer.seid.unwrap(), cp));
        let session = self.sessions.values_mut().find(|s| s.cp == own);
        if let Some(session) = session.filter(|_| kind == 54) {
            session.report(answer);
            session.ended = Some(now);
            session.told_at_end = true;
        }
    }

    fn report_by_cp(&mut self, own: (u64, IpAddr), message: &Message) {
        let session = self.sessions.values_mut().find(|session| session.cp == Some(own));
        session.unwrap_or_else(|| panic!("a report about {own:?}")).report(message);
    }
}

fn take_old<K: Clone + Ord, V>(
    waiting: &mut BTreeMap<K, (u64, V)>,
    now: u64,
) -> Vec<(K, (u64, V))> {
    let old = waiting.iter().filter(|(_, (at, _))| *at + SECOND < now);
    let keys: Vec<K> = old.map(|(key, _)| key.clone()).collect();
    keys.into_iter().filter_map(|key| waiting.remove_entry(&key)).collect()
}

impl Session {
    fn report(&mut self, message: &Message) {
        for volume in message.all(66) {
            assert_eq!(volume.value[0], 0x3f);
            let count = |n: usize| {
                u64::from_be_bytes(volume.value[1 + 8 * n..9 + 8 * n].try_into().unwrap())
            };
            assert_eq!(count(0), count(1) + count(2));
            assert_eq!(count(3), count(4) + count(5));
            self.reported[0] += count(1);
            self.reported[1] += count(2);
        }
        let numbers = message.all(104).map(|n| u32::from_be_bytes(n.value[..].try_into().unwrap()));
        self.reports.extend(numbers);
    }
}

fn f_seid(value: &[u8]) -> (u64, IpAddr) {
    (u64::from_be_bytes(value[1..9].try_into().unwrap()), address(&value[9..]))
}

fn end(bytes: &[u8], four: bool) -> End {
    let address = address(&bytes[4..]);
    assert_eq!(address.is_ipv4(), four);
    (u32::from_be_bytes(bytes[..4].try_into().unwrap()), address)
}

fn address(bytes: &[u8]) -> IpAddr {
    match <[u8; 4]>::try_from(bytes) {
        Ok(four) => IpAddr::from(four),
        Err(_) => IpAddr::from(<[u8; 16]>::try_from(bytes).unwrap()),
    }
}
