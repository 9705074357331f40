//! Bad input: frames that are damaged, in fragments, of nobody's tunnels, off the common path, or
//! aimed at the tables. Made from the Internet mix, and with the sessions that they are to meet.

use std::net::Ipv4Addr;
use std::sync::Arc;

use clap::ValueEnum;
use weir_engine::rules::Rules;
use weir_engine::track::FlowKey;
use weir_engine::tunnels::{Access, FTeid, Row, RowFlags, TableFull, TunnelWriter};
use weir_engine::{Nanos, Signalling, SignallingSetup};
use weir_wire::Address;

use crate::engine_run::EngineRun;
use crate::lookup::{self, Draw};
use crate::sessions::{self, Sessions};
use crate::traffic::Traffic;

/// Where the mix's frames have their headers: Ethernet without a tag, IPv4, UDP, GTP-U with a PDU
/// Session Container, the user's IPv4.
const IP_AT: usize = 14;
const UDP_AT: usize = 34;
const GTPU_AT: usize = 42;
const TEID_AT: usize = 46;
const CONTAINER_AT: usize = 54;
const INNER_AT: usize = 58;
const INNER_END: usize = 78;

/// The longest frame.
const JUMBO: usize = 9_728;
const SHORTEST: usize = 14;

/// The secret that the attacker tries; not the one in force.
const GUESS: u64 = 0x6b6e_6f77_6e21;

/// The attacker's aim: one of so many places of the table of tunnels, which go by the top bits of
/// the hash's low half, and one slot of the flow index, which goes by the low bits.
const TUNNEL_PLACES: u64 = 1 << 13;
const FLOW_PLACES: u64 = 1 << 17;

/// Keys that are aimed at one place.
pub const AIMED: usize = 1_024;

/// A kind of bad input.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Hostile {
    /// Headers cut or contradicting themselves, on every layer.
    Errors,
    /// Outer datagrams in two fragments each.
    OuterFragments,
    /// Users' packets in two fragments, each in a G-PDU.
    InnerFragments,
    /// Outer fragments whose first one never came.
    LaterFragments,
    /// G-PDUs of tunnels that nobody established.
    Orphans,
    /// Users on IPv6.
    Ipv6,
    /// Options in the outer or the user's IPv4 header.
    Options,
    /// Two VLAN tags.
    Tags,
    /// Four more extension headers of GTP-U.
    Extensions,
    /// Another source port with every frame, as if each were of a flow of its own.
    Ports,
    /// Every size from 14 to 9,728 octets.
    Sizes,
    /// Tunnels whose TEIDs are chosen to meet in one place of the table.
    AimedTunnels,
    /// Flows between a gNB and strangers, drawn at random.
    DrawnFlows,
    /// As many flows, chosen to meet in one place of the index.
    AimedFlows,
}

impl Hostile {
    /// What it is called in the figures.
    pub fn name(self) -> &'static str {
        match self {
            Self::Errors => "errors",
            Self::OuterFragments => "outer_fragments",
            Self::InnerFragments => "inner_fragments",
            Self::LaterFragments => "later_fragments",
            Self::Orphans => "orphans",
            Self::Ipv6 => "ipv6",
            Self::Options => "options",
            Self::Tags => "tags",
            Self::Extensions => "extensions",
            Self::Ports => "ports",
            Self::Sizes => "sizes",
            Self::AimedTunnels => "aimed_tunnels",
            Self::DrawnFlows => "drawn_flows",
            Self::AimedFlows => "aimed_flows",
        }
    }

    /// What it is called on the command line.
    pub fn argument(self) -> String {
        self.name().replace('_', "-")
    }

    /// What it is called in the table.
    pub fn title(self) -> &'static str {
        match self {
            Self::Errors => "errors alone",
            Self::OuterFragments => "G-PDUs in two fragments",
            Self::InnerFragments => "users' packets in fragments",
            Self::LaterFragments => "later fragments alone",
            Self::Orphans => "orphans alone",
            Self::Ipv6 => "users on IPv6",
            Self::Options => "IPv4 options",
            Self::Tags => "two VLAN tags",
            Self::Extensions => "five extension headers",
            Self::Ports => "a new source port each",
            Self::Sizes => "every size, 14–9,728",
            Self::AimedTunnels => "tunnels aimed at one place",
            Self::DrawnFlows => "strangers' flows, drawn",
            Self::AimedFlows => "strangers' flows, aimed",
        }
    }

    /// So many frames of it, over so many tunnels.
    pub fn traffic(self, tunnels: u32, count: usize) -> Traffic {
        let imix = || Traffic::imix(tunnels, count).into_frames();
        let sessions = Sessions::of_imix(tunnels);
        let frames = match self {
            Self::Errors => numbered(imix(), damage),
            Self::OuterFragments => outer_fragments(&imix(), count),
            Self::InnerFragments => numbered(imix(), |n, frame| inner_fragment(n, frame)),
            Self::LaterFragments => later_fragments(&imix(), count),
            Self::Orphans => numbered(imix(), |_, frame| frame[TEID_AT] |= 0x80),
            Self::Ipv6 => return ipv6(tunnels, count),
            Self::Options => numbered(imix(), add_option),
            Self::Tags => numbered(imix(), |_, frame| {
                frame.splice(12..12, [0x88, 0xa8, 0, 100, 0x81, 0, 0, 200]);
            }),
            Self::Extensions => numbered(imix(), |_, frame| {
                // UDP Port extension headers (TS 29.281 §5.2.2.1), one behind the other.
                const PORT_EXTENSION: u8 = 0x40;
                frame[CONTAINER_AT + 3] = PORT_EXTENSION;
                let more = [1, 0x9c, 0x40, PORT_EXTENSION].repeat(4);
                frame.splice(INNER_AT..INNER_AT, more);
                frame[INNER_AT + 15] = 0;
                grow(frame, &[(IP_AT + 2, 16), (UDP_AT + 4, 16), (GTPU_AT + 2, 16)]);
            }),
            Self::Ports => numbered(imix(), |n, frame| {
                let port = 1_024 + (n * 7_919 % 60_000) as u16;
                frame[UDP_AT..UDP_AT + 2].copy_from_slice(&port.to_be_bytes());
            }),
            Self::Sizes => sizes(&imix()),
            Self::AimedTunnels => aimed_tunnels(&imix()),
            Self::DrawnFlows => strangers(count, &drawn_flows(|_| true)),
            Self::AimedFlows => {
                strangers(count, &drawn_flows(|key| key.hash(GUESS) % FLOW_PLACES == 0))
            }
        };
        Traffic::of(frames, sessions)
    }

    /// An engine that has the tunnels which this traffic is to meet.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn run(self, traffic: &Traffic, rules: Arc<Rules>) -> anyhow::Result<EngineRun> {
        if self != Self::AimedTunnels {
            return Ok(EngineRun::new(traffic.link, rules, traffic.sessions)?);
        }
        let setup = SignallingSetup { tunnels: 1, ..SignallingSetup::default() };
        let access = aimed_table(traffic.sessions.tunnels, setup.secret)?;
        Ok(EngineRun::on(traffic.link, rules, access, Signalling::new(&setup)?)?)
    }
}

fn numbered(mut frames: Vec<Vec<u8>>, change: impl Fn(usize, &mut Vec<u8>)) -> Vec<Vec<u8>> {
    for (n, frame) in frames.iter_mut().enumerate() {
        change(n, frame);
    }
    frames
}

/// Adds to lengths of 16 bits, and sets the outer header's sum anew.
fn grow(frame: &mut [u8], lengths: &[(usize, u16)]) {
    for &(at, more) in lengths {
        let length = u16::from_be_bytes([frame[at], frame[at + 1]]) + more;
        frame[at..at + 2].copy_from_slice(&length.to_be_bytes());
    }
    sum(frame, IP_AT);
}

/// Sets the sum of the IPv4 header that stands there.
fn sum(frame: &mut [u8], at: usize) {
    let len = usize::from(frame[at] & 0x0f) * 4;
    frame[at + 10..at + 12].fill(0);
    let words = frame[at..at + len].chunks(2).map(|w| u32::from(u16::from_be_bytes([w[0], w[1]])));
    let mut sum = words.sum::<u32>();
    sum = (sum & 0xffff) + (sum >> 16);
    let checksum = !((sum & 0xffff) + (sum >> 16)) as u16;
    frame[at + 10..at + 12].copy_from_slice(&checksum.to_be_bytes());
}

fn damage(n: usize, frame: &mut Vec<u8>) {
    match n % 7 {
        0 => frame.truncate(SHORTEST + 1 + n / 7 % (CONTAINER_AT - SHORTEST)),
        1 => frame[IP_AT] = 0x42,
        2 => frame[IP_AT + 2..IP_AT + 4].copy_from_slice(&[0, 10]),
        3 => frame[UDP_AT + 4..UDP_AT + 6].copy_from_slice(&[0, 4]),
        4 => frame[GTPU_AT + 2..GTPU_AT + 4].copy_from_slice(&[0, 2]),
        5 => frame[CONTAINER_AT] = 0,
        _ => frame[CONTAINER_AT] = 0xff,
    }
}

/// The two fragments of each of the first datagrams: as many octets in the first as there must be
/// for its headers, of which a receiver may want no more.
fn outer_fragments(frames: &[Vec<u8>], count: usize) -> Vec<Vec<u8>> {
    const FIRST: usize = 56;
    frames
        .iter()
        .take(count / 2)
        .enumerate()
        .flat_map(|(n, frame)| fragments(n, frame, FIRST))
        .collect()
}

fn later_fragments(frames: &[Vec<u8>], count: usize) -> Vec<Vec<u8>> {
    let pairs = outer_fragments(frames, 2 * count).into_iter();
    pairs.skip(1).step_by(2).collect()
}

/// An IPv4 datagram as two, cut behind so many octets of its payload.
fn fragments(n: usize, frame: &[u8], first: usize) -> [Vec<u8>; 2] {
    let part = |offset: usize, more: u16, payload: &[u8]| {
        let mut part = [&frame[..UDP_AT], payload].concat();
        let length = (part.len() - IP_AT) as u16;
        part[IP_AT + 2..IP_AT + 4].copy_from_slice(&length.to_be_bytes());
        part[IP_AT + 4..IP_AT + 6].copy_from_slice(&(n as u16).to_be_bytes());
        let place = more << 13 | (offset / 8) as u16;
        part[IP_AT + 6..IP_AT + 8].copy_from_slice(&place.to_be_bytes());
        sum(&mut part, IP_AT);
        part
    };
    let payload = &frame[UDP_AT..];
    [part(0, 1, &payload[..first]), part(first, 0, &payload[first..])]
}

/// The first or a later fragment of a user's packet, by turns.
fn inner_fragment(n: usize, frame: &mut [u8]) {
    let place: u16 = if n.is_multiple_of(2) { 1 << 13 } else { 185 };
    frame[INNER_AT + 4..INNER_AT + 6].copy_from_slice(&((n / 2) as u16).to_be_bytes());
    frame[INNER_AT + 6..INNER_AT + 8].copy_from_slice(&place.to_be_bytes());
    sum(frame, INNER_AT);
}

/// A Router Alert in the outer header or, by turns, in the user's.
fn add_option(n: usize, frame: &mut Vec<u8>) {
    const ROUTER_ALERT: [u8; 4] = [0x94, 4, 0, 0];
    if n.is_multiple_of(2) {
        frame.splice(UDP_AT..UDP_AT, ROUTER_ALERT);
        frame[IP_AT] = 0x46;
        grow(frame, &[(IP_AT + 2, 4)]);
    } else {
        frame.splice(INNER_END..INNER_END, ROUTER_ALERT);
        frame[INNER_AT] = 0x46;
        grow(frame, &[(IP_AT + 2, 4), (UDP_AT + 4, 4), (GTPU_AT + 2, 4), (INNER_AT + 2, 4)]);
        sum(frame, INNER_AT);
    }
}

/// Of the mix of real sizes, those whose users are on IPv6.
fn ipv6(tunnels: u32, count: usize) -> Traffic {
    let real = Traffic::real(tunnels, 5 * count);
    let sessions = real.sessions;
    let six = real.into_frames().into_iter().filter(|frame| frame[INNER_AT] >> 4 == 6);
    Traffic::of(six.take(count).collect(), sessions)
}

/// One frame of each size in an order that no prefetcher foresees: those too short for the headers
/// are cut, the others are whole.
fn sizes(frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let sizes = JUMBO - SHORTEST + 1;
    // The step has no divisor in common with the number of sizes, 9,715 = 5 · 29 · 67.
    let sized = |n: usize| {
        let size = SHORTEST + n * 3_001 % sizes;
        let mut frame = frames[n % frames.len()].clone();
        let had = frame.len();
        frame.resize(size, 0x60);
        if size >= INNER_END + 8 {
            let by = (size as u16).wrapping_sub(had as u16);
            for at in [IP_AT + 2, UDP_AT + 4, GTPU_AT + 2, INNER_AT + 2, INNER_END + 4] {
                let length = u16::from_be_bytes([frame[at], frame[at + 1]]).wrapping_add(by);
                frame[at..at + 2].copy_from_slice(&length.to_be_bytes());
            }
            sum(&mut frame, IP_AT);
            sum(&mut frame, INNER_AT);
        }
        frame
    };
    (0..sizes).map(sized).collect()
}

/// TEIDs at the UPF that meet in one place of a table with the guessed secret.
fn aimed_teids() -> Vec<u32> {
    let address = Address::v4(sessions::UPF);
    (1..=u32::MAX)
        .filter(|&teid| {
            let low = FTeid { address, teid }.hash(GUESS) & 0xffff_ffff;
            (low * TUNNEL_PLACES) >> 32 == 0
        })
        .take(AIMED)
        .collect()
}

/// A table of those tunnels, as if somebody who chooses TEIDs had established them.
///
/// # Errors
/// If there is no memory for it, or no room where the tunnels meet.
pub fn aimed_table(tunnels: u32, secret: u64) -> anyhow::Result<Access> {
    let mut writer = TunnelWriter::new(tunnels as usize, secret)?;
    for (number, teid) in (0..).zip(aimed_teids()) {
        let row = Row {
            end: FTeid { address: Address::v4(sessions::UPF), teid },
            flags: RowFlags::UE_V4.or(RowFlags::LOCAL).or(RowFlags::CHECKED),
            since: Nanos(0),
            until: Nanos::MAX,
            session: number,
            ue4: aimed_user(number),
            ue6: 0,
        };
        writer.insert(row).map_err(|TableFull| {
            anyhow::anyhow!("only {number} of {AIMED} tunnels find room where they meet")
        })?;
    }
    lookup::read_by_one(&writer)
}

/// The mix's frames, all uplink, in those tunnels; their user is the row's.
fn aimed_tunnels(frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let teids = aimed_teids();
    let mut draw = Draw::new(17);
    let mut aimed = Vec::with_capacity(frames.len());
    let uplink: Vec<_> = frames.iter().filter(|frame| frame[TEID_AT + 3] % 2 == 0).collect();
    for n in 0..frames.len() {
        let mut frame = uplink[n % uplink.len()].clone();
        let number = draw.below(AIMED as u32);
        let teid = teids[number as usize];
        frame[TEID_AT..TEID_AT + 4].copy_from_slice(&teid.to_be_bytes());
        frame[INNER_AT + 12..INNER_AT + 16].copy_from_slice(&aimed_user(number).to_be_bytes());
        sum(&mut frame, INNER_AT);
        aimed.push(frame);
    }
    aimed
}

/// The user of the n-th aimed tunnel.
fn aimed_user(number: u32) -> u32 {
    0x0a3c_0001 + number
}

/// Flows of UDP from a gNB to strangers that are as wanted.
fn drawn_flows(is_wanted: impl Fn(&FlowKey) -> bool) -> Vec<FlowKey> {
    let mut draw = Draw::new(23);
    let gnb = Address::v4(sessions::GNB);
    let candidates = std::iter::repeat_with(|| FlowKey {
        low: gnb,
        high: Address::v4((0xc633_6400 | draw.below(256)).to_be_bytes()),
        low_port: 1_024 + draw.below(60_000) as u16,
        high_port: 10_000 + draw.below(50_000) as u16,
        protocol: 17,
        fragments: false,
    });
    candidates.filter(is_wanted).take(AIMED).collect()
}

/// Small datagrams of these flows.
fn strangers(count: usize, flows: &[FlowKey]) -> Vec<Vec<u8>> {
    let mut draw = Draw::new(29);
    let frame = |flow: &FlowKey| {
        let mut frame = vec![2, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 1, 8, 0];
        frame.extend([0x45, 0, 0, 60, 0, 0, 0x40, 0, 64, 17, 0, 0]);
        for end in [flow.low, flow.high] {
            frame.extend(Ipv4Addr::from_bits(end.0 as u32).octets());
        }
        for word in [flow.low_port, flow.high_port, 40, 0] {
            frame.extend(word.to_be_bytes());
        }
        frame.resize(IP_AT + 60, 0);
        sum(&mut frame, IP_AT);
        frame
    };
    (0..count).map(|_| frame(&flows[draw.below(flows.len() as u32) as usize])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_engine::time::REPLAY_SLICE;

    use crate::traffic;

    const TUNNELS: u32 = 2_000;
    const FRAMES: usize = 4_096;
    const G_PDU: usize = 6;

    /// Errors, G-PDUs and those whose tunnel was found, each per frame.
    fn seen(hostile: Hostile) -> (f64, f64, f64) {
        let traffic = hostile.traffic(TUNNELS, FRAMES);
        let rules = Arc::new(traffic::rules().unwrap());
        let mut run = hostile.run(&traffic, rules).unwrap();
        let mut frames = traffic.arrivals();
        assert!(frames.len() >= FRAMES, "{} frames", frames.len());
        run.engine_pass(&frames);
        // Another slice, so that the first is closed and judged.
        let first: Vec<_> = frames.drain(..1).collect();
        let mut last = first;
        last[0].meta.time.0 += REPLAY_SLICE.0;
        run.engine_pass(&last);
        run.judge();
        let words = run.tally().words();
        let share = |count: u64| count as f64 / (frames.len() + 2) as f64;
        let errors = share(words.decode_errors.iter().sum());
        let g_pdus = share(words.gtpu_messages[G_PDU]);
        (errors, g_pdus, share(run.attributed()))
    }

    #[test]
    fn every_kind_is_what_it_says() {
        for &hostile in Hostile::value_variants() {
            let (errors, g_pdus, found) = seen(hostile);
            let said = format!("{hostile:?}: {errors} errors, {g_pdus} G-PDUs, {found} found");
            let is_near = |share: f64, wanted: f64| (share - wanted).abs() < 0.02;
            let holds = match hostile {
                Hostile::Errors => is_near(errors, 1.0),
                Hostile::OuterFragments => errors == 0.0 && is_near(found, 1.0),
                Hostile::LaterFragments => errors == 0.0 && g_pdus == 0.0,
                Hostile::Orphans => is_near(g_pdus, 1.0) && found == 0.0,
                Hostile::DrawnFlows | Hostile::AimedFlows => errors == 0.0 && g_pdus == 0.0,
                _ => is_near(errors, 0.0) && is_near(g_pdus, 1.0) && is_near(found, 1.0),
            };
            assert!(holds, "{said}");
            println!("{said}");
        }
    }

    #[test]
    fn keys_meet_where_the_secret_is_known_and_nowhere_else() {
        let known = aimed_table(100_000, GUESS).unwrap_err().to_string();
        assert!(known.contains("find room where they meet"), "{known}");
        aimed_table(100_000, SignallingSetup::default().secret).unwrap();
        let flows = drawn_flows(|key| key.hash(GUESS) % FLOW_PLACES == 0);
        let places: std::collections::BTreeSet<_> =
            flows.iter().map(|key| key.hash(GUESS ^ 1) % FLOW_PLACES).collect();
        assert!(places.len() > AIMED * 95 / 100, "{} places", places.len());
    }
}
