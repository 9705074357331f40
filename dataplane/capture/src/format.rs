//! What the two formats have in common: a step over the beginning of a window.

use weir_engine::Nanos;

use crate::pcap::Pcap;
use crate::pcapng::Pcapng;
use crate::{Damage, LinkType, OpenError, foreign, pcap, pcapng};

/// A packet at the beginning of a window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// Where its bytes begin in the window, and how many there are.
    pub(crate) start: usize,
    pub(crate) len: usize,
    /// How many bytes of the window its record or block takes.
    pub(crate) consumed: usize,
    pub(crate) wire_len: u32,
    pub(crate) time: Nanos,
    pub(crate) link_type: LinkType,
}

/// What stands at the beginning of a window.
#[derive(Debug)]
pub(crate) enum Step {
    /// A packet.
    Packet(Found),
    /// So many bytes without a packet.
    Skip(usize),
    /// Something that is not there whole: the window must hold `need` bytes.
    /// If there are no more, the capture ends `within` it.
    More { need: usize, within: &'static str },
    /// What can't be read.
    Damage(&'static str),
}

/// A format, with what it remembers between its steps.
#[derive(Clone, Debug)]
pub(crate) enum Format {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

/// Bytes by which a format is recognised and, if it is pcap, set up.
pub(crate) const HEAD: usize = pcap::HEADER;

impl Format {
    /// Recognises the format of a capture by its first [`HEAD`] bytes, or
    /// fewer if it has no more. Also gives how many of them are done with.
    pub(crate) fn recognise(head: &[u8]) -> Result<(Self, usize), OpenError> {
        if pcapng::is_pcapng(head) {
            return Ok((Format::Pcapng(Pcapng::default()), 0));
        }
        if !pcap::is_pcap(head) {
            return Err(OpenError::Foreign(foreign::guess(head)));
        }
        let header = head.first_chunk().and_then(Pcap::open).ok_or(Damage {
            offset: 0,
            what: "the capture ends within its header".into(),
            packing: None,
        })?;
        Ok((Format::Pcap(header), HEAD))
    }

    /// Takes the next step.
    #[inline]
    pub(crate) fn step(&mut self, window: &[u8]) -> Step {
        match self {
            Format::Pcap(pcap) => pcap.step(window),
            Format::Pcapng(pcapng) => pcapng.step(window),
        }
    }
}

/// The byte order of a capture's numbers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Order {
    #[default]
    Little,
    Big,
}

impl Order {
    /// Both of them.
    pub(crate) const ALL: [Self; 2] = [Order::Little, Order::Big];

    #[inline]
    pub(crate) fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Order::Little => u16::from_le_bytes(bytes),
            Order::Big => u16::from_be_bytes(bytes),
        }
    }

    #[inline]
    pub(crate) fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Order::Little => u32::from_le_bytes(bytes),
            Order::Big => u32::from_be_bytes(bytes),
        }
    }

    pub(crate) fn i64(self, bytes: [u8; 8]) -> i64 {
        match self {
            Order::Little => i64::from_le_bytes(bytes),
            Order::Big => i64::from_be_bytes(bytes),
        }
    }

    /// The 32-bit number at `offset`, if it is there.
    #[inline]
    pub(crate) fn u32_at(self, bytes: &[u8], offset: usize) -> Option<u32> {
        Some(self.u32(*bytes.get(offset..)?.first_chunk()?))
    }

    /// The 16-bit number at `offset`, if it is there.
    #[inline]
    pub(crate) fn u16_at(self, bytes: &[u8], offset: usize) -> Option<u16> {
        Some(self.u16(*bytes.get(offset..)?.first_chunk()?))
    }
}
