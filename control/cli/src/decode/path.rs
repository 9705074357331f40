//! The layers that the engine's walk went through, and where they stand.

use weir_engine::decode::Trail;
use weir_wire::Layer;

/// One layer: its header stands at `at`, and what it may read is `len` long.
#[derive(Clone, Copy, Debug)]
struct Step {
    layer: Layer,
    at: usize,
    len: usize,
}

/// The layers of one frame, or of one datagram.
#[derive(Debug, Default)]
pub(super) struct Path {
    /// The address of the first byte, from which offsets count.
    start: usize,
    steps: Vec<Step>,
    pub(super) vlans: Vec<u16>,
    pub(super) mpls: Vec<u32>,
}

impl Trail for Path {
    fn layer(&mut self, layer: Layer, at: &[u8]) {
        let offset = (at.as_ptr() as usize).wrapping_sub(self.start);
        self.steps.push(Step { layer, at: offset, len: at.len() });
    }

    fn vlan(&mut self, id: u16) {
        self.vlans.push(id);
    }

    fn mpls(&mut self, label: u32) {
        self.mpls.push(label);
    }
}

impl Path {
    /// Forgets everything and starts at the first of these bytes.
    pub(super) fn begin(&mut self, bytes: &[u8]) {
        self.start = bytes.as_ptr() as usize;
        self.steps.clear();
        self.vlans.clear();
        self.mpls.clear();
    }

    /// The names of the layers.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.steps.iter().map(|step| step.layer.name())
    }

    /// The position of the IP packet that carries the first GTP-U or PFCP; without
    /// one, of the outermost packet, where the outermost is what a tap's wrapper holds.
    pub(super) fn carrier(&self) -> Option<usize> {
        let is_ip = |step: &Step| matches!(step.layer, Layer::Ipv4 | Layer::Ipv6);
        let tunnel =
            self.steps.iter().position(|step| matches!(step.layer, Layer::Gtpu | Layer::Pfcp));
        if let Some(tunnel) = tunnel {
            return self.steps[..tunnel].iter().rposition(is_ip);
        }
        let wrapper =
            self.steps.iter().rposition(|step| matches!(step.layer, Layer::Vxlan | Layer::Erspan));
        let begin = wrapper.unwrap_or(0);
        let wrapped = self.steps[begin..].iter().position(is_ip).map(|at| begin + at);
        wrapped.or_else(|| self.steps.iter().position(is_ip))
    }

    /// The position of the packet whose fragments are to be put together: a
    /// fragment that no G-PDU contains.
    pub(super) fn innermost_carrier(&self) -> Option<usize> {
        let tunnel = self.steps.iter().position(|step| step.layer == Layer::Gtpu);
        let outside = &self.steps[..tunnel.unwrap_or(self.steps.len())];
        outside.iter().rposition(|step| matches!(step.layer, Layer::Ipv4 | Layer::Ipv6))
    }

    /// The first header of a layer and what it may read, and its position.
    pub(super) fn first(&self, layer: Layer) -> Option<usize> {
        self.steps.iter().position(|step| step.layer == layer)
    }

    /// The first IP packet behind a position.
    pub(super) fn ip_behind(&self, position: usize) -> Option<usize> {
        self.steps
            .iter()
            .skip(position + 1)
            .position(|step| matches!(step.layer, Layer::Ipv4 | Layer::Ipv6))
            .map(|at| position + 1 + at)
    }

    /// The bytes of the layer at a position, out of those that the path began at.
    pub(super) fn bytes<'a>(&self, position: usize, all: &'a [u8]) -> Option<&'a [u8]> {
        let step = self.steps.get(position)?;
        all.get(step.at..)?.get(..step.len)
    }

    /// The name of the layer at a position.
    pub(super) fn name(&self, position: usize) -> &'static str {
        self.steps[position].layer.name()
    }

    /// Where the layer at a position stands.
    pub(super) fn offset(&self, position: usize) -> usize {
        self.steps.get(position).map_or(0, |step| step.at)
    }

    /// Forgets what stands behind the layer at a position and its transport header.
    pub(super) fn cut_behind_transport(&mut self, position: usize) {
        let is_transport = |step: &Step| {
            matches!(
                step.layer,
                Layer::Udp | Layer::Tcp | Layer::Sctp | Layer::Icmp | Layer::Icmpv6
            )
        };
        let transport = self.steps.get(position + 1).is_some_and(is_transport);
        self.steps.truncate(position + 1 + usize::from(transport));
    }

    /// Forgets the layer at a position and what stands behind it.
    pub(super) fn cut(&mut self, position: usize) {
        self.steps.truncate(position);
    }
}
