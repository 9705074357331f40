//! The pcapng format (IETF draft-ietf-opsawg-pcapng): sections, interfaces with
//! their own link type and time resolution, enhanced, simple and old packets.

use weir_engine::Nanos;

use crate::format::{Found, Order, Step};
use crate::{LONGEST, LinkType};

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const OLD_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
const OPTION_TSRESOL: u16 = 9;
const OPTION_TSOFFSET: u16 = 14;
const NANOS: u64 = 1_000_000_000;

/// Type and length, before a block's body.
const HEAD: usize = 8;
/// The largest block that is believed.
const LARGEST_BLOCK: usize = 16 << 20;
/// The most interfaces of a section; more of them are damage.
const INTERFACES: usize = 65_536;

/// Whether a file begins with a section header block.
pub(crate) fn is_pcapng(file: &[u8]) -> bool {
    file.first_chunk().is_some_and(|magic| u32::from_be_bytes(*magic) == SECTION)
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    link_type: LinkType,
    snap_len: u32,
    /// Time stamp units per second.
    units: u64,
    offset_seconds: i64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Pcapng {
    order: Order,
    interfaces: Vec<Interface>,
    /// The time of the last packet that had one.
    last: Nanos,
}

impl Pcapng {
    #[inline]
    pub(crate) fn step(&mut self, window: &[u8]) -> Step {
        self.block(window).unwrap_or_else(Step::Damage)
    }

    #[inline]
    fn block(&mut self, window: &[u8]) -> Result<Step, &'static str> {
        let within = "the capture ends within a block";
        let more = |need| Ok(Step::More { need, within });
        let Some(kind) = window.first_chunk::<4>().filter(|_| window.len() >= HEAD) else {
            return more(HEAD);
        };
        let is_section = u32::from_be_bytes(*kind) == SECTION;
        let order = if is_section {
            let Some(magic) = window.get(HEAD..).and_then(<[u8]>::first_chunk) else {
                return more(HEAD + 4);
            };
            Order::ALL
                .into_iter()
                .find(|order| order.u32(*magic) == BYTE_ORDER)
                .ok_or("a section header without a byte order")?
        } else {
            self.order
        };
        let len = order.u32_at(window, 4).unwrap_or_default() as usize;
        if len < HEAD + 4 || !len.is_multiple_of(4) || len > LARGEST_BLOCK {
            return Err("a block claims an impossible length");
        }
        let Some(block) = window.get(..len) else { return more(len) };
        if order.u32_at(block, len - 4) != Some(len as u32) {
            return Err("a block's two lengths differ");
        }
        let body = block.get(HEAD..len - 4).unwrap_or_default();
        if is_section {
            self.order = order;
            self.interfaces.clear();
            return Ok(Step::Skip(len));
        }
        let found = match order.u32(*kind) {
            INTERFACE => {
                let interface = self.interface(body).ok_or("a short interface block")?;
                if self.interfaces.len() >= INTERFACES {
                    return Err("too many interfaces");
                }
                self.interfaces.push(interface);
                return Ok(Step::Skip(len));
            }
            ENHANCED_PACKET => self.packet(body, order.u32_at(body, 0))?,
            OLD_PACKET => self.packet(body, order.u16_at(body, 0).map(u32::from))?,
            SIMPLE_PACKET => self.simple(body)?,
            _ => return Ok(Step::Skip(len)),
        };
        Ok(Step::Packet(Found { start: HEAD + found.start, consumed: len, ..found }))
    }

    fn interface(&self, body: &[u8]) -> Option<Interface> {
        let mut interface = Interface {
            link_type: LinkType::from_code(self.order.u16_at(body, 0)?),
            snap_len: self.order.u32_at(body, 4)?,
            units: 1_000_000,
            offset_seconds: 0,
        };
        let mut options = body.get(8..)?;
        while let (Some(code), Some(len)) =
            (self.order.u16_at(options, 0), self.order.u16_at(options, 2))
        {
            let len = usize::from(len);
            let value = options.get(4..4 + len)?;
            match (code, value) {
                (0, _) => break,
                (OPTION_TSRESOL, [exponent, ..]) => interface.units = resolution(*exponent),
                (OPTION_TSOFFSET, value) => {
                    if let Some(bytes) = value.first_chunk() {
                        interface.offset_seconds = self.order.i64(*bytes);
                    }
                }
                _ => {}
            }
            options = options.get(4 + len.next_multiple_of(4)..).unwrap_or_default();
        }
        Some(interface)
    }

    fn known(&self, id: Option<u32>) -> Result<&Interface, &'static str> {
        id.and_then(|id| self.interfaces.get(id as usize)).ok_or("a packet of an unknown interface")
    }

    /// An enhanced or an old packet: behind the interface's number, and in the
    /// old one a count of drops, the two share a layout.
    #[inline]
    fn packet(&mut self, body: &[u8], id: Option<u32>) -> Result<Found, &'static str> {
        const FIXED: usize = 20;
        let interface = self.known(id)?;
        let fixed = body.first_chunk::<FIXED>().ok_or("a short packet block")?;
        let word = |i: usize| self.order.u32([fixed[i], fixed[i + 1], fixed[i + 2], fixed[i + 3]]);
        let stamp = u64::from(word(4)) << 32 | u64::from(word(8));
        let (captured, wire_len) = (word(12) as usize, word(16));
        let (time, link_type) = (interface.time(stamp), interface.link_type);
        self.last = time;
        found(body, FIXED, captured, wire_len.max(captured as u32), time, link_type)
    }

    /// A simple packet belongs to the first interface. It has no time stamp, and
    /// counts as captured with the packet before it, so that time does not leap.
    fn simple(&self, body: &[u8]) -> Result<Found, &'static str> {
        let interface = self.known(Some(0))?;
        let wire_len = self.order.u32_at(body, 0).ok_or("a short packet block")?;
        let limit = if interface.snap_len == 0 { u32::MAX } else { interface.snap_len };
        found(body, 4, wire_len.min(limit) as usize, wire_len, self.last, interface.link_type)
    }
}

/// A packet of `len` bytes at `start` of its block's body, if they are there.
#[inline]
fn found(
    body: &[u8],
    start: usize,
    len: usize,
    wire_len: u32,
    time: Nanos,
    link_type: LinkType,
) -> Result<Found, &'static str> {
    if len > LONGEST || body.len() - start < len {
        return Err("a packet is longer than its block");
    }
    Ok(Found { start, len, consumed: 0, wire_len, time, link_type })
}

/// Units per second of an if_tsresol octet: a power of 10, or of 2 with the
/// top bit set. What no clock has counts as nanoseconds.
fn resolution(exponent: u8) -> u64 {
    let power = u32::from(exponent & 0x7f);
    let base: u64 = if exponent & 0x80 == 0 { 10 } else { 2 };
    base.checked_pow(power).unwrap_or(NANOS)
}

impl Interface {
    #[inline]
    fn time(&self, stamp: u64) -> Nanos {
        let (seconds, rest) = (stamp / self.units, stamp % self.units);
        let fraction = match rest.checked_mul(NANOS) {
            Some(nanos) => nanos / self.units,
            // Less than a second, as `rest` is less than `units`.
            None => (u128::from(rest) * u128::from(NANOS) / u128::from(self.units)) as u64,
        };
        let seconds = seconds.saturating_add_signed(self.offset_seconds);
        Nanos(seconds.saturating_mul(NANOS).saturating_add(fraction))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reader;

    fn block(kind: u32, body: &[u8]) -> Vec<u8> {
        let padded = body.len().next_multiple_of(4);
        let len = (padded + 12) as u32;
        let mut block = kind.to_le_bytes().to_vec();
        block.extend(len.to_le_bytes());
        block.extend(body);
        block.resize(8 + padded, 0);
        block.extend(len.to_le_bytes());
        block
    }

    fn section() -> Vec<u8> {
        let mut body = BYTE_ORDER.to_le_bytes().to_vec();
        body.extend([1, 0, 0, 0]);
        body.extend(u64::MAX.to_le_bytes());
        block(SECTION, &body)
    }

    fn interface(link_type: u16, exponent: u8) -> Vec<u8> {
        let mut body = link_type.to_le_bytes().to_vec();
        body.extend([0, 0, 0, 0, 0, 0, 9, 0, 1, 0, exponent, 0, 0, 0]);
        block(INTERFACE, &body)
    }

    fn packet(interface: u32, stamp: u64, bytes: &[u8]) -> Vec<u8> {
        let mut body = interface.to_le_bytes().to_vec();
        body.extend(((stamp >> 32) as u32).to_le_bytes());
        body.extend((stamp as u32).to_le_bytes());
        body.extend((bytes.len() as u32).to_le_bytes());
        body.extend(1_500_u32.to_le_bytes());
        body.extend(bytes);
        block(ENHANCED_PACKET, &body)
    }

    fn sample() -> Vec<u8> {
        [
            section(),
            interface(1, 9),
            interface(113, 0x80 | 10),
            packet(0, 5_000_000_007, b"abc"),
            block(0x0bad_cafe, b"unknown block"),
            packet(1, 5 * 1024 + 512, b"defgh"),
        ]
        .concat()
    }

    #[test]
    fn interfaces_have_their_own_link_type_and_resolution() {
        let file = sample();
        let packets: Vec<_> = Reader::open(&file).unwrap().map(Result::unwrap).collect();
        assert_eq!(packets.len(), 2);
        assert_eq!((packets[0].bytes, packets[0].time), (&b"abc"[..], Nanos(5_000_000_007)));
        assert_eq!((packets[1].bytes, packets[1].time), (&b"defgh"[..], Nanos(5_500_000_000)));
        assert_eq!(packets[1].link_type, LinkType::Sll);
        assert_eq!(&file[packets[1].offset..][..5], b"defgh");
    }

    #[test]
    fn every_cut_ends_in_damage_or_between_blocks() {
        let file = sample();
        let ends: Vec<usize> = {
            let mut ends = vec![0];
            while let Some(&at) = ends.last().filter(|at| **at < file.len()) {
                ends.push(at + Order::Little.u32_at(&file, at + 4).unwrap() as usize);
            }
            ends
        };
        for end in 4..file.len() {
            let last = Reader::open(&file[..end]).unwrap().last();
            let is_damaged = matches!(last, Some(Err(_)));
            assert_eq!(is_damaged, !ends.contains(&end), "cut at {end}");
        }
    }

    #[test]
    fn packets_of_unknown_interfaces_and_lying_blocks_are_damage() {
        let orphan = [section(), packet(0, 1, b"abc")].concat();
        assert!(Reader::open(&orphan).unwrap().next().unwrap().is_err());
        let mut lying = sample();
        let last = lying.len() - 1;
        lying[last] ^= 1;
        assert!(Reader::open(&lying).unwrap().last().unwrap().is_err());
        assert_eq!(resolution(0x7f), 1_000_000_000);
    }
}
