//! The least that an inspection must do: a walk over the headers of a G-PDU,
//! every access checked, keeping nothing. What the engine costs is said as a
//! multiple of it.

use weir_engine::Frame;
use weir_engine::frame::BURST;
use weir_mem::prefetch_slice;

/// Walks all frames in bursts as the engine does, with the same prefetches, and
/// gives a number that depends on every field that was read.
#[inline(never)]
pub fn walk_pass(frames: &[Frame<'_>]) -> u64 {
    const AHEAD: usize = 4;
    let mut digest = 0;
    for burst in frames.chunks(BURST) {
        for (i, frame) in burst.iter().enumerate() {
            if let Some(next) = burst.get(i + AHEAD) {
                prefetch_slice(next.bytes, 0);
                prefetch_slice(next.bytes, 64);
            }
            digest ^= walk(frame.bytes).unwrap_or(1);
        }
    }
    digest
}

/// Ethernet, IPv4, UDP, GTP-U, its extension headers, and the addresses inside;
/// none where a header is not what a G-PDU of the mix has, or is cut.
#[inline]
pub fn walk(frame: &[u8]) -> Option<u64> {
    let (ethernet, rest) = frame.split_first_chunk::<14>()?;
    if ethernet[12..] != [0x08, 0x00] {
        return None;
    }
    let (source, destination, protocol, rest) = ipv4(rest)?;
    let (udp, rest) = rest.split_first_chunk::<8>()?;
    if protocol != 17 || u16::from_be_bytes([udp[2], udp[3]]) != 2152 {
        return None;
    }
    let (gtpu, mut rest) = rest.split_first_chunk::<8>()?;
    if gtpu[0] & 0xf0 != 0x30 || gtpu[1] != 255 {
        return None;
    }
    if gtpu[0] & 0x07 != 0 {
        let (optional, behind) = rest.split_first_chunk::<4>()?;
        rest = behind;
        let mut next = if gtpu[0] & 0x04 != 0 { optional[3] } else { 0 };
        while next != 0 {
            let len = usize::from(*rest.first()?) * 4;
            let (extension, behind) = rest.split_at_checked(len)?;
            next = *extension.last()?;
            rest = behind;
        }
    }
    let teid = u32::from_be_bytes([gtpu[4], gtpu[5], gtpu[6], gtpu[7]]);
    let (inner_source, inner_destination, ..) = ipv4(rest)?;
    let addresses = source ^ destination.rotate_left(8) ^ inner_source ^ inner_destination;
    Some(u64::from(teid) << 32 | u64::from(addresses))
}

#[inline]
fn ipv4(bytes: &[u8]) -> Option<(u32, u32, u8, &[u8])> {
    let (fixed, rest) = bytes.split_first_chunk::<20>()?;
    if fixed[0] >> 4 != 4 {
        return None;
    }
    let rest = rest.get((usize::from(fixed[0] & 0x0f) * 4).checked_sub(20)?..)?;
    let address =
        |at: usize| u32::from_be_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
    Some((address(12), address(16), fixed[9], rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::Traffic;

    #[test]
    fn the_walk_reaches_the_inner_addresses_of_every_frame() {
        let traffic = Traffic::imix(16, 1_000);
        for frame in traffic.arrivals() {
            let before = walk(frame.bytes).unwrap();
            let mut other = frame.bytes.to_vec();
            // The inner destination stands behind 14 + 20 + 8 + 8 + 4 + 4 octets and 16 of its own.
            other[74] ^= 1;
            assert_ne!(walk(&other).unwrap(), before);
            for len in 0..78 {
                assert_eq!(walk(&frame.bytes[..len]), None, "cut to {len}");
            }
        }
    }
}
