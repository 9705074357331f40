//! N4 datagrams on their way from a worker to the session machine.

use weir_wire::Address;

use crate::contract::words::N4Loss;
use crate::rules::Link;
use crate::{Nanos, TapId};

/// One UDP datagram of PFCP, whole.
#[derive(Clone, Copy, Debug)]
pub struct N4Datagram<'a> {
    /// When it was seen; of fragments, the last one.
    pub time: Nanos,
    /// Who sent it.
    pub source: Address,
    /// From which port.
    pub source_port: u16,
    /// To whom.
    pub destination: Address,
    /// To which port.
    pub destination_port: u16,
    /// The tap that saw it.
    pub tap: TapId,
    /// The link it was on.
    pub link: Link,
    /// What its IP header looks like.
    pub shape: HeaderShape,
    /// Bytes on the wire.
    pub wire_len: u32,
    /// The UDP payload.
    pub payload: &'a [u8],
}

/// What tells one sender's IP headers from another's: the hop limit, and the length
/// of options.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct HeaderShape {
    /// TTL or hop limit.
    pub hops: u8,
    /// Octets of options or extension headers.
    pub options: u8,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    time: Nanos,
    source: Address,
    destination: Address,
    source_port: u16,
    destination_port: u16,
    tap: TapId,
    link: Link,
    shape: HeaderShape,
    wire_len: u32,
    start: u32,
    len: u32,
}

/// Datagrams that a pouch holds.
const DATAGRAMS: usize = 1 << 14;
/// Their bytes, and room for one more of any length.
const BYTES: usize = 4 << 20;
const LONGEST: usize = 65_535;
/// What undeclared senders may fill of it: the rest is kept for declared peers.
const STRANGERS_SHARE: usize = 4;

/// What room of a pouch a datagram may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Room {
    /// A stranger's share.
    Share,
    /// All that there is: of declared peers.
    All,
    /// As much as it takes, in a replay, which bounds the steps that it cuts.
    More,
}

/// A worker's datagrams, in order. Its memory is set aside once.
#[derive(Debug, Default)]
pub struct Pouch {
    entries: Vec<Entry>,
    bytes: Vec<u8>,
    /// What strangers filled of both.
    strangers: usize,
    strangers_bytes: usize,
    dropped: [u64; N4Loss::ALL.len()],
}

impl Pouch {
    /// An empty pouch with its room.
    pub fn with_room() -> Self {
        Self {
            entries: Vec::with_capacity(DATAGRAMS),
            bytes: Vec::with_capacity(BYTES + LONGEST),
            strangers: 0,
            strangers_bytes: 0,
            dropped: [0; N4Loss::ALL.len()],
        }
    }

    /// Takes a datagram in, or counts that there was no room for it.
    pub fn put(&mut self, datagram: &N4Datagram<'_>, room: Room) {
        let is_full = self.entries.len() >= DATAGRAMS || self.bytes.len() >= BYTES;
        let share_is_full = self.strangers >= DATAGRAMS / STRANGERS_SHARE
            || self.strangers_bytes >= BYTES / STRANGERS_SHARE;
        let is_declared = room != Room::Share;
        let has_none = match room {
            Room::All => is_full,
            Room::Share => is_full || share_is_full,
            Room::More => false,
        };
        if has_none {
            let loss = if is_declared { N4Loss::Declared } else { N4Loss::Undeclared };
            self.dropped[loss as usize] += 1;
            return;
        }
        if !is_declared {
            self.strangers += 1;
            self.strangers_bytes += datagram.payload.len();
        }
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(datagram.payload);
        self.entries.push(Entry {
            time: datagram.time,
            source: datagram.source,
            destination: datagram.destination,
            source_port: datagram.source_port,
            destination_port: datagram.destination_port,
            tap: datagram.tap,
            link: datagram.link,
            shape: datagram.shape,
            wire_len: datagram.wire_len,
            start,
            len: datagram.payload.len() as u32,
        });
    }

    /// The datagrams in the order in which they came.
    pub fn datagrams(&self) -> impl Iterator<Item = N4Datagram<'_>> {
        self.entries.iter().map(|entry| {
            let start = entry.start as usize;
            N4Datagram {
                time: entry.time,
                source: entry.source,
                source_port: entry.source_port,
                destination: entry.destination,
                destination_port: entry.destination_port,
                tap: entry.tap,
                link: entry.link,
                shape: entry.shape,
                wire_len: entry.wire_len,
                payload: self.bytes.get(start..start + entry.len as usize).unwrap_or_default(),
            }
        })
    }

    /// Whether nothing is in it, not even a count of what found no room.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.dropped == [0; N4Loss::ALL.len()]
    }

    /// Whether it should be handed over soon.
    pub fn is_filling(&self) -> bool {
        self.entries.len() >= DATAGRAMS / 2 || self.bytes.len() >= BYTES / 2
    }

    /// Datagrams that found no room, by [`N4Loss`].
    pub fn dropped(&self) -> &[u64; N4Loss::ALL.len()] {
        &self.dropped
    }

    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.bytes.clear();
        self.strangers = 0;
        self.strangers_bytes = 0;
        self.dropped = [0; N4Loss::ALL.len()];
    }
}
