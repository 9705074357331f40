//! Series of fragments on the packet path. A later fragment is accounted to the
//! flow and tunnel of its first one; PFCP, which must be read whole, is put
//! together. Nothing else is: users' fragments pass as they are.

use weir_wire::ipv4::Ipv4;
use weir_wire::ipv6::{Ipv6, Upper};
use weir_wire::udp::Udp;

use crate::Nanos;
use crate::account::Tally;
use crate::contract::words::{FRAGMENT_COUNTERS, REASSEMBLY_COUNTERS};
use crate::decode::{Ports, protocol};
use crate::fragment::{DatagramKey, Piece};
use crate::fragment_trails::{self, FragmentTrails, Trail};
use crate::frame::Frame;
use crate::reassembly::{GiveUp, Limits, Outcome, Reassembler};
use crate::record::{Flags, Kind, Record};

/// What a worker may hold of PFCP: a message is a few kilobytes as a rule.
const LIMITS: Limits =
    Limits { datagrams: 1024, bytes: 4 << 20, patience: fragment_trails::PATIENCE };

/// What was given up for lack of room.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Evictions {
    /// Trails before their last fragment.
    pub trails: u64,
    /// PFCP datagrams before they were whole.
    pub datagrams: u64,
}

/// What a worker remembers of fragments.
#[derive(Debug)]
pub(crate) struct Series {
    trails: FragmentTrails,
    datagrams: Reassembler,
    /// The evictions that a report told of already.
    reported: Evictions,
    /// Whether the tally has the counters of all that came.
    is_counted: bool,
}

impl Series {
    /// Nothing seen yet; the secret keeps both tables' places unpredictable.
    pub(crate) fn new(secret: u64) -> Self {
        Self {
            trails: FragmentTrails::new(secret),
            datagrams: Reassembler::new(LIMITS, secret),
            reported: Evictions::default(),
            is_counted: true,
        }
    }

    /// Takes a fragment's record in, and gives it the ports and TEID of its first one. A
    /// PFCP datagram that is put together is shown to `whole`, with its ports.
    #[cold]
    pub(crate) fn take(
        &mut self,
        frame: &Frame<'_>,
        record: &mut Record,
        ports: &Ports,
        tally: &mut Tally,
        whole: &mut impl FnMut(u16, u16, &[u8]),
    ) {
        self.is_counted = false;
        let packet = frame.bytes.get(usize::from(record.outer_ip)..).unwrap_or_default();
        let Some(piece) = piece(packet, record.time) else { return };
        let may_be_pfcp = if record.flags.has(Flags::FIRST_FRAGMENT) {
            self.first(&piece.key, record);
            is_pfcp(record, ports)
        } else {
            match self.trails.find(&piece.key, piece.more, record.time) {
                Some(trail) => {
                    follow(record, trail, ports);
                    is_pfcp(record, ports)
                }
                // Its first fragment may still come.
                None => piece.protocol == protocol::UDP || piece.key.protocol.is_none(),
            }
        };
        if may_be_pfcp && let Outcome::Complete(datagram) = self.datagrams.add(&piece) {
            let upper = Upper::parse(datagram.protocol, datagram.payload);
            if let Ok(upper) = upper
                && upper.protocol() == protocol::UDP
                && let Ok(udp) = Udp::parse(upper.payload())
                && ports.is_pfcp(udp.source(), udp.destination())
            {
                tally.pfcp(udp.payload());
                whole(udp.source(), udp.destination(), udp.payload());
            }
        }
    }

    /// Counts what came since this was last asked: once a burst, not with every fragment.
    #[inline]
    pub(crate) fn count(&mut self, tally: &mut Tally) {
        if !self.is_counted {
            self.is_counted = true;
            tally.fragments(self.trails.counters(), self.datagrams.counters());
        }
    }

    /// The evictions since this was last asked.
    pub(crate) fn evictions(&mut self) -> Evictions {
        let now = Evictions {
            trails: self.trails.counters().evicted,
            datagrams: self.datagrams.counters().given_up[GiveUp::Evicted as usize],
        };
        let before = std::mem::replace(&mut self.reported, now);
        Evictions {
            trails: now.trails - before.trails,
            datagrams: now.datagrams - before.datagrams,
        }
    }

    /// Gives up what still waits for its missing pieces: none will come.
    pub(crate) fn finish(&mut self, tally: &mut Tally) {
        self.datagrams.expire(Nanos::MAX);
        self.is_counted = false;
        self.count(tally);
    }

    fn first(&mut self, key: &DatagramKey, record: &Record) {
        let trail = Trail {
            source_port: record.source_port,
            destination_port: record.destination_port,
            teid: record.teid,
            g_pdu: record.kind == Kind::Gtpu,
        };
        self.trails.remember(key, trail, record.time);
    }
}

/// The datagram that a record's frame is a fragment of.
pub(crate) fn datagram_of(bytes: &[u8], record: &Record) -> Option<DatagramKey> {
    let packet = bytes.get(usize::from(record.outer_ip)..)?;
    piece(packet, record.time).map(|piece| piece.key)
}

fn piece(packet: &[u8], time: Nanos) -> Option<Piece<'_>> {
    match packet.first()? >> 4 {
        4 => Piece::v4(&Ipv4::parse(packet).ok()?, time),
        _ => Piece::v6(&Ipv6::parse(packet).ok()?, time),
    }
}

fn follow(record: &mut Record, trail: Trail, ports: &Ports) {
    record.source_port = trail.source_port;
    record.destination_port = trail.destination_port;
    record.teid = trail.teid;
    record.flags.clear(Flags::LATER_FRAGMENT);
    if trail.g_pdu || is_pfcp(record, ports) {
        record.flags.set(Flags::ATTRIBUTED);
    }
}

fn is_pfcp(record: &Record, ports: &Ports) -> bool {
    record.protocol == protocol::UDP && ports.is_pfcp(record.source_port, record.destination_port)
}

/// The counters of both tables in the order of their words.
pub(crate) fn words(
    trails: &fragment_trails::Counters,
    datagrams: &crate::reassembly::Counters,
) -> ([u64; FRAGMENT_COUNTERS], [u64; REASSEMBLY_COUNTERS]) {
    let mut of_datagrams = [0; REASSEMBLY_COUNTERS];
    for (word, (_, count)) in of_datagrams.iter_mut().zip(datagrams.named()) {
        *word = count;
    }
    (trails.named().map(|(_, count)| count), of_datagrams)
}
