//! Which users' packets are sampled for proof: the same ones at every tap, and nobody who does
//! not know the site's secret can tell which.
//!
//! The choice rests on octets that neither a router nor a NAT changes: an IPv4 packet's
//! identification, length and protocol, and eight octets behind its ports: TCP's sequence and
//! acknowledgement numbers, else the beginning of what follows a UDP header. Checksums, hop
//! limits, addresses and ports are left out.

use crate::decode::protocol;
use crate::keyed_hash::fold;

/// One of so many packets is chosen, as a power of two.
const RARITY: u32 = 8;

/// IPv4's fixed header and UDP's.
const IPV4: usize = 20;
const UDP: usize = 8;
/// Where TCP's sequence number stands.
const SEQUENCE: usize = 4;

/// The choice under a secret.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sampler {
    secret: u64,
    multiplier: u64,
}

impl Sampler {
    pub(crate) fn new(secret: u64) -> Self {
        Self { secret, multiplier: secret.rotate_left(32) ^ 0x9e37_79b9_7f4a_7c15 | 1 }
    }

    /// Whether an IP packet is chosen, whose transport header stands at `transport` of it. What
    /// is behind its end, or the capture's, counts as zero; what a link pads or appends is to be
    /// taken off before.
    pub(crate) fn chooses(&self, packet: &[u8], transport: usize) -> bool {
        let Some(header) = packet.first_chunk::<IPV4>() else { return false };
        let (shape, kind) = if header[0] >> 4 == 4 {
            (u32::from_be_bytes([header[2], header[3], header[4], header[5]]), header[9])
        } else {
            // Payload length and flow label.
            let [flow_high, flow_low] = [header[2], header[3]];
            (u32::from_be_bytes([header[4], header[5], flow_high, flow_low]), header[6])
        };
        self.chooses_by(shape, kind, packet.get(transport..).unwrap_or_default())
    }

    /// The same by an IPv4 packet's length and identification, its protocol, and what stands
    /// from its transport header on: nothing of what is behind its end is read if that is 16 octets
    /// or more, 12 of TCP.
    #[inline]
    pub(crate) fn chooses_by(&self, shape: u32, kind: u8, transport: &[u8]) -> bool {
        // No branch could foretell which: users speak both as they like.
        let behind = UDP - usize::from(kind == protocol::TCP) * (UDP - SEQUENCE);
        let content = match transport.get(behind..).and_then(|octets| octets.first_chunk()) {
            Some(octets) => u64::from_be_bytes(*octets),
            None => short(transport.get(behind..).unwrap_or_default()),
        };
        // Who knows neither secret can't make the two cancel each other.
        let shape = (u64::from(shape) << 8 | u64::from(kind)).wrapping_mul(self.multiplier);
        fold(self.secret ^ content ^ shape, self.multiplier) >> (u64::BITS - RARITY) == 0
    }
}

/// Fewer than eight octets, and zeros behind them.
#[cold]
fn short(octets: &[u8]) -> u64 {
    let mut padded = [0; 8];
    padded.iter_mut().zip(octets).for_each(|(to, octet)| *to = *octet);
    u64::from_be_bytes(padded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(n: u32, kind: u8) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 60];
        packet.extend((n as u16).to_be_bytes());
        packet.extend([0x40, 0, 64, kind, 1, 2, 10, 60, 0, 1, 192, 0, 2, 7]);
        packet.extend([0x9c, 0x40, 1, 187]);
        let mut rest = [0; 36];
        rest[..4].copy_from_slice(&n.wrapping_mul(0x9e37_79b9).to_be_bytes());
        rest[4..8].copy_from_slice(&n.wrapping_mul(0x85eb_ca6b).to_be_bytes());
        packet.extend(rest);
        packet
    }

    #[test]
    fn one_of_256_is_chosen_and_another_secret_chooses_others() {
        for kind in [protocol::TCP, protocol::UDP] {
            let chosen = |secret| -> Vec<u32> {
                let sampler = Sampler::new(secret);
                (0..256_000).filter(|n| sampler.chooses(&packet(*n, kind), IPV4)).collect()
            };
            let (one, other) = (chosen(1), chosen(2));
            assert!((900..1_100).contains(&one.len()), "{}", one.len());
            assert!(one.iter().filter(|n| other.contains(n)).count() < 20);
        }
    }

    #[test]
    fn what_routers_and_nats_change_does_not_matter() {
        let sampler = Sampler::new(7);
        for n in 0..20_000 {
            let before = packet(n, protocol::TCP);
            let mut after = before.clone();
            // DSCP, hop limit and checksum, source address, both ports.
            for place in [1, 8, 10, 11, 12, 13, 14, 15, 20, 21, 22, 23] {
                after[place] ^= 0x5a;
            }
            assert_eq!(sampler.chooses(&before, IPV4), sampler.chooses(&after, IPV4));
        }
    }

    #[test]
    fn no_length_panics() {
        let packet = packet(1, protocol::UDP);
        for len in 0..packet.len() {
            for transport in [IPV4, len, 65_535] {
                Sampler::new(1).chooses(&packet[..len], transport);
            }
        }
    }
}
