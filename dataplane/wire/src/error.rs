//! What can be wrong with a header: two bytes, which index a counter.

/// The protocol layer that a name or an error belongs to, as `weir decode` prints it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Layer {
    Eth,
    Sll,
    Sll2,
    Null,
    Vlan,
    Mpls,
    Pppoe,
    Ipv4,
    Ipv6,
    Udp,
    Tcp,
    Sctp,
    Icmp,
    Icmpv6,
    Esp,
    Ah,
    Gre,
    Erspan,
    Vxlan,
    Gtpu,
    Pfcp,
    Gtpc,
    Arp,
    Other,
}

impl Layer {
    /// Every layer, in the order of its code.
    pub const ALL: [Layer; 24] = [
        Layer::Eth,
        Layer::Sll,
        Layer::Sll2,
        Layer::Null,
        Layer::Vlan,
        Layer::Mpls,
        Layer::Pppoe,
        Layer::Ipv4,
        Layer::Ipv6,
        Layer::Udp,
        Layer::Tcp,
        Layer::Sctp,
        Layer::Icmp,
        Layer::Icmpv6,
        Layer::Esp,
        Layer::Ah,
        Layer::Gre,
        Layer::Erspan,
        Layer::Vxlan,
        Layer::Gtpu,
        Layer::Pfcp,
        Layer::Gtpc,
        Layer::Arp,
        Layer::Other,
    ];

    /// The name in `layers`, `error.layer` and the metric label `layer`.
    pub const fn name(self) -> &'static str {
        match self {
            Layer::Eth => "eth",
            Layer::Sll => "sll",
            Layer::Sll2 => "sll2",
            Layer::Null => "null",
            Layer::Vlan => "vlan",
            Layer::Mpls => "mpls",
            Layer::Pppoe => "pppoe",
            Layer::Ipv4 => "ipv4",
            Layer::Ipv6 => "ipv6",
            Layer::Udp => "udp",
            Layer::Tcp => "tcp",
            Layer::Sctp => "sctp",
            Layer::Icmp => "icmp",
            Layer::Icmpv6 => "icmpv6",
            Layer::Esp => "esp",
            Layer::Ah => "ah",
            Layer::Gre => "gre",
            Layer::Erspan => "erspan",
            Layer::Vxlan => "vxlan",
            Layer::Gtpu => "gtpu",
            Layer::Pfcp => "pfcp",
            Layer::Gtpc => "gtpc",
            Layer::Arp => "arp",
            Layer::Other => "other",
        }
    }
}

/// The way in which a header is wrong.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum ErrorKind {
    /// The bytes end before the header does.
    Truncated,
    /// The version field holds another version.
    Version,
    /// A length field contradicts itself or what carries it.
    Length,
    /// A chain of headers is longer than its bound.
    Depth,
}

impl ErrorKind {
    /// Every kind, in the order of its code.
    pub const ALL: [ErrorKind; 4] =
        [ErrorKind::Truncated, ErrorKind::Version, ErrorKind::Length, ErrorKind::Depth];

    /// The name in `error.kind` and the metric label `kind`.
    pub const fn name(self) -> &'static str {
        match self {
            ErrorKind::Truncated => "truncated",
            ErrorKind::Version => "version",
            ErrorKind::Length => "length",
            ErrorKind::Depth => "depth",
        }
    }
}

/// An error of one header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WireError {
    /// The header's protocol.
    pub layer: Layer,
    /// What is wrong with it.
    pub kind: ErrorKind,
}

impl WireError {
    pub(crate) const fn truncated(layer: Layer) -> Self {
        Self { layer, kind: ErrorKind::Truncated }
    }

    pub(crate) const fn version(layer: Layer) -> Self {
        Self { layer, kind: ErrorKind::Version }
    }

    pub(crate) const fn length(layer: Layer) -> Self {
        Self { layer, kind: ErrorKind::Length }
    }

    pub(crate) const fn depth(layer: Layer) -> Self {
        Self { layer, kind: ErrorKind::Depth }
    }
}

impl core::fmt::Display for WireError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}: {}", self.layer.name(), self.kind.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_index_the_tables() {
        for (i, layer) in Layer::ALL.into_iter().enumerate() {
            assert_eq!(layer as usize, i);
        }
        for (i, kind) in ErrorKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, i);
        }
    }
}
