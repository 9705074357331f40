//! Which worker a frame is for.
//!
//! All that is sent into one tunnel goes to one worker, both directions of any other flow, and all
//! fragments whose trails share a set: a worker then finds what it needs in its own tables, and
//! how many workers there are changes no result.

use weir_wire::Address;
use weir_wire::ethernet;
use weir_wire::gtpu::G_PDU;

use crate::decode::{decode, protocol};
use crate::fragment_trails::set_of;
use crate::frame::{Frame, LinkType};
use crate::record::Kind;
use crate::series::datagram_of;
use crate::track::FlowKey;
use crate::tunnels::FTeid;
use crate::worker::Setup;

/// What decides where a frame goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Spread {
    /// Frames with the same number must meet the same worker.
    pub number: u64,
    /// Whether it is a whole PFCP datagram, which must not be lost for users' packets.
    pub is_n4: bool,
}

impl Setup {
    /// A number by which frames are spread over workers: the same for both directions of
    /// a flow, for all that is sent into one tunnel, whoever sends it, and, so that later
    /// fragments find their first one, for all fragments whose trails share a set.
    pub fn spread(&self, frame: &Frame<'_>) -> u64 {
        self.deal(frame).number
    }

    /// As [`Setup::spread`], which reads frames whole where this reads a G-PDU's outer headers
    /// only: for a thread that does nothing but spread.
    #[inline]
    pub fn deal_lean(&self, frame: &Frame<'_>) -> Spread {
        match self.tunnel(frame) {
            Some(tunnel) => Spread { number: tunnel.hash(self.hash_key), is_n4: false },
            None => self.deal(frame),
        }
    }

    /// The tunnel of a G-PDU in plain IPv4 and UDP; none of any other frame.
    #[inline]
    pub(crate) fn tunnel(&self, frame: &Frame<'_>) -> Option<FTeid> {
        const ETHERNET: usize = 14;
        const TAG: usize = 4;
        const UDP: usize = 20;
        const GTPU: usize = UDP + 8;
        let word = |bytes: &[u8], at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        if frame.meta.link_type != LinkType::Ethernet || frame.meta.stripped_vlan.is_some() {
            return None;
        }
        let at = match word(frame.bytes.first_chunk::<ETHERNET>()?, 12) {
            ethernet::IPV4 => ETHERNET,
            ethernet::VLAN => {
                let tag = frame.bytes.get(ETHERNET..)?.first_chunk::<TAG>()?;
                if word(tag, 2) != ethernet::IPV4 {
                    return None;
                }
                ETHERNET + TAG
            }
            _ => return None,
        };
        let headers = frame.bytes.get(at..)?.first_chunk::<{ GTPU + 8 }>()?;
        let total = usize::from(word(headers, 2));
        let datagram = usize::from(word(headers, UDP + 4));
        // Version 1, GTP, and, if there are optional octets, as many as they are.
        let (first, length) = (headers[GTPU], usize::from(word(headers, GTPU + 2)));
        let is_plain = headers[0] == 0x45
            && word(headers, 6) & 0x3fff == 0
            && headers[9] == protocol::UDP
            && at + total <= frame.bytes.len()
            && datagram + UDP == total
            && length + 16 == datagram
            && first & 0xf0 == 0x30
            && (first & 0x07 == 0 || length >= 4)
            && headers[GTPU + 1] == G_PDU
            && self.ports.is_gtpu(word(headers, UDP), word(headers, UDP + 2));
        let teid = u32::from_be_bytes(*headers[GTPU + 4..].first_chunk()?);
        (is_plain && teid != 0).then(|| FTeid {
            address: Address::v4([headers[16], headers[17], headers[18], headers[19]]),
            teid,
        })
    }

    /// By all that can be read of the frame.
    fn deal(&self, frame: &Frame<'_>) -> Spread {
        let record = decode(frame, self.wrapper(frame.meta.tap), &self.ports, &mut ());
        if record.is_fragment()
            && let Some(datagram) = datagram_of(frame.bytes, &record)
        {
            return Spread { number: set_of(&datagram, self.hash_key) as u64, is_n4: false };
        }
        let Some((source, destination)) = record.outer_addresses(frame.bytes) else {
            return Spread { number: 0, is_n4: false };
        };
        if record.kind == Kind::Gtpu && record.teid != 0 {
            let tunnel = FTeid { address: destination, teid: record.teid };
            return Spread { number: tunnel.hash(self.hash_key), is_n4: false };
        }
        let (key, _) = FlowKey::of(&record, source, destination);
        let is_n4 = record.kind == Kind::Pfcp && !record.is_fragment();
        Spread { number: key.hash(self.hash_key), is_n4 }
    }
}
