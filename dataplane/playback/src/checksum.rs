//! Checksums of changed frames, mended by what changed (RFC 1624), so that a right one stays right
//! and a wrong one stays as wrong as it was.

use weir_wire::Layer;

use crate::trail::{Place, ip_before};

/// A part of the frame that was changed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    pub(crate) at: usize,
    pub(crate) len: usize,
}

/// Mends the checksums of every layer, the innermost first, since an outer one covers an inner
/// one's. `before` is the frame as it was.
pub(crate) fn mend(places: &[Place], before: &[u8], after: &mut [u8], changes: &mut Vec<Change>) {
    for (index, place) in places.iter().enumerate().rev() {
        let Some(at) = checksum_at(place, before) else { continue };
        let Some(old) = word(before, at) else { continue };
        // The sender computed none.
        if old == 0 && place.layer == Layer::Udp {
            continue;
        }
        let mut sum = u32::from(!old);
        let header_end = match place.layer {
            Layer::Ipv4 => place.start + header_len(before[place.start]),
            _ => place.end,
        };
        for change in changes.iter().filter(|change| change.at < header_end) {
            add(&mut sum, place.start, *change, before, after);
        }
        let has_pseudo_header = matches!(place.layer, Layer::Udp | Layer::Tcp | Layer::Icmpv6);
        if let Some(ip) = ip_before(places, index).filter(|_| has_pseudo_header) {
            // Of the header only addresses have changed yet: its own checksum comes later.
            let within = |change: &&Change| (ip.start..place.start).contains(&change.at);
            for change in changes.iter().filter(within) {
                add(&mut sum, ip.start, *change, before, after);
            }
        }
        let new = match !fold(sum) {
            0 if place.layer == Layer::Udp => 0xffff,
            new => new,
        };
        if new != old {
            after[at..at + 2].copy_from_slice(&new.to_be_bytes());
            changes.push(Change { at, len: 2 });
        }
    }
}

/// Where a layer's checksum stands, if it has one that is the Internet's.
fn checksum_at(place: &Place, bytes: &[u8]) -> Option<usize> {
    let offset = match place.layer {
        Layer::Ipv4 => 10,
        Layer::Udp => 6,
        Layer::Tcp => 16,
        Layer::Icmp | Layer::Icmpv6 => 2,
        Layer::Gre if bytes.get(place.start)? & 0x80 != 0 => 4,
        _ => return None,
    };
    let at = place.start + offset;
    (at + 2 <= place.end).then_some(at)
}

fn header_len(first_octet: u8) -> usize {
    usize::from(first_octet & 0x0f) * 4
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|octets| u16::from_be_bytes(*octets))
}

/// Adds what a change makes of a sum over what begins at `start`, if it lies in that.
fn add(sum: &mut u32, start: usize, change: Change, before: &[u8], after: &[u8]) {
    if change.at < start {
        return;
    }
    for at in change.at..change.at + change.len {
        let shift = if (at - start).is_multiple_of(2) { 8 } else { 0 };
        let less = !(u16::from(before[at]) << shift);
        *sum += u32::from(less) + (u32::from(after[at]) << shift);
        // Whole frames may change: no sum may overflow.
        *sum = (*sum & 0xffff) + (*sum >> 16);
    }
}

fn fold(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}
