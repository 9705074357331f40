//! The classic pcap format: microseconds or nanoseconds, either byte order, and
//! the longer record headers of the "modified" format of old Linux systems.

use weir_engine::Nanos;

use crate::format::{Found, Order, Step};
use crate::{LONGEST, LinkType};

const MICROSECONDS: u32 = 0xa1b2_c3d4;
const NANOSECONDS: u32 = 0xa1b2_3c4d;
const MODIFIED: u32 = 0xa1b2_cd34;
const RECORD: usize = 16;
/// An interface's number, a protocol, a packet type and padding follow the length.
const MODIFIED_RECORD: usize = 24;

/// Bytes of the file's header.
pub(crate) const HEADER: usize = 24;

/// Byte order, nanoseconds per unit of time, and the size of a record's header.
fn variant(magic: [u8; 4]) -> Option<(Order, u64, usize)> {
    Order::ALL.into_iter().find_map(|order| match order.u32(magic) {
        MICROSECONDS => Some((order, 1_000, RECORD)),
        NANOSECONDS => Some((order, 1, RECORD)),
        MODIFIED => Some((order, 1_000, MODIFIED_RECORD)),
        _ => None,
    })
}

/// Whether a file begins as a pcap file does.
pub(crate) fn is_pcap(file: &[u8]) -> bool {
    file.first_chunk().is_some_and(|magic| variant(*magic).is_some())
}

#[derive(Clone, Debug)]
pub(crate) struct Pcap {
    order: Order,
    unit: u64,
    record: usize,
    link_type: LinkType,
}

impl Pcap {
    pub(crate) fn open(header: &[u8; HEADER]) -> Option<Self> {
        let (order, unit, record) = variant(*header.first_chunk()?)?;
        // The upper half may hold the length of a frame check sequence.
        let link_type = order.u32_at(header, 20)? as u16;
        Some(Self { order, unit, record, link_type: LinkType::from_code(link_type) })
    }

    #[inline]
    pub(crate) fn step(&self, window: &[u8]) -> Step {
        let Some(record) = window.first_chunk::<RECORD>() else {
            return Step::More {
                need: RECORD,
                within: "the capture ends within a record's header",
            };
        };
        let word =
            |i: usize| self.order.u32([record[i], record[i + 1], record[i + 2], record[i + 3]]);
        let (seconds, fraction, captured, wire_len) =
            (word(0), word(4), word(8) as usize, word(12));
        if captured > LONGEST {
            return Step::Damage("a record claims an impossible length");
        }
        let consumed = self.record + captured;
        if window.len() < consumed {
            return Step::More { need: consumed, within: "the capture ends within a packet" };
        }
        let time = u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * self.unit;
        Step::Packet(Found {
            start: self.record,
            len: captured,
            consumed,
            wire_len: wire_len.max(captured as u32),
            time: Nanos(time),
            link_type: self.link_type,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Damage, OpenError, Reader};

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
        for end in 4..24 {
            let Err(OpenError::Damaged(damage)) = Reader::open(&file[..end]) else { panic!() };
            assert_eq!(damage.offset, 0);
        }
    }

    #[test]
    fn the_longer_record_headers_of_the_modified_format_are_passed() {
        for order in Order::ALL {
            let plain = file(order, MODIFIED, &[(5, 7, b"abc"), (6, 0, b"defg")]);
            let longer = [&plain[..40], &[9; 8], &plain[40..59], &[9; 8], &plain[59..]].concat();
            let packets: Vec<_> = Reader::open(&longer).unwrap().map(Result::unwrap).collect();
            assert_eq!((packets[0].bytes, packets[0].offset), (&b"abc"[..], 48));
            assert_eq!((packets[1].bytes, packets[1].time), (&b"defg"[..], Nanos(6_000_000_000)));
            assert_eq!(packets.len(), 2);
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
