//! What it costs to find a G-PDU's tunnel among few and among many: the packet path's
//! own passes over the table, and the whole engine over frames whose tunnels are drawn
//! anew before every pass, so that no cache holds them from the last one.

use std::hint::black_box;
use std::net::IpAddr;
use std::time::Instant;

use weir_engine::frame::BURST;
use weir_engine::rules::Rules;
use weir_engine::tunnels::usage::{Packet, usage};
use weir_engine::tunnels::{
    Access, FTeid, Found, Probe, QosFlows, Row, Sender, Slot, TableFull, TunnelWriter,
};
use weir_engine::{Frame, Nanos};
use weir_pcaps::real_mix::Session;
use weir_wire::Address;

use crate::sessions::{self, Sessions};
use crate::traffic;

/// Look-ups of one pass.
pub const LOOK_UPS: usize = 1 << 18;

/// Where the outer addresses and the TEID stand in the mixes' frames, and the user's packet
/// behind the PDU Session Container.
const ENDS_AT: usize = 26;
const TEID_AT: usize = 46;
const INNER_AT: usize = 58;

/// A sequence of numbers that no cache foresees.
#[derive(Clone, Copy, Debug)]
pub struct Draw(u64);

impl Draw {
    /// The sequence of a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// One of `0..bound`.
    #[inline]
    pub fn below(&mut self, bound: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (((self.0 >> 32) * u64::from(bound)) >> 32) as u32
    }
}

/// The F-TEID of the tunnel of that number, from 1: even ones at the UPF.
fn end(teid: u32) -> FTeid {
    let address = if teid.is_multiple_of(2) { sessions::UPF } else { sessions::GNB };
    FTeid { address: Address::v4(address), teid }
}

/// A table of the tunnels `1..=tunnels`, as the session machine would write it.
#[derive(Debug)]
pub struct Tunnels {
    access: Access,
    tunnels: u32,
    ends: Vec<FTeid>,
    draw: Draw,
}

impl Tunnels {
    /// A full table.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn new(tunnels: u32) -> anyhow::Result<Self> {
        let (access, _) = access(Sessions::of_imix(tunnels))?;
        Ok(Self { access, tunnels, ends: Vec::with_capacity(LOOK_UPS), draw: Draw::new(99) })
    }

    /// Nanoseconds of a look-up that finds its tunnel and counts there, drawn from all.
    pub fn hit(&mut self) -> f64 {
        self.measure(0)
    }

    /// Nanoseconds of a look-up of a tunnel that is not there.
    pub fn miss(&mut self) -> f64 {
        self.measure(0x8000_0000)
    }

    fn measure(&mut self, aside: u32) -> f64 {
        self.ends.clear();
        for _ in 0..LOOK_UPS {
            self.ends.push(end(aside | (self.draw.below(self.tunnels) + 1)));
        }
        let began = Instant::now();
        let found = look_up_pass(&mut self.access, black_box(&self.ends));
        let took = began.elapsed();
        assert_eq!(found, if aside == 0 { LOOK_UPS as u64 } else { 0 }, "look-ups that found");
        took.as_nanos() as f64 / LOOK_UPS as f64
    }
}

/// A full table and how many bytes it takes: the table, and a worker's rows.
///
/// # Errors
/// If there is no memory for it.
pub fn access(sessions: Sessions) -> anyhow::Result<(Access, [usize; 2])> {
    let tunnels = sessions.tunnels;
    let mut writer = TunnelWriter::new(tunnels as usize, 0x7765_6972)?;
    for teid in 1..=tunnels {
        writer.insert(sessions.row(teid).0).map_err(|TableFull| {
            anyhow::anyhow!("tunnel {teid} of {tunnels} found no room in a table for them all")
        })?;
    }
    let access = read_by_one(&writer)?;
    let slots = access.table.slots();
    Ok((access, [slots * (64 + 1), slots * 32]))
}

/// What one worker needs to look tunnels up in a table.
///
/// # Errors
/// If there is no memory for the worker's rows.
pub fn read_by_one(writer: &TunnelWriter) -> anyhow::Result<Access> {
    let table = writer.reader();
    let (usage, _) = usage(table.slots())?;
    let users = TunnelWriter::new(1, 0x7765_6972)?.reader();
    Ok(Access { table, usage, users })
}

/// The stage's three passes over bursts.
#[inline(never)]
pub fn look_up_pass(access: &mut Access, ends: &[FTeid]) -> u64 {
    let mut found = 0;
    let mut probes = [Probe::default(); BURST];
    for burst in ends.chunks(BURST) {
        for (end, probe) in burst.iter().zip(&mut probes) {
            *probe = access.table.probe(end);
            access.table.prefetch_tags(*probe);
        }
        for probe in &probes[..burst.len()] {
            if let Some(slot) = access.table.prefetch_row(*probe) {
                access.usage.prefetch(slot);
            }
        }
        for (end, probe) in burst.iter().zip(&probes) {
            if let Found::Live(slot, row) = access.table.find(end, *probe, traffic::START) {
                found += 1;
                let sender = Sender::default();
                let time = traffic::START;
                let packet =
                    Packet { packets: 1, bytes: 100, time, sender, flow: QosFlows::of(Some(9)) };
                black_box(access.usage.count(slot, row.flags.generation(), &packet));
            }
        }
    }
    found
}

/// Counts a packet on every tunnel, from whom the mix sends there: a network in which
/// every tunnel has been used.
pub fn use_all(access: &mut Access, sessions: Sessions, rules: &Rules) {
    for teid in 1..=sessions.tunnels {
        let (Row { end, .. }, from) = sessions.row(teid);
        let sender = Sender::of(rules.party(from), from);
        let packet =
            Packet { packets: 1, bytes: 100, time: Nanos(1), sender, flow: QosFlows::of(Some(9)) };
        if let Found::Live(Slot(slot), row) =
            access.table.find(&end, access.table.probe(&end), traffic::START)
        {
            access.usage.count(Slot(slot), row.flags.generation(), &packet);
        }
    }
}

/// Draws another tunnel of the same direction for each of the mix's frames, of those that
/// there are or, for orphans, of those that nobody established; the user is of the same family.
pub fn redraw(frames: &mut [Vec<u8>], sessions: Sessions, aside: u32, draw: &mut Draw) {
    for frame in frames {
        let is_uplink = frame[TEID_AT + 3].is_multiple_of(2);
        let is_v6 = frame[INNER_AT] >> 4 == 6;
        let count = sessions.tunnels / 2;
        let drawn = draw.below(count);
        let mut numbers = (drawn..count).chain(0..drawn).map(|number| number + 1);
        let Some(number) = numbers.find(|it| sessions.session(*it).user.is_ipv6() == is_v6) else {
            continue;
        };
        let Session { gnb, upf, user } = sessions.session(number);
        let (teid, ends) =
            if is_uplink { (2 * number, [gnb, upf]) } else { (2 * number - 1, [upf, gnb]) };
        frame[ENDS_AT..ENDS_AT + 8].copy_from_slice(&ends.map(|end| end.octets()).concat());
        frame[TEID_AT..TEID_AT + 4].copy_from_slice(&(aside | teid).to_be_bytes());
        let (at, octets) = match user {
            IpAddr::V4(user) => (if is_uplink { 12 } else { 16 }, user.octets().to_vec()),
            IpAddr::V6(user) => (if is_uplink { 8 } else { 24 }, user.octets().to_vec()),
        };
        frame[INNER_AT + at..INNER_AT + at + octets.len()].copy_from_slice(&octets);
    }
}

/// The frames as they arrive `passes` passes after their first arrival.
pub fn arrive<'a>(frames: &'a [Vec<u8>], pass: u64) -> Vec<Frame<'a>> {
    let mut arrivals = traffic::arrivals_of(frames);
    let span = frames.len() as u64 * traffic::GAP.0;
    for frame in &mut arrivals {
        frame.meta.time.0 += span * pass;
    }
    arrivals
}
