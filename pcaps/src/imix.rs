//! An Internet mix of G-PDUs, for measuring: nothing but N3, every tunnel in turn.

use std::net::{IpAddr, Ipv4Addr};

use crate::chance::Chance;
use crate::frame::{self, MacAddr, Route};
use crate::gtpu::{self, Container, Direction};
use crate::plan::Link;
use crate::scenario::Role;
use crate::stage::{Actor, Micros, Stage};

/// Lengths of the inner packets in their relation of 7 : 4 : 1, spread over twelve packets. The
/// frames around them have 122, 628 and 1,458 octets, 402 in the mean.
const INNER: [usize; 12] = [64, 570, 64, 64, 570, 64, 1_400, 64, 570, 64, 570, 64];
/// The least that a packet of the mix has.
const SMALL: [usize; 1] = [64];
const IP_UDP: usize = 28;

/// Ethernet frames of G-PDUs between one gNB (10.0.0.1) and one UPF (10.0.1.1): `count` of them
/// over `tunnels` tunnels, even ones uplink and odd ones downlink, with the TEIDs `1..=tunnels`.
/// The same arguments give the same bytes.
///
/// # Panics
/// If `tunnels` is 0.
#[must_use]
pub fn frames(tunnels: u32, count: usize, seed: u64) -> Vec<Vec<u8>> {
    frames_of(&INNER, tunnels, count, seed)
}

/// The same where every inner packet has 64 octets, and every frame thus 122.
///
/// # Panics
/// If `tunnels` is 0.
#[must_use]
pub fn small_frames(tunnels: u32, count: usize, seed: u64) -> Vec<Vec<u8>> {
    frames_of(&SMALL, tunnels, count, seed)
}

fn frames_of(inner: &[usize], tunnels: u32, count: usize, seed: u64) -> Vec<Vec<u8>> {
    assert!(tunnels > 0, "an IMIX needs at least one tunnel");
    let gnb = (MacAddr::new(0x02, 0, 0, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 1));
    let upf = (MacAddr::new(0x02, 0, 0, 0, 1, 1), Ipv4Addr::new(10, 0, 1, 1));
    let mut chance = Chance::new(seed, 0);
    let frame = |n: usize| {
        let len = inner[n % inner.len()];
        let (teid, message) = g_pdu(len, tunnels, &mut chance, |number| {
            Ipv4Addr::from_bits(0x0a3c_0001u32.wrapping_add(number)).into()
        });
        let (from, to) = if teid.is_multiple_of(2) { (gnb, upf) } else { (upf, gnb) };
        let route = Route::new(from.1.into(), to.1.into());
        let packet = frame::udp(&route, gtpu::PORT, gtpu::PORT, &message);
        frame::ethernet_ip(from.0, to.0, &packet)
    };
    (0..count).map(frame).collect()
}

/// A message around a packet of `len` octets, and its TEID; even tunnels are uplink.
fn g_pdu(
    len: usize,
    tunnels: u32,
    chance: &mut Chance,
    subscriber: impl Fn(u32) -> IpAddr,
) -> (u32, Vec<u8>) {
    let teid = (chance.below(tunnels.into()) as u32) + 1;
    let uplink = teid.is_multiple_of(2);
    let ue = subscriber((teid - 1) / 2);
    let host = IpAddr::from(Ipv4Addr::new(198, 18, (teid >> 8) as u8, teid as u8));
    let (route, ports) = if uplink {
        (Route::new(ue, host), (40_000, 443))
    } else {
        (Route::new(host, ue), (443, 40_000))
    };
    let mut payload = chance.bytes(len - IP_UDP);
    // A QUIC short header, so that no decoder's guess takes the noise for a protocol.
    payload[0] = 0x60 | (payload[0] & 0x1f);
    let packet = frame::udp(&route, ports.0, ports.1, &payload);
    let direction = if uplink { Direction::Uplink } else { Direction::Downlink };
    (teid, gtpu::g_pdu(teid, None, Container { direction, qfi: 9, rqi: false }, &packet))
}

/// The mix as part of a scenario, evenly spaced over its time.
pub(crate) struct Mix {
    pub tunnels: u32,
    pub frames: u64,
    pub sent: u64,
    pub duration: Micros,
    pub chance: Chance,
}

impl Actor for Mix {
    fn wake(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        let plan = &stage.plan;
        let gnb = plan.nodes[plan.first(Role::Gnb, Link::N3)].on(Link::N3);
        let upf = plan.nodes[plan.first(Role::Upf, Link::N3)].on(Link::N3);
        // Several frames may fall into one microsecond.
        while self.sent < self.frames && self.due() <= now {
            let subscriber = |number| stage.plan.subscriber(number, false);
            let len = INNER[(self.sent % INNER.len() as u64) as usize];
            let (teid, message) = g_pdu(len, self.tunnels, &mut self.chance, subscriber);
            let ends = if teid.is_multiple_of(2) { (gnb, upf) } else { (upf, gnb) };
            stage.gtpu(now, ends, &message, None);
            self.sent += 1;
        }
        (self.sent < self.frames).then(|| self.due())
    }
}

impl Mix {
    fn due(&self) -> Micros {
        (u128::from(self.sent) * u128::from(self.duration) / u128::from(self.frames)) as Micros
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mix_has_its_sizes_and_repeats() {
        let mix = frames(1_000, 1_200, 7);
        let of = |length| mix.iter().filter(|frame| frame.len() == length).count();
        assert_eq!((of(122), of(628), of(1_458)), (700, 400, 100));
        assert_eq!(mix, frames(1_000, 1_200, 7));
        assert_ne!(mix, frames(1_000, 1_200, 8));
    }

    #[test]
    fn small_frames_are_all_alike_in_size() {
        assert!(small_frames(1_000, 100, 7).iter().all(|frame| frame.len() == 122));
    }

    #[test]
    fn tunnels_are_as_many_as_asked() {
        let teids: std::collections::BTreeSet<[u8; 4]> =
            frames(16, 2_000, 1).iter().map(|frame| frame[46..50].try_into().unwrap()).collect();
        assert_eq!(teids.len(), 16);
        assert_eq!(teids.last(), Some(&16u32.to_be_bytes()));
    }
}
