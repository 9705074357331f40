//! The classic pcap format: microseconds or nanoseconds, either byte order.

use super::{Damage, LONGEST, LinkType, Order, Packet};
use weir_engine::Nanos;

const MICROSECONDS: u32 = 0xa1b2_c3d4;
const NANOSECONDS: u32 = 0xa1b2_3c4d;
const HEADER: usize = 24;
const RECORD: usize = 16;

#[derive(Clone, Debug)]
pub(super) struct Pcap<'a> {
    file: &'a [u8],
    at: usize,
    order: Order,
    unit: u64,
    link_type: LinkType,
}

impl<'a> Pcap<'a> {
    pub(super) fn open(file: &'a [u8]) -> Result<Self, Damage> {
        let damage = |what| Damage { offset: 0, what };
        let header = file.first_chunk::<HEADER>().ok_or(damage(if file.is_empty() {
            "the file is empty"
        } else {
            "too short for a capture's header"
        }))?;
        let magic = [header[0], header[1], header[2], header[3]];
        let (order, unit) = [Order::Little, Order::Big]
            .into_iter()
            .find_map(|order| match order.u32(magic) {
                MICROSECONDS => Some((order, 1_000)),
                NANOSECONDS => Some((order, 1)),
                _ => None,
            })
            .ok_or(damage("neither pcap nor pcapng"))?;
        // The upper half may hold the length of a frame check sequence.
        let link_type = order.u32([header[20], header[21], header[22], header[23]]) as u16;
        Ok(Self { file, at: HEADER, order, unit, link_type: LinkType::from_code(link_type) })
    }

    #[inline]
    pub(super) fn next(&mut self) -> Option<Result<Packet<'a>, Damage>> {
        if self.at >= self.file.len() {
            return None;
        }
        let packet = self.packet();
        match &packet {
            Ok(packet) => self.at = packet.offset + packet.bytes.len(),
            Err(_) => self.at = self.file.len(),
        }
        Some(packet)
    }

    #[inline]
    fn packet(&self) -> Result<Packet<'a>, Damage> {
        let damage = |what| Damage { offset: self.at, what };
        let record = self.file[self.at..]
            .first_chunk::<RECORD>()
            .ok_or(damage("the file ends within a record's header"))?;
        let word =
            |i: usize| self.order.u32([record[i], record[i + 1], record[i + 2], record[i + 3]]);
        let (seconds, fraction, captured, wire_len) =
            (word(0), word(4), word(8) as usize, word(12));
        if captured > LONGEST {
            return Err(damage("a record claims an impossible length"));
        }
        let offset = self.at + RECORD;
        let bytes = self
            .file
            .get(offset..offset + captured)
            .ok_or(damage("the file ends within a packet"))?;
        let time = u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * self.unit;
        let wire_len = wire_len.max(captured as u32);
        Ok(Packet { bytes, offset, wire_len, time: Nanos(time), link_type: self.link_type })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Reader;
    use super::*;

    fn file(order: Order, magic: u32, records: &[(u32, u32, &[u8])]) -> Vec<u8> {
        let put = |n: u32| match order {
            Order::Little => n.to_le_bytes(),
            Order::Big => n.to_be_bytes(),
        };
        let mut file = Vec::new();
        for word in [magic, 0x0004_0002, 0, 0, 65_535, 1] {
            file.extend(put(word));
        }
        for (seconds, fraction, bytes) in records {
            for word in [*seconds, *fraction, bytes.len() as u32, 1_500] {
                file.extend(put(word));
            }
            file.extend(*bytes);
        }
        file
    }

    #[test]
    fn both_orders_and_both_units_are_read() {
        for order in [Order::Little, Order::Big] {
            for (magic, time) in [(MICROSECONDS, 5_000_007_000), (NANOSECONDS, 5_000_000_007)] {
                let file = file(order, magic, &[(5, 7, b"abc"), (6, 0, b"")]);
                let packets: Vec<_> = Reader::open(&file).unwrap().map(Result::unwrap).collect();
                assert_eq!(packets.len(), 2);
                assert_eq!((packets[0].bytes, packets[0].time), (&b"abc"[..], Nanos(time)));
                assert_eq!((packets[0].wire_len, packets[0].offset), (1_500, 40));
                assert_eq!(packets[0].link_type, LinkType::Ethernet);
            }
        }
    }

    #[test]
    fn a_cut_file_gives_what_is_whole_and_then_the_place() {
        let file = file(Order::Little, MICROSECONDS, &[(5, 7, b"abc"), (6, 0, b"defg")]);
        for end in 43 + 1..file.len() {
            let read: Vec<_> = Reader::open(&file[..end]).unwrap().collect();
            assert!(read[0].is_ok());
            assert_eq!(read[1].as_ref().unwrap_err().offset, 43, "cut at {end}");
            assert_eq!(read.len(), 2);
        }
        for end in 0..24 {
            assert_eq!(Reader::open(&file[..end]).unwrap_err().offset, 0);
        }
    }

    #[test]
    fn an_impossible_length_is_damage() {
        let mut file = file(Order::Little, MICROSECONDS, &[(5, 7, b"abc")]);
        file[32..36].copy_from_slice(&u32::MAX.to_le_bytes());
        let read: Vec<_> = Reader::open(&file).unwrap().collect();
        assert!(matches!(read[..], [Err(Damage { offset: 24, .. })]));
    }
}
