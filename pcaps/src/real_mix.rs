//! G-PDUs of the sizes that real user planes show, for measuring: about 800 octets a frame in the
//! mean, most of them downlink, TCP and UDP, between several gNBs and UPFs, some users on IPv6.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::chance::Chance;
use crate::frame::{self, MacAddr, Route, Segment};
use crate::gtpu::{self, Container, Direction};

/// gNBs, 10.0.0.1 and on.
pub const GNBS: u32 = 8;
/// UPFs, 10.0.1.1 and on.
pub const UPFS: u32 = 2;

const FIRST_USER: u32 = 0x0a3c_0001;
/// One session in so many has a user on IPv6.
const SIX_EVERY: u32 = 4;

const DOWNLINK_SHARE: f64 = 0.6;
const TCP_SHARE: f64 = 0.6;
const ACK: u8 = 0x10;
const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const TCP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;
const HTTPS: u16 = 443;

/// Sizes of inner packets, octets: of a hundred packets so many are between these two.
type Sizes = [(u64, (u64, u64)); 3];
const DOWNLINK: Sizes = [(66, (1_400, 1_400)), (17, (100, 1_000)), (17, (64, 100))];
const UPLINK: Sizes = [(72, (64, 100)), (16, (100, 1_000)), (12, (1_400, 1_400))];

/// A PDU session: tunnel `2 n` leads uplink to its UPF, tunnel `2 n - 1` downlink to its gNB.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Session {
    /// Its gNB.
    pub gnb: Ipv4Addr,
    /// Its UPF, on N3.
    pub upf: Ipv4Addr,
    /// Its user; of IPv6, one address of the session's /64.
    pub user: IpAddr,
}

/// The session of that number, from 1.
#[must_use]
pub fn session(number: u32) -> Session {
    let node = |network: u8, number: u32| Ipv4Addr::new(10, 0, network, number as u8 + 1);
    let user = if number.is_multiple_of(SIX_EVERY) {
        let [high, low] = [number >> 16, number & 0xffff].map(|word| word as u16);
        Ipv6Addr::new(0x2001, 0xdb8, high, low, 0, 0, 0, 0x10).into()
    } else {
        Ipv4Addr::from_bits(FIRST_USER.wrapping_add(number - 1)).into()
    };
    Session { gnb: node(0, number % GNBS), upf: node(1, number / GNBS % UPFS), user }
}

/// Ethernet frames of G-PDUs: `count` of them over `tunnels` tunnels, even ones uplink and odd ones
/// downlink, with the TEIDs `1..=tunnels`. The same arguments give the same bytes.
///
/// # Panics
/// If there are fewer than two tunnels.
#[must_use]
pub fn frames(tunnels: u32, count: usize, seed: u64) -> Vec<Vec<u8>> {
    assert!(tunnels >= 2, "a session has two tunnels");
    let mut chance = Chance::new(seed, 1);
    (0..count).map(|_| g_pdu(tunnels / 2, &mut chance)).collect()
}

fn g_pdu(sessions: u32, chance: &mut Chance) -> Vec<u8> {
    let number = chance.below(sessions.into()) as u32 + 1;
    let Session { gnb, upf, user } = session(number);
    let is_downlink = chance.happens(DOWNLINK_SHARE);
    let len = size(if is_downlink { &DOWNLINK } else { &UPLINK }, chance);
    let server = server(user, chance);
    let port = 32_768 + chance.below(16_384) as u16;
    let (route, ports) = if is_downlink {
        (Route::new(server, user), (HTTPS, port))
    } else {
        (Route::new(user, server), (port, HTTPS))
    };
    let packet = packet(&route, ports, len, chance);
    let (teid, direction, from, to) = if is_downlink {
        (2 * number - 1, Direction::Downlink, upf, gnb)
    } else {
        (2 * number, Direction::Uplink, gnb, upf)
    };
    let message = gtpu::g_pdu(teid, None, Container { direction, qfi: 9, rqi: false }, &packet);
    let outer = Route::new(from.into(), to.into());
    let datagram = frame::udp(&outer, gtpu::PORT, gtpu::PORT, &message);
    frame::ethernet_ip(mac(from), mac(to), &datagram)
}

/// One of a few thousand servers, of the user's family.
fn server(user: IpAddr, chance: &mut Chance) -> IpAddr {
    let number = chance.below(4_096) as u16;
    match user {
        IpAddr::V4(_) => Ipv4Addr::from_bits(0xc612_0000 | u32::from(number)).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0x2600, 0x1900, 0, 0, 0, 0, 0, number).into(),
    }
}

fn packet(route: &Route, (sport, dport): (u16, u16), len: usize, chance: &mut Chance) -> Vec<u8> {
    let header = if route.src.is_ipv4() { IPV4_HEADER } else { IPV6_HEADER };
    if chance.happens(TCP_SHARE) {
        let payload = chance.bytes(len.saturating_sub(header + TCP_HEADER));
        let [sequence, acknowledgement] = [chance.u32(), chance.u32()];
        let payload = &payload[..];
        let segment = Segment { sport, dport, sequence, acknowledgement, flags: ACK, payload };
        frame::tcp(route, &segment)
    } else {
        let mut payload = chance.bytes(len.saturating_sub(header + UDP_HEADER));
        // A QUIC short header, so that no decoder's guess takes the noise for a protocol.
        if let Some(first) = payload.first_mut() {
            *first = 0x60 | (*first & 0x1f);
        }
        frame::udp(route, sport, dport, &payload)
    }
}

fn size(sizes: &Sizes, chance: &mut Chance) -> usize {
    let mut drawn = chance.below(100);
    for (share, (low, high)) in sizes {
        if drawn < *share {
            return chance.between(*low, *high) as usize;
        }
        drawn -= share;
    }
    unreachable!("the shares of a direction's sizes are a hundred")
}

fn mac(node: Ipv4Addr) -> MacAddr {
    let [_, _, network, host] = node.octets();
    MacAddr::new(0x02, 0, 0, 0, network, host)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEID_AT: usize = 46;
    const INNER_AT: usize = 58;

    #[test]
    fn the_mix_has_the_sizes_and_shares_of_a_user_plane() {
        let mix = frames(2_000, 20_000, 7);
        assert_eq!(mix, frames(2_000, 20_000, 7));
        let mean = mix.iter().map(Vec::len).sum::<usize>() / mix.len();
        assert!((760..840).contains(&mean), "{mean} octets in the mean");
        let share = |is: &dyn Fn(&Vec<u8>) -> bool| {
            mix.iter().filter(|frame| is(frame)).count() as f64 / mix.len() as f64
        };
        let downlink = share(&|frame| frame[TEID_AT + 3] % 2 == 1);
        assert!((0.58..0.62).contains(&downlink), "{downlink}");
        let six = share(&|frame| frame[INNER_AT] >> 4 == 6);
        assert!((0.23..0.27).contains(&six), "{six}");
        let tcp =
            share(&|frame| frame[INNER_AT + if frame[INNER_AT] >> 4 == 6 { 6 } else { 9 }] == 6);
        assert!((0.58..0.62).contains(&tcp), "{tcp}");
    }

    #[test]
    fn every_pair_of_nodes_carries_its_own_sessions_tunnels() {
        let mut pairs = std::collections::BTreeSet::new();
        for frame in frames(2_000, 5_000, 7) {
            let teid = u32::from_be_bytes(frame[TEID_AT..TEID_AT + 4].try_into().unwrap());
            let Session { gnb, upf, .. } = session(teid.div_ceil(2));
            let ends = if teid % 2 == 0 { [gnb, upf] } else { [upf, gnb] };
            assert_eq!(frame[26..34], ends.map(|end| end.octets()).concat());
            pairs.insert((gnb, upf));
        }
        assert_eq!(pairs.len(), 16, "each of eight gNBs with both UPFs");
    }
}
