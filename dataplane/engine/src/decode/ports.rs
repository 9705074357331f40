//! Where GTP-U and PFCP are tried.

use weir_wire::gtpu::{CONTROL_PORT, PRIME_PORT};

/// The UDP ports on which GTP-U and PFCP are tried, on either side.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ports {
    gtpu: [u16; Ports::MOST],
    pfcp: [u16; Ports::MOST],
    /// A bit for each of these and GTP-C's ports, by the port modulo 64: most
    /// users' packets are told by one look that they are none.
    sieve: u64,
}

impl Ports {
    /// The most ports of one protocol.
    pub const MOST: usize = 4;

    /// These ports, at most [`Ports::MOST`] of each; further ones are left out.
    pub fn new(gtpu: &[u16], pfcp: &[u16]) -> Self {
        let fill = |given: &[u16]| {
            let mut ports = [0; Self::MOST];
            for (slot, port) in ports.iter_mut().zip(given) {
                *slot = *port;
            }
            ports
        };
        let sieve = gtpu
            .iter()
            .chain(pfcp)
            .chain(&[CONTROL_PORT, PRIME_PORT])
            .fold(0, |sieve, port| sieve | bit(*port));
        Self { gtpu: fill(gtpu), pfcp: fill(pfcp), sieve }
    }

    /// Whether a datagram may be GTP or PFCP; no says that it is not, by its ports.
    #[inline]
    pub(crate) fn may_be_signalling(&self, source: u16, destination: u16) -> bool {
        self.sieve & (bit(source) | bit(destination)) != 0
    }

    #[inline]
    pub(crate) fn is_gtpu(&self, source: u16, destination: u16) -> bool {
        either(&self.gtpu, source, destination)
    }

    /// Whether it is a port at which GTP-U arrives.
    #[inline]
    pub(crate) fn takes_gtpu(&self, destination: u16) -> bool {
        either(&self.gtpu, destination, destination)
    }

    #[inline]
    pub(crate) fn is_pfcp(&self, source: u16, destination: u16) -> bool {
        either(&self.pfcp, source, destination)
    }
}

#[inline]
const fn bit(port: u16) -> u64 {
    1 << (port % 64)
}

#[inline]
fn either(ports: &[u16; Ports::MOST], source: u16, destination: u16) -> bool {
    ports.iter().any(|&port| port != 0 && (port == source || port == destination))
}

impl Default for Ports {
    fn default() -> Self {
        Self::new(&[weir_wire::gtpu::PORT], &[weir_wire::pfcp::PORT])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sieve_lets_no_port_of_interest_through_unseen() {
        let ports = Ports::new(&[2152, 40_000], &[8805]);
        for port in [2152, 40_000, 8805, CONTROL_PORT, PRIME_PORT] {
            assert!(ports.may_be_signalling(port, 443) && ports.may_be_signalling(443, port));
        }
        assert!(!ports.may_be_signalling(443, 53));
    }
}
