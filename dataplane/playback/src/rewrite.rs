//! A frame as it is in a later pass.

use weir_engine::Frame;
use weir_engine::decode::{Ports, pfcp_bundle};
use weir_wire::pfcp::{Element, Pfcp};
use weir_wire::pfcp_ie::{FTeid, OuterHeaderCreation, UeIp, kind};
use weir_wire::{Address, Layer, pfcp_walk};

use crate::checksum::{self, Change};
use crate::passes::Pass;
use crate::survey::{addresses, is_fragmented_pfcp, is_request};
use crate::trail::{Layers, Place, addresses_at, ip_before};
use crate::tunnels;

/// Room that rewriting needs, kept from frame to frame: as much as the longest frame has fields.
#[derive(Debug, Default)]
pub struct Scratch {
    layers: Layers,
    changes: Vec<Change>,
}

/// Changes `to`, a copy of the frame.
pub(crate) fn rewrite(
    pass: &Pass<'_>,
    ports: &Ports,
    frame: &Frame<'_>,
    to: &mut [u8],
    scratch: &mut Scratch,
) {
    let Scratch { layers, changes } = scratch;
    let record = layers.walk(frame, ports);
    let places = layers.places();
    changes.clear();
    let mut pen = Pen { pass, before: frame.bytes, after: to, changes };
    for (index, place) in places.iter().enumerate() {
        match place.layer {
            Layer::Ipv4 | Layer::Ipv6 => pen.packet(place),
            Layer::Gtpu => tunnels::fields(pen.bytes(place)).for_each(|field| pen.teid(field)),
            Layer::Pfcp if !is_fragmented_pfcp(&record) => pen.pfcp(places, index),
            _ => {}
        }
    }
    if !changes.is_empty() {
        checksum::mend(places, frame.bytes, to, changes);
    }
}

/// Writes into the copy what it reads in the frame.
struct Pen<'a> {
    pass: &'a Pass<'a>,
    before: &'a [u8],
    after: &'a mut [u8],
    changes: &'a mut Vec<Change>,
}

impl<'a> Pen<'a> {
    /// Writes what stands at the place of `part`, a part of the frame, if it is other than that.
    fn write(&mut self, part: &[u8], new: &[u8]) {
        let at = (part.as_ptr() as usize).wrapping_sub(self.before.as_ptr() as usize);
        let end = at.saturating_add(new.len());
        let Some(old) = self.before.get(at..end).filter(|old| *old != new) else { return };
        debug_assert!(part.len() >= old.len(), "a field is written beyond its part");
        if let Some(room) = self.after.get_mut(at..end) {
            room.copy_from_slice(new);
            self.changes.push(Change { at, len: new.len() });
        }
    }

    fn bytes(&self, place: &Place) -> &'a [u8] {
        self.before.get(place.start..place.end).unwrap_or_default()
    }

    fn packet(&mut self, place: &Place) {
        let (offsets, len) = addresses_at(place);
        let Some(ends) = addresses(self.before, place) else { return };
        for (at, address) in offsets.into_iter().zip(ends) {
            let Some(part) = self.before.get(at..at + len).filter(|_| at + len <= place.end) else {
                return;
            };
            self.address(part, address);
        }
    }

    /// Writes the address that a user has in this pass, if it is a user's.
    fn address(&mut self, part: &[u8], address: Address) {
        let Some(moved) = self.pass.user(address) else { return };
        match moved.as_v4() {
            Some(v4) => self.write(part, &v4.to_be_bytes()),
            None => self.write(part, &moved.0.to_be_bytes()),
        }
    }

    fn teid(&mut self, part: &[u8]) {
        if let Some(octets) = part.first_chunk() {
            let teid = self.pass.teid(u32::from_be_bytes(*octets));
            self.write(part, &teid.to_be_bytes());
        }
    }

    fn seid(&mut self, part: &[u8]) {
        if let Some(octets) = part.first_chunk() {
            let seid = self.pass.seid(u64::from_be_bytes(*octets));
            self.write(part, &seid.to_be_bytes());
        }
    }

    fn pfcp(&mut self, places: &[Place], index: usize) {
        let carrier = index.checked_sub(1).and_then(|udp| ip_before(places, udp));
        let ends = carrier.and_then(|ip| addresses(self.before, ip));
        let bytes = self.bytes(&places[index]);
        let mut rest = bytes;
        for message in pfcp_bundle(bytes).map_while(Result::ok) {
            self.header(rest, &message, ends);
            pfcp_walk::walk(&message, &mut |_, element| self.element(element));
            rest = message.next_message().unwrap_or_default();
        }
    }

    fn header(&mut self, bytes: &[u8], message: &Pfcp<'_>, ends: Option<[Address; 2]>) {
        let sequence_at = if message.seid().is_some() { 12 } else { 4 };
        if message.seid().is_some()
            && let Some(part) = bytes.get(4..12)
        {
            self.seid(part);
        }
        // An answer has the number of its request, and goes to who sent that.
        let sender = ends.map(|ends| if is_request(message) { ends[0] } else { ends[1] });
        if let Some((sender, part)) = sender.zip(bytes.get(sequence_at..sequence_at + 3)) {
            let [_, sequence @ ..] = self.pass.sequence(message.sequence(), sender).to_be_bytes();
            self.write(part, &sequence);
        }
    }

    /// Values that their own flags contradict stay as they are, as they make no state.
    fn element(&mut self, element: &Element<'_>) {
        let value = element.value;
        match element.kind {
            kind::F_TEID if FTeid::parse(value).is_ok_and(|end| end.teid.is_some()) => {
                self.teid(&value[1..]);
            }
            kind::F_SEID if value.len() >= 9 => self.seid(&value[1..9]),
            kind::OUTER_HEADER_CREATION
                if OuterHeaderCreation::parse(value).is_ok_and(|made| made.is_gtpu()) =>
            {
                self.teid(&value[2..]);
            }
            kind::UE_IP_ADDRESS => {
                let Ok(ue) = UeIp::parse(value) else { return };
                let mut rest = &value[1..];
                for (address, len) in [(ue.v4, 4), (ue.v6, 16)] {
                    let Some(address) = address else { continue };
                    let Some((part, behind)) = rest.split_at_checked(len) else { return };
                    self.address(part, address);
                    rest = behind;
                }
            }
            _ => {}
        }
    }
}
