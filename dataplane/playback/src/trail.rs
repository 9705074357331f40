//! Where the layers of a frame stand.

use weir_engine::decode::{Ports, Trail, decode};
use weir_engine::{Frame, Record};
use weir_wire::Layer;

/// The most layers that are noted: a walk's bounds allow few more, and what is deeper than this
/// stays as it is.
const LAYERS: usize = 48;

/// A layer, and the part of the frame that it takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) layer: Layer,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// A frame's layers, the outermost first: each one stands within the one before.
#[derive(Debug)]
pub(crate) struct Layers {
    places: [Place; LAYERS],
    count: usize,
    /// The address of the frame's first byte.
    origin: usize,
    frame_len: usize,
}

impl Default for Layers {
    fn default() -> Self {
        let none = Place { layer: Layer::Other, start: 0, end: 0 };
        Self { places: [none; LAYERS], count: 0, origin: 0, frame_len: 0 }
    }
}

impl Layers {
    /// Walks a frame whole, and forgets the one before.
    pub(crate) fn walk(&mut self, frame: &Frame<'_>, ports: &Ports) -> Record {
        self.count = 0;
        self.origin = frame.bytes.as_ptr() as usize;
        self.frame_len = frame.bytes.len();
        decode(frame, None, ports, self)
    }

    pub(crate) fn places(&self) -> &[Place] {
        &self.places[..self.count]
    }
}

impl Trail for Layers {
    fn layer(&mut self, layer: Layer, at: &[u8]) {
        let start = (at.as_ptr() as usize).wrapping_sub(self.origin);
        let Some(end) = start.checked_add(at.len()).filter(|end| *end <= self.frame_len) else {
            return;
        };
        if let Some(place) = self.places.get_mut(self.count) {
            *place = Place { layer, start, end };
            self.count += 1;
        }
    }

    fn vlan(&mut self, _: u16) {}

    fn mpls(&mut self, _: u32) {}
}

/// The IP header right before a layer, if that is what stands there.
pub(crate) fn ip_before(places: &[Place], index: usize) -> Option<&Place> {
    let before = places.get(index.checked_sub(1)?)?;
    matches!(before.layer, Layer::Ipv4 | Layer::Ipv6).then_some(before)
}

/// Where the two addresses of an IP header stand, source first, and how long they are.
pub(crate) fn addresses_at(ip: &Place) -> ([usize; 2], usize) {
    match ip.layer {
        Layer::Ipv4 => ([ip.start + 12, ip.start + 16], 4),
        _ => ([ip.start + 8, ip.start + 24], 16),
    }
}
