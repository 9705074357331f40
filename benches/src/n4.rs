//! N4 as it comes: whole lives of sessions, laid out in memory as a worker's pouch
//! holds them, and the policy under which nothing in them is odd.

use weir_engine::contract::session::SessionState;
use weir_engine::contract::words::JudgeWords;
use weir_engine::lpm::Prefix;
use weir_engine::rules::{
    Allow, End, Equipment, EquipmentId, Link, Roles, RuleSet, Rules, Service,
};
use weir_engine::signalling::{HeaderShape, N4Datagram};
use weir_engine::{Nanos, Signalling, TapId};
use weir_pcaps::n4_load::{self, Datagram};
use weir_wire::Address;

use crate::traffic;

/// UPFs of the load.
pub const UPFS: u8 = 8;

/// Messages a session has in its life.
pub const MESSAGES: usize = 6;

/// Messages of a session that stays.
const STAYING_MESSAGES: usize = 4;

/// Where the sequence number stands in a message of a session.
const SEQUENCE_AT: usize = 12;

/// The packet time between two messages: a hundred thousand a second, which is what
/// many millions of subscribers cause.
pub const GAP: Nanos = Nanos(10_000);

/// How often what is to be said of sessions is taken away, in messages: a slice.
const SLICE: usize = 10_000;

/// Where a datagram stands, and between whom it goes.
#[derive(Clone, Copy, Debug)]
struct Place {
    source: Address,
    destination: Address,
    source_port: u16,
    destination_port: u16,
    start: usize,
    len: usize,
}

/// Datagrams one behind the other.
#[derive(Debug, Default)]
pub struct Load {
    places: Vec<Place>,
    bytes: Vec<u8>,
}

impl Load {
    /// Establishment, modification and deletion of so many sessions.
    pub fn cycles(seed: u64, sessions: u64) -> Self {
        let mut load = Self::default();
        for datagram in n4_load::cycles(seed, sessions, UPFS) {
            load.put(&datagram);
        }
        load
    }

    fn put(&mut self, datagram: &Datagram) {
        self.places.push(Place {
            source: datagram.source.0.into(),
            destination: datagram.destination.0.into(),
            source_port: datagram.source.1,
            destination_port: datagram.destination.1,
            start: self.bytes.len(),
            len: datagram.payload.len(),
        });
        self.bytes.extend_from_slice(&datagram.payload);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Lets the senders count on where they were at the end: those that began again would
    /// be taken for somebody else beside them, and what they say be doubted.
    pub fn count_on(&mut self) {
        let requests = self.places.len() as u32 / 2;
        for place in &self.places {
            let at = place.start + SEQUENCE_AT;
            if let Some([high, middle, low]) = self.bytes[at..].first_chunk_mut::<3>() {
                let sequence = u32::from_be_bytes([0, *high, *middle, *low]);
                let next = (sequence - 1 + requests) % 0xff_ffff + 1;
                [_, *high, *middle, *low] = next.to_be_bytes();
            }
        }
    }

    /// The packet time that a pass takes.
    pub fn span(&self, gap: Nanos) -> Nanos {
        Nanos(self.places.len() as u64 * gap.0)
    }

    /// Lets a session machine read everything, from `start` on, one every `gap`.
    #[inline(never)]
    pub fn n4_pass(&self, machine: &mut Signalling, start: Nanos, gap: Nanos) {
        let mut time = start;
        let mut slice = Vec::with_capacity(SLICE);
        for part in self.places.chunks(SLICE) {
            slice.clear();
            for place in part {
                time = time.plus(gap);
                let payload = &self.bytes[place.start..place.start + place.len];
                slice.push(datagram(place, payload, time));
            }
            machine.take_all(&slice);
            drop(machine.records());
        }
    }
}

fn datagram<'a>(place: &Place, payload: &'a [u8], time: Nanos) -> N4Datagram<'a> {
    N4Datagram {
        time,
        source: place.source,
        source_port: place.source_port,
        destination: place.destination,
        destination_port: place.destination_port,
        tap: TapId(0),
        link: Link::N4,
        shape: HeaderShape { hops: 64, options: 0 },
        wire_len: payload.len() as u32 + 42,
        payload,
    }
}

/// Establishes so many sessions, which stay; `midway` is called amid them.
///
/// # Errors
/// What `midway` says.
pub fn establish(
    machine: &mut Signalling,
    sessions: u64,
    midway: impl FnOnce() -> anyhow::Result<u64>,
) -> anyhow::Result<u64> {
    let mut one = Load::default();
    let mut time = traffic::START;
    let mut establish = |messages: &mut dyn Iterator<Item = Datagram>| {
        for (n, message) in messages.enumerate() {
            one.places.clear();
            one.bytes.clear();
            one.put(&message);
            time = time.plus(GAP);
            machine.take(&datagram(&one.places[0], &one.bytes, time));
            if n % SLICE == 0 {
                drop(machine.records());
            }
        }
        drop(machine.records());
    };
    let mut messages = n4_load::established(1, sessions, UPFS);
    establish(&mut messages.by_ref().take(sessions as usize / 2 * STAYING_MESSAGES));
    let middle = midway()?;
    establish(&mut messages);
    Ok(middle)
}

/// Fails unless the machine took every session for what it is: so many were established,
/// so many deleted, nobody did wrong, and nothing was doubted, which shows in ended sessions
/// that are remembered for longer than 10 s of messages `gap` apart.
///
/// # Errors
/// When another number was.
pub fn check(
    machine: &mut Signalling,
    established: u64,
    deleted: u64,
    gap: Nanos,
) -> anyhow::Result<()> {
    let mut words = JudgeWords::default();
    machine.count(&mut words);
    let (accusations, _) = machine.accusations();
    let seen = (words.sessions_established, words.sessions_deleted, accusations.len());
    anyhow::ensure!(
        seen == (established, deleted, 0),
        "(established, deleted, accusations) are {seen:?} and not {:?}",
        (established, deleted, 0)
    );
    // Ends come in blocks, hence at more than the mean rate.
    let ended = words.sessions[SessionState::Deleted as usize];
    let most = 10_000_000_000 / gap.0 / MESSAGES as u64 + 2_048;
    anyhow::ensure!(
        ended <= most,
        "{ended} ended sessions are remembered, and not {most}: doubted"
    );
    Ok(())
}

/// The mix's policy, and the load's network in it: two SMFs, its UPFs, and its gNBs as
/// one entry.
///
/// # Errors
/// When the engine refuses the policy.
pub fn rules() -> anyhow::Result<Rules> {
    Ok(Rules::compile(rule_set())?)
}

/// The same, to be added to.
pub(crate) fn rule_set() -> RuleSet {
    let mut set = traffic::rule_set();
    let v4 = |octets: [u8; 4], len| prefix(Address::v4(octets), len);
    let first = set.equipment.len() as u32;
    let entry = |roles, prefixes| Equipment { roles, prefixes, ..Equipment::default() };
    set.equipment.extend([1, 2].map(|n| entry(Roles::SMF, vec![v4([10, 0, 3, n], 32)])));
    // The first two UPFs of the mix have numbers among those of the load.
    set.equipment.extend(
        (0..UPFS)
            .filter(|n| !(1..=2).contains(n))
            .map(|n| entry(Roles::UPF, vec![v4([10, 0, 1, n], 32), v4([10, 0, 2, n], 32)])),
    );
    set.equipment.push(entry(Roles(1), vec![v4([10, 0, 128, 0], 22)]));
    set.ue_pools.push(v4([11, 0, 0, 0], 8));
    set.link_defaults.push((v4([10, 0, 3, 0], 24), Link::N4));
    set.allow.push(Allow {
        from: End {
            equipment: Some(vec![EquipmentId(first), EquipmentId(first + 1)]),
            prefix: None,
        },
        to: End { equipment: None, prefix: Some(v4([10, 0, 2, 0], 24)) },
        services: vec![Service { protocol: 17, ports: Some((8805, 8805)), either_way: true }],
        not_after: None,
        is_periodic: false,
    });
    set
}

fn prefix(address: Address, len: u8) -> Prefix {
    Prefix::new(address, len).expect("a prefix has at most as many bits as its address")
}

/// The load as Ethernet frames.
pub fn frames(seed: u64, sessions: u64) -> impl Iterator<Item = Vec<u8>> {
    n4_load::cycles(seed, sessions, UPFS).map(|datagram| frame(&datagram))
}

fn frame(datagram: &Datagram) -> Vec<u8> {
    let octets = |address| match address {
        std::net::IpAddr::V4(v4) => v4.octets(),
        std::net::IpAddr::V6(_) => [0; 4],
    };
    let udp_len = datagram.payload.len() as u16 + 8;
    let mut ip = Vec::from([0x45, 0]);
    ip.extend((udp_len + 20).to_be_bytes());
    ip.extend([0, 0, 0x40, 0, 64, 17, 0, 0]);
    ip.extend(octets(datagram.source.0));
    ip.extend(octets(datagram.destination.0));
    let words = ip.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let sum: u32 = words.sum();
    let checksum = !((sum & 0xffff) + (sum >> 16)) as u16;
    ip[10..12].copy_from_slice(&checksum.to_be_bytes());
    let mut bytes = Vec::from([2, 0, 0, 0, 3, 1, 2, 0, 0, 0, 2, 1, 8, 0]);
    bytes.extend(ip);
    for word in [datagram.source.1, datagram.destination.1, udp_len, 0] {
        bytes.extend(word.to_be_bytes());
    }
    bytes.extend(&datagram.payload);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use weir_engine::SignallingSetup;

    #[test]
    fn nothing_is_odd_about_the_load_and_none_of_it_is_passed_over() {
        let setup = SignallingSetup { tunnels: 10_000, ..SignallingSetup::default() };
        let mut machine = Signalling::new(&setup).unwrap();
        machine.set_rules(Arc::new(rules().unwrap()), Nanos(0));
        let mut load = Load::cycles(7, 2_500);
        assert_eq!(load.len(), 2_500 * MESSAGES);
        let gap = Nanos(1_500_000);
        load.n4_pass(&mut machine, traffic::START, gap);
        let again = traffic::START.plus(load.span(gap));
        load.count_on();
        load.n4_pass(&mut machine, again, gap);
        check(&mut machine, 5_000, 5_000, gap).unwrap();
        assert!(check(&mut machine, 5_000, 4_999, gap).is_err());
    }

    #[test]
    fn senders_that_begin_again_are_doubted_and_that_is_noticed() {
        let setup = SignallingSetup { tunnels: 50_000, ..SignallingSetup::default() };
        let mut machine = Signalling::new(&setup).unwrap();
        machine.set_rules(Arc::new(rules().unwrap()), Nanos(0));
        let load = Load::cycles(7, 10_000);
        let gap = Nanos(500_000);
        load.n4_pass(&mut machine, traffic::START, gap);
        load.n4_pass(&mut machine, traffic::START.plus(load.span(gap)), gap);
        let doubted = check(&mut machine, 20_000, 20_000, gap).unwrap_err();
        assert!(doubted.to_string().contains("doubted"), "{doubted}");
    }
}
