//! Capture files, read from their bytes.
//!
//! A damaged file gives the packets before the damage, then the damage with
//! its offset. Every length is checked against the bytes that are there.
#![forbid(unsafe_code)]

mod pcap;
mod pcapng;

use weir_engine::Nanos;
pub use weir_engine::frame::LinkType;

/// A packet of a capture.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// The captured bytes.
    pub bytes: &'a [u8],
    /// Where they stand in the file.
    pub offset: usize,
    /// Bytes on the wire.
    pub wire_len: u32,
    /// When it was captured.
    pub time: Nanos,
    /// How its bytes begin.
    pub link_type: LinkType,
}

/// The place at which a capture can't be read on, and why.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("damaged at byte {offset}: {what}")]
pub struct Damage {
    /// The offset of the record or block that is wrong.
    pub offset: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

/// The longest packet that is believed; what claims more is damage.
const LONGEST: usize = 256 << 10;

/// Reads the packets of a pcap or pcapng file in order.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    format: Format<'a>,
}

#[derive(Clone, Debug)]
enum Format<'a> {
    Pcap(pcap::Pcap<'a>),
    Pcapng(pcapng::Pcapng<'a>),
}

impl<'a> Reader<'a> {
    /// Recognises the format by its first bytes.
    ///
    /// # Errors
    /// Damage at byte 0, if it is neither format, and empty.
    pub fn open(file: &'a [u8]) -> Result<Self, Damage> {
        let format = if pcapng::is_pcapng(file) {
            Format::Pcapng(pcapng::Pcapng::new(file))
        } else {
            Format::Pcap(pcap::Pcap::open(file)?)
        };
        Ok(Self { format })
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Result<Packet<'a>, Damage>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.format {
            Format::Pcap(pcap) => pcap.next(),
            Format::Pcapng(pcapng) => pcapng.next(),
        }
    }
}

/// The byte order of a file's numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Order {
    Little,
    Big,
}

impl Order {
    fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Order::Little => u16::from_le_bytes(bytes),
            Order::Big => u16::from_be_bytes(bytes),
        }
    }

    fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Order::Little => u32::from_le_bytes(bytes),
            Order::Big => u32::from_be_bytes(bytes),
        }
    }

    /// The 32-bit number at `offset`, if it is there.
    fn u32_at(self, bytes: &[u8], offset: usize) -> Option<u32> {
        Some(self.u32(*bytes.get(offset..)?.first_chunk()?))
    }

    /// The 16-bit number at `offset`, if it is there.
    fn u16_at(self, bytes: &[u8], offset: usize) -> Option<u16> {
        Some(self.u16(*bytes.get(offset..)?.first_chunk()?))
    }
}
