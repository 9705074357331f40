//! The pcapng format (IETF draft-ietf-opsawg-pcapng): sections, interfaces with
//! their own link type and time resolution, enhanced, simple and old packets.

use super::{Damage, LONGEST, LinkType, Order, Packet};
use weir_engine::Nanos;

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const OLD_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
const OPTION_TSRESOL: u16 = 9;
const OPTION_TSOFFSET: u16 = 14;

/// The largest block that is believed.
const LARGEST_BLOCK: usize = 16 << 20;
/// The most interfaces of a section; more of them are damage.
const INTERFACES: usize = 65_536;

/// Whether a file begins with a section header block.
pub(super) fn is_pcapng(file: &[u8]) -> bool {
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

#[derive(Clone, Debug)]
pub(super) struct Pcapng<'a> {
    file: &'a [u8],
    at: usize,
    order: Order,
    interfaces: Vec<Interface>,
}

impl<'a> Pcapng<'a> {
    pub(super) fn new(file: &'a [u8]) -> Self {
        Self { file, at: 0, order: Order::Little, interfaces: Vec::new() }
    }

    #[inline]
    pub(super) fn next(&mut self) -> Option<Result<Packet<'a>, Damage>> {
        while self.at < self.file.len() {
            match self.block() {
                Ok(Some(packet)) => return Some(Ok(packet)),
                Ok(None) => {}
                Err(damage) => {
                    self.at = self.file.len();
                    return Some(Err(damage));
                }
            }
        }
        None
    }

    fn block(&mut self) -> Result<Option<Packet<'a>>, Damage> {
        let start = self.at;
        let damage = |what| Damage { offset: start, what };
        let rest = &self.file[start..];
        let cut = damage("the file ends within a block");
        let kind = *rest.first_chunk::<4>().ok_or(cut)?;
        if u32::from_be_bytes(kind) == SECTION {
            self.section(rest).ok_or(damage("a section header without a byte order"))?;
        }
        let len = self.order.u32_at(rest, 4).ok_or(cut)? as usize;
        if len < 12 || !len.is_multiple_of(4) || len > LARGEST_BLOCK {
            return Err(damage("a block claims an impossible length"));
        }
        let block = rest.get(..len).ok_or(cut)?;
        if self.order.u32_at(block, len - 4) != Some(len as u32) {
            return Err(damage("a block's two lengths differ"));
        }
        self.at += len;
        let body = &block[8..len - 4];
        match self.order.u32(kind) {
            INTERFACE => {
                let interface = self.interface(body).ok_or(damage("a short interface block"))?;
                if self.interfaces.len() >= INTERFACES {
                    return Err(damage("too many interfaces"));
                }
                self.interfaces.push(interface);
                Ok(None)
            }
            ENHANCED_PACKET => {
                let id = self.order.u32_at(body, 0);
                self.packet(start, body, id, 4).map(Some)
            }
            OLD_PACKET => {
                let id = self.order.u16_at(body, 0).map(u32::from);
                self.packet(start, body, id, 4).map(Some)
            }
            SIMPLE_PACKET => self.simple(start, body).map(Some),
            _ => Ok(None),
        }
    }

    fn section(&mut self, block: &[u8]) -> Option<()> {
        let magic = *block.get(8..)?.first_chunk::<4>()?;
        self.order =
            [Order::Little, Order::Big].into_iter().find(|order| order.u32(magic) == BYTE_ORDER)?;
        self.interfaces.clear();
        Some(())
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
                    if let Some(bytes) = value.first_chunk::<8>() {
                        interface.offset_seconds = match self.order {
                            Order::Little => i64::from_le_bytes(*bytes),
                            Order::Big => i64::from_be_bytes(*bytes),
                        };
                    }
                }
                _ => {}
            }
            options = options.get(4 + len.next_multiple_of(4)..).unwrap_or_default();
        }
        Some(interface)
    }

    fn known(&self, start: usize, id: Option<u32>) -> Result<Interface, Damage> {
        id.and_then(|id| self.interfaces.get(id as usize))
            .copied()
            .ok_or(Damage { offset: start, what: "a packet of an unknown interface" })
    }

    /// An enhanced or an old packet: behind `fixed` bytes the two share a layout.
    fn packet(
        &self,
        start: usize,
        body: &'a [u8],
        id: Option<u32>,
        fixed: usize,
    ) -> Result<Packet<'a>, Damage> {
        let interface = self.known(start, id)?;
        let short = Damage { offset: start, what: "a short packet block" };
        let word = |i: usize| self.order.u32_at(body, fixed + i * 4).ok_or(short);
        let stamp = u64::from(word(0)?) << 32 | u64::from(word(1)?);
        let (captured, wire_len) = (word(2)? as usize, word(3)?);
        let bytes = body
            .get(fixed + 16..)
            .and_then(|rest| rest.get(..captured))
            .filter(|bytes| bytes.len() <= LONGEST)
            .ok_or(Damage { offset: start, what: "a packet is longer than its block" })?;
        Ok(Packet {
            bytes,
            offset: start + 8 + fixed + 16,
            wire_len: wire_len.max(captured as u32),
            time: interface.time(stamp),
            link_type: interface.link_type,
        })
    }

    /// A simple packet has no time stamp and belongs to the first interface.
    fn simple(&self, start: usize, body: &'a [u8]) -> Result<Packet<'a>, Damage> {
        let interface = self.known(start, Some(0))?;
        let short = Damage { offset: start, what: "a short packet block" };
        let wire_len = self.order.u32_at(body, 0).ok_or(short)?;
        let limit = if interface.snap_len == 0 { u32::MAX } else { interface.snap_len };
        let captured = wire_len.min(limit) as usize;
        let bytes = body
            .get(4..)
            .and_then(|rest| rest.get(..captured))
            .filter(|bytes| bytes.len() <= LONGEST)
            .ok_or(Damage { offset: start, what: "a packet is longer than its block" })?;
        let time = Nanos(0);
        Ok(Packet { bytes, offset: start + 12, wire_len, time, link_type: interface.link_type })
    }
}

/// Units per second of an if_tsresol octet: a power of 10, or of 2 with the
/// top bit set. What no clock has counts as nanoseconds.
fn resolution(exponent: u8) -> u64 {
    let power = u32::from(exponent & 0x7f);
    let base: u64 = if exponent & 0x80 == 0 { 10 } else { 2 };
    base.checked_pow(power).unwrap_or(1_000_000_000)
}

impl Interface {
    fn time(&self, stamp: u64) -> Nanos {
        let seconds = stamp / self.units;
        let fraction = u128::from(stamp % self.units) * 1_000_000_000 / u128::from(self.units);
        let seconds = seconds.saturating_add_signed(self.offset_seconds);
        Nanos(seconds.saturating_mul(1_000_000_000).saturating_add(fraction as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Reader;
    use super::*;

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
        assert_eq!(packets[1].link_type, LinkType::Other(113));
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
