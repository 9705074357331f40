//! What it costs to find a G-PDU's tunnel among few and among many: the packet path's
//! own passes over the table, and the whole engine over frames whose tunnels are drawn
//! anew before every pass, so that no cache holds them from the last one.

use std::hint::black_box;
use std::time::Instant;

use weir_engine::frame::BURST;
use weir_engine::rules::Rules;
use weir_engine::tunnels::usage::{Packet, usage};
use weir_engine::tunnels::{
    Access, FTeid, Found, Probe, QosFlows, Row, RowFlags, Sender, Slot, TableFull, TunnelWriter,
};
use weir_engine::{Frame, Nanos};
use weir_wire::Address;

use crate::{sessions, traffic};

/// Look-ups of one pass.
pub const LOOK_UPS: usize = 1 << 18;

/// Where the header's TEID stands in the mix's frames, and the user's packet behind
/// the PDU Session Container.
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

/// UE addresses begin again where the mix's pool ends.
fn ue(teid: u32) -> u32 {
    u32::from_be_bytes(sessions::subscriber(teid)) & 0xffff | 0x0a3c_0000
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
        let (access, _) = access(tunnels)?;
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
pub fn access(tunnels: u32) -> anyhow::Result<(Access, [usize; 2])> {
    let mut writer = TunnelWriter::new(tunnels as usize, 0x7765_6972)?;
    for teid in 1..=tunnels {
        writer.insert(row(teid)).map_err(|TableFull| {
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

fn row(teid: u32) -> Row {
    let mut flags = RowFlags::UE_V4;
    if teid.is_multiple_of(2) {
        flags.set(RowFlags::LOCAL);
        flags.set(RowFlags::CHECKED);
    } else {
        flags.set(RowFlags::DOWNLINK);
    }
    Row {
        end: end(teid),
        flags,
        since: Nanos(0),
        until: Nanos::MAX,
        session: teid / 2,
        ue4: ue(teid),
        ue6: 0,
    }
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
pub fn use_all(access: &mut Access, tunnels: u32, rules: &Rules) {
    for teid in 1..=tunnels {
        let from = Address::v4(if teid.is_multiple_of(2) { sessions::GNB } else { sessions::UPF });
        let sender = Sender::of(rules.party(from), from);
        let packet =
            Packet { packets: 1, bytes: 100, time: Nanos(1), sender, flow: QosFlows::of(Some(9)) };
        let end = end(teid);
        if let Found::Live(Slot(slot), row) =
            access.table.find(&end, access.table.probe(&end), traffic::START)
        {
            access.usage.count(Slot(slot), row.flags.generation(), &packet);
        }
    }
}

/// Draws another tunnel of the same direction for each of the mix's frames, of
/// `tunnels` that there are or, for orphans, of those that nobody established.
pub fn redraw(frames: &mut [Vec<u8>], tunnels: u32, aside: u32, draw: &mut Draw) {
    for frame in frames {
        let is_uplink = frame[TEID_AT + 3].is_multiple_of(2);
        let teid = draw.below(tunnels / 2) * 2 + if is_uplink { 2 } else { 1 };
        let at = INNER_AT + if is_uplink { 12 } else { 16 };
        frame[TEID_AT..TEID_AT + 4].copy_from_slice(&(aside | teid).to_be_bytes());
        frame[at..at + 4].copy_from_slice(&ue(teid).to_be_bytes());
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
